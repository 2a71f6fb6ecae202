//! Invoices, their lines, and the payments that link an invoice to its money from basil on.

use serde::Deserialize;
use serde_json::{Value, json};

use super::line::Line;
use super::{Metadata, Scene, Shape, list, merged, seconds, set, usd};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::sample::event::Kind;
use crate::sample::random::derived_id;

/// An invoice (`in_…`). Sums that are not given are computed from the lines.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invoice {
    /// `in_…`
    pub id: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// A v2 account in the customer's place.
    pub customer_account: Option<String>,
    /// The customer's address.
    pub customer_email: Option<String>,
    /// `sub_…`
    pub subscription: Option<String>,
    /// Default `subscription_cycle` with a subscription, else `manual`; `"null"` writes a JSON null.
    pub billing_reason: Option<String>,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// Default: an hour before the event for invoices of a subscription's later periods, else the event's.
    pub created: Option<Time>,
    /// What was sold.
    #[serde(default)]
    pub lines: Vec<Line>,
    /// Stripe sent the first page of the lines only.
    #[serde(default)]
    pub has_more: bool,
    /// What coupons took off, in all.
    #[serde(default)]
    pub discount: i64,
    /// The promotion code (`promo_…`) behind the discount.
    pub promotion_code: Option<String>,
    /// The coupon behind the discount.
    pub coupon: Option<String>,
    /// Tax, in all.
    #[serde(default)]
    pub tax: i64,
    /// The tax is within the line amounts, not on top of them.
    #[serde(default)]
    pub tax_inclusive: bool,
    /// What credit grants took off before tax.
    #[serde(default)]
    pub pretax_credit: i64,
    /// The customer's balance before this invoice: negative is credit.
    #[serde(default)]
    pub starting_balance: i64,
    /// Default: the lines' sum.
    pub subtotal: Option<i64>,
    /// Default: subtotal − discount − credit grants, + tax unless inclusive.
    pub total: Option<i64>,
    /// Default: total + starting balance, at least 0.
    pub amount_due: Option<i64>,
    /// Default: the amount due where the event says paid, else 0. Out of band: 0 before basil, since then the amount due.
    pub amount_paid: Option<i64>,
    /// Default: the event's time where it says paid.
    pub paid_at: Option<Time>,
    /// Paid outside Stripe.
    #[serde(default)]
    pub out_of_band: bool,
    /// Default: what the event's type says.
    pub status: Option<String>,
    /// The invoice's own metadata.
    #[serde(default)]
    pub metadata: Metadata,
    /// The subscription's metadata when the invoice was made.
    #[serde(default)]
    pub subscription_metadata: Metadata,
    /// `pi_…`: in the invoice before basil, in `invoice_payment.paid` since.
    pub payment_intent: Option<String>,
    /// `ch_…`: in the invoice before basil.
    pub charge: Option<String>,
}

impl Default for Invoice {
    fn default() -> Self {
        Self {
            id: String::new(),
            customer: None,
            customer_account: None,
            customer_email: None,
            subscription: None,
            billing_reason: None,
            currency: usd(),
            created: None,
            lines: Vec::new(),
            has_more: false,
            discount: 0,
            promotion_code: None,
            coupon: None,
            tax: 0,
            tax_inclusive: false,
            pretax_credit: 0,
            starting_balance: 0,
            subtotal: None,
            total: None,
            amount_due: None,
            amount_paid: None,
            paid_at: None,
            out_of_band: false,
            status: None,
            metadata: Metadata::new(),
            subscription_metadata: Metadata::new(),
            payment_intent: None,
            charge: None,
        }
    }
}

impl Invoice {
    /// The lines' sum.
    pub fn subtotal(&self) -> i64 {
        self.subtotal.unwrap_or_else(|| self.lines.iter().map(|line| line.amount).sum())
    }

    /// What the customer owes before their balance.
    pub fn total(&self) -> i64 {
        let on_top = if self.tax_inclusive { 0 } else { self.tax };
        self.total.unwrap_or_else(|| self.subtotal() - self.discount - self.pretax_credit + on_top)
    }

    /// What is left to collect after the customer's balance.
    pub fn amount_due(&self) -> i64 {
        self.amount_due.unwrap_or_else(|| (self.total() + self.starting_balance).max(0))
    }

    /// What `amount_paid` says in an event of `kind`.
    pub fn amount_paid(&self, kind: &Kind, shape: Shape) -> i64 {
        self.amount_paid.unwrap_or_else(|| match kind {
            // Pins before basil leave out-of-band money out, also when they are rendered today.
            Kind::InvoicePaid | Kind::InvoicePaymentSucceeded if !self.out_of_band || shape == Shape::New => {
                self.amount_due()
            }
            _ => 0,
        })
    }

    fn status(&self, kind: &Kind) -> &str {
        self.status.as_deref().unwrap_or(match kind {
            Kind::InvoicePaid | Kind::InvoicePaymentSucceeded => "paid",
            Kind::InvoiceVoided => "void",
            Kind::InvoiceMarkedUncollectible => "uncollectible",
            _ => "open",
        })
    }

    fn billing_reason(&self) -> Option<&str> {
        match self.billing_reason.as_deref() {
            Some("null") => None,
            Some(reason) => Some(reason),
            None if self.subscription.is_some() => Some("subscription_cycle"),
            None => Some("manual"),
        }
    }

    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let mut parts = vec![self.heart(scene), self.surroundings(scene), self.sums(scene)];
        if scene.shape.has_legacy() {
            parts.push(self.legacy(scene));
        }
        if scene.shape.has_new() {
            parts.push(self.new_fields(scene));
        }
        merged(parts)
    }

    fn created(&self, scene: Scene<'_>) -> Time {
        // Stripe leaves a renewal's draft open for an hour.
        let draft = if self.billing_reason() == Some("subscription_cycle") { 3600 } else { 0 };
        self.created.unwrap_or(scene.at - chrono::Duration::seconds(draft))
    }

    fn heart(&self, scene: Scene<'_>) -> Value {
        let status = self.status(scene.kind);
        let paid_at = self.paid_at.or_else(|| (status == "paid").then_some(scene.at)).map(seconds);
        let changed_at = |wanted: &str| (status == wanted).then(|| seconds(scene.at));
        json!({
            "id": self.id, "object": "invoice",
            "billing_reason": self.billing_reason(),
            "created": seconds(self.created(scene)),
            "currency": self.currency,
            "customer": self.customer,
            "customer_email": self.customer_email,
            "customer_name": null, "customer_address": null, "customer_phone": null, "customer_shipping": null,
            "customer_tax_exempt": "none", "customer_tax_ids": [],
            "lines": list(&self.lines(scene), self.has_more, &format!("/v1/invoices/{}/lines", self.id)),
            "livemode": scene.livemode,
            "metadata": self.metadata,
            "period_end": seconds(self.created(scene)), "period_start": seconds(self.created(scene)),
            "status": status,
            "status_transitions": {
                "finalized_at": seconds(self.created(scene)),
                "marked_uncollectible_at": changed_at("uncollectible"),
                "paid_at": paid_at,
                "voided_at": changed_at("void"),
            },
        })
    }

    fn surroundings(&self, scene: Scene<'_>) -> Value {
        let failed = *scene.kind == Kind::InvoicePaymentFailed;
        merged([
            json!({
                "account_country": "DE", "account_name": "Example Software", "account_tax_ids": null,
                "application": null, "attempt_count": 1, "attempted": true, "auto_advance": failed,
                "automatic_tax": { "enabled": false, "liability": null, "status": null },
                "collection_method": if self.out_of_band { "send_invoice" } else { "charge_automatically" },
                "custom_fields": null, "default_payment_method": null, "default_source": null,
                "default_tax_rates": [], "description": null, "due_date": null,
                "effective_at": seconds(self.created(scene)), "footer": null, "from_invoice": null,
                "hosted_invoice_url": format!("https://invoice.stripe.com/i/acct_sample/{}?s=ap", self.id),
                "invoice_pdf": format!("https://pay.stripe.com/invoice/acct_sample/{}/pdf?s=ap", self.id),
            }),
            json!({
                "issuer": { "type": "self" }, "last_finalization_error": null, "latest_revision": null,
                "next_payment_attempt": failed.then(|| seconds(scene.at + chrono::Duration::days(3))),
                "number": derived_id("N", &[&self.id])[3..15].to_uppercase(),
                "on_behalf_of": null,
                "payment_settings": {
                    "default_mandate": null, "payment_method_options": null, "payment_method_types": null,
                },
                "receipt_number": null, "rendering": null, "shipping_cost": null, "shipping_details": null,
                "statement_descriptor": null, "test_clock": null, "webhooks_delivered_at": seconds(scene.at),
            }),
        ])
    }

    fn sums(&self, scene: Scene<'_>) -> Value {
        let (due, paid) = (self.amount_due(), self.amount_paid(scene.kind, scene.shape));
        let tax_within = if self.tax_inclusive { self.tax } else { 0 };
        let settled = matches!(self.status(scene.kind), "paid" | "void");
        json!({
            "amount_due": due,
            "amount_paid": paid,
            "amount_remaining": if settled { 0 } else { (due - paid).max(0) },
            "amount_shipping": 0,
            "discounts": self.discount_ids(),
            "ending_balance": self.starting_balance + self.total() - due,
            "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0,
            "starting_balance": self.starting_balance,
            "subtotal": self.subtotal(),
            "subtotal_excluding_tax": self.subtotal() - tax_within,
            "total": self.total(),
            "total_discount_amounts": self.discount_amounts(self.discount),
            "total_excluding_tax": self.total() - self.tax,
        })
    }

    fn legacy(&self, scene: Scene<'_>) -> Value {
        let discount = (!self.discount_ids().is_empty()).then(|| {
            json!({
                "id": self.discount_id(), "object": "discount", "checkout_session": null,
                "coupon": super::customer::coupon(self.coupon.as_deref().unwrap_or("COUPON"), scene),
                "customer": self.customer, "end": null, "invoice": self.id, "invoice_item": null,
                "promotion_code": self.promotion_code, "start": seconds(self.created(scene)), "subscription": null,
            })
        });
        let metadata = self.subscription.is_some().then_some(&self.subscription_metadata);
        json!({
            "application_fee_amount": null,
            "charge": self.charge,
            "discount": discount,
            "paid": self.status(scene.kind) == "paid",
            "paid_out_of_band": self.out_of_band,
            "payment_intent": self.payment_intent,
            "quote": null,
            "rendering_options": null,
            "subscription": self.subscription,
            "subscription_details": { "metadata": metadata },
            "tax": (self.tax != 0).then_some(self.tax),
            "total_tax_amounts": self.tax_amounts(self.tax, self.subtotal()),
            "transfer_data": null,
        })
    }

    fn new_fields(&self, scene: Scene<'_>) -> Value {
        let parent = self.subscription.as_ref().map(|subscription| {
            json!({
                "quote_details": null,
                "subscription_details": { "metadata": self.subscription_metadata, "subscription": subscription },
                "type": "subscription_details",
            })
        });
        let mut fields = json!({
            "amount_overpaid": 0,
            "automatically_finalizes_at": null,
            "customer_account": self.customer_account,
            "parent": parent,
            "total_pretax_credit_amounts": self.pretax_credits(self.discount, self.pretax_credit),
            "total_taxes": self.taxes(self.tax, self.subtotal()),
        });
        if self.out_of_band && scene.shape == Shape::New {
            set(&mut fields, "amount_paid_off_stripe", json!(self.amount_paid(scene.kind, scene.shape)));
        }
        fields
    }

    fn discount_id(&self) -> String {
        derived_id("di", &[&self.id])
    }

    fn discount_ids(&self) -> Vec<String> {
        let discounted = self.discount != 0 || self.promotion_code.is_some() || self.coupon.is_some();
        if discounted { vec![self.discount_id()] } else { Vec::new() }
    }

    pub(super) fn discount_amounts(&self, amount: i64) -> Vec<Value> {
        self.discount_ids().into_iter().map(|id| json!({ "amount": amount, "discount": id })).collect()
    }

    pub(super) fn pretax_credits(&self, discount: i64, credit: i64) -> Vec<Value> {
        let mut credits = Vec::new();
        if discount != 0 {
            credits.push(json!({ "amount": discount, "discount": self.discount_id(), "type": "discount" }));
        }
        if credit != 0 {
            credits.push(json!({
                "amount": credit, "type": "credit_balance_transaction",
                "credit_balance_transaction": derived_id("cbtxn", &[&self.id]),
            }));
        }
        credits
    }

    pub(super) fn tax_amounts(&self, amount: i64, taxable: i64) -> Vec<Value> {
        if self.tax == 0 {
            return Vec::new();
        }
        vec![json!({
            "amount": amount, "inclusive": self.tax_inclusive, "tax_rate": "txr_sample",
            "taxability_reason": "standard_rated", "taxable_amount": taxable,
        })]
    }

    pub(super) fn taxes(&self, amount: i64, taxable: i64) -> Vec<Value> {
        if self.tax == 0 {
            return Vec::new();
        }
        vec![json!({
            "amount": amount, "tax_behavior": if self.tax_inclusive { "inclusive" } else { "exclusive" },
            "tax_rate_details": { "tax_rate": "txr_sample" }, "taxability_reason": "standard_rated",
            "taxable_amount": taxable, "type": "tax_rate_details",
        })]
    }
}

/// Money that paid an invoice (`inpay_…`): since basil the only link between an invoice and its payment intent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoicePayment {
    /// `inpay_…`; default: derived from the invoice.
    pub id: Option<String>,
    /// `in_…`
    pub invoice: String,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// `ch_…`, where there is no payment intent.
    pub charge: Option<String>,
    /// What it paid.
    pub amount_paid: i64,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// Default: the event's time.
    pub paid_at: Option<Time>,
}

impl InvoicePayment {
    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let id = self.id.clone().unwrap_or_else(|| derived_id("inpay", &[&self.invoice]));
        let payment = match (&self.payment_intent, &self.charge) {
            (Some(intent), _) => json!({ "payment_intent": intent, "type": "payment_intent" }),
            (None, Some(charge)) => json!({ "charge": charge, "type": "charge" }),
            (None, None) => json!({ "payment_record": derived_id("pr", &[&id]), "type": "payment_record" }),
        };
        json!({
            "id": id, "object": "invoice_payment",
            "amount_paid": self.amount_paid, "amount_requested": self.amount_paid,
            "created": seconds(scene.at), "currency": self.currency, "invoice": self.invoice, "is_default": true,
            "livemode": scene.livemode, "payment": payment, "status": "paid",
            "status_transitions": { "canceled_at": null, "paid_at": seconds(self.paid_at.unwrap_or(scene.at)) },
        })
    }
}
