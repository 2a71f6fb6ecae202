//! What a line's period and price say, by themselves.

use super::*;
use crate::domain::facts::BillingReason;
use crate::domain::history::fold;
use crate::domain::story::{Story, at};

/// A subscription's line for a period.
fn of(start: &str, end: &str) -> Line {
    Line { period_start: Some(at(start)), period_end: Some(at(end)), subscription: true, ..Line::default() }
}

fn with_lines(lines: Vec<Line>) -> (History, Payment) {
    let mut story = Story::default();
    story.pays("in_1", "2026-03-05", 1000, BillingReason::SubscriptionCycle).done();
    let history = fold(&story.events);
    let payment = Payment { lines, ..history.payments[0].clone() };
    (history, payment)
}

#[test]
fn a_period_tells_its_interval() {
    for (start, end, interval) in [
        ("2026-03-05", "2026-03-06", Some("day")),
        ("2026-03-05", "2026-03-07", None),
        ("2026-03-05", "2026-03-12", Some("week")),
        ("2026-03-05", "2026-03-19", Some("week")),
        ("2026-03-05", "2026-03-26", None),
        ("2026-03-05", "2026-04-05", Some("month")),
        // Anchored to the 31st, a month may begin on the 28th.
        ("2026-02-28", "2026-03-31", Some("month")),
        ("2026-03-05", "2026-06-05", Some("month")),
        ("2026-03-05", "2027-02-05", Some("month")),
        ("2026-03-05", "2027-03-05", Some("year")),
        ("2028-02-29", "2029-03-01", Some("year")),
        ("2026-03-05", "2028-03-05", Some("year")),
        ("2026-03-05", "2029-03-05", Some("year")),
        ("2026-03-05", "2026-05-20", None),
        ("2026-03-05", "2031-03-05", None),
    ] {
        assert_eq!(interval_of(&of(start, end)), interval, "{start} to {end}");
    }
    let month = of("2026-03-05", "2026-04-05");
    assert_eq!(interval_of(&Line { proration: true, ..month.clone() }), None, "a part of a period tells nothing");
    assert_eq!(interval_of(&Line { subscription: false, ..month.clone() }), None);
    assert_eq!(interval_of(&Line { period_end: None, ..month }), None);
}

#[test]
fn a_payments_period_is_the_latest_of_its_subscription() {
    let proration = |line: Line| Line { proration: true, ..line };
    let one_off = |line: Line| Line { subscription: false, ..line };
    let (march, april, may) =
        (of("2026-03-05", "2026-04-05"), of("2026-04-05", "2026-05-05"), of("2026-05-05", "2026-06-05"));
    for (lines, start) in [
        (vec![march.clone(), april.clone()], "2026-04-05"),
        (vec![march.clone(), proration(april.clone()), one_off(may.clone())], "2026-03-05"),
        (vec![proration(april.clone()), one_off(may.clone())], "2026-05-05"),
        (vec![proration(april), one_off(march)], "2026-04-05"),
        (vec![Line::default()], "2026-03-05"),
    ] {
        let (_, payment) = with_lines(lines);
        assert_eq!(period_start(&payment), at(start), "{:?}", payment.lines);
    }
}

#[test]
fn what_was_sold_is_named_once_by_the_nearest_name() {
    let settings = Settings::default();
    let keyed: Metadata = [("product_key".to_owned(), "pro".to_owned())].into();
    let line = |price: Option<&str>, product: Option<&str>, metadata: &Metadata| Line {
        price: price.map(str::to_owned),
        product: product.map(str::to_owned),
        metadata: metadata.clone(),
        ..Line::default()
    };
    let none = Metadata::new();
    let (mut history, payment) = with_lines(vec![
        line(None, Some("prod_1"), &keyed),
        line(None, Some("prod_2"), &none),
        line(Some("price_3"), None, &none),
        line(Some("price_4"), Some("prod_4"), &none),
        line(None, Some("prod_2"), &none),
        line(Some("price_5"), None, &none),
    ]);
    let known = |price: &str, product: Option<&str>, metadata: Metadata| PriceInfo {
        price: price.to_owned(),
        product: product.map(str::to_owned),
        interval: None,
        metadata,
    };
    history.prices.insert("price_3".to_owned(), known("price_3", Some("prod_3"), Metadata::new()));
    let team: Metadata = [("product_key".to_owned(), "team".to_owned())].into();
    history.prices.insert("price_4".to_owned(), known("price_4", None, team));
    let sold = products(&history, &payment, &settings);
    assert_eq!(sold.as_deref(), Some("pro, prod_2, prod_3, team"));
    let (history, payment) = with_lines(vec![Line::default()]);
    assert_eq!(products(&history, &payment, &settings), None);
}

#[test]
fn the_most_telling_reason_speaks_for_a_payment() {
    let spoken = |mut reasons: Vec<Code>| {
        reasons.sort_by_key(|code| precedence(*code));
        reasons[0]
    };
    for used_up in [Code::OneTimeAlreadyEarned, Code::MonthsExhausted, Code::PaymentsExhausted] {
        assert_eq!(spoken(vec![Code::NoRuleMatches, Code::ProductExcluded, Code::CurrencyNotPriced, used_up]), used_up);
    }
    assert_eq!(
        spoken(vec![Code::NoRuleMatches, Code::ProductExcluded, Code::CurrencyNotPriced]),
        Code::CurrencyNotPriced
    );
    assert_eq!(spoken(vec![Code::NoRuleMatches, Code::ProductExcluded]), Code::ProductExcluded);
}
