//! Subscriptions: metadata, promotion codes, and what their items say of prices.

use serde::Deserialize;

use super::discount::{Discount, promotion_codes};
use super::field::{Id, List, Maybe, Meta, Reference, Seconds};
use super::price::Price;
use super::problem::{ReadError, parse};
use crate::domain::facts::{Fact, PriceInfo, SubscriptionFact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subscription {
    id: Id,
    customer: Reference,
    customer_account: Reference,
    created: Seconds,
    metadata: Meta,
    discount: Discount,
    discounts: List<Discount>,
    items: List<Maybe<Item>>,
    plan: Price,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    price: Price,
    plan: Price,
}

/// Reads the subscription of a `customer.subscription.*` event.
pub(super) fn read(json: &str, event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let subscription: Subscription = parse(json)?;
    let discounts = [subscription.discount].into_iter().chain(subscription.discounts.data);
    let (promotion_codes, mut facts) = promotion_codes(discounts);
    let fact = SubscriptionFact {
        id: subscription.id.required()?,
        customer: subscription.customer.id().or(subscription.customer_account.id()),
        created: subscription.created.0,
        is_creation: event_type == "customer.subscription.created",
        metadata: subscription.metadata.0,
        promotion_codes,
        prices: prices(subscription.items, subscription.plan),
    };
    facts.insert(0, Fact::Subscription(fact));
    Ok(facts)
}

/// Each price once: the items' own, their legacy plans (which share the price's id), then the subscription's plan.
fn prices(items: List<Maybe<Item>>, plan: Price) -> Vec<PriceInfo> {
    let items = items.data.into_iter().filter_map(|item| item.0);
    let mut prices: Vec<PriceInfo> = Vec::new();
    for price in items.flat_map(|item| [item.price, item.plan]).chain([plan]) {
        prices.extend(price.info().filter(|new| prices.iter().all(|known| known.price != new.price)));
    }
    prices
}
