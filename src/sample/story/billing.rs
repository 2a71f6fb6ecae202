//! Bills: an invoice, the card payment behind it, and the sale that it makes.

use chrono::Duration;

use super::buyer::{Buyer, Clue, Tax};
use super::{Teller, whole};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::sample::books::{Fraction, Part, Sale, SaleKind};
use crate::sample::event::{Kind, Object};
use crate::sample::merchant::InvoiceEvents;
use crate::sample::random::derived_id;
use crate::sample::shape::charge::{Charge, PaymentIntent};
use crate::sample::shape::invoice::Invoice;
use crate::sample::shape::line::Line;
use crate::sample::shape::{Metadata, spread};

/// Something that can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// The `product_key`.
    pub key: &'static str,
    /// `month`, `year`, or nothing for one-time prices.
    pub interval: Option<&'static str>,
    pub amount: i64,
}

impl Plan {
    pub(super) fn product(&self) -> String {
        derived_id("prod", &["sample", self.key])
    }

    pub(super) fn price(&self, currency: Currency) -> String {
        derived_id("price", &[self.key, self.interval.unwrap_or("once"), currency.as_str(), &self.amount.to_string()])
    }
}

/// One line of a bill.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub plan: Plan,
    pub amount: i64,
    pub start: Time,
    pub end: Time,
    pub proration: bool,
}

/// How a bill is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pay {
    Card,
    /// Declined at first, and paid so much later.
    Retried(Duration),
    /// Outside Stripe, so much later.
    OutOfBand(Duration),
}

/// An invoice to be paid.
#[derive(Debug, Clone)]
pub(super) struct Bill {
    pub subscription: Option<String>,
    pub subscription_metadata: Metadata,
    pub metadata: Metadata,
    pub reason: &'static str,
    pub kind: SaleKind,
    pub entries: Vec<Entry>,
    pub discount: i64,
    pub code: Option<String>,
    /// Further ids that the sale goes by.
    pub refs: Vec<String>,
    pub due_at: Time,
    pub pay: Pay,
}

/// A sale as what happens to it later needs it.
#[derive(Debug, Clone)]
pub(super) struct Paid {
    /// Its place among the buyer's sales.
    pub sale: usize,
    pub invoice: Option<String>,
    pub charge: Option<ChargeMade>,
    pub amount: i64,
    pub total: i64,
    pub tax: i64,
    pub at: Time,
}

/// A card payment.
#[derive(Debug, Clone)]
pub(super) struct ChargeMade {
    pub id: String,
    pub intent: String,
    pub amount: i64,
    pub refunded: i64,
    pub invoice: Option<String>,
    pub at: Time,
}

impl Teller<'_> {
    /// Sends the bill, has it paid, and enters the sale.
    pub(super) fn bill(&mut self, buyer: &mut Buyer, bill: &Bill) -> Paid {
        let id = self.id("in");
        let mut invoice = invoice(buyer, bill, id.clone());
        let (total, due) = (invoice.total(), invoice.amount_due());
        buyer.balance = -(invoice.starting_balance + total - due);
        let delay = match bill.pay {
            Pay::Retried(delay) | Pay::OutOfBand(delay) if due > 0 => delay,
            _ => Duration::zero(),
        };
        let paid_at = bill.due_at + delay;
        invoice.paid_at = Some(paid_at);
        invoice.out_of_band = matches!(bill.pay, Pay::OutOfBand(_)) && due > 0;
        if matches!(bill.pay, Pay::Retried(_)) && due > 0 {
            self.declined(buyer, &invoice, bill.due_at);
        }
        let charge =
            (due > 0 && !invoice.out_of_band).then(|| self.card(buyer, Some(&id), due, paid_at, &Metadata::new()));
        if let Some(charge) = &charge {
            invoice.charge = Some(charge.id.clone());
            invoice.payment_intent = Some(charge.intent.clone());
        }
        let mut refs = vec![id.clone()];
        refs.extend(charge.iter().flat_map(|it| [it.intent.clone(), it.id.clone()]));
        refs.extend(bill.refs.iter().cloned());
        let seen_at = paid_at + Duration::seconds(1);
        self.invoice_paid(&invoice, seen_at);
        let parts = parts(&invoice, bill, due);
        let period_start = period_start(bill);
        let sale = enter(buyer, refs, bill.kind, parts, due, period_start, (paid_at, seen_at));
        Paid { sale, invoice: Some(id), charge, amount: due, total, tax: invoice.tax, at: seen_at }
    }

    /// A failed attempt.
    fn declined(&mut self, buyer: &Buyer, invoice: &Invoice, at: Time) {
        let charge = Charge {
            id: self.id("ch"),
            amount: invoice.amount_due(),
            currency: invoice.currency,
            customer: buyer.customer.clone(),
            invoice: Some(invoice.id.clone()),
            payment_intent: Some(self.id("pi")),
            ..Charge::default()
        };
        self.happen(Kind::ChargeFailed, at, Object::Charge(Box::new(charge)));
        let open = Invoice { paid_at: None, ..invoice.clone() };
        self.happen(Kind::InvoicePaymentFailed, at + Duration::seconds(1), Object::Invoice(Box::new(open)));
    }

    /// The events of a card payment.
    pub(super) fn card(
        &mut self,
        buyer: &Buyer,
        invoice: Option<&str>,
        amount: i64,
        at: Time,
        metadata: &Metadata,
    ) -> ChargeMade {
        let (id, intent) = (self.id("ch"), self.id("pi"));
        let made = ChargeMade { id, intent, amount, refunded: 0, invoice: invoice.map(str::to_owned), at };
        let charge = Charge { metadata: metadata.clone(), ..charge_now(buyer, &made) };
        self.happen(Kind::ChargeSucceeded, at, Object::Charge(Box::new(charge.clone())));
        if self.random.chance(15) {
            self.happen(Kind::ChargeUpdated, at + Duration::seconds(3), Object::Charge(Box::new(charge)));
        }
        let intent = PaymentIntent {
            id: made.intent.clone(),
            amount,
            currency: buyer.currency,
            created: Some(at),
            charge: Some(made.id.clone()),
            customer: buyer.customer.clone(),
            invoice: made.invoice.clone(),
            metadata: metadata.clone(),
            ..PaymentIntent::default()
        };
        self.happen(Kind::PaymentIntentSucceeded, at, Object::PaymentIntent(intent));
        made
    }

    fn invoice_paid(&mut self, invoice: &Invoice, at: Time) {
        let subscribed = self.options.invoices;
        let object = || Object::Invoice(Box::new(invoice.clone()));
        if subscribed != InvoiceEvents::Succeeded {
            self.happen(Kind::InvoicePaid, at, object());
        }
        // Stripe sends no invoice.payment_succeeded for money that it has not seen.
        if subscribed != InvoiceEvents::Paid && !invoice.out_of_band {
            self.happen(Kind::InvoicePaymentSucceeded, at, object());
        }
    }
}

/// The invoice as it is sent.
pub(super) fn invoice(buyer: &Buyer, bill: &Bill, id: String) -> Invoice {
    let lines = bill.entries.iter().map(|entry| line(entry, buyer, bill)).collect();
    let mut invoice = Invoice {
        id,
        customer: buyer.customer.clone(),
        customer_email: Some(buyer.email.clone()),
        subscription: bill.subscription.clone(),
        billing_reason: Some(bill.reason.to_owned()),
        currency: buyer.currency,
        created: Some(bill.due_at - Duration::seconds(if bill.reason == "subscription_cycle" { 3600 } else { 2 })),
        lines,
        discount: bill.discount,
        promotion_code: bill.code.clone(),
        metadata: bill.metadata.clone(),
        subscription_metadata: bill.subscription_metadata.clone(),
        ..Invoice::default()
    };
    let taxable = (invoice.subtotal() - bill.discount).max(0);
    (invoice.tax, invoice.tax_inclusive) = tax(buyer.tax, buyer.currency, taxable);
    // A negative total goes to the balance, a positive one takes from it.
    invoice.starting_balance = -buyer.balance;
    invoice
}

/// The charge as it is now.
pub(super) fn charge_now(buyer: &Buyer, made: &ChargeMade) -> Charge {
    Charge {
        id: made.id.clone(),
        amount: made.amount,
        amount_refunded: made.refunded,
        currency: buyer.currency,
        created: Some(made.at),
        customer: buyer.customer.clone(),
        email: Some(buyer.email.clone()),
        invoice: made.invoice.clone(),
        payment_intent: Some(made.intent.clone()),
        ..Charge::default()
    }
}

/// The tax on `taxable` at 19 %, and whether it is within it.
pub(super) fn tax(kind: Tax, currency: Currency, taxable: i64) -> (i64, bool) {
    match kind {
        Tax::None => (0, false),
        Tax::OnTop => (whole(currency, taxable * 19 / 100), false),
        Tax::Within => (whole(currency, taxable * 19 / 119), true),
    }
}

/// Enters a sale into the buyer's history, and says at which place.
pub(super) fn enter(
    buyer: &mut Buyer,
    refs: Vec<String>,
    kind: SaleKind,
    parts: Vec<Part>,
    paid: i64,
    period_start: Time,
    (paid_at, seen_at): (Time, Time),
) -> usize {
    let (earner, known_at) = buyer.verdict(paid_at, seen_at);
    buyer.sales.push(Sale {
        refs,
        paid_at,
        seen_at,
        known_at,
        currency: buyer.currency,
        paid,
        kind,
        period_start,
        parts,
        earner,
        taken: Vec::new(),
        voided_at: None,
    });
    buyer.sales.len() - 1
}

/// A sale whose parts all have the same rate: what was paid, and that without its share of tax.
pub(super) fn undivided(product_key: &'static str, paid: i64, total: i64, tax: i64) -> Part {
    let net = if total > 0 {
        Fraction::new(i128::from(paid) * i128::from(total - tax), i128::from(total))
    } else {
        Fraction::whole(0)
    };
    Part { product_key, net, gross: Fraction::whole(paid) }
}

fn parts(invoice: &Invoice, bill: &Bill, paid: i64) -> Vec<Part> {
    let first = bill.entries[0].plan.key;
    let mixed = bill.entries.iter().any(|entry| entry.plan.key != first);
    if !mixed || bill.kind == SaleKind::Change || invoice.total() <= 0 {
        return vec![undivided(first, paid, invoice.total(), invoice.tax)];
    }
    // Several rates: the stories see to it that such an invoice is paid in full and bears no tax.
    assert_eq!((paid, invoice.tax), (invoice.total(), 0), "a mixed invoice is not blurred");
    let amounts: Vec<i64> = bill.entries.iter().map(|entry| entry.amount).collect();
    let discounts = spread(bill.discount, &amounts);
    let part = |(entry, discount): (&Entry, i64)| {
        let paid = Fraction::whole(entry.amount - discount);
        Part { product_key: entry.plan.key, net: paid, gross: paid }
    };
    bill.entries.iter().zip(discounts).map(part).collect()
}

fn period_start(bill: &Bill) -> Time {
    let latest = |entries: &mut dyn Iterator<Item = &Entry>| entries.map(|entry| entry.start).max();
    latest(&mut bill.entries.iter().filter(|entry| !entry.proration && bill.subscription.is_some()))
        .or_else(|| latest(&mut bill.entries.iter()))
        .unwrap_or(bill.due_at)
}

fn line(entry: &Entry, buyer: &Buyer, bill: &Bill) -> Line {
    let mut metadata = if entry.proration { Metadata::new() } else { bill.subscription_metadata.clone() };
    metadata.insert("product_key".to_owned(), entry.plan.key.to_owned());
    Line {
        amount: entry.amount,
        price: Some(entry.plan.price(buyer.currency)),
        product: Some(entry.plan.product()),
        interval: entry.plan.interval.map(str::to_owned),
        period_start: Some(entry.start),
        period_end: Some(entry.end),
        proration: entry.proration,
        metadata: Some(metadata),
        price_metadata: super::one("product_key", entry.plan.key),
        ..Line::default()
    }
}

/// The marks of the invoice that brings the buyer's first money.
pub(super) fn first_invoice_metadata(buyer: &Buyer) -> Metadata {
    let first = !buyer.sales.iter().any(|sale| sale.paid > 0);
    if buyer.clue == Clue::Invoice && first { buyer.marks.invoice.clone() } else { Metadata::new() }
}
