//! Timelines: what is told, and that no order of events changes it.

use proptest::prelude::*;

use super::*;
use crate::domain::facts::{BillingReason, Metadata, RefundStatus, Stamp, SubscriptionFact};
use crate::domain::story::{Story, at};
use crate::domain::subscribed::{FailedAttempt, SubscriptionItem, SubscriptionState};

fn state(status: Status, price: &str, amount: i64, quantity: i64) -> SubscriptionState {
    let item = SubscriptionItem {
        price: Some(price.to_owned()),
        product: Some("prod_1".to_owned()),
        quantity,
        unit_amount: Some(amount.into()),
        interval: Some("month".to_owned()),
        interval_count: 1,
        metered: false,
    };
    SubscriptionState {
        status,
        currency: Some("usd".parse().unwrap()),
        items: vec![item],
        discounts: Vec::new(),
        started_at: Some(at("2026-01-05")),
        trial_end: Some(at("2026-01-19")),
        cancel_at: None,
        cancels_at_period_end: false,
        canceled_at: None,
        ended_at: None,
        cancel_reason: None,
        collection_paused: false,
    }
}

fn shows(day: &str, event_id: &str, is_creation: bool, state: SubscriptionState) -> EventFacts {
    let fact = SubscriptionFact {
        id: "sub_1".to_owned(),
        customer: Some("cus_1".to_owned()),
        created: Some(at("2026-01-05")),
        is_creation,
        metadata: Metadata::new(),
        promotion_codes: Vec::new(),
        prices: Vec::new(),
        state: Some(Box::new(state)),
    };
    let stamp = Stamp { created: at(day), event_id: event_id.to_owned() };
    EventFacts { stamp, fetched_at: None, facts: vec![Fact::Subscription(fact)] }
}

/// A year in the life of a customer.
fn life() -> Vec<EventFacts> {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-19", 2_900, BillingReason::SubscriptionCycle).done();
    story.pays("in_2", "2026-04-22", 9_900, BillingReason::SubscriptionCycle).done();
    story.refund("re_1", "in_2", "2026-05-01", 4_000, RefundStatus::Succeeded);
    let mut events = story.events;
    let mut failed = events
        .iter()
        .find_map(|event| {
            event.facts.iter().find(|fact| matches!(fact, Fact::Invoice(invoice) if invoice.id == "in_2"))
        })
        .cloned()
        .unwrap();
    if let Fact::Invoice(invoice) = &mut failed {
        invoice.status = crate::domain::facts::InvoiceStatus::Open;
        (invoice.paid_on_stripe, invoice.paid_at) = (0, None);
        invoice.failed = Some(FailedAttempt { attempt: Some(1), next_at: Some(at("2026-04-22")) });
    }
    // The same attempt is told of twice.
    for event_id in ["evt_fail", "evt_fail_again"] {
        let stamp = Stamp { created: at("2026-04-19"), event_id: event_id.to_owned() };
        events.push(EventFacts { stamp, fetched_at: None, facts: vec![failed.clone()] });
    }
    let pro = |status, quantity| state(status, "price_pro", 9_900, quantity);
    let leaving = SubscriptionState {
        cancel_at: Some(at("2026-07-19")),
        cancels_at_period_end: true,
        canceled_at: Some(at("2026-06-30")),
        ..pro(Status::Active, 2)
    };
    let gone = SubscriptionState {
        ended_at: Some(at("2026-07-19")),
        cancel_reason: Some("cancellation_requested".to_owned()),
        ..SubscriptionState { status: Status::Canceled, ..leaving.clone() }
    };
    events.extend([
        shows("2026-01-05", "evt_a", true, state(Status::Trialing, "price_small", 2_900, 1)),
        shows("2026-01-19", "evt_b", false, state(Status::Active, "price_small", 2_900, 1)),
        shows("2026-03-01", "evt_c", false, pro(Status::Active, 1)),
        shows("2026-04-20", "evt_d", false, pro(Status::PastDue, 1)),
        shows("2026-04-23", "evt_e", false, pro(Status::Active, 1)),
        shows("2026-06-01", "evt_f", false, pro(Status::Active, 2)),
        shows("2026-06-30", "evt_g", false, leaving),
        shows("2026-07-19", "evt_h", false, gone),
    ]);
    events
}

fn told(events: &[EventFacts]) -> Vec<Moment> {
    timeline(events, &Settings::default(), at("2026-12-31"))
}

#[test]
fn a_life_is_told_in_order() {
    let moments = told(&life());
    let lines: Vec<String> = moments
        .iter()
        .map(|moment| {
            let mrr = moment.mrr_after.map(|after| format!(" {} -> {after}", moment.mrr_before.unwrap_or_default()));
            let amount = moment.amount.map(|amount| format!(" {amount}"));
            let day = moment.at.date_naive();
            format!("{day} {}{}{}", moment.what.as_str(), amount.unwrap_or_default(), mrr.unwrap_or_default())
        })
        .collect();
    assert_eq!(
        lines,
        [
            "2026-01-05 subscription_started 0 -> 0",
            "2026-01-05 trial_started",
            "2026-01-19 trial_converted 0 -> 2900",
            "2026-01-19 paid 2900",
            "2026-03-01 plan_changed 2900 -> 9900",
            "2026-04-19 payment_failed 9900",
            "2026-04-20 past_due 9900 -> 9900",
            "2026-04-22 payment_recovered 9900",
            "2026-05-01 refunded 4000",
            "2026-06-01 quantity_changed 9900 -> 19800",
            "2026-06-30 cancel_scheduled",
            "2026-07-19 canceled 19800 -> 0",
        ]
    );
    let last = moments.last().unwrap();
    assert_eq!(last.reason.as_deref(), Some("cancellation_requested"));
    assert!(moments.iter().all(|moment| !moment.is_assumed));
}

#[test]
fn what_was_fetched_is_known_at_that_time_only() {
    let mut fetched = shows("2026-01-05", "sub_1@1", true, state(Status::PastDue, "price_pro", 9_900, 1));
    fetched.fetched_at = Some(at("2026-06-01"));
    let moments = told(&[fetched]);
    let lines: Vec<_> = moments.iter().map(|moment| (moment.what.as_str(), moment.is_assumed)).collect();
    let expected =
        [("subscription_started", false), ("trial_started", false), ("trial_converted", false), ("past_due", true)];
    assert_eq!(lines, expected);
}

#[test]
fn canceled_after_failed_payments() {
    let events = [
        shows("2026-01-05", "evt_a", true, state(Status::Active, "price_pro", 9_900, 1)),
        shows("2026-03-05", "evt_b", false, state(Status::PastDue, "price_pro", 9_900, 1)),
        shows("2026-04-05", "evt_c", false, state(Status::Canceled, "price_pro", 9_900, 1)),
    ];
    assert_eq!(told(&events).last().unwrap().reason.as_deref(), Some("payment_failed"));
}

proptest! {
    /// Whatever order and repetition the events come in, the timeline is the same.
    #[test]
    fn no_order_changes_a_timeline(order in prop::collection::vec(0..64_usize, 0..60)) {
        let events = life();
        let expected = told(&events);
        let mut shuffled = events.clone();
        for (index, other) in order.iter().enumerate() {
            let (index, other) = (index % shuffled.len(), other % shuffled.len());
            shuffled.swap(index, other);
            if other % 3 == 0 {
                let again = shuffled[index].clone();
                shuffled.push(again);
            }
        }
        prop_assert_eq!(told(&shuffled), expected);
    }
}
