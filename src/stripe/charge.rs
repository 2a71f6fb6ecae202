//! Charges (`ch_…`, `py_…`): what was really taken, and how much of it was given back so far.

use serde::Deserialize;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;

use super::field::{Code, Field, Flag, Id, Int, List, Maybe, Meta, Reference, Seconds, Text, readable};
use super::problem::{ReadError, parse};
use super::refund::RawRefund;
use crate::domain::facts::{ChargeBooked, ChargeFact, Fact};

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
    balance_transaction: BalanceTransaction,
    captured: Flag,
    paid: Flag,
    status: Text,
    refunds: List<Maybe<RawRefund>>,
    created: Seconds,
    metadata: Meta,
}

/// How a charge was booked; mostly an id alone, which says nothing.
#[derive(Debug, Default)]
pub(super) struct BalanceTransaction(Option<ChargeBooked>);

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
            fee: Int,
            amount: Int,
            created: Seconds,
        }
        let shown = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        let booked = shown.fee.0.zip(shown.amount.0).zip(shown.created.0);
        Ok(Self(booked.map(|((fee, amount), at)| ChargeBooked { fee, amount, at })))
    }
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
        booked: charge.balance_transaction.0,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{T, altered, at, error, facts, fixture, metadata, only};
    use super::*;
    use crate::domain::facts::{Link, RefundFact, RefundStatus};

    fn expected() -> ChargeFact {
        ChargeFact {
            id: "ch_0001".to_owned(),
            intent: Some("pi_0001".to_owned()),
            customer: Some("cus_0001".to_owned()),
            email: Some("ada@buyer.example".to_owned()),
            invoice: Link::To("in_0001".to_owned()),
            currency: "eur".parse().unwrap(),
            captured: 3106,
            refunded: 0,
            booked: None,
            created: Some(at(T - 3)),
            metadata: metadata(&[("order", "A-17")]),
        }
    }

    #[test]
    fn three_shapes() {
        assert_eq!(only!(Charge, fixture("charge.succeeded.old")), expected());
        assert_eq!(only!(Charge, fixture("charge.succeeded.hybrid")), expected());
        let new = ChargeFact { invoice: Link::Unsaid, ..expected() };
        assert_eq!(only!(Charge, fixture("charge.succeeded.new")), new);
    }

    #[test]
    fn a_direct_charge_of_a_guest() {
        let charge = only!(Charge, fixture("charge.succeeded.direct.old"));
        assert_eq!((charge.id.as_str(), charge.invoice), ("py_0004", Link::None));
        assert_eq!((charge.intent, charge.customer), (None, None));
        assert_eq!(charge.email.as_deref(), Some("guest@buyer.example"));
    }

    #[test]
    fn the_refunds_that_an_old_charge_includes() {
        let refunded = ChargeFact { refunded: 1000, ..expected() };
        let refund = RefundFact {
            id: "re_0001".to_owned(),
            charge: Some("ch_0001".to_owned()),
            intent: Some("pi_0001".to_owned()),
            currency: "eur".parse().unwrap(),
            amount: 1000,
            status: RefundStatus::Succeeded,
            created: Some(at(T + 864_000)),
        };
        let old = facts(&fixture("charge.refunded.old"));
        assert_eq!(old, [Fact::Charge(refunded.clone()), Fact::Refund(refund)]);
        assert_eq!(only!(Charge, fixture("charge.refunded.hybrid")), refunded);
        let new = ChargeFact { invoice: Link::Unsaid, ..refunded };
        assert_eq!(only!(Charge, fixture("charge.refunded.new")), new);
    }

    #[test]
    fn what_was_not_captured_was_not_taken() {
        let money = |changes| {
            let charge = only!(Charge, altered("charge.refunded.new", &changes));
            (charge.captured, charge.refunded)
        };
        assert_eq!(money(json!({})), (3106, 1000));
        assert_eq!(money(json!({"amount_captured": null})), (3106, 1000), "before there was amount_captured");
        assert_eq!(money(json!({"captured": false, "amount_captured": 0, "amount_refunded": 3106})), (0, 0));
        assert_eq!(money(json!({"status": "pending"})), (0, 0));
        assert_eq!(money(json!({"status": null, "paid": true})), (3106, 1000));
        assert_eq!(money(json!({"status": null, "paid": false})), (0, 0));
        let failed = only!(Charge, fixture("charge.failed.new"));
        assert_eq!((failed.captured, failed.refunded), (0, 0));
    }

    #[test]
    fn a_partial_capture_gives_nothing_back() {
        let money = |refunded| {
            let changes = json!({"amount_captured": 2000, "amount_refunded": refunded});
            let charge = only!(Charge, altered("charge.refunded.new", &changes));
            (charge.captured, charge.refunded)
        };
        assert_eq!(money(1106), (2000, 0), "the rest was released");
        assert_eq!(money(1606), (2000, 500), "and then 5.00 were refunded");
        assert_eq!(money(3106), (2000, 2000));
        assert_eq!(money(0), (2000, 0));
    }

    #[test]
    fn how_it_was_booked_where_that_is_shown() {
        let booked = |transaction| {
            only!(Charge, altered("charge.succeeded.new", &json!({"balance_transaction": transaction}))).booked
        };
        let shown = json!({"id": "txn_1", "fee": 120, "amount": 3300, "created": T + 60});
        assert_eq!(booked(shown), Some(ChargeBooked { fee: 120, amount: 3300, at: at(T + 60) }));
        assert_eq!(booked(json!({"id": "txn_1", "fee": 120, "amount": 3300})), None, "without its time");
        assert_eq!(booked(json!("txn_1")), None, "an id says nothing");
    }

    #[test]
    fn errors_name_the_field() {
        let refunds = json!({"data": [{"id": "re_1"}]});
        let object = json!({"id": "ch_1", "currency": "usd", "refunds": refunds});
        assert_eq!(
            error("charge.refunded", &object),
            "data.object.refunds.data[].amount: expected an integer, found nothing"
        );
        let object = json!({"id": "ch_1", "currency": "usd", "balance_transaction": "t".repeat(256)});
        let expected = "expected an id of at most 255 characters, an object or null, found a string";
        assert_eq!(error("charge.updated", &object), format!("data.object.balance_transaction: {expected}"));
    }
}
