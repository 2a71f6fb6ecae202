//! Checkout sessions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Metadata, Scene, merged, seconds, set, usd};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::sample::event::Kind;

/// A checkout session (`cs_…`). Sums that are not given are computed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// `cs_…`
    pub id: String,
    /// `payment` (default), `subscription`, `setup`.
    #[serde(default = "payment")]
    pub mode: String,
    /// `paid`, `unpaid`, `no_payment_required`; default: what the event's type says, `paid` for a completed one.
    pub payment_status: Option<String>,
    /// Default: the event's, an hour earlier for money that arrived later.
    pub created: Option<Time>,
    /// `cus_…`; none for guests.
    pub customer: Option<String>,
    /// A v2 account in the customer's place.
    pub customer_account: Option<String>,
    /// The address the buyer gave.
    pub customer_email: Option<String>,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// Default: total + discount − shipping, − tax unless inclusive.
    pub amount_subtotal: Option<i64>,
    /// Default: subtotal − discount + shipping, + tax unless inclusive.
    pub amount_total: Option<i64>,
    /// What coupons took off.
    #[serde(default)]
    pub discount: i64,
    /// Tax, in all.
    #[serde(default)]
    pub tax: i64,
    /// The tax is within the amounts.
    #[serde(default)]
    pub tax_inclusive: bool,
    /// Shipping.
    #[serde(default)]
    pub shipping: i64,
    /// `promo_…`
    pub promotion_code: Option<String>,
    /// The coupon behind the discount.
    pub coupon: Option<String>,
    /// The session's own metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// The merchant's reference.
    pub client_reference_id: Option<String>,
    /// `in_…`
    pub invoice: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// `sub_…`
    pub subscription: Option<String>,
    /// `plink_…`
    pub payment_link: Option<String>,
}

fn payment() -> String {
    "payment".to_owned()
}

impl Default for Session {
    fn default() -> Self {
        Self {
            id: String::new(),
            mode: payment(),
            payment_status: None,
            created: None,
            customer: None,
            customer_account: None,
            customer_email: None,
            currency: usd(),
            amount_subtotal: None,
            amount_total: None,
            discount: 0,
            tax: 0,
            tax_inclusive: false,
            shipping: 0,
            promotion_code: None,
            coupon: None,
            metadata: Metadata::new(),
            client_reference_id: None,
            invoice: None,
            payment_intent: None,
            subscription: None,
            payment_link: None,
        }
    }
}

impl Session {
    fn added(&self) -> i64 {
        self.shipping - self.discount + if self.tax_inclusive { 0 } else { self.tax }
    }

    /// Before discount, shipping and tax on top.
    pub fn amount_subtotal(&self) -> i64 {
        self.amount_subtotal.unwrap_or_else(|| self.amount_total.map_or(0, |total| total - self.added()))
    }

    /// What the buyer pays.
    pub fn amount_total(&self) -> i64 {
        self.amount_total.unwrap_or_else(|| self.amount_subtotal() + self.added())
    }

    fn payment_status(&self, kind: &Kind) -> &str {
        self.payment_status.as_deref().unwrap_or(match kind {
            Kind::SessionCompleted | Kind::SessionAsyncPaymentSucceeded => "paid",
            _ => "unpaid",
        })
    }

    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let status = if *scene.kind == Kind::SessionExpired { "expired" } else { "complete" };
        let created = self.created.unwrap_or(match scene.kind {
            Kind::SessionCompleted => scene.at,
            _ => scene.at - chrono::Duration::hours(1),
        });
        let discounted = self.promotion_code.is_some() || self.coupon.is_some();
        let discounts = json!([{ "coupon": self.coupon, "promotion_code": self.promotion_code }]);
        let heart = json!({
            "id": self.id, "object": "checkout.session",
            "amount_subtotal": self.amount_subtotal(), "amount_total": self.amount_total(),
            "client_reference_id": self.client_reference_id,
            "created": seconds(created), "currency": self.currency, "customer": self.customer,
            "customer_details": {
                "address": { "city": null, "country": "DE", "line1": null, "line2": null, "postal_code": null, "state": null },
                "email": self.customer_email, "name": null, "phone": null, "tax_exempt": "none", "tax_ids": [],
            },
            "customer_email": null,
            "invoice": self.invoice, "livemode": scene.livemode, "metadata": self.metadata, "mode": self.mode,
            "payment_intent": self.payment_intent, "payment_link": self.payment_link,
            "payment_status": self.payment_status(scene.kind), "status": status, "subscription": self.subscription,
            "total_details": {
                "amount_discount": self.discount, "amount_shipping": self.shipping, "amount_tax": self.tax,
            },
        });
        let mut body = merged([heart, self.surroundings(scene)]);
        if scene.shape.has_new() {
            set(&mut body, "adaptive_pricing", json!({ "enabled": false }));
            set(&mut body, "customer_account", json!(self.customer_account));
            // Sessions name their promotion codes since 2025-01-27.
            set(&mut body, "discounts", if discounted { discounts } else { json!([]) });
            set(&mut body, "wallet_options", Value::Null);
        } else {
            set(&mut body, "shipping_details", Value::Null);
        }
        body
    }

    fn surroundings(&self, scene: Scene<'_>) -> Value {
        let invoice_creation = (self.mode == "payment").then(|| {
            json!({
                "enabled": self.invoice.is_some(),
                "invoice_data": {
                    "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null,
                    "issuer": null, "metadata": {}, "rendering_options": null,
                },
            })
        });
        merged([
            json!({
                "after_expiration": null, "allow_promotion_codes": true,
                "automatic_tax": { "enabled": false, "liability": null, "status": null },
                "billing_address_collection": null, "cancel_url": "https://example.com/cancel",
                "client_secret": null, "consent": null, "consent_collection": null, "currency_conversion": null,
                "custom_fields": [],
                "custom_text": {
                    "after_submit": null, "shipping_address": null, "submit": null,
                    "terms_of_service_acceptance": null,
                },
                "customer_creation": if self.mode == "payment" { Some("if_required") } else { None },
                "expires_at": seconds(scene.at + chrono::Duration::hours(24)),
                "invoice_creation": invoice_creation, "locale": null,
            }),
            json!({
                "payment_method_collection": "if_required", "payment_method_configuration_details": null,
                "payment_method_options": {}, "payment_method_types": ["card"],
                "phone_number_collection": { "enabled": false }, "recovered_from": null,
                "saved_payment_method_options": null, "setup_intent": null, "shipping_address_collection": null,
                "shipping_cost": null, "shipping_options": [], "submit_type": null,
                "success_url": "https://example.com/success", "ui_mode": "hosted", "url": null,
            }),
        ])
    }
}
