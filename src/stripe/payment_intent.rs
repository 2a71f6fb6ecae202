//! Payment intents: they tie charges to invoices and sessions, and are the money of direct payments.

use serde::Deserialize;

use super::charge::BillingDetails;
use super::field::{Code, Field, Id, Int, List, Maybe, Meta, Reference, Seconds, Text, readable};
use super::problem::{ReadError, parse};
use crate::domain::facts::{Fact, IntentFact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct PaymentIntent {
    id: Id,
    customer: Reference,
    customer_account: Reference,
    receipt_email: Text,
    invoice: Reference,
    currency: Code,
    amount: Int,
    amount_received: Int,
    status: Text,
    latest_charge: IncludedCharge,
    charges: List<IncludedCharge>,
    created: Seconds,
    metadata: Meta,
}

/// A charge within a payment intent: its id, or the object.
#[derive(Default)]
struct IncludedCharge {
    id: Option<String>,
    email: Option<String>,
}

readable!(IncludedCharge);

impl<'de> Field<'de> for IncludedCharge {
    const EXPECTED: &'static str = Reference::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        Id::from_text(text).map(|id| Self { id: id.0, email: None })
    }
    fn from_map<A: serde::de::MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Expanded {
            id: Id,
            billing_details: Maybe<BillingDetails>,
            receipt_email: Text,
        }
        let charge = Expanded::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Self { id: charge.id.0, email: charge.billing_details.or_empty().email.0.or(charge.receipt_email.0) })
    }
}

/// Reads the intent of a `payment_intent.*` event.
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let intent: PaymentIntent = parse(json)?;
    let succeeded = intent.status.word() == Some("succeeded");
    let (mut charges, mut email) = (Vec::new(), intent.receipt_email.0);
    for charge in [intent.latest_charge].into_iter().chain(intent.charges.data) {
        charges.extend(charge.id.filter(|id| !charges.contains(id)));
        email = email.or(charge.email);
    }
    Ok(vec![Fact::Intent(IntentFact {
        id: intent.id.required()?,
        customer: intent.customer.id().or(intent.customer_account.id()),
        email,
        invoice: intent.invoice.link(),
        currency: intent.currency.required()?,
        received: intent.amount_received.0.unwrap_or(if succeeded { intent.amount.or_zero() } else { 0 }),
        charges,
        created: intent.created.0,
        metadata: intent.metadata.0,
    })])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{T, altered, at, error, fixture, metadata, only};
    use super::*;
    use crate::domain::facts::Link;

    fn expected() -> IntentFact {
        IntentFact {
            id: "pi_0001".to_owned(),
            customer: Some("cus_0001".to_owned()),
            email: None,
            invoice: Link::To("in_0001".to_owned()),
            currency: "eur".parse().unwrap(),
            received: 3106,
            charges: vec!["ch_0001".to_owned()],
            created: Some(at(T - 61)),
            metadata: metadata(&[]),
        }
    }

    #[test]
    fn three_shapes() {
        let old = IntentFact { email: Some("ada@buyer.example".to_owned()), ..expected() };
        assert_eq!(only!(Intent, fixture("payment_intent.succeeded.old")), old);
        assert_eq!(only!(Intent, fixture("payment_intent.succeeded.hybrid")), expected());
        let new = IntentFact { invoice: Link::Unsaid, ..expected() };
        assert_eq!(only!(Intent, fixture("payment_intent.succeeded.new")), new);
    }

    #[test]
    fn a_direct_payment_knows_that_it_has_no_invoice() {
        let intent = only!(Intent, fixture("payment_intent.succeeded.direct.old"));
        assert_eq!((intent.invoice, intent.customer), (Link::None, None));
        assert_eq!(
            (intent.email.as_deref(), intent.charges),
            (Some("guest@buyer.example"), vec!["ch_0004".to_owned()])
        );
        assert_eq!(intent.metadata, metadata(&[("partner_key", "acme")]));
    }

    #[test]
    fn nothing_is_received_before_it_succeeded() {
        let received = |changes| only!(Intent, altered("payment_intent.succeeded.new", &changes)).received;
        assert_eq!(received(json!({"amount_received": 0, "status": "processing"})), 0);
        assert_eq!(received(json!({"amount_received": null, "status": "processing"})), 0);
        assert_eq!(received(json!({"amount_received": null})), 3106);
        assert_eq!(received(json!({"amount_received": 3106.0})), 3106, "whole numbers may be floats");
    }

    #[test]
    fn errors_name_the_field() {
        let text = error("payment_intent.succeeded", &json!({"id": "pi_1", "charges": {"data": [{"id": 5}]}}));
        assert_eq!(text, "data.object.charges.data[0].id: expected an id of at most 255 characters, found a number");
    }
}
