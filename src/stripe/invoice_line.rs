//! The lines of an invoice.

use serde::Deserialize;

use super::field::{Flag, Id, Int, Maybe, Meta, Reference, Seconds, Text};
use super::price::{Price, Product, inherit};
use crate::domain::facts::{Line, Metadata};

/// A line in any shape. New: `parent` and `pricing`. Old: `price`, `plan`, `proration`, `subscription`, `type`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawLine {
    id: Id,
    amount: Int,
    metadata: Meta,
    period: Maybe<Period>,
    parent: Maybe<Parent>,
    pricing: Maybe<Pricing>,
    price: Price,
    plan: Price,
    proration: Flag,
    subscription: Reference,
    r#type: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Period {
    start: Seconds,
    end: Seconds,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parent {
    r#type: Text,
    subscription_item_details: Maybe<Details>,
    invoice_item_details: Maybe<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    proration: Flag,
    subscription: Reference,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pricing {
    price_details: Maybe<PriceDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PriceDetails {
    price: Price,
    product: Product,
}

/// A line and what it says beyond its own fact.
pub(super) struct ReadLine {
    /// The fact.
    pub line: Line,
    /// `sub_…`
    pub subscription: Option<String>,
    /// The line's own metadata, which mirrors the subscription's on subscription lines.
    pub own_metadata: Metadata,
}

impl RawLine {
    pub(super) fn read(self) -> ReadLine {
        let parent = self.parent.or_empty().read();
        let details = self.pricing.or_empty().price_details.or_empty();
        let subscription = parent.subscription.or(self.subscription.id());
        let period = self.period.or_empty();

        let own_metadata = self.metadata.0;
        let mut metadata = own_metadata.clone();
        for farther in [
            details.price.metadata,
            self.price.metadata,
            self.plan.metadata,
            details.product.metadata,
            details.price.product.metadata,
            self.price.product.metadata,
            self.plan.product.metadata,
        ] {
            inherit(&mut metadata, farther);
        }
        let line = Line {
            id: self.id.0.unwrap_or_default(),
            amount: self.amount.or_zero(),
            price: details.price.id.or(self.price.id).or(self.plan.id),
            product: details.product.id.or(details.price.product.id).or(self.price.product.id).or(self.plan.product.id),
            interval: details.price.interval.or(self.price.interval).or(self.plan.interval),
            proration: parent.proration.or(self.proration.0).unwrap_or(false),
            subscription: parent.is_subscription_item
                || subscription.is_some()
                || self.r#type.word() == Some("subscription"),
            period_start: period.start.0,
            period_end: period.end.0,
            metadata,
        };
        ReadLine { line, subscription, own_metadata }
    }
}

/// What a line's `parent` says.
struct ReadParent {
    is_subscription_item: bool,
    subscription: Option<String>,
    proration: Option<bool>,
}

impl Parent {
    /// Both details are met in one parent only in made-up data; then `type` says which is meant.
    fn read(self) -> ReadParent {
        let is_subscription_item = match self.r#type.word() {
            Some(name) => name == "subscription_item_details",
            None => self.subscription_item_details.0.is_some(),
        };
        let details =
            if is_subscription_item { self.subscription_item_details } else { self.invoice_item_details }.or_empty();
        ReadParent { is_subscription_item, subscription: details.subscription.id(), proration: details.proration.0 }
    }
}
