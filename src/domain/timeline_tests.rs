//! Timelines: what is told, and that no order of events changes it.

use proptest::prelude::*;

use super::*;
use crate::domain::facts::{
    BillingReason, CreditNoteFact, DisputeFact, DisputeMoney, InvoiceStatus, Link, Metadata, RefundStatus, Stamp,
    SubscriptionFact,
};
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

/// That an attempt to collect an invoice, which was paid later, failed.
fn fails(events: &[EventFacts], id: &str, day: &str, event_id: &str, attempt: &FailedAttempt) -> EventFacts {
    let mut facts = events.iter().flat_map(|event| &event.facts);
    let of_id = |fact: &&Fact| matches!(fact, Fact::Invoice(invoice) if invoice.id == id);
    let mut failed = facts.find(of_id).cloned().unwrap();
    if let Fact::Invoice(invoice) = &mut failed {
        invoice.status = InvoiceStatus::Open;
        (invoice.paid_on_stripe, invoice.paid_at) = (0, None);
        invoice.failed = Some(attempt.clone());
    }
    let stamp = Stamp { created: at(day), event_id: event_id.to_owned() };
    EventFacts { stamp, fetched_at: None, facts: vec![failed] }
}

/// A year in the life of a customer.
fn life() -> Vec<EventFacts> {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-19", 2_900, BillingReason::SubscriptionCycle).done();
    story.pays("in_2", "2026-04-22", 9_900, BillingReason::SubscriptionCycle).done();
    story.refund("re_1", "in_2", "2026-05-01", 4_000, RefundStatus::Succeeded);
    let mut events = story.events;
    // The same attempt is told of twice.
    let attempt = FailedAttempt { attempt: Some(1), next_at: Some(at("2026-04-22")) };
    for event_id in ["evt_fail", "evt_fail_again"] {
        events.push(fails(&events, "in_2", "2026-04-19", event_id, &attempt));
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

fn of_subscription(day: &str, what: What, event_id: &str) -> Moment {
    Moment {
        subscription: Some("sub_1".to_owned()),
        currency: Some("usd".parse().unwrap()),
        event_id: Some(event_id.to_owned()),
        ..Moment::new(at(day), what)
    }
}

fn of_payment(day: &str, what: What, amount: i64, event_id: &str) -> Moment {
    Moment { payment: Some("in_2".to_owned()), amount: Some(amount), ..of_subscription(day, what, event_id) }
}

#[test]
fn each_moment_says_all_that_is_known_of_it() {
    let moments = told(&life());
    let prices = |price: &str, quantity| vec![(price.to_owned(), quantity)];
    for expected in [
        Moment {
            mrr_after: Some(0),
            prices_after: prices("price_small", 1),
            ..of_subscription("2026-01-05", What::SubscriptionStarted, "evt_a")
        },
        Moment { due_at: Some(at("2026-01-19")), ..of_subscription("2026-01-05", What::TrialStarted, "evt_a") },
        Moment {
            mrr_before: Some(2_900),
            mrr_after: Some(9_900),
            prices_before: prices("price_small", 1),
            prices_after: prices("price_pro", 1),
            ..of_subscription("2026-03-01", What::PlanChanged, "evt_c")
        },
        Moment {
            attempt: Some(1),
            due_at: Some(at("2026-04-22")),
            ..of_payment("2026-04-19", What::PaymentFailed, 9_900, "evt_fail")
        },
        of_payment("2026-04-22", What::PaymentRecovered, 9_900, "evt_001"),
        of_payment("2026-05-01", What::Refunded, 4_000, "evt_002"),
        Moment {
            mrr_before: Some(9_900),
            mrr_after: Some(19_800),
            prices_before: prices("price_pro", 1),
            prices_after: prices("price_pro", 2),
            ..of_subscription("2026-06-01", What::QuantityChanged, "evt_f")
        },
        Moment { due_at: Some(at("2026-07-19")), ..of_subscription("2026-06-30", What::CancelScheduled, "evt_g") },
    ] {
        let same_what: Vec<&Moment> = moments.iter().filter(|moment| moment.what == expected.what).collect();
        assert_eq!(same_what, [&expected]);
    }
}

#[test]
fn each_change_of_status_has_its_word() {
    use Status::{Active, Canceled, Incomplete, IncompleteExpired, PastDue, Paused, Trialing, Unpaid};
    for (before, after, words) in [
        (Active, Active, &[][..]),
        (Active, Trialing, &["trial_started"]),
        (Trialing, Active, &["trial_converted"]),
        (Trialing, PastDue, &["trial_ended"]),
        (Trialing, Paused, &["trial_ended"]),
        (Trialing, Canceled, &["canceled"]),
        (Active, Paused, &["paused"]),
        (PastDue, Paused, &["paused"]),
        (Paused, Active, &["resumed"]),
        (Paused, PastDue, &["past_due"]),
        (Active, Unpaid, &["past_due"]),
        (PastDue, Active, &[]),
        (Incomplete, Active, &[]),
        (Incomplete, IncompleteExpired, &["expired"]),
    ] {
        let pro = |status| state(status, "price_pro", 9_900, 1);
        let events = [shows("2026-01-05", "evt_a", true, pro(before)), shows("2026-02-05", "evt_b", false, pro(after))];
        let of_after = told(&events).into_iter().filter(|moment| moment.event_id.as_deref() == Some("evt_b"));
        assert_eq!(of_after.map(|moment| moment.what.as_str()).collect::<Vec<_>>(), words, "{before:?} to {after:?}");
    }
}

/// What is told of a subscription that stands so from June on, then so from 30 June on, then as before.
fn changed_for_a_while(change: impl FnOnce(&mut SubscriptionState)) -> Vec<Moment> {
    let usual = state(Status::Active, "price_pro", 9_900, 1);
    let mut changed = usual.clone();
    change(&mut changed);
    let events = [
        shows("2026-01-05", "evt_a", true, usual.clone()),
        shows("2026-06-01", "evt_b", false, usual.clone()),
        shows("2026-06-30", "evt_c", false, changed),
        shows("2026-07-02", "evt_d", false, usual),
    ];
    told(&events).into_iter().filter(|moment| moment.what != What::SubscriptionStarted).collect()
}

#[test]
fn an_end_is_planned_by_its_date_or_for_the_periods_end_and_may_be_called_off() {
    let end = at("2026-07-19");
    for (cancel_at, at_period_end) in [(Some(end), true), (Some(end), false), (None, true)] {
        let moments = changed_for_a_while(|state| {
            (state.cancel_at, state.cancels_at_period_end) = (cancel_at, at_period_end);
        });
        assert_eq!(
            moments,
            [
                Moment { due_at: cancel_at, ..of_subscription("2026-06-30", What::CancelScheduled, "evt_c") },
                of_subscription("2026-07-02", What::CancelCalledOff, "evt_d"),
            ]
        );
    }
}

#[test]
fn an_end_was_planned_when_somebody_asked_for_it_since_the_state_before() {
    for (asked_at, told_at) in [
        (None, "2026-06-30"),
        (Some("2026-06-15"), "2026-06-15"),
        (Some("2026-06-30"), "2026-06-30"),
        // At these times it was not planned yet, or it was already.
        (Some("2026-05-01"), "2026-06-30"),
        (Some("2026-06-01"), "2026-06-30"),
        (Some("2026-07-01"), "2026-06-30"),
    ] {
        let moments = changed_for_a_while(|state| {
            state.cancels_at_period_end = true;
            state.canceled_at = asked_at.map(at);
        });
        assert_eq!((moments[0].what, moments[0].at), (What::CancelScheduled, at(told_at)), "{asked_at:?}");
    }
}

/// One invoice, and what is told of its failed attempts, whichever way round the events come.
fn attempts(fail: impl Fn(&[EventFacts]) -> [EventFacts; 2]) -> Vec<Moment> {
    let mut story = Story::default();
    story.pays("in_2", "2026-04-22", 9_900, BillingReason::SubscriptionCycle).done();
    let [one, other] = fail(&story.events);
    let of = |events: [&EventFacts; 2]| -> Vec<Moment> {
        let moments = told(&events.map(Clone::clone)).into_iter();
        moments.filter(|moment| moment.what == What::PaymentFailed).collect()
    };
    let told = of([&one, &other]);
    assert_eq!(told, of([&other, &one]));
    told
}

#[test]
fn an_attempt_is_told_once_as_the_first_event_tells_it() {
    let (first, unnumbered) =
        (FailedAttempt { attempt: Some(1), next_at: None }, FailedAttempt { attempt: None, next_at: None });
    let told = attempts(|paid| {
        ["2026-04-20", "2026-04-19"].map(|day| fails(paid, "in_2", day, &format!("evt_{day}"), &first))
    });
    let expected = of_payment("2026-04-19", What::PaymentFailed, 9_900, "evt_2026-04-19");
    assert_eq!(told, [Moment { attempt: Some(1), ..expected }]);
    // One event, read in two shapes of which one says more.
    let later = FailedAttempt { next_at: Some(at("2026-04-22")), ..first.clone() };
    let told = attempts(|paid| [&first, &later].map(|attempt| fails(paid, "in_2", "2026-04-19", "evt_1", attempt)));
    assert_eq!(told.len(), 1);
    // Without a number, only the time tells attempts apart.
    let told = attempts(|paid| {
        ["2026-04-20", "2026-04-19"].map(|day| fails(paid, "in_2", day, &format!("evt_{day}"), &unnumbered))
    });
    assert_eq!(told.iter().map(|moment| moment.at).collect::<Vec<_>>(), [at("2026-04-19"), at("2026-04-20")]);
}

#[test]
fn a_payment_recovers_from_its_own_failures_only() {
    let attempt = FailedAttempt { attempt: Some(1), next_at: None };
    for (failed, day, what) in [
        ("in_1", "2026-01-10", What::Paid),
        ("in_2", "2026-01-10", What::PaymentRecovered),
        ("in_2", "2026-01-19", What::PaymentRecovered),
        ("in_2", "2026-01-20", What::Paid),
    ] {
        let mut story = Story::default();
        story.pays("in_1", "2026-01-05", 2_900, BillingReason::SubscriptionCreate).done();
        story.pays("in_2", "2026-01-19", 2_900, BillingReason::SubscriptionCycle).done();
        let mut events = story.events;
        events.push(fails(&events, failed, day, "evt_fail", &attempt));
        let expected = of_payment("2026-01-19", what, 2_900, "evt_001");
        assert!(told(&events).contains(&expected), "{failed} failed on {day}");
    }
}

#[test]
fn nothing_is_told_of_no_money_and_of_charges_that_may_be_an_invoices() {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 2_900, BillingReason::SubscriptionCreate).by_balance().done();
    story.refunded_so_far("in_2", "2026-01-19", 2_900, 0);
    assert_eq!(told(&story.events), []);
    let Fact::Charge(charge) = &mut story.events[1].facts[0] else { panic!("a charge") };
    charge.invoice = Link::None;
    let moments = told(&story.events);
    let told: Vec<_> = moments.iter().map(|moment| (moment.what, moment.amount, moment.payment.as_deref())).collect();
    assert_eq!(told, [(What::Paid, Some(2_900), Some("ch_in_2"))]);
}

#[test]
fn what_goes_back_and_comes_again_is_told_by_its_difference() {
    let mut story = Story::default();
    story.pays("in_2", "2026-01-19", 9_900, BillingReason::SubscriptionCycle).done();
    story.refund("re_1", "in_2", "2026-02-01", 1_000, RefundStatus::Succeeded);
    story.refund_fails("re_1", "in_2", "2026-02-01", "2026-02-10", 1_000);
    story.voids("in_2", "2026-05-01");
    let mut events = story.events;
    let mut tell = |day: &str, fact: Fact| {
        let stamp = Stamp { created: at(day), event_id: format!("evt_{day}") };
        events.push(EventFacts { stamp, fetched_at: None, facts: vec![fact] });
    };
    for (day, money) in [("2026-03-01", DisputeMoney::Taken), ("2026-03-20", DisputeMoney::Returned)] {
        let dispute = DisputeFact {
            id: "dp_1".to_owned(),
            charge: Some("ch_in_2".to_owned()),
            intent: None,
            currency: "usd".parse().unwrap(),
            amount: 9_900,
            money,
            taken_at: None,
            returned_at: None,
        };
        tell(day, Fact::Dispute(dispute));
    }
    for (day, voided) in [("2026-04-01", false), ("2026-04-10", true)] {
        let note = CreditNoteFact {
            id: "cn_1".to_owned(),
            invoice: "in_2".to_owned(),
            customer: None,
            currency: "usd".parse().unwrap(),
            out_of_band: 500,
            refunds: Vec::new(),
            voided,
            voided_at: None,
            created: Some(at("2026-04-01")),
        };
        tell(day, Fact::CreditNote(note));
    }
    assert_eq!(
        told(&events),
        [
            of_payment("2026-01-19", What::Paid, 9_900, "evt_000"),
            of_payment("2026-02-01", What::Refunded, 1_000, "evt_001"),
            of_payment("2026-02-10", What::RefundFailed, -1_000, "evt_002"),
            of_payment("2026-03-01", What::Disputed, 9_900, "evt_2026-03-01"),
            of_payment("2026-03-20", What::DisputeReturned, -9_900, "evt_2026-03-20"),
            of_payment("2026-04-01", What::CreditNote, 500, "evt_2026-04-01"),
            of_payment("2026-04-10", What::CreditNoteVoided, -500, "evt_2026-04-10"),
            of_payment("2026-05-01", What::Voided, 9_900, "evt_003"),
        ]
    );
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
