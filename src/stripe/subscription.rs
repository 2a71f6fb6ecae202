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
        is_creation: matches!(event_type, "customer.subscription.created" | "fetched.subscription"),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{T, altered, at, facts, fixture, metadata, only};
    use super::*;
    use crate::domain::facts::PromotionCodeFact;

    fn expected() -> SubscriptionFact {
        SubscriptionFact {
            id: "sub_0001".to_owned(),
            customer: Some("cus_0001".to_owned()),
            created: Some(at(T - 60)),
            is_creation: false,
            metadata: metadata(&[("partner_key", "acme")]),
            promotion_codes: vec!["promo_0001".to_owned()],
            prices: vec![PriceInfo {
                price: "price_pro_month".to_owned(),
                product: Some("prod_pro".to_owned()),
                interval: Some("month".to_owned()),
                metadata: metadata(&[("product_key", "pro"), ("tier", "price")]),
            }],
        }
    }

    #[test]
    fn three_shapes() {
        let old = SubscriptionFact { is_creation: true, ..expected() };
        assert_eq!(only!(Subscription, fixture("customer.subscription.created.old")), old);
        assert_eq!(only!(Subscription, fixture("customer.subscription.updated.hybrid")), expected());

        let mut new = expected();
        new.prices.push(PriceInfo {
            price: "price_seat_year".to_owned(),
            product: Some("prod_seat".to_owned()),
            interval: Some("year".to_owned()),
            metadata: metadata(&[("product_key", "seat")]),
        });
        let code = PromotionCodeFact { id: "promo_0001".to_owned(), code: "ACME10".to_owned() };
        let found = facts(&fixture("customer.subscription.updated.new"));
        assert_eq!(found, [Fact::Subscription(new), Fact::PromotionCode(code)]);
    }

    #[test]
    fn a_subscription_with_a_plan_only() {
        let changes = json!({"items": null, "discount": {"promotion_code": null}});
        let subscription = only!(Subscription, altered("customer.subscription.created.old", &changes));
        assert_eq!(subscription.prices[0].price, "price_pro_month");
        assert_eq!(subscription.prices[0].metadata, metadata(&[("tier", "plan"), ("seat", "plan")]));
        assert!(subscription.promotion_codes.is_empty());
    }
}
