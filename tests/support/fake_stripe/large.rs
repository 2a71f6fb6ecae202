//! An account with so many objects that none is kept: each is written from its number when it is asked for.
//!
//! One customer in twelve invoices has one subscription; every invoice was paid by a card; every twenty-fifth charge was
//! refunded in part, every thousandth is disputed.

use std::fmt::Write as _;

use commission_bridge::domain::Time;
use commission_bridge::sample::event::{Kind as Happens, Object};
use commission_bridge::sample::shape::charge::{Charge, PaymentIntent};
use commission_bridge::sample::shape::customer::{Customer, Item, Subscription};
use commission_bridge::sample::shape::invoice::{Invoice, InvoicePayment};
use commission_bridge::sample::shape::line::Line;
use commission_bridge::sample::shape::taken_back::{Dispute, Refund};
use commission_bridge::sample::{Event, Shape, render};
use serde_json::{Value, json};

use super::expand::Wanted;
use super::kinds::Kind;
use super::shelf::{Ask, NoSuch};

const PER_CUSTOMER: usize = 12;
const REFUNDED_OF: usize = 25;
const DISPUTED_OF: usize = 1000;
/// Seconds between two invoices.
const PACE: i64 = 20;
const PARTNERS: usize = 50;

/// What of a text depends on the object's number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Slot {
    /// The invoice's number, in nine digits.
    Sale,
    /// The customer's.
    Customer,
    /// The customer's partner.
    Partner,
    /// When the sale was made.
    At,
    /// When the customer came.
    Since,
}

/// The marks for them; numbers that nothing else in a body has.
const MARKS: [(&str, Slot); 5] = [
    ("@sale@", Slot::Sale),
    ("@customer@", Slot::Customer),
    ("@partner@", Slot::Partner),
    ("1700000000", Slot::At),
    ("1600000000", Slot::Since),
];

#[derive(Debug)]
struct Template(Vec<(String, Option<Slot>)>);

impl Template {
    fn of(body: &Value) -> Self {
        let mut parts = vec![(body.to_string(), None)];
        for (mark, slot) in MARKS {
            parts = parts.into_iter().flat_map(|part| cut(part, mark, slot)).collect();
        }
        Self(parts)
    }

    fn write(&self, out: &mut String, fill: impl Fn(Slot) -> String) {
        for (text, slot) in &self.0 {
            out.push_str(text);
            if let Some(slot) = slot {
                out.push_str(&fill(*slot));
            }
        }
    }
}

fn cut((text, last): (String, Option<Slot>), mark: &str, slot: Slot) -> Vec<(String, Option<Slot>)> {
    let mut parts: Vec<(String, Option<Slot>)> = text.split(mark).map(|part| (part.to_owned(), Some(slot))).collect();
    if let Some(end) = parts.last_mut() {
        end.1 = last;
    }
    parts
}

/// The account.
#[derive(Debug)]
pub struct Large {
    sales: usize,
    start: i64,
    /// As it is, and with everything expanded.
    templates: Vec<(Kind, Template, Template)>,
}

fn time(seconds: i64) -> Option<Time> {
    Time::from_timestamp(seconds, 0)
}

fn body(kind: Happens, object: Object) -> Value {
    render(&Event::new(kind, time(1_700_000_000).unwrap(), object), Shape::New)["data"]["object"].take()
}

impl Large {
    pub(super) fn new(objects: usize, start: Time) -> Self {
        // Invoice, intent and charge; a customer and a subscription for twelve of them; refunds and disputes.
        let of_thousand = 3000 + 2 * 1000 / PER_CUSTOMER + 1000 / REFUNDED_OF + 1000 / DISPUTED_OF;
        Self { sales: objects * 1000 / of_thousand, start: start.timestamp(), templates: templates() }
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Invoice | Kind::Intent | Kind::Charge => self.sales,
            Kind::Customer | Kind::Subscription => self.sales.div_ceil(PER_CUSTOMER),
            Kind::Refund => self.sales.div_ceil(REFUNDED_OF),
            Kind::Dispute => self.sales.div_ceil(DISPUTED_OF),
            _ => 0,
        }
    }

    fn step(kind: Kind) -> usize {
        match kind {
            Kind::Customer | Kind::Subscription => PER_CUSTOMER,
            Kind::Refund => REFUNDED_OF,
            Kind::Dispute => DISPUTED_OF,
            _ => 1,
        }
    }

    fn prefix(kind: Kind) -> &'static str {
        match kind {
            Kind::Invoice => "in_",
            Kind::Intent => "pi_",
            Kind::Charge => "ch_",
            Kind::Customer => "cus_",
            Kind::Subscription => "sub_",
            Kind::Refund => "re_",
            _ => "dp_",
        }
    }

    fn at(&self, sale: usize) -> i64 {
        self.start + PACE * i64::try_from(sale).unwrap()
    }

    /// The place of an object among those of its kind.
    fn place(&self, kind: Kind, id: &str) -> Option<usize> {
        let number: usize = id.strip_prefix(Self::prefix(kind))?.parse().ok()?;
        let place = if matches!(kind, Kind::Customer | Kind::Subscription) {
            number
        } else {
            number.is_multiple_of(Self::step(kind)).then_some(number / Self::step(kind))?
        };
        (place < self.count(kind)).then_some(place)
    }

    fn write(&self, out: &mut String, kind: Kind, place: usize, expanded: bool) {
        let Some((_, plain, whole)) = self.templates.iter().find(|(known, ..)| *known == kind) else { return };
        let sale = place * Self::step(kind);
        let customer = sale / PER_CUSTOMER;
        let fill = |slot| match slot {
            Slot::Sale => format!("{sale:09}"),
            Slot::Customer => format!("{customer:09}"),
            Slot::Partner => format!("partner-{:02}", customer % PARTNERS),
            Slot::At => self.at(sale).to_string(),
            Slot::Since => self.at(customer * PER_CUSTOMER).to_string(),
        };
        if expanded { whole } else { plain }.write(out, fill);
    }

    pub(super) fn one(&self, kind: Kind, id: &str, wanted: &Wanted) -> Option<String> {
        let place = self.place(kind, id)?;
        let mut text = String::new();
        self.write(&mut text, kind, place, !wanted.is_nothing());
        Some(text)
    }

    /// One page. Of the filters only those by a customer, an intent or a charge are known.
    pub(super) fn page(&self, kind: Kind, ask: &Ask, wanted: &Wanted, url: &str) -> Result<String, NoSuch> {
        let place = |id: &Option<String>| match id {
            None => Ok(None),
            Some(id) => self.place(kind, id).map(Some).ok_or_else(|| NoSuch(id.clone())),
        };
        let (after, before) = (place(&ask.starting_after)?, place(&ask.ending_before)?);
        let step = PACE * i64::try_from(Self::step(kind)).unwrap();
        let until_place = |moment: i64| {
            let places = moment.saturating_sub(self.start).max(0) / step;
            usize::try_from(places).unwrap_or(usize::MAX)
        };
        let is_round = ask.from.saturating_sub(self.start).max(0) % step == 0;
        let mut low = until_place(ask.from) + usize::from(!is_round);
        let mut high = if ask.until < self.start { 0 } else { until_place(ask.until).saturating_add(1) };
        high = high.min(self.count(kind)).min(after.unwrap_or(usize::MAX));
        low = low.max(before.map_or(0, |place| place + 1));
        for (_, value) in &ask.filters {
            let Some(number) = value.split('_').nth(1).and_then(|text| text.parse::<usize>().ok()) else { continue };
            let (from, until) = if value.starts_with("cus_") {
                let per = PER_CUSTOMER / Self::step(kind).min(PER_CUSTOMER);
                (number * per, (number + 1) * per)
            } else if number.is_multiple_of(Self::step(kind)) {
                (number / Self::step(kind), number / Self::step(kind) + 1)
            } else {
                (0, 0)
            };
            (low, high) = (low.max(from), high.min(until));
        }
        low = low.min(high);
        let (from, until) = if before.is_some() {
            (low, high.min(low + ask.limit))
        } else {
            (low.max(high.saturating_sub(ask.limit)), high)
        };
        let has_more = if before.is_some() { until < high } else { from > low };
        let mut text = String::with_capacity(4096 * (until - from) + 128);
        text.push_str("{\"object\":\"list\",\"data\":[");
        for place in (from..until).rev() {
            self.write(&mut text, kind, place, !wanted.is_nothing());
            text.push(if place == from { ' ' } else { ',' });
        }
        let _ = write!(text, "],\"has_more\":{has_more},\"url\":\"{url}\"}}");
        Ok(text)
    }
}

/// The bodies with marks in them.
fn templates() -> Vec<(Kind, Template, Template)> {
    let charge = charge();
    let intent = intent();
    let invoice = body(Happens::InvoicePaid, Object::Invoice(Box::new(invoice())));
    let paid = InvoicePayment {
        id: Some("inpay_@sale@".to_owned()),
        invoice: "in_@sale@".to_owned(),
        payment_intent: Some("pi_@sale@".to_owned()),
        charge: None,
        amount_paid: 4900,
        currency: "usd".parse().unwrap(),
        paid_at: None,
    };
    let paid = body(Happens::InvoicePaymentPaid, Object::InvoicePayment(paid));
    let mut invoice_whole = invoice.clone();
    invoice_whole["payments"] = json!({ "object": "list", "data": [paid], "has_more": false,
        "url": "/v1/invoice_payments?invoice=in_@sale@" });
    let mut charge_whole = charge.clone();
    charge_whole["balance_transaction"] = json!({
        "id": "txn_@sale@", "object": "balance_transaction", "amount": 4900, "available_on": 1_700_000_000,
        "created": 1_700_000_000, "currency": "usd", "description": null, "exchange_rate": null, "fee": 172,
        "fee_details": [], "net": 4728, "reporting_category": "charge", "source": "ch_@sale@", "status": "available",
        "type": "charge",
    });
    let mut intent_whole = intent.clone();
    intent_whole["latest_charge"] = charge_whole.clone();
    charge_whole["payment_intent"] = intent.clone();
    let same = |kind, body: &Value| (kind, Template::of(body), Template::of(body));
    vec![
        (Kind::Invoice, Template::of(&invoice), Template::of(&invoice_whole)),
        (Kind::Charge, Template::of(&charge), Template::of(&charge_whole)),
        (Kind::Intent, Template::of(&intent), Template::of(&intent_whole)),
        same(Kind::Customer, &customer()),
        same(Kind::Subscription, &subscription()),
        same(Kind::Refund, &refund()),
        same(Kind::Dispute, &dispute()),
    ]
}

fn invoice() -> Invoice {
    Invoice {
        id: "in_@sale@".to_owned(),
        customer: Some("cus_@customer@".to_owned()),
        customer_email: Some("buyer-@customer@@example.com".to_owned()),
        subscription: Some("sub_@customer@".to_owned()),
        billing_reason: Some("subscription_cycle".to_owned()),
        created: time(1_700_000_000),
        lines: vec![Line {
            id: Some("il_@sale@".to_owned()),
            amount: 4900,
            price: Some("price_pro".to_owned()),
            product: Some("prod_pro".to_owned()),
            interval: Some("month".to_owned()),
            period_end: time(1_700_000_000),
            ..Line::default()
        }],
        subscription_metadata: [("partner_key".to_owned(), "@partner@".to_owned())].into(),
        ..Invoice::default()
    }
}

fn charge() -> Value {
    let charge = Charge {
        id: "ch_@sale@".to_owned(),
        amount: 4900,
        created: time(1_700_000_000),
        customer: Some("cus_@customer@".to_owned()),
        email: Some("buyer-@customer@@example.com".to_owned()),
        payment_intent: Some("pi_@sale@".to_owned()),
        ..Charge::default()
    };
    let mut charge = body(Happens::ChargeSucceeded, Object::Charge(Box::new(charge)));
    charge["balance_transaction"] = json!("txn_@sale@");
    charge
}

fn intent() -> Value {
    let intent = PaymentIntent {
        id: "pi_@sale@".to_owned(),
        amount: 4900,
        created: time(1_700_000_000),
        charge: Some("ch_@sale@".to_owned()),
        customer: Some("cus_@customer@".to_owned()),
        ..PaymentIntent::default()
    };
    body(Happens::PaymentIntentSucceeded, Object::PaymentIntent(intent))
}

fn customer() -> Value {
    let customer = Customer {
        id: "cus_@customer@".to_owned(),
        email: Some("buyer-@customer@@example.com".to_owned()),
        created: time(1_600_000_000),
        ..Customer::default()
    };
    body(Happens::CustomerCreated, Object::Customer(customer))
}

fn subscription() -> Value {
    let subscription = Subscription {
        id: "sub_@customer@".to_owned(),
        customer: Some("cus_@customer@".to_owned()),
        created: time(1_600_000_000),
        items: vec![Item {
            price: "price_pro".to_owned(),
            product: Some("prod_pro".to_owned()),
            amount: 4900,
            interval: "month".to_owned(),
            price_metadata: [].into(),
            metadata: [].into(),
        }],
        metadata: [("partner_key".to_owned(), "@partner@".to_owned())].into(),
        ..Subscription::default()
    };
    body(Happens::SubscriptionCreated, Object::Subscription(subscription))
}

fn refund() -> Value {
    let refund = Refund {
        id: "re_@sale@".to_owned(),
        amount: 900,
        created: time(1_700_000_000),
        charge: Some("ch_@sale@".to_owned()),
        payment_intent: Some("pi_@sale@".to_owned()),
        ..Refund::default()
    };
    body(Happens::RefundCreated, Object::Refund(refund))
}

fn dispute() -> Value {
    let dispute = Dispute {
        id: "dp_@sale@".to_owned(),
        amount: 4900,
        created: time(1_700_000_000),
        charge: "ch_@sale@".to_owned(),
        payment_intent: Some("pi_@sale@".to_owned()),
        ..Dispute::default()
    };
    body(Happens::DisputeFundsWithdrawn, Object::Dispute(dispute))
}
