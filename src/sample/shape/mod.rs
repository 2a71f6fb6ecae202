//! Neutral descriptions as the JSON that Stripe sends, in the three shapes that merchants meet.

pub mod charge;
pub mod checkout;
pub mod customer;
pub mod invoice;
pub mod line;
pub mod taken_back;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::event::{Event, Kind, Object};
use super::random::derived_id;
use crate::domain::Time;
use invoice::InvoicePayment;

/// Metadata as merchants write it.
pub type Metadata = BTreeMap<String, String>;

/// Which fields Stripe sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Before basil, as archives and replays of those years have it.
    Legacy,
    /// An old pin rendered today: the legacy fields, and the new ones beside them.
    Hybrid,
    /// Basil (2025-03-31) and later: no link between an invoice and its charge but `invoice_payment.paid`.
    New,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 3] = [Self::Legacy, Self::Hybrid, Self::New];

    /// The fields of old are there.
    pub fn has_legacy(self) -> bool {
        self != Self::New
    }

    /// The fields of basil and later are there.
    pub fn has_new(self) -> bool {
        self != Self::Legacy
    }

    /// The version an event of this shape says it was made by.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Legacy => "2023-10-16",
            Self::Hybrid => "2022-11-15",
            Self::New => "2026-03-25.dahlia",
        }
    }
}

/// What the objects of one event share.
#[derive(Debug, Clone, Copy)]
struct Scene<'a> {
    shape: Shape,
    kind: &'a Kind,
    at: Time,
    livemode: bool,
}

/// The event's body in `shape`.
pub fn render(event: &Event, shape: Shape) -> Value {
    let scene = Scene { shape, kind: &event.kind, at: event.at, livemode: event.livemode };
    let object = match &event.object {
        Object::Invoice(it) => it.render(scene),
        Object::InvoicePayment(it) => it.render(scene),
        Object::Session(it) => it.render(scene),
        Object::PaymentIntent(it) => it.render(scene),
        Object::Charge(it) => it.render(scene),
        Object::Refund(it) => it.render(scene),
        Object::Dispute(it) => it.render(scene),
        Object::CreditNote(it) => it.render(scene),
        Object::Customer(it) => it.render(scene),
        Object::Subscription(it) => it.render(scene),
        Object::PromotionCode(it) => it.render(scene),
        Object::Other(it) => it.clone(),
    };
    let mut data = json!({ "object": object });
    if let Some(previous) = &event.previous {
        set(&mut data, "previous_attributes", previous.clone());
    }
    let mut body = json!({
        "id": event.id,
        "object": "event",
        "api_version": shape.api_version(),
        "created": seconds(event.at),
        "data": data,
        "livemode": event.livemode,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": derived_id("key", &[&event.id]) },
        "type": event.kind.as_str(),
    });
    if let Some(account) = &event.account {
        set(&mut body, "account", json!(account));
    }
    body
}

/// The event's body, and what else Stripe sends in `shape` to say as much as the description does: a new invoice
/// cannot name its payment intent or charge, so `invoice_payment.paid` follows it.
pub fn render_all(event: &Event, shape: Shape) -> Vec<Value> {
    let mut bodies = vec![render(event, shape)];
    if shape == Shape::New
        && let Object::Invoice(invoice) = &event.object
        && let Some(payment) = invoice.payment_link(event)
    {
        bodies.push(render(&payment, shape));
    }
    bodies
}

impl invoice::Invoice {
    /// The `invoice_payment.paid` event that carries what only a legacy invoice can say: how it was paid.
    pub fn payment_link(&self, paid: &Event) -> Option<Event> {
        if !matches!(paid.kind, Kind::InvoicePaid | Kind::InvoicePaymentSucceeded)
            || (self.payment_intent.is_none() && self.charge.is_none())
        {
            return None;
        }
        let payment = InvoicePayment {
            id: Some(derived_id("inpay", &[&self.id])),
            invoice: self.id.clone(),
            payment_intent: self.payment_intent.clone(),
            charge: if self.payment_intent.is_none() { self.charge.clone() } else { None },
            amount_paid: self.amount_paid(&paid.kind, Shape::New),
            currency: self.currency,
            paid_at: self.paid_at,
        };
        let mut event = Event::new(Kind::InvoicePaymentPaid, paid.at, Object::InvoicePayment(payment));
        event.id = derived_id("evt", &["invoice_payment.paid", &paid.id]);
        event.livemode = paid.livemode;
        event.account.clone_from(&paid.account);
        Some(event)
    }
}

/// A moment as Stripe writes it.
fn seconds(at: Time) -> i64 {
    at.timestamp()
}

/// Sets one field of a JSON object.
fn set(object: &mut Value, field: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(field.to_owned(), value);
    }
}

/// One JSON object of several, written apart so that each stays readable.
fn merged(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut fields = Map::new();
    for part in parts {
        if let Value::Object(more) = part {
            fields.extend(more);
        }
    }
    Value::Object(fields)
}

/// A list object as Stripe nests it.
fn list(data: &[Value], has_more: bool, url: &str) -> Value {
    json!({ "object": "list", "total_count": data.len(), "data": data, "has_more": has_more, "url": url })
}

/// `whole` in integer parts in proportion to `weights`, the remainders going to the largest fractions, first ones
/// first. Weights that are not positive get nothing.
pub(crate) fn spread(whole: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i128 = weights.iter().filter(|weight| **weight > 0).map(|weight| i128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut parts: Vec<i64> = Vec::with_capacity(weights.len());
    let mut fractions: Vec<(i128, usize)> = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        let product = i128::from(whole) * i128::from((*weight).max(0));
        parts.push(i64::try_from(product.div_euclid(sum)).expect("a part of an i64"));
        if *weight > 0 {
            fractions.push((-product.rem_euclid(sum), index));
        }
    }
    fractions.sort_unstable();
    let missing = whole - parts.iter().sum::<i64>();
    for (_, index) in fractions.iter().take(usize::try_from(missing).expect("fewer remainders than lines")) {
        parts[*index] += 1;
    }
    parts
}

/// The price object of legacy lines and of subscription items.
fn price(
    id: Option<&str>,
    product: Option<&str>,
    currency: &str,
    unit: i64,
    interval: Option<(&str, u32)>,
    metadata: &Metadata,
    scene: Scene<'_>,
) -> Value {
    let Some(id) = id else { return Value::Null };
    let recurring = interval.map(|(interval, count)| {
        json!({
            "aggregate_usage": null, "interval": interval, "interval_count": count, "meter": null,
            "trial_period_days": null, "usage_type": "licensed",
        })
    });
    json!({
        "id": id, "object": "price", "active": true, "billing_scheme": "per_unit", "created": PRICES_SINCE,
        "currency": currency, "custom_unit_amount": null, "livemode": scene.livemode, "lookup_key": null,
        "metadata": metadata, "nickname": null, "product": product, "recurring": recurring,
        "tax_behavior": "unspecified", "tiers_mode": null, "transform_quantity": null,
        "type": if interval.is_some() { "recurring" } else { "one_time" },
        "unit_amount": unit, "unit_amount_decimal": unit.to_string(),
    })
}

/// The plan object that stands beside a recurring price in legacy lines and in subscription items.
fn plan(
    id: Option<&str>,
    product: Option<&str>,
    currency: &str,
    unit: i64,
    interval: Option<(&str, u32)>,
    metadata: &Metadata,
    scene: Scene<'_>,
) -> Value {
    let (Some(id), Some((interval, count))) = (id, interval) else { return Value::Null };
    json!({
        "id": id, "object": "plan", "active": true, "aggregate_usage": null, "amount": unit,
        "amount_decimal": unit.to_string(), "billing_scheme": "per_unit", "created": PRICES_SINCE,
        "currency": currency, "interval": interval, "interval_count": count, "livemode": scene.livemode,
        "metadata": metadata, "meter": null, "nickname": null, "product": product, "tiers_mode": null,
        "transform_usage": null, "trial_period_days": null, "usage_type": "licensed",
    })
}

/// When the merchant made its prices: any moment does.
const PRICES_SINCE: i64 = 1_577_836_800;

/// The usd of descriptions that name no currency.
fn usd() -> crate::domain::currency::Currency {
    "usd".parse().expect("three letters")
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests;
