//! What is compared of each of Stripe's objects, and what is known of it here, whatever order it was told in.

use serde_json::{Value, json};

use super::Time;
use super::facts::{EventFacts, Fact, Stamp};
use super::reconcile::{Became, Difference, Found, Kind, MOST_NAMED, Ours, Report, Theirs, Why};

fn at(second: i64) -> Time {
    Time::from_timestamp(1_790_000_000 + second, 0).unwrap()
}

fn told(fact: Value) -> EventFacts {
    let fact: Fact = serde_json::from_value(fact).unwrap();
    EventFacts { stamp: Stamp { created: at(0), event_id: "evt_1".to_owned() }, fetched_at: None, facts: vec![fact] }
}

fn charge(id: &str, captured: i64) -> EventFacts {
    told(json!({"object": "charge", "id": id, "currency": "usd", "captured": captured, "refunded": 0}))
}

/// An invoice of 10.00.
fn invoice(status: &str, on_stripe: i64, off_stripe: i64) -> EventFacts {
    told(json!({
        "object": "invoice", "id": "in_1", "customer": "cus_1", "currency": "usd", "status": status, "total": 1000,
        "tax": 0, "amount_due": 1000, "paid_on_stripe": on_stripe, "paid_off_stripe": off_stripe, "paid_at": at(5),
        "charges": ["ch_1"],
    }))
}

fn refund(amount: i64, status: &str) -> EventFacts {
    told(json!({
        "object": "refund", "id": "re_1", "charge": "ch_1", "intent": "pi_1", "currency": "usd", "amount": amount,
        "status": status, "created": at(10),
    }))
}

fn dispute(amount: i64, money: &str) -> EventFacts {
    told(json!({
        "object": "dispute", "id": "dp_1", "charge": "ch_1", "intent": "pi_1", "currency": "usd", "amount": amount,
        "money": money,
    }))
}

fn theirs(kind: Kind, event: &EventFacts) -> Theirs {
    Theirs::of(kind, event).unwrap()
}

#[test]
fn a_kind_is_written_alike_everywhere() {
    assert_eq!(Kind::ALL.map(Kind::as_str), ["charge", "invoice", "refund", "dispute"]);
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}

#[test]
fn each_object_is_compared_by_its_money_and_found_by_its_references() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let object = |kind, id: &str, amount, references: &[&str]| Theirs {
        kind,
        id: id.to_owned(),
        currency: "usd".parse().unwrap(),
        amount,
        off_stripe: 0,
        paid_at: None,
        charge: None,
        references: names(references),
    };
    let paying = told(json!({
        "object": "charge", "id": "ch_1", "intent": "pi_1", "invoice": {"to": "in_1"}, "currency": "usd",
        "captured": 700, "refunded": 0,
    }));
    assert_eq!(theirs(Kind::Charge, &paying), object(Kind::Charge, "ch_1", 700, &["ch_1", "pi_1", "in_1"]));
    let invoiced =
        Theirs { off_stripe: 300, paid_at: Some(at(5)), ..object(Kind::Invoice, "in_1", 1000, &["in_1", "cus_1"]) };
    assert_eq!(theirs(Kind::Invoice, &invoice("paid", 700, 300)), invoiced);
    for (status, amount) in [("succeeded", 200), ("pending", 0), ("failed", 0)] {
        let given_back = object(Kind::Refund, "re_1", amount, &["re_1", "ch_1", "pi_1"]);
        let given_back = Theirs { charge: Some("ch_1".to_owned()), ..given_back };
        assert_eq!(theirs(Kind::Refund, &refund(200, status)), given_back, "{status}");
    }
    for (money, amount) in [("taken", 900), ("unmoved", 0), ("returned", 0)] {
        let disputed = object(Kind::Dispute, "dp_1", amount, &["dp_1", "ch_1", "pi_1"]);
        let disputed = Theirs { charge: Some("ch_1".to_owned()), ..disputed };
        assert_eq!(theirs(Kind::Dispute, &dispute(900, money)), disputed, "{money}");
    }
    assert_eq!(Theirs::of(Kind::Invoice, &paying), None, "of another kind");
}

#[test]
fn only_charges_and_what_was_paid_outside_of_stripe_are_money_received() {
    let received = |kind, event: &EventFacts| theirs(kind, event).received();
    assert_eq!(received(Kind::Charge, &charge("ch_1", 700)), 700);
    assert_eq!(received(Kind::Invoice, &invoice("paid", 700, 300)), 300);
    assert_eq!(received(Kind::Refund, &refund(200, "succeeded")), 0);
    assert_eq!(received(Kind::Dispute, &dispute(900, "taken")), 0);
}

#[test]
fn a_charge_is_known_by_what_it_paid() {
    let intent = |id: &str, received: i64, charge: &str| {
        told(json!({"object": "intent", "id": id, "currency": "usd", "received": received, "charges": [charge]}))
    };
    let mut ours = Ours::of(&[
        invoice("paid", 1000, 0),
        told(json!({
            "object": "invoice_payment", "id": "inpay_1", "invoice": "in_2", "charge": "ch_2", "amount_paid": 400,
        })),
        intent("pi_3", 1, "ch_3"),
        intent("pi_4", 0, "ch_4"),
    ]);
    for (id, found) in [("ch_1", Found::Same), ("ch_2", Found::Same), ("ch_3", Found::Same), ("ch_4", Found::Missing)] {
        assert_eq!(ours.find(&theirs(Kind::Charge, &charge(id, 400))), found, "{id}");
    }
}

#[test]
fn an_invoice_once_paid_stays_paid() {
    let paid = theirs(Kind::Invoice, &invoice("paid", 700, 300));
    for told in [
        &[invoice("paid", 700, 300)][..],
        &[invoice("paid", 700, 300), invoice("open", 0, 0)],
        &[invoice("open", 0, 0), invoice("paid", 700, 300)],
        &[invoice("paid", 700, 0), invoice("void", 0, 300)],
    ] {
        assert_eq!(Ours::of(told).find(&paid), Found::Same, "{told:?}");
    }
    assert_eq!(Ours::of(&[invoice("open", 700, 0)]).find(&paid), Found::Other(0), "it was never paid");
    assert_eq!(Ours::of(&[]).find(&paid), Found::Missing);
}

#[test]
fn a_dispute_takes_while_the_money_is_gone() {
    let (taken, returned, unmoved) = (dispute(900, "taken"), dispute(900, "returned"), dispute(900, "unmoved"));
    for (told, known) in [
        (vec![taken.clone()], Found::Same),
        (vec![taken.clone(), unmoved.clone()], Found::Same),
        (vec![unmoved.clone(), taken.clone()], Found::Same),
        (vec![taken.clone(), returned.clone()], Found::Other(0)),
        (vec![returned, unmoved.clone(), taken.clone()], Found::Other(0)),
        (vec![unmoved], Found::Other(0)),
        (vec![], Found::Missing),
    ] {
        assert_eq!(Ours::of(&told).find(&theirs(Kind::Dispute, &taken)), known, "{told:?}");
    }
}

#[test]
fn what_takes_nothing_and_was_never_heard_of_is_nothing_to_tell() {
    let mut nothing = Ours::default();
    assert_eq!(nothing.find(&theirs(Kind::Refund, &refund(200, "pending"))), Found::Same);
    assert_eq!(nothing.find(&theirs(Kind::Dispute, &dispute(900, "unmoved"))), Found::Same);
    assert_eq!(nothing.find(&theirs(Kind::Refund, &refund(200, "succeeded"))), Found::Missing);
    assert_eq!(nothing.find(&theirs(Kind::Dispute, &dispute(900, "taken"))), Found::Missing);
    assert_eq!(nothing.find(&theirs(Kind::Charge, &charge("ch_9", 0))), Found::Missing);
}

#[test]
fn a_span_has_its_beginning_and_not_its_end() {
    let ours = Ours::of(&[refund(200, "succeeded")]);
    for (from, until, count) in [(0, 10, 0), (10, 11, 1), (11, 20, 0)] {
        assert_eq!(ours.refunds_within(at(from), at(until)).count(), count, "{from} to {until}");
    }
}

#[test]
fn a_report_counts_all_and_is_clean_until_something_differs() {
    let mut report = Report::default();
    assert!(report.is_clean());
    for id in ["ch_1", "ch_2", "ch_3"] {
        report.count(&theirs(Kind::Charge, &charge(id, 500)), Found::Same, Some(Became::Credited));
    }
    report.count(&theirs(Kind::Invoice, &invoice("paid", 1000, 0)), Found::Same, Some(Became::Credited));
    assert!(report.is_clean());
    assert_eq!(report.objects, [(Kind::Charge, 3), (Kind::Invoice, 1)].into());
    report.count(&theirs(Kind::Charge, &charge("ch_4", 500)), Found::Missing, None);
    assert!(!report.is_clean());
}

#[test]
fn so_many_are_named_and_all_are_counted() {
    let mut report = Report::default();
    for number in 0..=MOST_NAMED {
        let (kind, id, why) = (Kind::Charge, format!("ch_{number}"), Why::UnknownToStripe);
        report.name(Difference { kind, id, why, currency: None, ours: None, stripe: None });
    }
    assert_eq!((report.differences.len(), report.differing), (1000, 1001));
    assert_eq!(report.differences.last().unwrap().id, "ch_999");
}

#[test]
fn what_stripe_has_otherwise_is_fetched() {
    let mut report = Report::default();
    for (id, why) in
        [("ch_1", Why::Missing), ("ch_2", Why::UnknownToStripe), ("ch_3", Why::Differs), ("ch_4", Why::Unreadable)]
    {
        report.name(Difference {
            kind: Kind::Charge,
            id: id.to_owned(),
            why,
            currency: None,
            ours: None,
            stripe: None,
        });
    }
    assert_eq!(report.to_fetch().map(|difference| difference.id.as_str()).collect::<Vec<_>>(), ["ch_1", "ch_3"]);
}
