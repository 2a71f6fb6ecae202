//! Subscriptions: metadata, promotion codes, what their items say of prices, and where they stand.

use serde::Deserialize;

use super::discount::{Discount, promotion_codes};
use super::field::{Code, Flag, Id, Int, List, Maybe, Meta, Reference, Seconds, Text};
use super::price::Price;
use super::problem::{ReadError, parse};
use crate::domain::facts::{Fact, PriceInfo, SubscriptionFact};
use crate::domain::subscribed::{StandingDiscount, Status, SubscriptionItem, SubscriptionState};

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
    quantity: Int,
    status: Text,
    currency: Code,
    start_date: Seconds,
    trial_end: Seconds,
    cancel_at: Seconds,
    cancel_at_period_end: Flag,
    canceled_at: Seconds,
    ended_at: Seconds,
    current_period_end: Seconds,
    cancellation_details: Maybe<CancellationDetails>,
    pause_collection: Maybe<Nothing>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    price: Price,
    plan: Price,
    quantity: Int,
    current_period_end: Seconds,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CancellationDetails {
    reason: Text,
}

/// An object of which only matters that it is there.
#[derive(Default, Deserialize)]
struct Nothing {}

/// Reads the subscription of a `customer.subscription.*` event.
pub(super) fn read(json: &str, event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let mut subscription: Subscription = parse(json)?;
    let discounts = std::mem::take(&mut subscription.discounts).data;
    let discounts: Vec<Discount> = [std::mem::take(&mut subscription.discount)].into_iter().chain(discounts).collect();
    let state = subscription.state(event_type, &discounts);
    let (promotion_codes, mut facts) = promotion_codes(discounts);
    let fact = SubscriptionFact {
        id: subscription.id.required()?,
        customer: subscription.customer.id().or(subscription.customer_account.id()),
        created: subscription.created.0,
        is_creation: matches!(event_type, "customer.subscription.created" | "fetched.subscription"),
        metadata: subscription.metadata.0,
        promotion_codes,
        prices: prices(subscription.items, subscription.plan),
        state: state.map(Box::new),
    };
    facts.insert(0, Fact::Subscription(fact));
    Ok(facts)
}

impl Subscription {
    /// Where it stands, unless the event does not say.
    fn state(&self, event_type: &str, discounts: &[Discount]) -> Option<SubscriptionState> {
        let status = match self.status.word() {
            Some(word) => Status::of(word),
            None if event_type == "customer.subscription.deleted" => Status::Canceled,
            None => return None,
        };
        let shown = || self.items.data.iter().filter_map(|item| item.0.as_ref());
        let mut items: Vec<SubscriptionItem> = shown().map(Item::read).collect();
        if items.is_empty() && self.plan.id.is_some() {
            items.push(self.plan.item(self.quantity));
        }
        let currency = self.currency.0.or_else(|| {
            let of_items = shown().find_map(|item| item.price.currency.or(item.plan.currency));
            of_items.or(self.plan.currency)
        });
        // The same discount may be in the old field and in the new one.
        let mut standing: Vec<StandingDiscount> = Vec::new();
        for discount in discounts.iter().filter_map(|discount| discount.standing.as_ref()) {
            if !standing.contains(discount) {
                standing.push(discount.clone());
            }
        }
        let period_end =
            self.current_period_end.0.or_else(|| shown().filter_map(|item| item.current_period_end.0).max());
        let cancels_at_period_end = self.cancel_at_period_end.is_set();
        Some(SubscriptionState {
            status,
            currency,
            items,
            discounts: standing,
            started_at: self.start_date.0,
            trial_end: self.trial_end.0,
            cancel_at: self.cancel_at.0.or(period_end.filter(|_| cancels_at_period_end)),
            cancels_at_period_end,
            canceled_at: self.canceled_at.0,
            ended_at: self.ended_at.0,
            cancel_reason: self.cancellation_details.0.as_ref().and_then(|details| details.reason.0.clone()),
            collection_paused: self.pause_collection.0.is_some(),
        })
    }
}

impl Item {
    fn read(&self) -> SubscriptionItem {
        let price = self.price.item(self.quantity);
        let plan = self.plan.item(self.quantity);
        SubscriptionItem {
            price: price.price.or(plan.price),
            product: price.product.or(plan.product),
            unit_amount: price.unit_amount.or(plan.unit_amount),
            interval: price.interval.or(plan.interval),
            interval_count: self.price.interval_count.map_or(plan.interval_count, |_| price.interval_count),
            metered: price.metered || plan.metered,
            quantity: price.quantity,
        }
    }
}

impl Price {
    fn item(&self, quantity: Int) -> SubscriptionItem {
        SubscriptionItem {
            price: self.id.clone(),
            product: self.product.id.clone(),
            quantity: quantity.0.unwrap_or(1),
            unit_amount: self.unit_amount,
            interval: self.interval.clone(),
            interval_count: self.interval_count.unwrap_or(1),
            metered: self.metered,
        }
    }
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

    use super::super::testing::{T, altered, at, event, facts, fixture, metadata, only};
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
            state: Some(Box::new(state())),
        }
    }

    fn item(price: &str, product: &str, interval: &str) -> SubscriptionItem {
        SubscriptionItem {
            price: Some(price.to_owned()),
            product: Some(product.to_owned()),
            quantity: 1,
            unit_amount: Some(2900.into()),
            interval: Some(interval.to_owned()),
            interval_count: 1,
            metered: false,
        }
    }

    fn state() -> SubscriptionState {
        SubscriptionState {
            status: Status::Active,
            currency: Some("eur".parse().unwrap()),
            items: vec![item("price_pro_month", "prod_pro", "month")],
            discounts: Vec::new(),
            started_at: Some(at(T - 60)),
            trial_end: None,
            cancel_at: None,
            cancels_at_period_end: false,
            canceled_at: None,
            ended_at: None,
            cancel_reason: None,
            collection_paused: false,
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
        new.state.as_mut().unwrap().items.push(item("price_seat_year", "prod_seat", "year"));
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
        assert_eq!(subscription.state.unwrap().items, [item("price_pro_month", "prod_pro", "month")]);
    }

    #[test]
    fn where_it_stands() {
        let price = json!({"id": "price_1", "product": "prod_1", "unit_amount": null, "unit_amount_decimal": "12.5",
            "recurring": {"interval": "week", "interval_count": 2, "usage_type": "metered"}});
        let coupon = json!({"percent_off": 12.5, "amount_off": null, "duration": "repeating"});
        let changes = json!({
            "status": "past_due", "trial_end": T, "cancel_at_period_end": true, "canceled_at": T + 1,
            "pause_collection": {"behavior": "void"}, "cancellation_details": {"reason": "payment_failed"},
            "items": {"data": [{"price": price, "quantity": 3, "current_period_end": T + 9}]},
            "discounts": [{"source": {"type": "coupon", "coupon": coupon}, "end": T + 5}, "di_2"],
        });
        let state = *only!(Subscription, altered("customer.subscription.updated.new", &changes)).state.unwrap();
        assert_eq!((state.status, state.trial_end, state.cancel_at), (Status::PastDue, Some(at(T)), Some(at(T + 9))));
        assert_eq!((state.canceled_at, state.collection_paused), (Some(at(T + 1)), true));
        assert_eq!(state.cancel_reason.as_deref(), Some("payment_failed"));
        let [item] = state.items.as_slice() else { panic!("one item") };
        assert_eq!((item.quantity, item.unit_amount), (3, Some("12.5".parse().unwrap())));
        assert_eq!((item.interval.as_deref(), item.interval_count, item.metered), (Some("week"), 2, true));
        let discount = StandingDiscount {
            percent_off: Some("12.5".parse().unwrap()),
            amount_off: None,
            currency: None,
            lasting: crate::domain::subscribed::Lasting::Repeating,
            ends_at: Some(at(T + 5)),
        };
        assert_eq!(state.discounts, [discount]);
    }

    #[test]
    fn what_says_no_status_says_nothing_of_it() {
        let subscription = only!(Subscription, altered("customer.subscription.created.old", &json!({"status": null})));
        assert_eq!(subscription.state, None);
    }

    #[test]
    fn what_was_deleted_is_canceled_although_it_does_not_say_so() {
        let state = |event_type| only!(Subscription, event(event_type, &json!({"id": "sub_1"}))).state;
        assert_eq!(state("customer.subscription.deleted").unwrap().status, Status::Canceled);
        assert_eq!(state("customer.subscription.updated"), None);
    }
}
