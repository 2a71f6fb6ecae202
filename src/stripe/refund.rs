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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{T, altered, at, error, fixture, only};
    use super::*;

    fn expected() -> RefundFact {
        RefundFact {
            id: "re_0001".to_owned(),
            charge: Some("ch_0001".to_owned()),
            intent: Some("pi_0001".to_owned()),
            currency: "eur".parse().unwrap(),
            amount: 1000,
            status: RefundStatus::Succeeded,
            created: Some(at(T + 864_000)),
        }
    }

    #[test]
    fn three_shapes() {
        assert_eq!(only!(Refund, fixture("refund.created.old")), expected(), "a null status has succeeded");
        assert_eq!(only!(Refund, fixture("refund.created.hybrid")), expected());
        let new = RefundFact { id: "pyr_0001".to_owned(), status: RefundStatus::Pending, ..expected() };
        assert_eq!(only!(Refund, fixture("refund.created.new")), new);
    }

    #[test]
    fn a_refund_that_fails_later() {
        let failed = only!(Refund, fixture("refund.failed.new"));
        assert_eq!(failed, RefundFact { intent: None, status: RefundStatus::Failed, ..expected() });
    }

    #[test]
    fn every_status() {
        let status = |word| only!(Refund, altered("refund.created.new", &json!({"status": word}))).status;
        assert_eq!(status("requires_action"), RefundStatus::Pending);
        assert_eq!(status("canceled"), RefundStatus::Canceled);
        assert_eq!(status("succeeded"), RefundStatus::Succeeded);
        assert_eq!(status("something_new"), RefundStatus::Pending, "takes nothing before it is understood");
    }

    #[test]
    fn an_authorisation_that_ran_out_gives_nothing_back() {
        let changes = json!({"reason": "expired_uncaptured_charge"});
        assert_eq!(only!(Refund, altered("refund.created.hybrid", &changes)).amount, 0);
    }

    #[test]
    fn errors_name_the_field() {
        for (object, expected) in [
            (json!({"id": "re_1", "currency": "usd"}), "data.object.amount: expected an integer, found nothing"),
            (
                json!({"id": "re_1", "amount": 5}),
                "data.object.currency: expected a currency of three letters, found nothing",
            ),
            (
                json!({"id": "re_1", "amount": 5, "charge": true}),
                "data.object.charge: expected an id of at most 255 characters, an object or null, found a boolean",
            ),
        ] {
            assert_eq!(error("refund.created", &object), expected);
        }
    }
}
