//! Refunds (`re_…`, `pyr_…`).

use serde::Deserialize;

use super::field::{Code, Id, Int, Reference, Seconds, Text};
use super::problem::{ReadError, parse};
use crate::domain::facts::{ChargeFact, Fact, RefundFact, RefundStatus};

/// A refund, on its own or within a charge.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawRefund {
    id: Id,
    charge: Reference,
    payment_intent: Reference,
    currency: Code,
    amount: Int,
    status: Text,
    reason: Text,
    created: Seconds,
}

/// Reads the refund of a `refund.*` or `charge.refund.updated` event.
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    Ok(vec![Fact::Refund(parse::<RawRefund>(json)?.fact()?)])
}

impl RawRefund {
    fn fact(self) -> Result<RefundFact, ReadError> {
        let amount = self.amount.0.ok_or_else(|| ReadError::missing("amount", "an integer"))?;
        Ok(RefundFact {
            id: self.id.required()?,
            charge: self.charge.id(),
            intent: self.payment_intent.id(),
            currency: self.currency.required()?,
            // An authorisation that ran out was never taken: nothing goes back.
            amount: if self.reason.word() == Some("expired_uncaptured_charge") { 0 } else { amount },
            status: status(self.status.word()),
            created: self.created.0,
        })
    }

    /// The refund as one of this charge's, which says what the refund itself leaves out.
    pub(super) fn of_charge(mut self, charge: &ChargeFact) -> Result<Fact, ReadError> {
        self.currency.0.get_or_insert(charge.currency);
        let mut fact = self.fact().map_err(|error| error.within("refunds.data[]."))?;
        fact.charge.get_or_insert_with(|| charge.id.clone());
        if fact.intent.is_none() {
            fact.intent.clone_from(&charge.intent);
        }
        Ok(Fact::Refund(fact))
    }
}

/// A status that is not known yet takes nothing yet.
fn status(word: Option<&str>) -> RefundStatus {
    match word {
        None | Some("succeeded") => RefundStatus::Succeeded,
        Some("failed") => RefundStatus::Failed,
        Some("canceled") => RefundStatus::Canceled,
        Some(_) => RefundStatus::Pending,
    }
}
