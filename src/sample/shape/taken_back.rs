//! Money taken back: refunds, disputes, credit notes.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Scene, Shape, list, merged, seconds, set, usd};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::sample::event::Kind;
use crate::sample::random::derived_id;

/// A refund (`re_…`, `pyr_…`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// What goes back.
    pub amount: i64,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// Default: the event's time, which is only right for `refund.created`.
    pub created: Option<Time>,
    /// `ch_…`
    pub charge: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// `pending`, `requires_action`, `succeeded`, `failed`, `canceled`, `"null"`; default `failed` in
    /// `refund.failed`, else `succeeded`.
    pub status: Option<String>,
    /// `duplicate`, `fraudulent`, `requested_by_customer`, `expired_uncaptured_charge`
    pub reason: Option<String>,
}

impl Default for Refund {
    fn default() -> Self {
        Self {
            id: String::new(),
            amount: 0,
            currency: usd(),
            created: None,
            charge: None,
            payment_intent: None,
            status: None,
            reason: None,
        }
    }
}

impl Refund {
    fn status(&self, kind: &Kind) -> Option<&str> {
        match self.status.as_deref() {
            Some("null") => None,
            Some(status) => Some(status),
            None if *kind == Kind::RefundFailed => Some("failed"),
            None => Some("succeeded"),
        }
    }

    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let status = self.status(scene.kind);
        let mut body = json!({
            "id": self.id, "object": "refund", "amount": self.amount, "balance_transaction": null,
            "charge": self.charge, "created": seconds(self.created.unwrap_or(scene.at)), "currency": self.currency,
            "destination_details": {
                "card": {
                    "reference": null, "reference_status": "pending", "reference_type": "acquirer_reference_number",
                    "type": "refund",
                },
                "type": "card",
            },
            "metadata": {}, "payment_intent": self.payment_intent, "reason": self.reason, "receipt_number": null,
            "source_transfer_reversal": null, "status": status, "transfer_reversal": null,
        });
        if status == Some("failed") {
            set(&mut body, "failure_balance_transaction", json!(derived_id("txn", &[&self.id, "failed"])));
            set(&mut body, "failure_reason", json!("unknown"));
        }
        body
    }
}

/// A dispute (`dp_…`, `du_…`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// `dp_…`
    pub id: String,
    /// What is disputed.
    pub amount: i64,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// Default: the event's time, which is only right for `charge.dispute.created`.
    pub created: Option<Time>,
    /// `ch_…`
    pub charge: String,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// Default `won` where funds are reinstated, `lost` where closed, else `needs_response`.
    pub status: Option<String>,
    /// Default `fraudulent`.
    pub reason: Option<String>,
    /// The withdrawal stands among the balance transactions. Default: in `funds_withdrawn` and `funds_reinstated`,
    /// and where the status is `lost`.
    pub withdrawn: Option<bool>,
    /// So does the return. Default: in `funds_reinstated`.
    pub reinstated: Option<bool>,
}

impl Default for Dispute {
    fn default() -> Self {
        Self {
            id: String::new(),
            amount: 0,
            currency: usd(),
            created: None,
            charge: String::new(),
            payment_intent: None,
            status: None,
            reason: None,
            withdrawn: None,
            reinstated: None,
        }
    }
}

impl Dispute {
    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let kind = scene.kind;
        let status = self.status.as_deref().unwrap_or(match kind {
            Kind::DisputeFundsReinstated => "won",
            Kind::DisputeClosed => "lost",
            _ => "needs_response",
        });
        let withdrawn = self
            .withdrawn
            .unwrap_or(matches!(kind, Kind::DisputeFundsWithdrawn | Kind::DisputeFundsReinstated) || status == "lost");
        let reinstated = self.reinstated.unwrap_or(*kind == Kind::DisputeFundsReinstated);
        let mut movements = Vec::new();
        if withdrawn {
            movements.push(self.movement(-self.amount, 1500, "dispute", scene));
        }
        if reinstated {
            movements.push(self.movement(self.amount, 0, "dispute_reversal", scene));
        }
        let case = if status.starts_with("warning") { "inquiry" } else { "chargeback" };
        json!({
            "id": self.id, "object": "dispute", "amount": self.amount, "balance_transactions": movements,
            "charge": self.charge, "created": seconds(self.created.unwrap_or(scene.at)), "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": {
                "access_activity_log": null, "billing_address": null, "cancellation_policy": null,
                "customer_communication": null, "customer_email_address": null, "customer_name": null,
                "customer_purchase_ip": null, "product_description": null, "receipt": null, "refund_policy": null,
                "service_date": null, "uncategorized_file": null, "uncategorized_text": null,
            },
            "evidence_details": { "due_by": null, "has_evidence": false, "past_due": false, "submission_count": 0 },
            "is_charge_refundable": false, "livemode": scene.livemode, "metadata": {},
            "payment_intent": self.payment_intent,
            "payment_method_details": {
                "card": { "brand": "visa", "case_type": case, "network_reason_code": "10.4" }, "type": "card",
            },
            "reason": self.reason.as_deref().unwrap_or("fraudulent"), "status": status,
        })
    }

    fn movement(&self, amount: i64, fee: i64, category: &str, scene: Scene<'_>) -> Value {
        json!({
            "id": derived_id("txn", &[&self.id, category]), "object": "balance_transaction", "amount": amount,
            "available_on": seconds(scene.at), "created": seconds(scene.at), "currency": self.currency,
            "description": format!("Chargeback for {}", self.charge), "exchange_rate": null, "fee": fee,
            "fee_details": [], "net": amount - fee, "reporting_category": category, "source": self.id,
            "status": "pending", "type": "adjustment",
        })
    }
}

/// A credit note (`cn_…`). What is neither refunded nor out of band is credited to the customer's balance.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditNote {
    /// `cn_…`
    pub id: String,
    /// `in_…`
    pub invoice: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// The whole note, tax included.
    pub amount: i64,
    /// The tax within it.
    #[serde(default)]
    pub tax: i64,
    /// Default usd.
    #[serde(default = "usd")]
    pub currency: Currency,
    /// Default: the event's time.
    pub created: Option<Time>,
    /// `re_…`
    pub refund: Option<String>,
    /// The part that the refund gives back. Default: with a refund, the amount but for what is out of band.
    pub refund_amount: Option<i64>,
    /// The part given back outside Stripe.
    #[serde(default)]
    pub out_of_band_amount: i64,
    /// Issued before the invoice was paid: it lowers what is due.
    #[serde(default)]
    pub pre_payment: bool,
    /// Default: what the event's type says.
    pub status: Option<String>,
}

impl Default for CreditNote {
    fn default() -> Self {
        Self {
            id: String::new(),
            invoice: String::new(),
            customer: None,
            amount: 0,
            tax: 0,
            currency: usd(),
            created: None,
            refund: None,
            refund_amount: None,
            out_of_band_amount: 0,
            pre_payment: false,
            status: None,
        }
    }
}

impl CreditNote {
    /// The part that its refund gives back.
    pub fn refund_amount(&self) -> i64 {
        let all = if self.refund.is_some() { self.amount - self.out_of_band_amount } else { 0 };
        self.refund_amount.unwrap_or(all)
    }

    /// The part credited to the customer's balance.
    pub fn credited(&self) -> i64 {
        if self.pre_payment { 0 } else { self.amount - self.refund_amount() - self.out_of_band_amount }
    }

    pub(super) fn render(&self, scene: Scene<'_>) -> Value {
        let voided = *scene.kind == Kind::CreditNoteVoided;
        let status = self.status.as_deref().unwrap_or(if voided { "void" } else { "issued" });
        let net = self.amount - self.tax;
        let line = json!({
            "id": derived_id("cnli", &[&self.id]), "object": "credit_note_line_item", "amount": net,
            "description": "Credit", "discount_amount": 0, "discount_amounts": [], "livemode": scene.livemode,
            "quantity": 1, "tax_rates": [], "type": "custom_line_item", "unit_amount": net,
            "unit_amount_decimal": net.to_string(),
        });
        let mut parts = vec![json!({
            "id": self.id, "object": "credit_note", "amount": self.amount, "amount_shipping": 0,
            "created": seconds(self.created.unwrap_or(scene.at)), "currency": self.currency,
            "customer": self.customer,
            "customer_balance_transaction": (self.credited() > 0).then(|| derived_id("cbtxn", &[&self.id])),
            "discount_amount": 0, "discount_amounts": [], "effective_at": null, "invoice": self.invoice,
            "lines": list(&[line], false, &format!("/v1/credit_notes/{}/lines", self.id)),
            "livemode": scene.livemode, "memo": null, "metadata": {}, "number": "SAMPLE-0001-CN-01",
            "out_of_band_amount": (self.out_of_band_amount > 0).then_some(self.out_of_band_amount),
            "pdf": null, "reason": null, "shipping_cost": null, "status": status,
            "subtotal": net, "subtotal_excluding_tax": net, "total": self.amount, "total_excluding_tax": net,
            "type": if self.pre_payment { "pre_payment" } else { "post_payment" },
            "voided_at": voided.then(|| seconds(scene.at)),
        })];
        if scene.shape != Shape::New {
            parts.push(json!({ "refund": self.refund, "tax_amounts": [] }));
        }
        if scene.shape.has_new() {
            let refunds: Vec<Value> = self
                .refund
                .iter()
                .map(|refund| json!({ "amount_refunded": self.refund_amount(), "refund": refund, "type": "refund" }))
                .collect();
            parts.push(json!({
                "post_payment_amount": if self.pre_payment { 0 } else { self.amount },
                "pre_payment_amount": if self.pre_payment { self.amount } else { 0 },
                "pretax_credit_amounts": [], "refunds": refunds, "total_taxes": [],
            }));
        }
        merged(parts)
    }
}
