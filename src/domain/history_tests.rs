//! How objects become payments: what belongs together, and what an event does not show.

use super::facts::{
    BillingReason as Reason, CheckoutFact, CheckoutMode, CheckoutStatus, EventFacts, Fact, InvoiceFact, InvoiceStatus,
    Line, Metadata, Stamp,
};
use super::history::{History, Payment, Place, Said, What, fold};
use super::story::{Story, at};

/// A session of 900 after discounts, 1000 before.
fn session(id: &str, mode: CheckoutMode, status: CheckoutStatus) -> CheckoutFact {
    CheckoutFact {
        id: id.to_owned(),
        mode,
        status,
        customer: Some("cus_1".to_owned()),
        email: None,
        invoice: None,
        intent: None,
        subscription: None,
        currency: Some("usd".parse().unwrap()),
        total: 900,
        subtotal: 1000,
        tax: 0,
        created: Some(at("2026-01-04")),
        client_reference: None,
        metadata: Metadata::new(),
        promotion_codes: vec![],
        lines: vec![],
    }
}

fn tell(story: &mut Story, when: &str, fact: Fact) {
    let stamp = Stamp { created: at(when), event_id: format!("evt_{:03}", story.events.len()) };
    story.events.push(EventFacts { stamp, fetched_at: None, facts: vec![fact] });
}

/// The invoice that was told last.
fn last(story: &mut Story) -> &mut InvoiceFact {
    match story.events.last_mut().and_then(|event| event.facts.last_mut()) {
        Some(Fact::Invoice(invoice)) => invoice,
        _ => panic!("no invoice"),
    }
}

fn payment<'a>(history: &'a History, reference: &str) -> &'a Payment {
    history.payments.iter().find(|payment| payment.reference == reference).unwrap()
}

fn lines(payment: &Payment) -> Vec<(&str, i64)> {
    payment.lines.iter().map(|line| (line.id.as_str(), line.amount)).collect()
}

#[test]
fn two_invoices_that_name_one_charge_stay_two_payments() {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    story.pays("in_2", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
    last(&mut story).charges.push("ch_in_1".to_owned());
    let history = fold(&story.events);
    assert_eq!(payment(&history, "in_1").references, ["ch_in_1", "in_1"]);
    assert_eq!(payment(&history, "in_2").references, ["ch_in_2", "in_2"]);
}

#[test]
fn a_session_that_started_a_subscription_belongs_to_its_first_paid_invoice() {
    let mut story = Story::default();
    story.pays("in_other", "2026-01-01", 1000, Reason::SubscriptionCreate).by("cus_1", "sub_2").done();
    story.pays("in_a_unpaid", "2026-01-04", 1000, Reason::SubscriptionCreate).done();
    let unpaid = last(&mut story);
    (unpaid.status, unpaid.paid_at) = (InvoiceStatus::Open, None);
    story.pays("in_b_second", "2026-02-05", 1000, Reason::SubscriptionCycle).done();
    story.pays("in_c_first", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    let session = CheckoutFact {
        subscription: Some("sub_1".to_owned()),
        ..session("cs_1", CheckoutMode::Subscription, CheckoutStatus::Paid)
    };
    tell(&mut story, "2026-01-05", Fact::Checkout(Box::new(session)));
    let history = fold(&story.events);
    let of_session = history.payments.iter().filter(|payment| payment.references.contains(&"cs_1".to_owned()));
    assert_eq!(of_session.map(|payment| payment.reference.as_str()).collect::<Vec<_>>(), ["in_c_first"]);
}

/// Whoever pays later by another way has not come by what an abandoned session names.
#[test]
fn only_a_completed_session_in_subscription_mode_starts_a_subscription() {
    use CheckoutMode::{Payment, Subscription};
    use CheckoutStatus::{Completed, Open, Paid};
    for (mode, status, starts) in [
        (Subscription, Open, false),
        (Subscription, Completed, true),
        (Subscription, Paid, true),
        (Payment, Completed, false),
        (Payment, Open, false),
    ] {
        let session = CheckoutFact {
            subscription: Some("sub_1".to_owned()),
            metadata: [("partner_key".to_owned(), "acme".to_owned())].into(),
            ..session("cs_1", mode, status)
        };
        let mut story = Story::default();
        tell(&mut story, "2026-01-05", Fact::Checkout(Box::new(session)));
        let subscriptions = fold(&story.events).subscriptions;
        let said = Said {
            place: Place::Session,
            object: "cs_1".to_owned(),
            what: What::Metadata("partner_key".to_owned(), "acme".to_owned()),
            at: at("2026-01-04"),
        };
        let started_by = subscriptions.get("sub_1").map(|subscription| subscription.started_by.clone());
        assert_eq!(started_by, starts.then(|| vec![said]), "{mode:?} {status:?}");
    }
}

#[test]
fn lines_that_no_event_shows_stand_as_one_with_what_they_add_up_to() {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    let invoice = last(&mut story);
    invoice.lines = vec![Line { id: "il_1".to_owned(), amount: 400, ..Line::default() }];
    invoice.unseen_lines = 600;
    story.pays("in_2", "2026-02-05", 700, Reason::SubscriptionCycle).done();
    last(&mut story).lines.clear();
    story.pays("in_3", "2026-03-05", 800, Reason::SubscriptionCycle).done();
    let history = fold(&story.events);
    assert_eq!(lines(payment(&history, "in_1")), [("il_1", 400), ("unseen", 600)]);
    assert!(payment(&history, "in_1").has_unseen_lines);
    assert_eq!(lines(payment(&history, "in_2")), [("unseen", 700)]);
    assert_eq!(lines(payment(&history, "in_3")), [("il_in_3", 800)]);
    assert!(!payment(&history, "in_3").has_unseen_lines);
}

#[test]
fn a_checkout_without_lines_sells_one_thing_for_its_price_before_discounts() {
    let mut story = Story::default();
    let session = session("cs_1", CheckoutMode::Payment, CheckoutStatus::Paid);
    tell(&mut story, "2026-01-05", Fact::Checkout(Box::new(session)));
    let history = fold(&story.events);
    assert_eq!(lines(payment(&history, "cs_1")), [("cs_1", 1000)]);
    assert_eq!((history.payments[0].total, history.payments[0].has_unseen_lines), (900, true));
}

#[test]
fn discounts_are_hidden_until_some_event_shows_them() {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    last(&mut story).hidden_discounts = true;
    assert!(fold(&story.events).payments[0].has_hidden_discounts);
    story.pays("in_1", "2026-01-05", 1000, Reason::SubscriptionCreate).done();
    assert!(!fold(&story.events).payments[0].has_hidden_discounts);
    assert!(!fold(&story.events[1..]).payments[0].has_hidden_discounts);
}
