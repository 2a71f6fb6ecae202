//! Invoices in every shape, to the cent.

use serde_json::json;

use super::super::testing::{T, altered, at, error, event, facts, fixture, metadata, only};
use super::*;
use crate::domain::facts::{Line, PromotionCodeFact};

/// The first invoice of a subscription: 29.00, less 10 %, plus 19 % tax, as every shape tells it.
fn expected() -> InvoiceFact {
    InvoiceFact {
        id: "in_0001".to_owned(),
        customer: Some("cus_0001".to_owned()),
        email: Some("ada@buyer.example".to_owned()),
        subscription: Some("sub_0001".to_owned()),
        billing_reason: Some(BillingReason::SubscriptionCreate),
        currency: "eur".parse().unwrap(),
        status: InvoiceStatus::Paid,
        total: 3106,
        tax: 496,
        amount_due: 3106,
        paid_on_stripe: 3106,
        paid_off_stripe: 0,
        created: Some(at(T - 60)),
        paid_at: Some(at(T - 2)),
        intents: Vec::new(),
        charges: Vec::new(),
        metadata: metadata(&[("order", "A-17")]),
        subscription_metadata: metadata(&[("partner_key", "acme")]),
        empty_snapshot: false,
        promotion_codes: Vec::new(),
        lines: vec![Line {
            id: "il_0001".to_owned(),
            amount: 2900,
            price: Some("price_pro_month".to_owned()),
            product: Some("prod_pro".to_owned()),
            interval: None,
            proration: false,
            subscription: true,
            period_start: Some(at(T - 60)),
            period_end: Some(at(T - 60 + 2_592_000)),
            metadata: metadata(&[("partner_key", "acme")]),
        }],
        voided_at: None,
        hidden_discounts: false,
        unseen_lines: 0,
        failed: None,
    }
}

/// What only the old fields say.
fn with_old_fields(mut invoice: InvoiceFact) -> InvoiceFact {
    invoice.intents = vec!["pi_0001".to_owned()];
    invoice.charges = vec!["ch_0001".to_owned()];
    invoice.promotion_codes = vec!["promo_0001".to_owned()];
    let line = &mut invoice.lines[0];
    line.interval = Some("month".to_owned());
    // The line's own key, then the price's, then the plan's: `tier` is the price's.
    line.metadata = metadata(&[("partner_key", "acme"), ("product_key", "pro"), ("tier", "price"), ("seat", "plan")]);
    invoice
}

#[test]
fn the_old_shape() {
    assert_eq!(*only!(Invoice, fixture("invoice.paid.old")), with_old_fields(expected()));
}

#[test]
fn the_hybrid_shape() {
    assert_eq!(*only!(Invoice, fixture("invoice.paid.hybrid")), with_old_fields(expected()));
}

#[test]
fn the_new_shape() {
    let expected = InvoiceFact { hidden_discounts: true, ..expected() };
    assert_eq!(*only!(Invoice, fixture("invoice.paid.new")), expected, "of its discount it shows the id alone");
}

#[test]
fn an_upgrade_with_more_lines_than_shown() {
    let invoice = only!(Invoice, fixture("invoice.paid.upgrade.new"));
    assert_eq!(invoice.billing_reason, Some(BillingReason::SubscriptionUpdate));
    assert_eq!((invoice.total, invoice.tax), (4300, 0));
    assert_eq!(invoice.unseen_lines, 4300 - (-1450 + 4950 + 500));
    assert_eq!((invoice.intents, invoice.charges), (vec!["pi_0002".to_owned()], vec!["py_0002".to_owned()]));
    assert_eq!(invoice.subscription_metadata, metadata(&[]), "nothing anywhere");

    let [credit, team, extra] = invoice.lines.try_into().unwrap();
    assert_eq!((credit.amount, credit.proration, credit.subscription), (-1450, true, true));
    assert_eq!((team.price.as_deref(), team.product.as_deref()), (Some("price_team_month"), Some("prod_team")));
    assert_eq!((team.interval.as_deref(), team.proration), (Some("month"), false));
    assert_eq!(team.metadata, metadata(&[("product_key", "team")]), "the expanded product's");
    assert_eq!((extra.amount, extra.subscription, extra.price), (500, false, None));
}

#[test]
fn a_manual_invoice_with_expanded_references() {
    let facts = facts(&fixture("invoice.paid.manual.new"));
    let [Fact::Invoice(invoice), Fact::PromotionCode(code)] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!(invoice.customer.as_deref(), Some("cus_0001"));
    assert_eq!((invoice.subscription.as_deref(), invoice.billing_reason), (None, Some(BillingReason::Manual)));
    assert_eq!((invoice.paid_on_stripe, invoice.paid_off_stripe), (6000, 4000), "the sum is within amount_paid");
    assert_eq!(invoice.promotion_codes, ["promo_0002"]);
    assert_eq!(*code, PromotionCodeFact { id: "promo_0002".to_owned(), code: "ACME20".to_owned() });
    assert!(!invoice.lines[0].subscription);
}

#[test]
fn what_was_paid_outside_of_stripe() {
    let paid = |changes| {
        let invoice = only!(Invoice, altered("invoice.paid.out_of_band.old", &changes));
        (invoice.paid_on_stripe, invoice.paid_off_stripe)
    };
    assert_eq!(paid(json!({})), (0, 3106), "old: what was due");
    assert_eq!(paid(json!({"amount_paid": 1000})), (1000, 2106), "old: what was still due");
    assert_eq!(paid(json!({"amount_paid": 4000})), (4000, 0), "never less than nothing");
    assert_eq!(paid(json!({"amount_paid_off_stripe": 3106})), (0, 3106), "hybrid: amount_paid is without it");
    assert_eq!(paid(json!({"amount_paid": 3106, "amount_paid_off_stripe": 3106})), (0, 3106), "new: with it");
    assert_eq!(paid(json!({"amount_paid": 3106, "amount_paid_off_stripe": 0})), (3106, 0));
    assert_eq!(paid(json!({"amount_paid": 1106, "amount_paid_off_stripe": 2000})), (1106, 2000), "hybrid, mixed");
    assert_eq!(paid(json!({"amount_paid": 2106, "amount_paid_off_stripe": 1000})), (2106, 1000), "the other way round");
    assert_eq!(paid(json!({"amount_paid": 1500, "amount_paid_off_stripe": 1000})), (1500, 1000), "and not yet all");
    assert_eq!(paid(json!({"amount_paid_off_stripe": null, "paid_out_of_band": null})), (0, 0));
}

#[test]
fn the_tax_is_told_in_four_ways() {
    let tax = |changes| only!(Invoice, altered("invoice.paid.new", &changes)).tax;
    let amounts = |amounts: &[i64]| amounts.iter().map(|amount| json!({"amount": amount})).collect::<Vec<_>>();
    assert_eq!(tax(json!({"total_taxes": amounts(&[400, 90]), "total_tax_amounts": amounts(&[7])})), 490);
    assert_eq!(tax(json!({"total_taxes": null, "total_tax_amounts": amounts(&[300, 19]), "tax": 7})), 319);
    assert_eq!(tax(json!({"total_taxes": null, "tax": 7})), 7);
    assert_eq!(tax(json!({"total_taxes": [], "total_tax_amounts": [], "tax": 7})), 7, "empty lists say nothing");
    assert_eq!(tax(json!({"total_taxes": null, "tax": null})), 496, "total less total_excluding_tax");
    assert_eq!(tax(json!({"total_taxes": null, "total_excluding_tax": null})), 0);
}

#[test]
fn where_an_invoice_stands() {
    let status = |name, changes| only!(Invoice, altered(name, &changes)).status;
    assert_eq!(status("invoice.voided.new", json!({})), InvoiceStatus::Void);
    assert_eq!(status("invoice.payment_failed.new", json!({})), InvoiceStatus::Open);
    for open in ["draft", "open", "uncollectible", "something_new"] {
        assert_eq!(status("invoice.paid.new", json!({"status": open})), InvoiceStatus::Open, "{open}");
    }
    assert_eq!(status("invoice.paid.old", json!({"status": null})), InvoiceStatus::Paid, "paid: true");
    assert_eq!(status("invoice.paid.old", json!({"status": "void"})), InvoiceStatus::Void, "although paid");
    assert_eq!(status("invoice.paid.new", json!({"status": null})), InvoiceStatus::Paid, "the event says it");
    assert_eq!(status("invoice.voided.new", json!({"status": "(absent)"})), InvoiceStatus::Void);
    assert_eq!(status("invoice.payment_failed.new", json!({"status": "(absent)"})), InvoiceStatus::Open);
}

#[test]
fn every_billing_reason() {
    let reason = |value| only!(Invoice, altered("invoice.paid.new", &json!({"billing_reason": value}))).billing_reason;
    for (word, expected) in [
        ("subscription_cycle", BillingReason::SubscriptionCycle),
        ("subscription_threshold", BillingReason::SubscriptionThreshold),
        ("subscription", BillingReason::Subscription),
        ("quote_accept", BillingReason::QuoteAccept),
        ("automatic_pending_invoice_item_invoice", BillingReason::AutomaticPendingInvoiceItem),
        ("upcoming", BillingReason::Other),
    ] {
        assert_eq!(reason(json!(word)), Some(expected), "{word}");
    }
    assert_eq!(reason(json!(null)), None);
}

#[test]
fn the_subscriptions_metadata_is_looked_for_in_three_places() {
    let found = |changes| only!(Invoice, altered("invoice.paid.hybrid", &changes)).subscription_metadata;
    let parent = |metadata| json!({"type": "subscription_details", "subscription_details": {"metadata": metadata}});
    let legacy = json!({"metadata": {"from": "legacy"}});
    let new = parent(json!({"from": "parent"}));
    assert_eq!(found(json!({"parent": new, "subscription_details": legacy})), metadata(&[("from", "parent")]));
    for empty in [json!(null), json!({}), json!([]), json!({"from": ""})] {
        let changes = json!({"parent": parent(empty), "subscription_details": legacy});
        assert_eq!(found(changes), metadata(&[("from", "legacy")]));
    }
    let changes = json!({"parent": parent(json!(null)), "subscription_details": null});
    assert_eq!(found(changes), metadata(&[("partner_key", "acme")]), "the lines mirror it");
}

#[test]
fn the_subscription_is_looked_for_in_three_places() {
    let found = |changes| only!(Invoice, altered("invoice.paid.hybrid", &changes)).subscription;
    let parent = json!({"subscription_details": {"subscription": {"id": "sub_new", "object": "subscription"}}});
    assert_eq!(found(json!({"parent": parent})), Some("sub_new".to_owned()), "the new path first");
    assert_eq!(found(json!({"parent": null, "subscription": {"id": "sub_old"}})), Some("sub_old".to_owned()));
    assert_eq!(found(json!({"parent": null, "subscription": null})), Some("sub_0001".to_owned()), "the lines'");
    assert_eq!(found(json!({"parent": null, "subscription": null, "lines": null})), None);
}

#[test]
fn an_account_stands_in_for_a_customer() {
    let found = |changes| only!(Invoice, altered("invoice.paid.new", &changes)).customer;
    assert_eq!(found(json!({"customer": null, "customer_account": "acct_9"})), Some("acct_9".to_owned()));
    assert_eq!(found(json!({"customer": "", "customer_account": null})), None);
}

#[test]
fn a_bare_invoice_is_read() {
    let bare = event("invoice.paid", &json!({"id": "in_1", "currency": "USD", "total": 5}));
    let invoice = only!(Invoice, bare);
    assert_eq!((invoice.total, invoice.amount_due, invoice.paid_on_stripe), (5, 5, 5));
    assert_eq!(invoice.currency.as_str(), "usd");
}

#[test]
fn errors_name_the_field() {
    let line = json!({"amount": 1.5});
    for (object, expected) in [
        (json!({"currency": "usd"}), "data.object.id: expected an id, found nothing"),
        (json!({"id": "in_1"}), "data.object.currency: expected a currency of three letters, found nothing"),
        (
            json!({"id": "in_1", "currency": "dollar"}),
            "data.object.currency: expected a currency of three letters, found a string",
        ),
        (
            json!({"id": "in_1", "currency": "usd", "amount_paid": "20.00"}),
            "data.object.amount_paid: expected an integer, found a string",
        ),
        (
            json!({"id": "in_1", "currency": "usd", "lines": {"data": [{}, line]}}),
            "data.object.lines.data[1].amount: expected an integer, found a fraction",
        ),
        (
            json!({"id": "in_1", "currency": "usd", "parent": {"subscription_details": []}}),
            "data.object.parent.subscription_details: expected an object, found a list",
        ),
        (
            json!({"id": "in_1", "currency": "usd", "status_transitions": {"paid_at": -1}}),
            "data.object.status_transitions.paid_at: expected a time in Unix seconds, found a number",
        ),
        (
            json!({"id": "in_1", "currency": "usd", "total_taxes": [{"amount": i64::MAX}, {"amount": 1}]}),
            "data.object.total_taxes: expected amounts whose sum fits 64 bits, found larger ones",
        ),
        (
            json!({"id": "in_1", "currency": "usd", "metadata": {"a": "b", "c": {}}}),
            "data.object.metadata.c: expected a string, found an object",
        ),
    ] {
        assert_eq!(error("invoice.paid", &object), expected);
    }
}

#[test]
fn a_failed_attempt_says_which_and_when_the_next_is() {
    let event = altered("invoice.payment_failed.new", &json!({"attempt_count": 2, "next_payment_attempt": T + 86_400}));
    let failed = only!(Invoice, event).failed.unwrap();
    assert_eq!((failed.attempt, failed.next_at), (Some(2), Some(at(T + 86_400))));
    assert_eq!(only!(Invoice, fixture("invoice.paid.new")).failed, None);
}

#[test]
fn an_empty_snapshot_is_one_that_is_there() {
    let empty = |parent, legacy| {
        let parent = json!({"type": "subscription_details", "subscription_details": {"metadata": parent}});
        let changes = json!({"parent": parent, "subscription_details": {"metadata": legacy}, "lines": null});
        only!(Invoice, altered("invoice.paid.hybrid", &changes)).empty_snapshot
    };
    assert!(!empty(json!(null), json!(null)));
    assert!(empty(json!({}), json!(null)) && empty(json!(null), json!({})));
    assert!(empty(json!([]), json!(null)), "an empty object, as some tools write it");
    assert!(!empty(json!({}), json!({"partner_key": "acme"})));
}

#[test]
fn only_an_invoice_that_was_fetched_says_when_it_was_voided() {
    let voided = fixture("invoice.voided.new");
    assert_eq!(only!(Invoice, voided).voided_at, None, "the event says it");
    assert_eq!(only!(Invoice, event("fetched.invoice", &voided["data"]["object"])).voided_at, Some(at(T)));
}

#[test]
fn any_sign_of_a_subscription_makes_a_line_a_subscriptions() {
    let is_subscriptions = |line| {
        let invoice = only!(Invoice, altered("invoice.paid.new", &json!({"lines": {"data": [line]}})));
        invoice.lines[0].subscription
    };
    let prorated = json!({"type": "invoice_item_details", "invoice_item_details": {"subscription": "sub_1"}});
    assert!(is_subscriptions(json!({"parent": {"type": "subscription_item_details"}})));
    assert!(is_subscriptions(json!({"parent": prorated})), "an invoice item that an upgrade made");
    assert!(is_subscriptions(json!({"type": "invoiceitem", "subscription": "sub_1"})), "the same, as of old");
    assert!(is_subscriptions(json!({"type": "subscription"})));
    assert!(!is_subscriptions(json!({"type": "invoiceitem", "parent": {"type": "invoice_item_details"}})));
}
