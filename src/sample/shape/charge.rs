//! Charges and payment intents.

use serde::Deserialize;
use serde_json::{Value, json};

use super::taken_back::Refund;
use super::{Metadata, Scene, Shape, list, merged, seconds, set, usd, yes};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::sample::event::Kind;

/// A charge (`ch_…`, `py_…`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// `ch_…`
    pub id: String,
    /// What was charged.
    pub amount: i64,
    /// Default: the amount where captured.
    pub amount_captured: Option<i64>,
    /// What was given back so far, in all.
    #[serde(default)]
    pub amount_refunded: i64,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// Default: the event's time for a success, an hour earlier for what came later.
    pub created: Option<Time>,
    /// Default true.
    #[serde(default = "yes")]
    pub captured: bool,
    /// `cus_…`; none for guests.
    pub customer: Option<String>,
    /// The buyer's address.
    pub email: Option<String>,
    /// `in_…`, which the new shape cannot show.
    pub invoice: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// The charge's own metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// A dispute was opened.
    #[serde(default)]
    pub disputed: bool,
    /// The refunds that versions before 2022-11-15 list within the charge; shown by the legacy shape only.
    pub refunds: Option<Vec<Refund>>,
}

impl Default for Charge {
    fn default() -> Self {
        Self {
            id: String::new(),
            amount: 0,
            amount_captured: None,
            amount_refunded: 0,
            currency: usd(),
            created: None,
            captured: true,
            customer: None,
            email: None,
            invoice: None,
            payment_intent: None,
            metadata: Metadata::new(),
            disputed: false,
            refunds: None,
        }
    }
}

impl Charge {
    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let failed = *scene.kind == Kind::ChargeFailed;
        let created = self.created.unwrap_or(match scene.kind {
            Kind::ChargeSucceeded | Kind::ChargeFailed => scene.at,
            _ => scene.at - chrono::Duration::hours(1),
        });
        let captured = self.captured && !failed;
        let amount_captured = self.amount_captured.unwrap_or(if captured { self.amount } else { 0 });
        let mut body = merged([
            json!({
                "id": self.id, "object": "charge", "amount": self.amount, "amount_captured": amount_captured,
                "amount_refunded": self.amount_refunded, "captured": captured, "created": seconds(created),
                "currency": self.currency, "customer": self.customer, "disputed": self.disputed,
                "livemode": scene.livemode, "metadata": self.metadata, "paid": !failed,
                "payment_intent": self.payment_intent,
                "refunded": amount_captured > 0 && self.amount_refunded >= amount_captured,
                "status": if failed { "failed" } else { "succeeded" },
            }),
            self.surroundings(failed),
        ]);
        if scene.shape.has_legacy() {
            set(&mut body, "invoice", json!(self.invoice));
            set(&mut body, "destination", Value::Null);
        }
        if let (Shape::Legacy, Some(refunds)) = (scene.shape, &self.refunds) {
            let refunds: Vec<Value> = refunds.iter().map(|refund| refund.render(scene)).collect();
            set(&mut body, "refunds", list(&refunds, false, &format!("/v1/charges/{}/refunds", self.id)));
        }
        body
    }

    fn surroundings(&self, failed: bool) -> Value {
        merged([
            json!({
                "application": null, "application_fee": null, "application_fee_amount": null,
                "balance_transaction": null,
                "billing_details": {
                    "address": { "city": null, "country": "DE", "line1": null, "line2": null, "postal_code": null, "state": null },
                    "email": self.email, "name": null, "phone": null,
                },
                "calculated_statement_descriptor": "EXAMPLE", "description": null, "dispute": null,
                "failure_balance_transaction": null,
                "failure_code": failed.then_some("card_declined"),
                "failure_message": failed.then_some("Your card was declined."),
                "fraud_details": {}, "on_behalf_of": null,
                "outcome": {
                    "network_status": if failed { "declined_by_network" } else { "approved_by_network" },
                    "reason": null, "risk_level": "normal", "seller_message": null,
                    "type": if failed { "issuer_declined" } else { "authorized" },
                },
            }),
            json!({
                "payment_method": "pm_sample",
                "payment_method_details": {
                    "card": {
                        "brand": "visa",
                        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                        "country": "DE", "exp_month": 8, "exp_year": 2031, "fingerprint": "sample", "funding": "credit",
                        "installments": null, "last4": "4242", "mandate": null, "network": "visa",
                        "three_d_secure": null, "wallet": null,
                    },
                    "type": "card",
                },
                "receipt_email": self.email, "receipt_number": null, "receipt_url": null, "review": null,
                "shipping": null, "source": null, "source_transfer": null, "statement_descriptor": null,
                "statement_descriptor_suffix": null, "transfer_data": null, "transfer_group": null,
            }),
        ])
    }
}

/// A payment intent (`pi_…`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentIntent {
    /// `pi_…`
    pub id: String,
    /// What was asked for.
    pub amount: i64,
    /// Default: the amount.
    pub amount_received: Option<i64>,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// Default: the event's time.
    pub created: Option<Time>,
    /// `ch_…` (`latest_charge`)
    pub charge: Option<String>,
    /// `cus_…`
    pub customer: Option<String>,
    /// The address receipts go to.
    pub receipt_email: Option<String>,
    /// `in_…`, which the new shape cannot show.
    pub invoice: Option<String>,
    /// The payment intent's own metadata.
    #[serde(default)]
    pub metadata: Metadata,
}

impl Default for PaymentIntent {
    fn default() -> Self {
        Self {
            id: String::new(),
            amount: 0,
            amount_received: None,
            currency: usd(),
            created: None,
            charge: None,
            customer: None,
            receipt_email: None,
            invoice: None,
            metadata: Metadata::new(),
        }
    }
}

impl PaymentIntent {
    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let mut body = merged([
            json!({
                "id": self.id, "object": "payment_intent", "amount": self.amount, "amount_capturable": 0,
                "amount_details": { "tip": {} }, "amount_received": self.amount_received.unwrap_or(self.amount),
                "application": null, "application_fee_amount": null, "automatic_payment_methods": null,
                "canceled_at": null, "cancellation_reason": null, "capture_method": "automatic",
                "client_secret": null, "confirmation_method": "automatic",
                "created": seconds(self.created.unwrap_or(scene.at)), "currency": self.currency,
                "customer": self.customer, "description": null, "last_payment_error": null,
                "latest_charge": self.charge, "livemode": scene.livemode, "metadata": self.metadata,
            }),
            json!({
                "next_action": null, "on_behalf_of": null, "payment_method": "pm_sample",
                "payment_method_configuration_details": null, "payment_method_options": {},
                "payment_method_types": ["card"], "processing": null, "receipt_email": self.receipt_email,
                "review": null, "setup_future_usage": null, "shipping": null, "source": null,
                "statement_descriptor": null, "statement_descriptor_suffix": null, "status": "succeeded",
                "transfer_data": null, "transfer_group": null,
            }),
        ]);
        if scene.shape.has_legacy() {
            set(&mut body, "invoice", json!(self.invoice));
        }
        body
    }
}
