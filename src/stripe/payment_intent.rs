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
