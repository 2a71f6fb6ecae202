//! Invoice payments: since API 2025-03-31 the only word on which payment intent or charge paid an invoice.

use serde::Deserialize;

use super::field::{Id, Int, Maybe, Reference};
use super::problem::{ReadError, parse};
use crate::domain::facts::{Fact, InvoicePaymentFact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct InvoicePayment {
    id: Id,
    invoice: Reference,
    amount_paid: Int,
    payment: Maybe<Payment>,
}

/// The `payment` of an invoice payment. A payment record (money that Stripe never saw) is neither of these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Payment {
    /// `pi_…`
    pub payment_intent: Reference,
    /// `ch_…`
    pub charge: Reference,
}

/// Reads the invoice payment of an `invoice_payment.*` event.
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let paid: InvoicePayment = parse(json)?;
    let payment = paid.payment.or_empty();
    Ok(vec![Fact::InvoicePayment(InvoicePaymentFact {
        id: paid.id.required()?,
        invoice: paid.invoice.id().ok_or_else(|| ReadError::missing("invoice", "an id"))?,
        intent: payment.payment_intent.id(),
        charge: payment.charge.id(),
        amount_paid: paid.amount_paid.or_zero(),
    })])
}
