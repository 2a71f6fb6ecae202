//! Customers: e-mail, metadata and a standing promotion code. A deleted one (`deleted: true`) has little but its id.

use serde::Deserialize;

use super::discount::{Discount, promotion_codes};
use super::field::{Id, Meta, Seconds, Text};
use super::problem::{ReadError, parse};
use crate::domain::facts::{CustomerFact, Fact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Customer {
    id: Id,
    email: Text,
    created: Seconds,
    metadata: Meta,
    discount: Discount,
}

/// Reads the customer of a `customer.*` event.
pub(super) fn read(json: &str, event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let customer: Customer = parse(json)?;
    let (promotion_codes, mut facts) = promotion_codes([customer.discount]);
    let fact = CustomerFact {
        id: customer.id.required()?,
        email: customer.email.0,
        created: customer.created.0,
        is_creation: event_type == "customer.created",
        metadata: customer.metadata.0,
        promotion_codes,
    };
    facts.insert(0, Fact::Customer(fact));
    Ok(facts)
}
