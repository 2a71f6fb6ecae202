//! Prices, plans and products, wherever a line or an item names them.

use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;

use super::field::{Code, Exactly, Field, Id, Int, Maybe, Meta, Reference, Text, readable};
use super::problem::{ReadError, parse};
use crate::domain::currency::Currency;
use crate::domain::facts::{Fact, Metadata, PriceInfo};

/// A price or a legacy plan: its id, or the object.
#[derive(Debug, Default)]
pub(super) struct Price {
    /// `price_…` or the plan's id.
    pub id: Option<String>,
    /// What is sold.
    pub product: Product,
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<String>,
    /// How many intervals it covers.
    pub interval_count: Option<i64>,
    /// What one costs in minor units, which may be fractions.
    pub unit_amount: Option<Decimal>,
    /// In what.
    pub currency: Option<Currency>,
    /// Whether it is billed by use.
    pub metered: bool,
    /// Its own metadata.
    pub metadata: Metadata,
}

/// A product: its id, or the object.
#[derive(Debug, Default)]
pub(super) struct Product {
    /// `prod_…`
    pub id: Option<String>,
    /// Its metadata, where it is expanded.
    pub metadata: Metadata,
}

readable!(Price, Product);

impl<'de> Field<'de> for Price {
    const EXPECTED: &'static str = Reference::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        Id::from_text(text).map(|id| Self { id: id.0, ..Self::default() })
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Expanded {
            id: Id,
            product: Product,
            recurring: Maybe<Recurring>,
            interval: Text,
            interval_count: Int,
            usage_type: Text,
            // A price has `unit_amount`, a plan `amount`; the decimals are there even where the whole number is not.
            unit_amount: Int,
            unit_amount_decimal: Exactly,
            amount: Int,
            amount_decimal: Exactly,
            currency: Code,
            metadata: Meta,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Recurring {
            interval: Text,
            interval_count: Int,
            usage_type: Text,
        }
        let price = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        let recurring = price.recurring.or_empty();
        let decimals = price.unit_amount_decimal.0.or(price.amount_decimal.0);
        Ok(Self {
            id: price.id.0,
            product: price.product,
            interval: recurring.interval.0.or(price.interval.0),
            interval_count: recurring.interval_count.0.or(price.interval_count.0),
            unit_amount: decimals.or_else(|| price.unit_amount.0.or(price.amount.0).map(Decimal::from)),
            currency: price.currency.0,
            metered: recurring.usage_type.0.or(price.usage_type.0).as_deref() == Some("metered"),
            metadata: price.metadata.0,
        })
    }
}

impl<'de> Field<'de> for Product {
    const EXPECTED: &'static str = Reference::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        Id::from_text(text).map(|id| Self { id: id.0, ..Self::default() })
    }
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Expanded {
            id: Id,
            metadata: Meta,
        }
        let product = Expanded::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Self { id: product.id.0, metadata: product.metadata.0 })
    }
}

/// Reads a price that was fetched.
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let price: Price = parse(json)?;
    let info = price.info().ok_or_else(|| ReadError::missing("id", "an id"))?;
    Ok(vec![Fact::Price(info)])
}

impl Price {
    /// What is known of it, where it says which one it is.
    pub(super) fn info(self) -> Option<PriceInfo> {
        let mut metadata = self.metadata;
        inherit(&mut metadata, self.product.metadata);
        Some(PriceInfo { price: self.id?, product: self.product.id, interval: self.interval, metadata })
    }
}

/// Adds what a farther object says to what a nearer one says; the nearer wins.
pub(super) fn inherit(nearer: &mut Metadata, farther: Metadata) {
    for (key, value) in farther {
        nearer.entry(key).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{error, event, metadata, only};
    use super::*;

    #[test]
    fn a_price_that_was_fetched() {
        let price = json!({
            "id": "price_1", "recurring": {"interval": "year"}, "metadata": {"tier": "price"},
            "product": {"id": "prod_1", "metadata": {"tier": "product", "product_key": "pro"}},
        });
        let expected = PriceInfo {
            price: "price_1".to_owned(),
            product: Some("prod_1".to_owned()),
            interval: Some("year".to_owned()),
            metadata: metadata(&[("tier", "price"), ("product_key", "pro")]),
        };
        assert_eq!(only!(Price, event("fetched.price", &price)), expected);
        assert_eq!(
            error("fetched.price", &json!({"product": "prod_1"})),
            "data.object.id: expected an id, found nothing"
        );
    }
}
