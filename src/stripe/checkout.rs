//! Checkout sessions: where clues are left, and the money of one-time sales without an invoice.

use serde::Deserialize;

use super::discount::{Discount, promotion_codes};
use super::field::{Code, Id, Int, List, Maybe, Meta, Reference, Seconds, Text};
use super::price::{Price, inherit};
use super::problem::{ReadError, parse};
use crate::domain::facts::{CheckoutFact, CheckoutMode, CheckoutStatus, Fact, Line};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Session {
    id: Id,
    mode: Text,
    status: Text,
    payment_status: Text,
    customer: Reference,
    customer_account: Reference,
    customer_details: Maybe<CustomerDetails>,
    customer_email: Text,
    invoice: Reference,
    payment_intent: Reference,
    setup_intent: Reference,
    subscription: Reference,
    currency: Code,
    amount_total: Int,
    amount_subtotal: Int,
    total_details: Maybe<TotalDetails>,
    created: Seconds,
    client_reference_id: Text,
    metadata: Meta,
    discounts: List<Discount>,
    line_items: List<Maybe<Item>>,
}

/// What was sold; shown only where somebody asked for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item {
    id: Id,
    amount_subtotal: Int,
    price: Price,
}

impl Item {
    fn read(self) -> Line {
        let mut metadata = self.price.metadata;
        inherit(&mut metadata, self.price.product.metadata);
        Line {
            id: self.id.0.unwrap_or_default(),
            amount: self.amount_subtotal.or_zero(),
            price: self.price.id,
            product: self.price.product.id,
            interval: self.price.interval,
            metadata,
            ..Line::default()
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CustomerDetails {
    email: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TotalDetails {
    amount_tax: Int,
}

/// Reads the session of a `checkout.session.*` event.
pub(super) fn read(json: &str, event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let session: Session = parse(json)?;
    let (mode, status) = (session.mode(), session.status(event_type));
    // The first page of them says nothing of the others.
    let items = if session.line_items.has_more { Vec::new() } else { session.line_items.data };
    let lines = items.into_iter().filter_map(|item| item.0).map(Item::read).collect();
    let (promotion_codes, mut facts) = promotion_codes(session.discounts.data);
    let fact = CheckoutFact {
        id: session.id.required()?,
        mode,
        status,
        customer: session.customer.id().or(session.customer_account.id()),
        email: session.customer_details.or_empty().email.0.or(session.customer_email.0),
        invoice: session.invoice.id(),
        intent: session.payment_intent.id(),
        subscription: session.subscription.id(),
        currency: session.currency.0,
        total: session.amount_total.or_zero(),
        subtotal: session.amount_subtotal.0.unwrap_or(session.amount_total.or_zero()),
        tax: session.total_details.or_empty().amount_tax.or_zero(),
        created: session.created.0,
        client_reference: session.client_reference_id.0,
        metadata: session.metadata.0,
        promotion_codes,
        lines,
    };
    if fact.currency.is_none() && fact.total != 0 {
        return Err(ReadError::missing("currency", "a currency of three letters"));
    }
    facts.insert(0, Fact::Checkout(Box::new(fact)));
    Ok(facts)
}

impl Session {
    /// `mode`; sessions from before it existed are known by what they started.
    fn mode(&self) -> CheckoutMode {
        match self.mode.word() {
            Some("payment") => CheckoutMode::Payment,
            Some("subscription") => CheckoutMode::Subscription,
            Some("setup") => CheckoutMode::Setup,
            _ if self.subscription.is_some() => CheckoutMode::Subscription,
            _ if self.setup_intent.is_some() => CheckoutMode::Setup,
            _ => CheckoutMode::Payment,
        }
    }

    /// The event says how far it came; `payment_status` only whether a completed session's money is there.
    fn status(&self, event_type: &str) -> CheckoutStatus {
        // An event tells of a session that was completed; one that was fetched says by itself whether it was.
        if event_type.starts_with("fetched.") && matches!(self.status.word(), Some("open" | "expired")) {
            return CheckoutStatus::Open;
        }
        match (event_type, self.payment_status.word()) {
            ("checkout.session.expired" | "checkout.session.async_payment_failed", _) => CheckoutStatus::Open,
            // Before there were delayed methods there was no payment status: completed was paid.
            ("checkout.session.async_payment_succeeded", _) | (_, None | Some("paid" | "no_payment_required")) => {
                CheckoutStatus::Paid
            }
            (_, Some(_)) => CheckoutStatus::Completed,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{T, altered, at, error, event, fixture, metadata, only};
    use super::*;

    fn expected() -> CheckoutFact {
        CheckoutFact {
            id: "cs_live_0001".to_owned(),
            mode: CheckoutMode::Subscription,
            status: CheckoutStatus::Paid,
            customer: Some("cus_0001".to_owned()),
            email: Some("ada@buyer.example".to_owned()),
            invoice: Some("in_0001".to_owned()),
            intent: None,
            subscription: Some("sub_0001".to_owned()),
            currency: "eur".parse().ok(),
            total: 3106,
            subtotal: 2900,
            tax: 496,
            created: Some(at(T - 300)),
            client_reference: Some("acme".to_owned()),
            metadata: metadata(&[("partner_key", "acme"), ("irclickid", "clk-1")]),
            promotion_codes: Vec::new(),
            lines: vec![],
        }
    }

    #[test]
    fn three_shapes() {
        let old = CheckoutFact { invoice: None, ..expected() };
        let new = CheckoutFact { promotion_codes: vec!["promo_0001".to_owned()], ..expected() };
        assert_eq!(*only!(Checkout, fixture("checkout.session.completed.old")), old);
        assert_eq!(*only!(Checkout, fixture("checkout.session.completed.hybrid")), expected());
        assert_eq!(*only!(Checkout, fixture("checkout.session.completed.new")), new);
    }

    #[test]
    fn a_guest_with_a_delayed_method() {
        let status = |name| only!(Checkout, fixture(name)).status;
        let session = only!(Checkout, fixture("checkout.session.completed.guest.new"));
        assert_eq!((session.customer.as_deref(), session.intent.as_deref()), (None, Some("pi_0003")));
        assert_eq!((session.mode, session.status), (CheckoutMode::Payment, CheckoutStatus::Completed));
        assert_eq!(status("checkout.session.async_payment_succeeded.guest.new"), CheckoutStatus::Paid);
        assert_eq!(status("checkout.session.async_payment_failed.guest.new"), CheckoutStatus::Open);
    }

    #[test]
    fn an_expired_session_still_knows_the_email() {
        let session = only!(Checkout, fixture("checkout.session.expired.new"));
        assert_eq!((session.status, session.email.as_deref()), (CheckoutStatus::Open, Some("lead@buyer.example")));
    }

    #[test]
    fn a_set_up_has_no_money() {
        let session = only!(Checkout, fixture("checkout.session.completed.setup.new"));
        assert_eq!((session.mode, session.currency, session.total), (CheckoutMode::Setup, None, 0));
    }

    #[test]
    fn sessions_from_before_mode_and_payment_status() {
        let read = |changes| {
            let session = only!(Checkout, altered("checkout.session.completed.old", &changes));
            (session.mode, session.status)
        };
        let paid = CheckoutStatus::Paid;
        assert_eq!(read(json!({"mode": null, "payment_status": null})), (CheckoutMode::Subscription, paid));
        assert_eq!(read(json!({"mode": null, "subscription": null})), (CheckoutMode::Payment, paid));
        let changes = json!({"mode": null, "subscription": null, "setup_intent": "seti_1"});
        assert_eq!(read(changes), (CheckoutMode::Setup, paid));
    }

    #[test]
    fn money_needs_a_currency() {
        let text = error("checkout.session.completed", &json!({"id": "cs_1", "amount_total": 5}));
        assert_eq!(text, "data.object.currency: expected a currency of three letters, found nothing");
        let free = event("checkout.session.completed", &json!({"id": "cs_1", "amount_total": 0}));
        assert_eq!(only!(Checkout, free).total, 0);
    }

    #[test]
    fn the_mode_speaks_before_what_was_started() {
        let mode = |word, started: &str| {
            let mut changes = json!({"mode": word, "subscription": null, "setup_intent": null});
            changes[started] = json!("id_1");
            only!(Checkout, altered("checkout.session.expired.new", &changes)).mode
        };
        assert_eq!(mode("payment", "subscription"), CheckoutMode::Payment);
        assert_eq!(mode("payment", "setup_intent"), CheckoutMode::Payment);
        assert_eq!(mode("subscription", "nothing"), CheckoutMode::Subscription);
        assert_eq!(mode("setup", "nothing"), CheckoutMode::Setup);
    }

    #[test]
    fn a_session_that_was_fetched_says_by_itself_how_far_it_came() {
        let status = |word, payment| {
            let object = json!({"id": "cs_1", "status": word, "payment_status": payment});
            only!(Checkout, event("fetched.checkout_session", &object)).status
        };
        assert_eq!(status("complete", "paid"), CheckoutStatus::Paid);
        assert_eq!(status("complete", "unpaid"), CheckoutStatus::Completed);
        assert_eq!(status("open", "unpaid"), CheckoutStatus::Open);
        assert_eq!(status("expired", "no_payment_required"), CheckoutStatus::Open);
    }

    #[test]
    fn what_was_sold_is_told_by_all_lines_or_by_none() {
        let price = json!({
            "id": "price_1", "recurring": {"interval": "month"}, "metadata": {"product_key": "course"},
            "product": {"id": "prod_1", "metadata": {"product_key": "any", "level": "one"}},
        });
        let item = json!({"id": "li_1", "amount_subtotal": 2900, "amount_total": 3106, "price": price});
        let lines = |has_more: bool| {
            let items = json!({"data": [item, null], "has_more": has_more});
            only!(Checkout, altered("checkout.session.completed.new", &json!({"line_items": items}))).lines
        };
        let line = Line {
            id: "li_1".to_owned(),
            amount: 2900,
            price: Some("price_1".to_owned()),
            product: Some("prod_1".to_owned()),
            interval: Some("month".to_owned()),
            metadata: metadata(&[("product_key", "course"), ("level", "one")]),
            ..Line::default()
        };
        assert_eq!(lines(false), [line]);
        assert!(lines(true).is_empty(), "there are more than are shown");
    }
}
