//! What recurs, to the cent, whatever order the events came in.

use rust_decimal::Decimal;

use super::*;
use crate::domain::attribution::Via;
use crate::domain::decision::Code;
use crate::domain::facts::{PriceInfo, Stamp};
use crate::domain::terms::EvidenceKind;

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

fn with(mut event: EventFacts, change: impl FnOnce(&mut SubscriptionFact)) -> EventFacts {
    if let Some(Fact::Subscription(fact)) = event.facts.first_mut() {
        change(fact);
    }
    event
}

fn standings_of(events: &[EventFacts]) -> Vec<Standing> {
    let [subscription] = <[Subscription; 1]>::try_from(subscriptions(events, &Settings::default())).unwrap();
    subscription.standings
}

/// Each standing, those that take no time and those that change nothing included.
fn stood(events: &[EventFacts]) -> Vec<(String, &'static str, i64)> {
    let standings = standings_of(events);
    standings.iter().map(|one| (one.from.date_naive().to_string(), one.status.as_str(), one.mrr)).collect()
}

#[test]
fn within_a_second_a_creation_is_first_whatever_its_id() {
    let small = [item("2900", 1, "month", 1)];
    let mut creation = event(0, "2026-01-10", None, state(Status::Incomplete, &small));
    creation.stamp.event_id = "evt_9".to_owned();
    let paid = event(1, "2026-01-10", None, state(Status::Active, &small));
    let both = [creation, paid];
    is(&stood(&both), &[("2026-01-10", "incomplete", 0), ("2026-01-10", "active", 2_900)]);
    is(&told(&both), &[("2026-01-10", "active", 2_900)]);
}

#[test]
fn an_end_counts_from_when_it_ended_and_not_before_it_is_seen() {
    let small = [item("2900", 1, "month", 1)];
    for (ended, counts) in [("2026-05-05", "2026-05-05"), ("2026-05-24", "2026-05-24"), ("2026-05-25", "2026-05-24")] {
        let over = SubscriptionState { ended_at: Some(at(ended)), ..state(Status::Canceled, &small) };
        let events = [event(0, "2026-01-10", None, state(Status::Active, &small)), event(1, "2026-05-24", None, over)];
        is(&told(&events), &[("2026-01-10", "active", 2_900), (counts, "canceled", 0)]);
    }
}

#[test]
fn what_is_planned_or_over_was_not_so_from_the_beginning() {
    let known = SubscriptionState {
        started_at: Some(at("2026-01-10")),
        cancel_at: Some(at("2026-05-05")),
        cancels_at_period_end: true,
        canceled_at: Some(at("2026-04-20")),
        ended_at: Some(at("2026-05-05")),
        cancel_reason: Some("cancellation_requested".to_owned()),
        ..state(Status::Canceled, &[item("2900", 1, "month", 1)])
    };
    let standings = standings_of(&[event(7, "2026-01-10", Some("2026-06-01"), known.clone())]);
    let [before, end] = &standings[..] else { panic!("{standings:?}") };
    let nothing_planned = SubscriptionState {
        cancel_at: None,
        cancels_at_period_end: false,
        canceled_at: None,
        ended_at: None,
        cancel_reason: None,
        ..known.clone()
    };
    assert_eq!((before.status, &before.state), (Status::Active, &nothing_planned));
    assert_eq!((end.status, &end.state), (Status::Canceled, &known));
}

#[test]
fn what_collects_nothing_is_paused_until_it_ends() {
    let paused =
        |status| SubscriptionState { collection_paused: true, ..state(status, &[item("2900", 1, "month", 1)]) };
    let events =
        [event(0, "2026-01-10", None, paused(Status::Active)), event(1, "2026-02-10", None, paused(Status::Canceled))];
    is(&told(&events), &[("2026-01-10", "paused", 0), ("2026-02-10", "canceled", 0)]);
}

#[test]
fn a_trial_reaches_back_as_far_as_it_lasted() {
    for (trial_end, story) in [
        // There was none.
        ("2026-01-10", &[("2026-01-10", "active", 2_900), ("2026-06-01", "active", 2_900)][..]),
        // It was over early: nobody knows when, but before it was seen.
        ("2026-06-15", &[("2026-01-10", "trialing", 0), ("2026-06-01", "active", 2_900)][..]),
        ("2026-06-01", &[("2026-01-10", "trialing", 0), ("2026-06-01", "active", 2_900)][..]),
    ] {
        let seen = SubscriptionState {
            started_at: Some(at("2026-01-10")),
            trial_end: Some(at(trial_end)),
            ..state(Status::Active, &[item("2900", 1, "month", 1)])
        };
        is(&stood(&[event(7, "2026-01-10", Some("2026-06-01"), seen)]), story);
    }
}

#[test]
fn a_discount_ends_by_itself_only_while_it_is_what_stands() {
    let full = state(Status::Active, &[item("10000", 1, "month", 1)]);
    let off = |status| SubscriptionState {
        status,
        discounts: vec![discount(Some("50"), None, Lasting::Repeating, Some("2026-04-10"))],
        ..full.clone()
    };
    let first = event(0, "2026-01-10", None, off(Status::Active));
    let begun = ("2026-01-10", "active", 5_000);
    for (next, story) in [
        // Taken away before, and just when it would have ended.
        (event(1, "2026-03-01", None, full.clone()), vec![begun, ("2026-03-01", "active", 10_000)]),
        (event(1, "2026-04-10", None, full.clone()), vec![begun, ("2026-04-10", "active", 10_000)]),
        // Still shown when it has ended.
        (event(1, "2026-04-10", None, off(Status::Active)), vec![begun, ("2026-04-10", "active", 10_000)]),
        // The subscription ends before its discount does.
        (event(1, "2026-03-01", None, off(Status::Canceled)), vec![begun, ("2026-03-01", "canceled", 0)]),
    ] {
        is(&stood(&[first.clone(), next]), &story);
    }
    let long_over = event(1, "2026-05-01", None, off(Status::Active));
    let story = [begun, ("2026-04-10", "active", 10_000), ("2026-05-01", "active", 10_000)];
    is(&stood(&[first, long_over]), &story);
}

#[test]
fn a_product_is_what_the_merchant_calls_it_else_stripes_id() {
    let key = |name: &str| Metadata::from([("product_key".to_owned(), name.to_owned())]);
    let seats = SubscriptionItem { product: Some("prod_seats".to_owned()), ..item("500", 3, "month", 1) };
    let items = [item("2900", 1, "month", 1), item("100", 1, "month", 1), seats];
    let plain = event(0, "2026-01-10", None, state(Status::Active, &items));
    let product = |events: &[EventFacts]| {
        let products: Vec<_> = standings_of(events).into_iter().map(|standing| standing.product).collect();
        assert!(products.windows(2).all(|pair| pair[0] == pair[1]), "{products:?}");
        products[0].clone()
    };
    assert_eq!(product(std::slice::from_ref(&plain)).as_deref(), Some("prod_pro, prod_seats"), "each once");

    // Another event shows what the merchant calls the first price.
    let price = |name: Metadata| {
        let (price, product) = ("price_2900_month".to_owned(), Some("prod_pro".to_owned()));
        PriceInfo { price, product, interval: None, metadata: name }
    };
    let telling = with(event(1, "2026-02-10", None, state(Status::Active, &items)), |fact| {
        fact.prices = vec![price(key("Pro")), price(Metadata::new())];
    });
    assert_eq!(product(&[plain.clone(), telling]).as_deref(), Some("Pro, prod_pro, prod_seats"));

    let own = with(plain, |fact| fact.metadata = key("Suite"));
    assert_eq!(product(&[own]).as_deref(), Some("Suite"));
    assert_eq!(product(&[event(0, "2026-01-10", None, state(Status::Active, &[]))]), None);
}

#[test]
fn what_is_undone_within_a_second_changes_nothing() {
    let small = [item("2900", 1, "month", 1)];
    let events = [
        event(0, "2026-01-10", None, state(Status::Active, &small)),
        event(1, "2026-02-10", None, state(Status::PastDue, &small)),
        event(2, "2026-02-10", None, state(Status::Active, &small)),
    ];
    is(&told(&events), &[("2026-01-10", "active", 2_900)]);
    assert_eq!(spans(&events, &[], &Settings::default())[0].until, Time::MAX_UTC);
}

#[test]
fn subscriptions_that_begin_together_stand_by_themselves() {
    let first = event(0, "2026-01-10", None, state(Status::Active, &[item("2900", 1, "month", 1)]));
    let second = with(first.clone(), |fact| "sub_2".clone_into(&mut fact.id));
    let spans = spans(&[first, second], &[], &Settings::default());
    let told: Vec<_> = spans.iter().map(|span| (span.subscription.as_str(), span.from, span.until)).collect();
    let since = at("2026-01-10");
    assert_eq!(told, [("sub_1", since, Time::MAX_UTC), ("sub_2", since, Time::MAX_UTC)]);
}

fn payment(day: &str, kind: Kind, partner: &str, version: Option<u32>) -> Decision {
    Decision {
        reference: format!("in_{day}"),
        references: Vec::new(),
        customer: Some("cus_1".to_owned()),
        kind,
        paid_at: at(day),
        currency: "usd".parse().unwrap(),
        paid: 2_900,
        taken_back: 0,
        code: if version.is_some() { Code::Credited } else { Code::PartnerInactive },
        partner: Some(partner.to_owned()),
        program: Some("saas".to_owned()),
        version,
        amount: 0,
        base: 0,
        rate: None,
        product: None,
        via: Some(Via { kind: EvidenceKind::ClickId, value: None, link: Some(format!("lnk_{partner}")) }),
        takings: Vec::new(),
        steps: Vec::new(),
        shares: Vec::new(),
        trace: Vec::new(),
    }
}

#[test]
fn a_subscription_is_whose_payments_won_it_each_from_when_it_was_paid() {
    let events = [
        event(0, "2026-01-10", None, state(Status::Active, &[item("2900", 1, "month", 1)])),
        event(1, "2026-04-01", None, state(Status::Active, &[item("9900", 1, "month", 1)])),
    ];
    let payments = [
        payment("2026-01-05", Kind::OneOff, "globex", Some(1)),
        payment("2026-01-10", Kind::First, "initech", None),
        payment("2026-01-20", Kind::Recurring, "acme", Some(1)),
        payment("2026-02-20", Kind::Recurring, "acme", Some(1)),
        payment("2026-03-20", Kind::Recurring, "globex", Some(1)),
        payment("2026-04-20", Kind::Change, "acme", Some(2)),
    ];
    let spans = spans(&events, &payments, &Settings::default());
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            let owner = span.owner.as_ref().unwrap();
            assert_eq!(owner.program.as_deref(), Some("saas"));
            assert_eq!(owner.link, Some(format!("lnk_{}", owner.partner)));
            (span.from, span.until, span.mrr, owner.partner.as_str())
        })
        .collect();
    let expected = [
        (at("2026-01-10"), at("2026-03-20"), 2_900, "acme"),
        (at("2026-03-20"), at("2026-04-01"), 2_900, "globex"),
        (at("2026-04-01"), at("2026-04-20"), 9_900, "globex"),
        (at("2026-04-20"), Time::MAX_UTC, 9_900, "acme"),
    ];
    assert_eq!(told, expected);
}
