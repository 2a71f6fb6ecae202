//! Disputes. Their bodies hold personal data (`evidence`), of which nothing is read.

use serde::Deserialize;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;

use super::field::{Code, Field, Id, Int, List, Reference, Seconds, Text, readable};
use super::problem::{ReadError, parse};
use crate::domain::Time;
use crate::domain::facts::{DisputeFact, DisputeMoney, Fact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Dispute {
    id: Id,
    charge: Reference,
    payment_intent: Reference,
    currency: Code,
    amount: Int,
    status: Text,
    balance_transactions: List<BalanceTransaction>,
}

/// A balance transaction: an id (which says nothing of the money), or the object. Its amount is in the currency of the
/// merchant's balance: only its sign means something here.
#[derive(Default)]
struct BalanceTransaction {
    amount: i64,
    created: Option<Time>,
}

readable!(BalanceTransaction);

impl<'de> Field<'de> for BalanceTransaction {
    const EXPECTED: &'static str = Reference::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        Id::from_text(text).map(|_| Self::default())
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Expanded {
            amount: Int,
            created: Seconds,
        }
        let transaction = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Self { amount: transaction.amount.or_zero(), created: transaction.created.0 })
    }
}

/// Reads the dispute of a `charge.dispute.*` event.
pub(super) fn read(json: &str, event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let dispute: Dispute = parse(json)?;
    let money = dispute.money(event_type);
    // An event has a time of its own, an object that was fetched has its transactions'.
    let shown = if event_type == "fetched.dispute" { dispute.balance_transactions.data.as_slice() } else { &[] };
    let taken_at = shown.iter().filter(|moved| moved.amount < 0).filter_map(|moved| moved.created).min();
    let returned_at = shown.iter().filter(|moved| moved.amount > 0).filter_map(|moved| moved.created).max();
    Ok(vec![Fact::Dispute(DisputeFact {
        id: dispute.id.required()?,
        charge: dispute.charge.id(),
        intent: dispute.payment_intent.id(),
        currency: dispute.currency.required()?,
        amount: dispute.amount.0.ok_or_else(|| ReadError::missing("amount", "an integer"))?,
        money,
        taken_at,
        returned_at,
    })])
}

impl Dispute {
    /// The event's type speaks first: it is about the money. A snapshot only shows where the dispute stands.
    fn money(&self, event_type: &str) -> DisputeMoney {
        let shown = &self.balance_transactions.data;
        match (event_type, self.status.word()) {
            ("charge.dispute.funds_reinstated", _) => DisputeMoney::Returned,
            ("charge.dispute.funds_withdrawn", _) | (_, Some("lost")) => DisputeMoney::Taken,
            // An inquiry takes nothing, unless and until it escalates.
            (_, Some(status)) if status.starts_with("warning_") => DisputeMoney::Unmoved,
            _ if shown.iter().any(|transaction| transaction.amount > 0) => DisputeMoney::Returned,
            _ if shown.iter().any(|transaction| transaction.amount < 0) => DisputeMoney::Taken,
            _ => DisputeMoney::Unmoved,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{T, altered, at, error, event, fixture, only};
    use super::DisputeMoney::{Returned, Taken, Unmoved};
    use super::*;

    #[test]
    fn three_shapes() {
        let expected = DisputeFact {
            id: "du_0001".to_owned(),
            charge: Some("ch_0001".to_owned()),
            intent: Some("pi_0001".to_owned()),
            currency: "eur".parse().unwrap(),
            amount: 3106,
            money: Taken,
            taken_at: None,
            returned_at: None,
        };
        let old = DisputeFact { id: "dp_0001".to_owned(), intent: None, ..expected.clone() };
        assert_eq!(only!(Dispute, fixture("charge.dispute.created.old")), old);
        assert_eq!(only!(Dispute, fixture("charge.dispute.funds_withdrawn.hybrid")), expected);
        let new = DisputeFact { money: Returned, ..expected };
        assert_eq!(only!(Dispute, fixture("charge.dispute.funds_reinstated.new")), new);
    }

    #[test]
    fn where_the_money_is() {
        let money = |event_type: &str, status, transactions: &[i64]| {
            let transactions: Vec<_> = transactions.iter().map(|amount| json!({"amount": amount})).collect();
            let changes = json!({"status": status, "balance_transactions": transactions});
            let object = altered("charge.dispute.funds_withdrawn.hybrid", &changes)["data"]["object"].take();
            only!(Dispute, event(event_type, &object)).money
        };
        assert_eq!(money("charge.dispute.created", "needs_response", &[]), Unmoved);
        assert_eq!(money("charge.dispute.updated", "under_review", &[-500]), Taken);
        assert_eq!(money("charge.dispute.updated", "prevented", &[-500, 500]), Returned);
        assert_eq!(money("charge.dispute.closed", "won", &[-500, 500]), Returned);
        assert_eq!(money("charge.dispute.closed", "won", &[]), Unmoved);
        assert_eq!(money("charge.dispute.closed", "lost", &[]), Taken);
        assert_eq!(money("charge.dispute.closed", "warning_closed", &[-500]), Unmoved);
        assert_eq!(money("charge.dispute.funds_withdrawn", "warning_needs_response", &[]), Taken);
        assert_eq!(money("charge.dispute.funds_reinstated", "lost", &[]), Returned);
        assert_eq!(only!(Dispute, fixture("charge.dispute.closed.lost.new")).money, Taken);
        assert_eq!(only!(Dispute, fixture("charge.dispute.created.inquiry.new")).money, Unmoved);
    }

    #[test]
    fn transactions_by_id_say_nothing() {
        let changes = json!({"status": "under_review", "balance_transactions": ["txn_1", null]});
        let object = altered("charge.dispute.funds_withdrawn.hybrid", &changes)["data"]["object"].take();
        assert_eq!(only!(Dispute, event("charge.dispute.updated", &object)).money, Unmoved);
    }

    #[test]
    fn what_moves_no_money_dates_nothing() {
        let moved = [(0, T), (-500, T + 5), (-100, T + 7), (400, T + 80), (500, T + 90), (0, T + 900)];
        let transactions: Vec<_> = moved.map(|(amount, at)| json!({"amount": amount, "created": at})).into();
        let changes = json!({"balance_transactions": transactions});
        let object = altered("charge.dispute.funds_withdrawn.hybrid", &changes)["data"]["object"].take();
        let dispute = only!(Dispute, event("fetched.dispute", &object));
        assert_eq!((dispute.taken_at, dispute.returned_at), (Some(at(T + 5)), Some(at(T + 90))));
    }

    #[test]
    fn errors_name_the_field() {
        let expected = "expected an id of at most 255 characters, an object or null, found a string";
        assert_eq!(
            error("charge.dispute.updated", &json!({"id": "dp_1", "balance_transactions": ["t".repeat(256)]})),
            format!("data.object.balance_transactions[0]: {expected}")
        );
    }
}
