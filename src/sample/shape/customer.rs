//! Customers, subscriptions, promotion codes.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Metadata, Scene, Shape, list, merged, plan, price, seconds, set, usd, yes};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::sample::event::Kind;
use crate::sample::random::derived_id;

/// A customer (`cus_…`).
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// The customer's address.
    pub email: Option<String>,
    /// The customer's name.
    pub name: Option<String>,
    /// Default: the event's time, which is only right for `customer.created`.
    pub created: Option<Time>,
    /// The customer's metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// A v2 account behind the customer.
    pub customer_account: Option<String>,
}

impl Customer {
    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let mut body = json!({
            "id": self.id, "object": "customer", "address": null, "balance": 0,
            "created": seconds(self.created.unwrap_or(scene.at)), "currency": null, "default_source": null,
            "delinquent": false, "description": null, "discount": null, "email": self.email,
            "invoice_prefix": derived_id("P", &[&self.id])[3..11].to_uppercase(),
            "invoice_settings": {
                "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
            },
            "livemode": scene.livemode, "metadata": self.metadata, "name": self.name, "next_invoice_sequence": 1,
            "phone": null, "preferred_locales": [], "shipping": null, "tax_exempt": "none", "test_clock": null,
        });
        if scene.shape.has_new() {
            set(&mut body, "customer_account", json!(self.customer_account));
        }
        body
    }
}

/// A subscription (`sub_…`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// A v2 account in the customer's place.
    pub customer_account: Option<String>,
    /// Default `canceled` where deleted, `trialing` within a trial, else `active`.
    pub status: Option<String>,
    /// Default: the event's time, which is only right for `customer.subscription.created`.
    pub created: Option<Time>,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// What is subscribed to.
    #[serde(default)]
    pub items: Vec<Item>,
    /// The subscription's metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// The promotion code (`promo_…`) on the subscription.
    pub promotion_code: Option<String>,
    /// The end of the trial.
    pub trial_end: Option<Time>,
}

/// One item of a subscription.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// `price_…`
    pub price: String,
    /// `prod_…`
    pub product: Option<String>,
    /// What one costs.
    #[serde(default)]
    pub amount: i64,
    /// `month` (default), `year`, …
    #[serde(default = "month")]
    pub interval: String,
    /// The price's metadata.
    #[serde(default)]
    pub price_metadata: Metadata,
    /// The item's metadata.
    #[serde(default)]
    pub metadata: Metadata,
}

fn month() -> String {
    "month".to_owned()
}

impl Default for Subscription {
    fn default() -> Self {
        Self {
            id: String::new(),
            customer: None,
            customer_account: None,
            status: None,
            created: None,
            currency: usd(),
            items: Vec::new(),
            metadata: Metadata::new(),
            promotion_code: None,
            trial_end: None,
        }
    }
}

impl Subscription {
    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let created = self.created.unwrap_or(scene.at);
        let deleted = *scene.kind == Kind::SubscriptionDeleted;
        let trialing = self.trial_end.is_some_and(|end| end > scene.at);
        let alive = if trialing { "trialing" } else { "active" };
        let status = self.status.as_deref().unwrap_or(if deleted { "canceled" } else { alive });
        let ended = deleted.then(|| seconds(scene.at));
        let discount = self.promotion_code.as_ref().map(|code| self.discount(code, created, scene));
        let items: Vec<Value> = self.items.iter().map(|item| self.item(item, created, scene)).collect();
        let mut body = merged([
            json!({
                "id": self.id, "object": "subscription", "application": null, "application_fee_percent": null,
                "automatic_tax": { "enabled": false, "liability": null },
                "billing_cycle_anchor": seconds(created), "billing_cycle_anchor_config": null,
                "billing_thresholds": null, "cancel_at": null, "cancel_at_period_end": false, "canceled_at": ended,
                "cancellation_details": { "comment": null, "feedback": null, "reason": null },
                "collection_method": "charge_automatically", "created": seconds(created),
                "currency": self.currency, "customer": self.customer, "days_until_due": null,
                "default_payment_method": null, "default_source": null, "default_tax_rates": [],
                "description": null, "ended_at": ended,
            }),
            json!({
                "discounts": discount.iter().map(|it| it["id"].clone()).collect::<Vec<_>>(),
                "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
                "items": list(&items, false, &format!("/v1/subscription_items?subscription={}", self.id)),
                "latest_invoice": null, "livemode": scene.livemode, "metadata": self.metadata,
                "next_pending_invoice_item_invoice": null, "on_behalf_of": null, "pause_collection": null,
                "payment_settings": {
                    "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off",
                },
                "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null,
                "schedule": null, "start_date": seconds(created), "status": status, "test_clock": null,
                "transfer_data": null, "trial_end": self.trial_end.map(seconds),
                "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } },
                "trial_start": self.trial_end.map(|_| seconds(created)),
            }),
        ]);
        if scene.shape.has_legacy() {
            set(&mut body, "current_period_end", json!(seconds(scene.at + chrono::Duration::days(30))));
            set(&mut body, "current_period_start", json!(seconds(scene.at)));
            set(&mut body, "discount", discount.unwrap_or_default());
        }
        if scene.shape.has_new() {
            set(&mut body, "billing_mode", json!({ "type": "classic" }));
            set(&mut body, "customer_account", json!(self.customer_account));
        }
        body
    }

    fn discount(&self, code: &str, since: Time, scene: Scene<'_>) -> Value {
        json!({
            "id": derived_id("di", &[&self.id]), "object": "discount", "checkout_session": null,
            "coupon": coupon("COUPON", scene), "customer": self.customer, "end": null, "invoice": null,
            "invoice_item": null, "promotion_code": code, "start": seconds(since), "subscription": self.id,
        })
    }

    fn item(&self, item: &Item, created: Time, scene: Scene<'_>) -> Value {
        let (id, product) = (Some(item.price.as_str()), item.product.as_deref());
        let (currency, interval) = (self.currency.as_str(), Some((item.interval.as_str(), 1)));
        let mut body = json!({
            "id": derived_id("si", &[&self.id, &item.price]), "object": "subscription_item",
            "billing_thresholds": null, "created": seconds(created), "discounts": [], "metadata": item.metadata,
            "plan": plan(id, product, currency, item.amount, interval, &item.price_metadata, scene),
            "price": price(id, product, currency, item.amount, interval, &item.price_metadata, scene),
            "quantity": 1, "subscription": self.id, "tax_rates": [],
        });
        if scene.shape.has_new() {
            set(&mut body, "current_period_end", json!(seconds(scene.at + chrono::Duration::days(30))));
            set(&mut body, "current_period_start", json!(seconds(scene.at)));
        }
        body
    }
}

/// A promotion code (`promo_…`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionCode {
    /// `promo_…`
    pub id: String,
    /// What buyers type.
    pub code: String,
    /// Default: the event's time, which is only right for `promotion_code.created`.
    pub created: Option<Time>,
    /// The coupon that it gives.
    pub coupon: Option<String>,
    /// Default true.
    #[serde(default = "yes")]
    pub active: bool,
    /// The promotion code's metadata.
    #[serde(default)]
    pub metadata: Metadata,
}

impl PromotionCode {
    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let coupon_id = self.coupon.as_deref().unwrap_or("COUPON");
        let mut body = json!({
            "id": self.id, "object": "promotion_code", "active": self.active, "code": self.code,
            "created": seconds(self.created.unwrap_or(scene.at)), "customer": null, "expires_at": null,
            "livemode": scene.livemode, "max_redemptions": null, "metadata": self.metadata,
            "restrictions": {
                "first_time_transaction": false, "minimum_amount": null, "minimum_amount_currency": null,
            },
            "times_redeemed": 0,
        });
        if scene.shape == Shape::New {
            set(&mut body, "promotion", json!({ "coupon": coupon_id, "type": "coupon" }));
        } else {
            set(&mut body, "coupon", coupon(coupon_id, scene));
        }
        body
    }
}

/// The coupon object that discounts and promotion codes nest.
pub(super) fn coupon(id: &str, scene: Scene<'_>) -> Value {
    json!({
        "id": id, "object": "coupon", "amount_off": null, "created": super::PRICES_SINCE, "currency": null,
        "duration": "forever", "duration_in_months": null, "livemode": scene.livemode, "max_redemptions": null,
        "metadata": {}, "name": id, "percent_off": 10.0, "redeem_by": null, "times_redeemed": 1, "valid": true,
    })
}
