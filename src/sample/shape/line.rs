//! Lines of an invoice.

use chrono::Months;
use serde::Deserialize;
use serde_json::{Value, json};

use super::invoice::Invoice;
use super::{Metadata, Scene, merged, plan, price, seconds, spread};
use crate::domain::Time;
use crate::sample::random::derived_id;

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Default: derived from the invoice and the line's place.
    pub id: Option<String>,
    /// What it adds to the subtotal.
    pub amount: i64,
    /// `price_…`
    pub price: Option<String>,
    /// `prod_…`
    pub product: Option<String>,
    /// `day`, `week`, `month`, `year`; left out for one-time prices. Lines of the new shape cannot show it.
    pub interval: Option<String>,
    /// Default 1.
    #[serde(default = "one")]
    pub interval_count: u32,
    /// Default 1.
    #[serde(default = "one")]
    pub quantity: u32,
    /// Default: the event's time.
    pub period_start: Option<Time>,
    /// Default: one interval after the start, or the start itself.
    pub period_end: Option<Time>,
    /// A proration.
    #[serde(default)]
    pub proration: bool,
    /// Came from an invoice item. Default: prorations, and everything where the invoice has no subscription.
    pub invoice_item: Option<bool>,
    /// Default: the subscription's metadata on a subscription's lines.
    pub metadata: Option<Metadata>,
    /// The price's metadata, which only legacy lines show.
    #[serde(default)]
    pub price_metadata: Metadata,
}

fn one() -> u32 {
    1
}

impl Default for Line {
    fn default() -> Self {
        Self {
            id: None,
            amount: 0,
            price: None,
            product: None,
            interval: None,
            interval_count: 1,
            quantity: 1,
            period_start: None,
            period_end: None,
            proration: false,
            invoice_item: None,
            metadata: None,
            price_metadata: Metadata::new(),
        }
    }
}

impl Line {
    fn unit(&self) -> i64 {
        self.amount / i64::from(self.quantity.max(1))
    }

    /// Where the period ends that starts at `start`.
    fn ends(&self, start: Time) -> Time {
        let count = self.interval_count;
        let end = match self.interval.as_deref() {
            Some("year") => start.checked_add_months(Months::new(12 * count)),
            Some("month") => start.checked_add_months(Months::new(count)),
            Some("week") => Some(start + chrono::Duration::weeks(i64::from(count))),
            Some("day") => Some(start + chrono::Duration::days(i64::from(count))),
            _ => Some(start),
        };
        end.unwrap_or(start)
    }
}

/// A line's part of what concerns its whole invoice.
#[derive(Debug, Clone, Copy)]
struct Share {
    discount: i64,
    credit: i64,
    tax: i64,
}

impl Invoice {
    pub(super) fn lines(&self, scene: Scene<'_>) -> Vec<Value> {
        let weights: Vec<i64> = self.lines.iter().map(|line| line.amount).collect();
        let discounts = spread(self.discount, &weights);
        let credits = spread(self.pretax_credit, &weights);
        let taxes = spread(self.tax, &weights);
        let line = |(place, line): (usize, &Line)| {
            let share = Share { discount: discounts[place], credit: credits[place], tax: taxes[place] };
            self.line(place, line, share, scene)
        };
        self.lines.iter().enumerate().map(line).collect()
    }

    fn line(&self, place: usize, line: &Line, share: Share, scene: Scene<'_>) -> Value {
        let id = line.id.clone().unwrap_or_else(|| derived_id("il", &[&self.id, &place.to_string()]));
        let item = line.invoice_item.unwrap_or(line.proration || self.subscription.is_none());
        let start = line.period_start.unwrap_or(scene.at);
        let end = line.period_end.unwrap_or_else(|| line.ends(start));
        let mirrored = if item { Metadata::new() } else { self.subscription_metadata.clone() };
        let mut parts = vec![json!({
            "id": id, "object": "line_item",
            "amount": line.amount,
            "currency": self.currency,
            "description": format!("{} × {}", line.quantity, line.product.as_deref().unwrap_or("item")),
            "discount_amounts": self.discount_amounts(share.discount),
            "discountable": true,
            "discounts": [],
            "invoice": self.id,
            "livemode": scene.livemode,
            "metadata": line.metadata.as_ref().unwrap_or(&mirrored),
            "period": { "end": seconds(end), "start": seconds(start) },
            "quantity": line.quantity,
            "subscription": self.subscription,
        })];
        if scene.shape.has_legacy() {
            parts.push(self.legacy_line(line, item, share, scene));
        }
        if scene.shape.has_new() {
            parts.push(self.new_line(line, item, share));
        }
        merged(parts)
    }

    fn legacy_line(&self, line: &Line, item: bool, share: Share, scene: Scene<'_>) -> Value {
        let interval = line.interval.as_deref().map(|interval| (interval, line.interval_count));
        let (id, product, currency) = (line.price.as_deref(), line.product.as_deref(), self.currency.as_str());
        let within = if self.tax_inclusive { share.tax } else { 0 };
        let unit = line.unit();
        json!({
            "amount_excluding_tax": line.amount - within,
            "invoice_item": item.then(|| self.item_id(line)),
            "plan": plan(id, product, currency, unit, interval, &line.price_metadata, scene),
            "price": price(id, product, currency, unit, interval, &line.price_metadata, scene),
            "proration": line.proration,
            "proration_details": { "credited_items": null },
            "subscription_item": (!item).then(|| derived_id("si", &[&self.id])),
            "tax_amounts": self.tax_amounts(share.tax, line.amount),
            "tax_rates": [],
            "type": if item { "invoiceitem" } else { "subscription" },
            "unit_amount_excluding_tax": unit.to_string(),
        })
    }

    fn new_line(&self, line: &Line, item: bool, share: Share) -> Value {
        let proration = json!({ "credited_items": null });
        let (invoice_item, subscription_item) = if item {
            let details = json!({
                "invoice_item": self.item_id(line),
                "proration": line.proration, "proration_details": proration, "subscription": self.subscription,
            });
            (details, Value::Null)
        } else {
            let details = json!({
                "invoice_item": null, "proration": line.proration, "proration_details": proration,
                "subscription": self.subscription, "subscription_item": derived_id("si", &[&self.id]),
            });
            (Value::Null, details)
        };
        let pricing = line.price.as_ref().map(|price| {
            json!({
                "price_details": { "price": price, "product": line.product },
                "type": "price_details", "unit_amount_decimal": line.unit().to_string(),
            })
        });
        json!({
            "parent": {
                "invoice_item_details": invoice_item, "subscription_item_details": subscription_item,
                "type": if item { "invoice_item_details" } else { "subscription_item_details" },
            },
            "pretax_credit_amounts": self.pretax_credits(share.discount, share.credit),
            "pricing": pricing,
            "subtotal": line.amount,
            "taxes": self.taxes(share.tax, line.amount),
        })
    }

    fn item_id(&self, line: &Line) -> String {
        derived_id("ii", &[line.price.as_deref().unwrap_or_default(), &self.id])
    }
}
