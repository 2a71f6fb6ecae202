//! Checkout sessions: where clues are left, and the money of one-time sales without an invoice.

use serde::Deserialize;

use super::discount::{Discount, promotion_codes};
use super::field::{Code, Id, Int, List, Maybe, Meta, Reference, Seconds, Text};
use super::problem::{ReadError, parse};
use crate::domain::facts::{CheckoutFact, CheckoutMode, CheckoutStatus, Fact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Session {
    id: Id,
    mode: Text,
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
