//! What recurs, to the cent, whatever order the events came in.

use rust_decimal::Decimal;

use super::*;
use crate::domain::facts::Stamp;

fn at(text: &str) -> Time {
    format!("{text}T00:00:00Z").parse().unwrap()
}

fn item(unit: &str, quantity: i64, interval: &str, count: i64) -> SubscriptionItem {
    SubscriptionItem {
        price: Some(format!("price_{unit}_{interval}")),
        product: Some("prod_pro".to_owned()),
        quantity,
        unit_amount: Some(unit.parse().unwrap()),
        interval: Some(interval.to_owned()),
        interval_count: count,
        metered: false,
    }
}

fn state(status: Status, items: &[SubscriptionItem]) -> SubscriptionState {
    SubscriptionState {
        status,
        currency: Some("usd".parse().unwrap()),
        items: items.to_vec(),
        discounts: Vec::new(),
        started_at: None,
        trial_end: None,
        cancel_at: None,
        cancels_at_period_end: false,
        canceled_at: None,
        ended_at: None,
        cancel_reason: None,
        collection_paused: false,
    }
}

fn discount(percent: Option<&str>, amount: Option<i64>, lasting: Lasting, ends: Option<&str>) -> StandingDiscount {
    StandingDiscount {
        percent_off: percent.map(|percent| percent.parse().unwrap()),
        amount_off: amount,
        currency: None,
        lasting,
        ends_at: ends.map(at),
    }
}

fn event(number: u32, day: &str, fetched: Option<&str>, state: SubscriptionState) -> EventFacts {
    let fact = SubscriptionFact {
        id: "sub_1".to_owned(),
        customer: Some("cus_1".to_owned()),
        created: Some(at("2026-01-10")),
        is_creation: number == 0 || fetched.is_some(),
        metadata: Metadata::new(),
        promotion_codes: Vec::new(),
        prices: Vec::new(),
        state: Some(Box::new(state)),
    };
    EventFacts {
        stamp: Stamp { created: at(day), event_id: format!("evt_{number}") },
        fetched_at: fetched.map(at),
        facts: vec![Fact::Subscription(fact)],
    }
}

fn told(events: &[EventFacts]) -> Vec<(String, &'static str, i64)> {
    let spans = spans(events, &[], &Settings::default());
    spans.iter().map(|span| (span.from.date_naive().to_string(), span.status.as_str(), span.mrr)).collect()
}

fn is(told: &[(String, &'static str, i64)], expected: &[(&str, &str, i64)]) {
    let told: Vec<(&str, &str, i64)> = told.iter().map(|(at, status, mrr)| (at.as_str(), *status, *mrr)).collect();
    assert_eq!(told, expected);
}

#[test]
fn every_interval_is_brought_to_a_month() {
    for (items, monthly_cents) in [
        (vec![item("2900", 1, "month", 1)], 2_900),
        (vec![item("2900", 3, "month", 1)], 8_700),
        (vec![item("2900", 1, "month", 3)], 967),
        (vec![item("12000", 1, "year", 1)], 1_000),
        (vec![item("12000", 1, "year", 2)], 500),
        (vec![item("300", 1, "week", 1)], 1_300),
        (vec![item("300", 1, "week", 2)], 650),
        (vec![item("12", 1, "day", 1)], 365),
        // Rounded once: 0.5 + 0.5 is 1, and half to even where it ends in a half.
        (vec![item("0.5", 1, "month", 1), item("0.5", 1, "month", 1)], 1),
        (vec![item("2.5", 1, "month", 1)], 2),
        (vec![item("3.5", 1, "month", 1)], 4),
        (vec![item("6", 1, "year", 1), item("2900", 1, "month", 1)], 2_900),
        (vec![item("2900", 0, "month", 1)], 0),
        (vec![SubscriptionItem { metered: true, ..item("2900", 1, "month", 1) }], 0),
        (vec![SubscriptionItem { unit_amount: None, ..item("2900", 1, "month", 1) }], 0),
        (vec![item("2900", 1, "fortnight", 1)], 0),
        (vec![], 0),
    ] {
        assert_eq!(monthly(&state(Status::Active, &items), at("2026-01-10")), Ok(monthly_cents), "{items:?}");
    }
    let huge = item("79228162514264337593543950335", i64::MAX, "month", 1);
    assert_eq!(monthly(&state(Status::Active, std::slice::from_ref(&huge)), at("2026-01-10")), Err(Overflow));
    assert_eq!(mrr(&state(Status::Active, &[huge]), Status::Active, at("2026-01-10")), 0, "no real money");
    assert_eq!(Decimal::from(1), Decimal::ONE);
}

#[test]
fn discounts_that_last_are_taken_off() {
    for (off, monthly_cents) in [
        (discount(Some("10"), None, Lasting::Forever, None), 9_000),
        (discount(Some("33.3"), None, Lasting::Repeating, None), 6_670),
        (discount(Some("50"), None, Lasting::Once, None), 10_000),
        (discount(None, Some(2_500), Lasting::Forever, None), 7_500),
        (discount(None, Some(99_999), Lasting::Forever, None), 0),
        (discount(Some("10"), None, Lasting::Repeating, Some("2026-01-10")), 10_000),
        (discount(Some("10"), None, Lasting::Repeating, Some("2026-01-11")), 9_000),
    ] {
        let mut state = state(Status::Active, &[item("10000", 1, "month", 1)]);
        state.discounts = vec![off.clone()];
        assert_eq!(monthly(&state, at("2026-01-10")), Ok(monthly_cents), "{off:?}");
    }
    // What comes off a year's bill comes off a twelfth of it.
    let mut yearly = state(Status::Active, &[item("12000", 1, "year", 1)]);
    yearly.discounts = vec![discount(None, Some(1_200), Lasting::Forever, None)];
    assert_eq!(monthly(&yearly, at("2026-01-10")), Ok(900));
}

#[test]
fn only_what_runs_recurs() {
    let recurs = |status| mrr(&state(status, &[item("2900", 1, "month", 1)]), status, at("2026-01-10"));
    for status in [Status::Active, Status::PastDue] {
        assert_eq!(recurs(status), 2_900, "{}", status.as_str());
    }
    for status in [
        Status::Trialing,
        Status::Incomplete,
        Status::IncompleteExpired,
        Status::Unpaid,
        Status::Paused,
        Status::Canceled,
        Status::Other,
    ] {
        assert_eq!(recurs(status), 0, "{}", status.as_str());
    }
    let paused = SubscriptionState { collection_paused: true, ..state(Status::Active, &[item("2900", 1, "month", 1)]) };
    assert_eq!(mrr(&paused, Status::Active, at("2026-01-10")), 0);
}

#[test]
fn a_subscription_over_time_in_any_order() {
    let (small, large) = ([item("2900", 1, "month", 1)], [item("9900", 1, "month", 1)]);
    let mut events = vec![
        event(0, "2026-01-10", None, state(Status::Trialing, &small)),
        event(1, "2026-01-24", None, state(Status::Active, &small)),
        event(2, "2026-02-24", None, state(Status::Active, &small)),
        event(3, "2026-03-01", None, state(Status::Active, &large)),
        event(4, "2026-04-24", None, state(Status::PastDue, &large)),
        event(5, "2026-05-24", None, state(Status::Canceled, &large)),
    ];
    let expected = [
        ("2026-01-10", "trialing", 0),
        ("2026-01-24", "active", 2_900),
        ("2026-03-01", "active", 9_900),
        ("2026-04-24", "past_due", 9_900),
        ("2026-05-24", "canceled", 0),
    ];
    is(&told(&events), &expected);
    events.reverse();
    events.extend(events.clone());
    is(&told(&events), &expected);
}

#[test]
fn what_is_fetched_reaches_back_to_the_start() {
    let mut fetched = state(Status::Active, &[item("2900", 1, "month", 1)]);
    fetched.started_at = Some(at("2026-01-10"));
    let only = event(7, "2026-01-10", Some("2026-06-01"), fetched.clone());
    is(&told(&[only]), &[("2026-01-10", "active", 2_900)]);
    fetched.trial_end = Some(at("2026-01-24"));
    let only = event(7, "2026-01-10", Some("2026-06-01"), fetched.clone());
    is(&told(&[only]), &[("2026-01-10", "trialing", 0), ("2026-01-24", "active", 2_900)]);
    let ended = SubscriptionState { status: Status::Canceled, ended_at: Some(at("2026-05-05")), ..fetched };
    let only = event(7, "2026-01-10", Some("2026-06-01"), ended);
    let story = [("2026-01-10", "trialing", 0), ("2026-01-24", "active", 2_900), ("2026-05-05", "canceled", 0)];
    is(&told(&[only]), &story);
}

#[test]
fn a_discount_ends_without_an_event() {
    let mut off = state(Status::Active, &[item("10000", 1, "month", 1)]);
    off.discounts = vec![discount(Some("50"), None, Lasting::Repeating, Some("2026-04-10"))];
    let events = [event(0, "2026-01-10", None, off)];
    is(&told(&events), &[("2026-01-10", "active", 5_000), ("2026-04-10", "active", 10_000)]);
}

#[test]
fn nothing_follows_an_end() {
    let small = [item("2900", 1, "month", 1)];
    let events = [
        event(0, "2026-01-10", None, state(Status::Active, &small)),
        event(2, "2026-01-10", None, state(Status::Canceled, &small)),
        event(1, "2026-01-10", None, state(Status::Active, &small)),
    ];
    is(&told(&events), &[("2026-01-10", "canceled", 0)]);
}
