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
        is_creation: matches!(event_type, "customer.created" | "fetched.customer"),
        metadata: customer.metadata.0,
        promotion_codes,
    };
    facts.insert(0, Fact::Customer(fact));
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{T, at, fixture, metadata, only};
    use super::*;

    #[test]
    fn three_shapes() {
        let expected = CustomerFact {
            id: "cus_0001".to_owned(),
            email: Some("ada@buyer.example".to_owned()),
            created: Some(at(T - 86_400)),
            is_creation: false,
            metadata: metadata(&[("customer_key", "user-42")]),
            promotion_codes: vec!["promo_0001".to_owned()],
        };
        let old = CustomerFact { is_creation: true, ..expected.clone() };
        assert_eq!(only!(Customer, fixture("customer.created.old")), old);
        assert_eq!(only!(Customer, fixture("customer.updated.hybrid")), expected);
        assert_eq!(only!(Customer, fixture("customer.updated.new")), expected);
    }

    #[test]
    fn a_deleted_customer_keeps_its_id() {
        let deleted = only!(Customer, fixture("customer.deleted.new"));
        assert_eq!((deleted.id.as_str(), deleted.email, deleted.is_creation), ("cus_0001", None, false));
    }
}
