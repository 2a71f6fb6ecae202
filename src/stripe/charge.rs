//! Charges (`ch_…`, `py_…`): what was really taken, and how much of it was given back so far.

use serde::Deserialize;

use super::field::{Code, Flag, Id, Int, List, Maybe, Meta, Reference, Seconds, Text};
use super::problem::{ReadError, parse};
use super::refund::RawRefund;
use crate::domain::facts::{ChargeFact, Fact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Charge {
    id: Id,
    payment_intent: Reference,
    customer: Reference,
    customer_account: Reference,
    billing_details: Maybe<BillingDetails>,
    receipt_email: Text,
    invoice: Reference,
    currency: Code,
    amount: Int,
    amount_captured: Int,
    amount_refunded: Int,
    captured: Flag,
    paid: Flag,
    status: Text,
    refunds: List<Maybe<RawRefund>>,
    created: Seconds,
    metadata: Meta,
}

/// Who paid, as far as it matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BillingDetails {
    /// The payer's e-mail.
    pub email: Text,
}

/// Reads the charge of a `charge.*` event and the refunds that it includes (before API 2022-11-15).
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let charge: Charge = parse(json)?;
    let captured = charge.captured();
    let fact = ChargeFact {
        refunded: charge.refunded(captured),
        captured,
        id: charge.id.required()?,
        intent: charge.payment_intent.id(),
        customer: charge.customer.id().or(charge.customer_account.id()),
        email: charge.billing_details.or_empty().email.0.or(charge.receipt_email.0),
        invoice: charge.invoice.link(),
        currency: charge.currency.required()?,
        created: charge.created.0,
        metadata: charge.metadata.0,
    };
    let refunds = charge.refunds.data.into_iter().filter_map(|refund| refund.0);
    let refunds = refunds.map(|refund| refund.of_charge(&fact)).collect::<Result<Vec<_>, _>>()?;
    Ok([Fact::Charge(fact)].into_iter().chain(refunds).collect())
}

impl Charge {
    fn captured(&self) -> i64 {
        let succeeded = self.status.word().map_or(self.paid.is_set(), |status| matches!(status, "succeeded" | "paid"));
        if !succeeded || self.captured.0 == Some(false) {
            return 0;
        }
        self.amount_captured.0.unwrap_or(self.amount.or_zero())
    }

    /// Where less was captured than authorised, Stripe books the rest as refunded although it was never taken.
    fn refunded(&self, captured: i64) -> i64 {
        let refunded = self.amount_refunded.or_zero();
        if captured == 0 {
            return 0;
        }
        let released = self.amount.0.map_or(0, |amount| amount.saturating_sub(captured)).max(0);
        if refunded >= released { refunded - released } else { refunded }
    }
}
