//! What events do not say: fees, links, further lines; and what was fetched instead of heard.

use std::collections::BTreeSet;

use super::facts::{
    BillingReason as Reason, ChargeBooked, CustomerFact, Fact, IntentFact, InvoicePaymentFact, Link, PriceInfo,
    RefundStatus, SubscriptionFact,
};
use super::history::{Place, What, fold};
use super::missing::Missing;
use super::story::{Story, at, percent};
use super::terms::{Base, Duration, ProgramTerms};

fn acme(base: Base, change: impl FnOnce(&mut super::terms::Rule)) -> Story {
    let mut rule = percent("20", Duration::Lifetime);
    change(&mut rule);
    let terms = ProgramTerms { base, rules: vec![rule], ..ProgramTerms::default() };
    let mut story = Story::default();
    story.program("2020-01-01", 1, terms).partner("2020-01-01", "acme");
    story
}

fn missing(story: &Story) -> BTreeSet<Missing> {
    story.decide("2026-03-01").missing
}

/// The charge of an invoice as it was booked.
fn booked(story: &mut Story, invoice: &str, captured: i64, fee: i64, amount: i64) {
    story.refunded_so_far(invoice, "2026-01-05", captured, 0);
    let Some(Fact::Charge(charge)) = story.events.last_mut().and_then(|event| event.facts.first_mut()) else { return };
    charge.booked = Some(ChargeBooked { fee, amount, at: at("2026-01-05") });
}

#[test]
fn net_of_fees_waits_for_the_fees() {
    let mut story = acme(Base::NetOfFees, |_| {});
    story.pays("in_1", "2026-01-05", 10_000, Reason::SubscriptionCreate).via("acme").done();
    assert_eq!(story.answer("2026-03-01", "in_1"), ("awaiting_lookup", "acme".to_owned(), 0));
    assert_eq!(missing(&story), [Missing::Fees("in_1".to_owned())].into());
    booked(&mut story, "in_1", 10_000, 320, 10_000);
    // (100.00 - 3.20) x 20 % = 19.36
    assert_eq!(story.answer("2026-03-01", "in_1"), ("credited", "acme".to_owned(), 1936));
    assert!(missing(&story).is_empty());
}

#[test]
fn a_fee_in_the_balances_currency_is_converted_as_the_charge_was() {
    let mut story = acme(Base::NetOfFees, |_| {});
    story.pays("in_1", "2026-01-05", 10_000, Reason::SubscriptionCreate).via("acme").done();
    // 100.00 usd were booked as 92.00 eur, of which 2.99 eur are fees: 3.25 usd; 96.75 x 20 % = 19.35.
    booked(&mut story, "in_1", 10_000, 299, 9200);
    assert_eq!(story.answer("2026-03-01", "in_1").2, 1935);
}

#[test]
fn fees_beyond_the_payment_leave_nothing_and_owe_nothing() {
    let mut story = acme(Base::NetOfFees, |_| {});
    story.pays("in_1", "2026-01-05", 20, Reason::SubscriptionCreate).via("acme").done();
    booked(&mut story, "in_1", 20, 31, 20);
    assert_eq!(story.answer("2026-03-01", "in_1").2, 0);
}

#[test]
fn what_was_paid_outside_of_stripe_has_no_fees() {
    let mut story = acme(Base::NetOfFees, |_| {});
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    let Some(Fact::Invoice(invoice)) = story.events[0].facts.first_mut() else { panic!("an invoice") };
    (invoice.paid_on_stripe, invoice.paid_off_stripe) = (0, 1000);
    invoice.charges.clear();
    assert_eq!(story.answer("2026-03-01", "in_1").2, 200);
}

#[test]
fn further_lines_are_waited_for_where_rules_tell_products_apart() {
    let long = |story: &mut Story| {
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
        let Some(Fact::Invoice(invoice)) = story.events[0].facts.first_mut() else { panic!("an invoice") };
        (invoice.total, invoice.paid_on_stripe, invoice.unseen_lines) = (5000, 5000, 4000);
        invoice.lines[0].product = Some("prod_pro".to_owned());
    };
    let mut any = acme(Base::Net, |_| {});
    long(&mut any);
    assert_eq!(any.answer("2026-03-01", "in_1").2, 1000, "it does not matter what they are");
    let mut story = acme(Base::Net, |rule| rule.product = vec!["prod_pro".to_owned()]);
    long(&mut story);
    assert_eq!(story.answer("2026-03-01", "in_1").0, "awaiting_lookup");
    assert_eq!(missing(&story), [Missing::Lines("in_1".to_owned())].into());
    // All of them are shown, by something older than the event.
    let mut whole = story.events[0].clone();
    whole.stamp.event_id = "in_1@0".to_owned();
    let Some(Fact::Invoice(invoice)) = whole.facts.first_mut() else { panic!("an invoice") };
    let mut other = invoice.lines[0].clone();
    (other.id, other.amount, other.product) = ("il_2".to_owned(), 4000, Some("prod_other".to_owned()));
    invoice.lines.push(other);
    invoice.unseen_lines = 0;
    story.events.push(whole);
    assert_eq!(story.answer("2026-03-01", "in_1"), ("credited", "acme".to_owned(), 200));
}

#[test]
fn a_refunded_intent_asks_which_invoice_it_paid() {
    let mut story = acme(Base::Net, |_| {});
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    let Some(Fact::Invoice(invoice)) = story.events[0].facts.first_mut() else { panic!("an invoice") };
    invoice.charges.clear();
    story.refund("re_1", "in_1", "2026-01-06", 1000, RefundStatus::Succeeded);
    let Some(Fact::Refund(refund)) = story.events[1].facts.first_mut() else { panic!("a refund") };
    refund.intent = Some("pi_1".to_owned());
    assert_eq!(story.answer("2026-03-01", "in_1").2, 200, "nobody knows yet what was refunded");
    assert_eq!(missing(&story), [Missing::Link("pi_1".to_owned())].into());
    let mut linked = story.clone();
    let mut event = story.events[1].clone();
    event.stamp.event_id = "inpay_1@0".to_owned();
    event.facts = vec![Fact::InvoicePayment(InvoicePaymentFact {
        id: "inpay_1".to_owned(),
        invoice: "in_1".to_owned(),
        intent: Some("pi_1".to_owned()),
        charge: None,
        amount_paid: 1000,
    })];
    linked.events.push(event.clone());
    assert_eq!(linked.answer("2026-03-01", "in_1"), ("refunded", "acme".to_owned(), 0));
    assert!(missing(&linked).is_empty());
    // That it pays none is an answer, too.
    event.facts = vec![Fact::Intent(IntentFact {
        id: "pi_1".to_owned(),
        customer: None,
        email: None,
        invoice: Link::None,
        currency: "usd".parse().unwrap(),
        received: 1000,
        charges: vec![],
        created: None,
        metadata: [].into(),
    })];
    story.events.push(event);
    assert!(missing(&story).is_empty());
    assert_eq!(story.answer("2026-03-01", "in_1").2, 200);
}

#[test]
fn a_price_is_asked_for_where_its_product_key_matters() {
    let mut story = acme(Base::Net, |rule| rule.product_key = vec!["pro".to_owned()]);
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).via("acme").done();
    let Some(Fact::Invoice(invoice)) = story.events[0].facts.first_mut() else { panic!("an invoice") };
    invoice.lines[0].price = Some("price_1".to_owned());
    assert_eq!(story.answer("2026-03-01", "in_1").0, "no_rule_matches");
    assert_eq!(missing(&story), [Missing::Price("price_1".to_owned())].into());
    let metadata = [("product_key".to_owned(), "pro".to_owned())].into();
    let price = PriceInfo { price: "price_1".to_owned(), product: None, interval: None, metadata };
    story.lookups.prices.insert("price_1".to_owned(), price);
    assert_eq!(story.answer("2026-03-01", "in_1").2, 200);
    assert!(missing(&story).is_empty());
}

#[test]
fn unknown_codes_and_hidden_discounts_are_asked_for_where_codes_are_owned() {
    let pays = |story: &mut Story| {
        story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).code("promo_1").done();
        story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
        let Some(Fact::Invoice(invoice)) = story.events[1].facts.first_mut() else { panic!("an invoice") };
        invoice.hidden_discounts = true;
    };
    let mut nobodys = acme(Base::Net, |_| {});
    pays(&mut nobodys);
    assert!(missing(&nobodys).is_empty());
    let mut story = acme(Base::Net, |_| {});
    let owner = Some(super::terms::CodeOwner { partner: "acme".to_owned(), program: None });
    story.enter("2020-01-01", super::terms::Change::Code { code: "ACME20".to_owned(), owner, from: None });
    pays(&mut story);
    let (code, discounts) = (Missing::PromotionCode("promo_1".to_owned()), Missing::Discounts("in_2".to_owned()));
    assert_eq!(missing(&story), [code, discounts].into());
    story.lookups.promotion_codes.insert("promo_1".to_owned(), "ACME20".to_owned());
    assert_eq!(story.answer("2026-03-01", "in_2").2, 200, "the first payment's code wins the customer");
    assert!(missing(&story).is_empty());
}

fn customer(story: &mut Story, when: &str, fetched_at: Option<&str>, partner: Option<&str>) {
    story.customer_says("cus_1", when, "partner_key", partner.unwrap_or_default());
    let event = story.events.last_mut().unwrap();
    event.fetched_at = fetched_at.map(at);
    let Some(Fact::Customer(CustomerFact { created, is_creation, metadata, .. })) = event.facts.first_mut() else {
        return;
    };
    (*created, *is_creation) = (Some(at("2025-12-01")), fetched_at.is_some());
    if partner.is_none() {
        metadata.clear();
    }
}

#[test]
fn what_was_fetched_holds_since_its_object_was_made() {
    let mut story = acme(Base::Net, |_| {});
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    customer(&mut story, "2025-12-01", Some("2026-02-20"), Some("acme"));
    assert_eq!(story.answer("2026-03-01", "in_1").2, 200);
    assert!(fold(&story.events).edited.is_empty());
}

#[test]
fn unless_something_tells_of_a_time_before_it_held() {
    let mut story = acme(Base::Net, |_| {});
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    story.pays("in_2", "2026-02-25", 1000, Reason::SubscriptionCycle).done();
    customer(&mut story, "2025-12-15", None, None);
    customer(&mut story, "2025-12-01", Some("2026-02-20"), Some("acme"));
    assert_eq!(story.answer("2026-03-01", "in_1").0, "no_evidence");
    assert_eq!(story.answer("2026-03-01", "in_2").2, 200, "it counts from when it was seen");
    let edited = fold(&story.events).edited;
    assert_eq!((edited.len(), edited[0].place, edited[0].at), (1, Place::Customer, at("2026-02-20")));
    assert_eq!(edited[0].what, What::Metadata("partner_key".to_owned(), "acme".to_owned()));
    // Somebody knows since when.
    let mut stated = story.clone();
    customer(&mut stated, "2026-01-01", None, Some("acme"));
    stated.events.last_mut().unwrap().stamp.event_id = "stated_1@0".to_owned();
    assert_eq!(stated.answer("2026-03-01", "in_1").2, 200);
    assert!(fold(&stated.events).edited.is_empty());
}

#[test]
fn an_invoice_tells_what_its_subscription_said_when_it_was_made() {
    let mut story = acme(Base::Net, |_| {});
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    let Some(Fact::Invoice(invoice)) = story.events[0].facts.first_mut() else { panic!("an invoice") };
    invoice.subscription_metadata = [("team".to_owned(), "blue".to_owned())].into();
    story.customer_says("cus_1", "2026-01-01", "x", "y");
    let event = story.events.last_mut().unwrap();
    event.fetched_at = Some(at("2026-02-20"));
    event.facts = vec![Fact::Subscription(SubscriptionFact {
        id: "sub_1".to_owned(),
        customer: Some("cus_1".to_owned()),
        created: Some(at("2026-01-01")),
        is_creation: true,
        metadata: [("team".to_owned(), "blue".to_owned()), ("partner_key".to_owned(), "acme".to_owned())].into(),
        promotion_codes: vec![],
        prices: vec![],
        state: None,
    })];
    assert_eq!(story.answer("2026-03-01", "in_1").0, "no_evidence", "it was entered after the invoice was made");
    let edited: Vec<What> = fold(&story.events).edited.into_iter().map(|said| said.what).collect();
    assert_eq!(edited, [What::Metadata("partner_key".to_owned(), "acme".to_owned())]);
}
