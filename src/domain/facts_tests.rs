//! How facts are kept: as JSON that says what the event said, and no more.

use serde_json::{Value, json};

use super::facts::{BillingReason, ChargeFact, Fact, InvoiceFact, Link, Metadata};
use super::story::{Story, at};

fn charge(invoice: Link) -> Fact {
    Fact::Charge(ChargeFact {
        id: "ch_1".to_owned(),
        intent: None,
        customer: None,
        email: None,
        invoice,
        currency: "usd".parse().unwrap(),
        captured: 0,
        refunded: 0,
        booked: None,
        created: None,
        metadata: Metadata::new(),
    })
}

fn invoice(change: impl FnOnce(&mut InvoiceFact)) -> Fact {
    let mut story = Story::default();
    story.pays("in_1", "2026-01-05", 1000, BillingReason::SubscriptionCreate).done();
    let Fact::Invoice(mut invoice) = story.events.remove(0).facts.remove(0) else { panic!("no invoice") };
    change(&mut invoice);
    Fact::Invoice(invoice)
}

/// As it is kept; what is read again is the same.
fn kept(fact: &Fact) -> Value {
    let text = serde_json::to_string(fact).unwrap();
    assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), *fact);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_charge_says_whether_it_is_known_to_pay_no_invoice() {
    let nothing_said = json!({ "object": "charge", "id": "ch_1", "currency": "usd", "captured": 0, "refunded": 0 });
    assert_eq!(kept(&charge(Link::Unsaid)), nothing_said);
    for (link, said) in [(Link::None, json!("none")), (Link::To("in_1".to_owned()), json!({ "to": "in_1" }))] {
        assert_eq!(kept(&charge(link))["invoice"], said);
    }
}

#[test]
fn an_invoice_keeps_only_what_it_says() {
    let plain = invoice(|_| {});
    let line = json!({ "id": "il_in_1", "amount": 1000, "subscription": true, "period_start": at("2026-01-05") });
    assert_eq!(kept(&plain)["lines"], json!([line]));
    let seldom = ["paid_off_stripe", "unseen_lines", "empty_snapshot", "hidden_discounts"];
    for key in seldom {
        assert_eq!(kept(&plain).get(key), None, "{key}");
    }
    let full = kept(&invoice(|invoice| {
        (invoice.paid_off_stripe, invoice.unseen_lines) = (1, -1);
        (invoice.empty_snapshot, invoice.hidden_discounts) = (true, true);
        invoice.lines[0].proration = true;
    }));
    assert_eq!(seldom.map(|key| &full[key]), [&json!(1), &json!(-1), &json!(true), &json!(true)]);
    assert_eq!(full["lines"][0]["proration"], true);
}
