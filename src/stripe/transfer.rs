//! Transfers to partners' accounts. They have no status: what exists has arrived, less what was reversed.

use serde::Deserialize;

use super::field::{Code, Flag, Id, Int, List, Meta, Reference, Seconds, Text};
use super::problem::{ReadError, parse};
use crate::domain::facts::{Fact, TransferFact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Transfer {
    id: Id,
    amount: Int,
    amount_reversed: Int,
    currency: Code,
    created: Seconds,
    destination: Reference,
    metadata: Meta,
    reversed: Flag,
    reversals: List<Reversal>,
    transfer_group: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reversal {
    amount: Int,
}

/// Reads the transfer of a `transfer.*` event.
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let transfer: Transfer = parse(json)?;
    let amount = transfer.amount.0.ok_or_else(|| ReadError::missing("amount", "an integer"))?;
    let listed = transfer.reversals.data.iter().try_fold(0_i64, |sum, one| sum.checked_add(one.amount.or_zero()));
    let listed = listed.ok_or_else(|| ReadError::overflow("reversals"))?;
    let whole = if transfer.reversed.is_set() { amount } else { 0 };
    Ok(vec![Fact::Transfer(TransferFact {
        id: transfer.id.required()?,
        group: transfer.transfer_group.0,
        payout: transfer.metadata.0.get("payout").cloned(),
        destination: transfer.destination.id(),
        currency: transfer.currency.required()?,
        amount,
        reversed: transfer.amount_reversed.or_zero().max(listed).max(whole),
        created: transfer.created.0,
    })])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{altered, error, fixture, only};
    use super::*;

    fn expected() -> TransferFact {
        TransferFact {
            id: "tr_0001".to_owned(),
            group: Some("po_0001".to_owned()),
            payout: Some("po_0001".to_owned()),
            destination: Some("acct_0001".to_owned()),
            currency: "eur".parse().unwrap(),
            amount: 12_300,
            reversed: 0,
            created: Some(super::super::testing::at(1_790_000_000)),
        }
    }

    #[test]
    fn made_and_taken_back() {
        assert_eq!(only!(Transfer, fixture("transfer.created.new")), expected());
        let partly = TransferFact { reversed: 2300, ..expected() };
        assert_eq!(only!(Transfer, fixture("transfer.reversed.partial.new")), partly);
        // Whichever of its fields a version carries.
        for changes in [
            json!({"amount_reversed": 12_300, "reversed": true}),
            json!({"amount_reversed": null, "reversed": true}),
            json!({"amount_reversed": "(absent)", "reversals": {"data": [{"amount": 12_000}, {"amount": 300}]}}),
        ] {
            let wholly = TransferFact { reversed: 12_300, ..expected() };
            assert_eq!(only!(Transfer, altered("transfer.reversed.partial.new", &changes)), wholly, "{changes}");
        }
    }

    #[test]
    fn what_others_made_has_no_group() {
        let changes =
            json!({"transfer_group": null, "metadata": {}, "destination": {"id": "acct_9", "object": "account"}});
        let fact = only!(Transfer, altered("transfer.created.new", &changes));
        assert_eq!((fact.group, fact.payout, fact.destination.as_deref()), (None, None, Some("acct_9")));
    }

    #[test]
    fn a_transfer_without_an_amount_means_nothing() {
        let text = error("transfer.created", &json!({"id": "tr_1", "currency": "eur"}));
        assert_eq!(text, "data.object.amount: expected an integer, found nothing");
    }
}
