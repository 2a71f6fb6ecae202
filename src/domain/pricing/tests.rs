//! What a line's period and price say, by themselves.

use super::*;
use crate::domain::decision::explain;
use crate::domain::facts::{
    BillingReason, CheckoutFact, CheckoutMode, CheckoutStatus, EventFacts, Fact, InvoiceFact, Stamp,
};
use crate::domain::history::fold;
use crate::domain::story::{Story, at, percent};
use crate::domain::terms::Terms;

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

/// A program with these rules, and a partner who has won two invoices of a subscription.
fn first_and_renewal(rules: Vec<Rule>) -> Story {
    let mut story = Story::default();
    let terms = ProgramTerms { rules, ..ProgramTerms::default() };
    story.program("2020-01-01", 1, terms).partner("2020-01-01", "acme");
    story.pays("in_1", "2026-01-05", 1000, BillingReason::SubscriptionCreate).via("acme").done();
    story.pays("in_2", "2026-02-05", 1000, BillingReason::SubscriptionCycle).done();
    story
}

fn twenty_percent(change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = percent("20", Duration::Lifetime);
    change(&mut rule);
    rule
}

fn invoice(story: &mut Story, index: usize) -> &mut InvoiceFact {
    let Fact::Invoice(invoice) = &mut story.events[index].facts[0] else { panic!("an invoice") };
    invoice
}

#[test]
fn only_rules_for_its_kind_let_a_payment_wait_for_its_further_lines() {
    let first = twenty_percent(|rule| {
        rule.on = Some(Kind::First);
        rule.product = vec!["prod_pro".to_owned()];
    });
    let mut story = first_and_renewal(vec![first, percent("10", Duration::Lifetime)]);
    for index in [0, 1] {
        let invoice = invoice(&mut story, index);
        (invoice.total, invoice.paid_on_stripe, invoice.unseen_lines) = (5000, 5000, 4000);
    }
    assert_eq!(story.answer("2026-03-01", "in_1").0, "awaiting_lookup");
    assert_eq!(story.answer("2026-03-01", "in_2"), ("credited", "acme".to_owned(), 500));
    assert_eq!(story.decide("2026-03-01").missing, [Missing::Lines("in_1".to_owned())].into());
}

#[test]
fn a_price_is_asked_for_where_a_rule_needs_what_only_it_may_say() {
    let named = || vec!["it".to_owned()];
    for (rule, is_asked) in [
        (twenty_percent(|rule| rule.product = named()), true),
        (twenty_percent(|rule| rule.interval = named()), true),
        (twenty_percent(|rule| rule.product_key = named()), true),
        (twenty_percent(|rule| rule.price = named()), false),
        (twenty_percent(|_| {}), false),
    ] {
        let mut story = first_and_renewal(vec![rule.clone()]);
        invoice(&mut story, 0).lines[0].price = Some("price_1".to_owned());
        let asked = story.decide("2026-03-01").missing.contains(&Missing::Price("price_1".to_owned()));
        assert_eq!(asked, is_asked, "{rule:?}");
        // What the line says itself is not asked for.
        let line = &mut invoice(&mut story, 0).lines[0];
        (line.product, line.interval) = (Some("prod_1".to_owned()), Some("month".to_owned()));
        line.metadata = [("product_key".to_owned(), "pro".to_owned())].into();
        assert!(story.decide("2026-03-01").missing.is_empty(), "{rule:?}");
    }
}

#[test]
fn a_renewal_has_the_product_key_of_the_session_that_started_its_subscription() {
    let mut story = first_and_renewal(vec![twenty_percent(|rule| rule.product_key = vec!["pro".to_owned()])]);
    assert_eq!(story.answer("2026-03-01", "in_2").0, "no_rule_matches");
    let session = CheckoutFact {
        id: "cs_1".to_owned(),
        mode: CheckoutMode::Subscription,
        status: CheckoutStatus::Paid,
        customer: Some("cus_1".to_owned()),
        email: None,
        invoice: None,
        intent: None,
        subscription: Some("sub_1".to_owned()),
        currency: Some("usd".parse().unwrap()),
        total: 1000,
        subtotal: 1000,
        tax: 0,
        created: Some(at("2026-01-05")),
        client_reference: Some("pro".to_owned()),
        metadata: [("product_key".to_owned(), "pro".to_owned())].into(),
        promotion_codes: vec![],
        lines: vec![],
    };
    let stamp = Stamp { created: at("2026-01-05"), event_id: "evt_session".to_owned() };
    story.events.push(EventFacts { stamp, fetched_at: None, facts: vec![Fact::Checkout(Box::new(session))] });
    assert_eq!(story.answer("2026-03-01", "in_2"), ("credited", "acme".to_owned(), 200));
}

#[test]
fn a_trace_speaks_of_a_cap_only_where_it_takes_something() {
    let traces = |cap_per_payment, cap_per_customer| -> Vec<String> {
        let usd = "usd".parse().unwrap();
        let rule = twenty_percent(|rule| {
            rule.cap_per_payment.insert(usd, cap_per_payment);
            rule.cap_per_customer.insert(usd, cap_per_customer);
        });
        let story = first_and_renewal(vec![rule]);
        let terms = Terms::from_log(story.log.clone());
        let decisions = explain(&fold(&story.events), &terms, &story.lookups, at("2026-03-01")).unwrap();
        let lines = decisions.payments.into_iter().flat_map(|payment| payment.trace);
        lines.filter(|line| line.contains("capped") || line.contains("per customer")).collect()
    };
    assert_eq!(traces(200, 400), Vec::<String>::new());
    assert_eq!(traces(199, 398), ["rule 1: capped at 1.99 usd per payment"; 2]);
    assert_eq!(traces(200, 399), ["rule 1: 199 minor units are left of 3.99 usd per customer"]);
}
