//! Many facts about one object become one object, whatever the order.

use std::collections::{BTreeMap, BTreeSet};

use super::{DisputeMoney, Moment, NoteMoney, Place, RefundMoney, Said, What};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::evidence::normal_email;
use crate::domain::facts::{
    BillingReason, ChargeFact, CheckoutFact, CheckoutMode, CheckoutStatus, CreditNoteFact, CustomerFact, DisputeFact,
    DisputeMoney as Says, EventFacts, Fact, IntentFact, InvoiceFact, InvoicePaymentFact, InvoiceStatus, Line, Link,
    Metadata, PriceInfo, RefundFact, RefundStatus, Stamp, SubscriptionFact,
};

/// Every object of one customer, merged.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub invoices: BTreeMap<String, Invoice>,
    pub sessions: BTreeMap<String, Session>,
    pub intents: BTreeMap<String, Intent>,
    pub charges: BTreeMap<String, Charge>,
    pub refunds: BTreeMap<String, Refund>,
    pub disputes: BTreeMap<String, Dispute>,
    pub notes: BTreeMap<String, Note>,
    pub invoice_payments: BTreeSet<(String, Option<String>, Option<String>)>,
    pub customers: BTreeMap<String, Customer>,
    pub subscriptions: BTreeMap<String, Subscription>,
    pub prices: BTreeMap<String, PriceInfo>,
}

/// Evidence of one object: each thing by when it was first shown.
#[derive(Debug, Default)]
pub(super) struct Showings(BTreeMap<What, Time>);

impl Showings {
    fn show(&mut self, what: What, at: Time) {
        self.0.entry(what).and_modify(|first| *first = (*first).min(at)).or_insert(at);
    }

    fn show_all(&mut self, metadata: &Metadata, codes: &[String], at: Time) {
        for (key, value) in metadata {
            self.show(What::Metadata(key.clone(), value.clone()), at);
        }
        for code in codes {
            self.show(What::PromotionCode(code.clone()), at);
        }
    }

    fn show_email(&mut self, email: Option<&str>, at: Time) {
        if let Some(email) = email {
            self.show(What::Email(normal_email(email)), at);
        }
    }

    pub fn said(&self, place: Place, object: &str) -> impl Iterator<Item = Said> {
        self.0.iter().map(move |(what, at)| Said { place, object: object.to_owned(), what: what.clone(), at: *at })
    }

    pub fn emails(&self) -> impl Iterator<Item = &str> {
        self.0.keys().filter_map(|what| if let What::Email(email) = what { Some(email.as_str()) } else { None })
    }
}

#[derive(Debug, Default)]
pub(super) struct Invoice {
    pub customer: Option<String>,
    pub subscription: Option<String>,
    pub billing_reason: Option<BillingReason>,
    pub currency: Option<Currency>,
    pub status: InvoiceStatus,
    pub total: i64,
    pub tax: i64,
    pub on_stripe: i64,
    pub off_stripe: i64,
    pub paid_at: Option<Time>,
    pub first_paid: Option<Moment>,
    pub voided: Option<Moment>,
    pub intents: BTreeSet<String>,
    pub charges: BTreeSet<String>,
    pub metadata: Metadata,
    pub subscription_metadata: Metadata,
    pub lines: Vec<Line>,
    pub unseen_lines: i64,
    pub shown: Showings,
    pub snapshot: Showings,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub mode: CheckoutMode,
    pub status: CheckoutStatus,
    pub customer: Option<String>,
    pub invoice: Option<String>,
    pub intent: Option<String>,
    pub subscription: Option<String>,
    pub currency: Option<Currency>,
    pub total: i64,
    pub subtotal: i64,
    pub tax: i64,
    pub first_paid: Option<Moment>,
    pub metadata: Metadata,
    pub shown: Showings,
}

#[derive(Debug, Default)]
pub(super) struct Intent {
    pub customer: Option<String>,
    pub invoice: Link,
    pub currency: Option<Currency>,
    pub received: i64,
    pub first_received: Option<Moment>,
    pub charges: BTreeSet<String>,
    pub metadata: Metadata,
    pub shown: Showings,
}

#[derive(Debug, Default)]
pub(super) struct Charge {
    pub intent: Option<String>,
    pub customer: Option<String>,
    pub invoice: Link,
    pub currency: Option<Currency>,
    pub captured: i64,
    pub first_captured: Option<Moment>,
    pub figures: BTreeMap<i64, Moment>,
    pub metadata: Metadata,
    pub shown: Showings,
}

#[derive(Debug)]
pub(super) struct Refund {
    pub charge: Option<String>,
    pub intent: Option<String>,
    pub money: RefundMoney,
}

#[derive(Debug)]
pub(super) struct Dispute {
    pub charge: Option<String>,
    pub intent: Option<String>,
    pub money: DisputeMoney,
}

#[derive(Debug)]
pub(super) struct Note {
    pub invoice: String,
    pub money: NoteMoney,
}

#[derive(Debug, Default)]
pub(super) struct Customer {
    pub emails: Vec<(Time, String)>,
    pub shown: Showings,
}

#[derive(Debug, Default)]
pub(super) struct Subscription {
    pub customer: Option<String>,
    pub shown: Showings,
}

/// Merges facts. They are taken in order of their stamps, so that "the last one wins" means the largest stamp.
pub(super) fn merge(events: &[EventFacts]) -> Objects {
    let mut ordered: Vec<&EventFacts> = events.iter().collect();
    // One event in two shapes has one stamp: the text decides, so that the order of arrival cannot.
    ordered.sort_by(|a, b| {
        a.stamp.cmp(&b.stamp).then_with(|| {
            if std::ptr::eq(*a, *b) { std::cmp::Ordering::Equal } else { format!("{a:?}").cmp(&format!("{b:?}")) }
        })
    });
    let mut objects = Objects::default();
    for event in ordered {
        for fact in &event.facts {
            objects.add(&event.stamp, fact);
        }
    }
    objects
}

/// The later value where one is said.
fn take<T: Clone>(slot: &mut Option<T>, said: Option<&T>) {
    if let Some(said) = said {
        *slot = Some(said.clone());
    }
}

fn take_metadata(slot: &mut Metadata, said: &Metadata) {
    if !said.is_empty() {
        slot.clone_from(said);
    }
}

fn take_link(slot: &mut Link, said: &Link) {
    match (&*slot, said) {
        (_, Link::Unsaid) | (Link::To(_), Link::None) => {}
        _ => slot.clone_from(said),
    }
}

fn first(slot: &mut Option<Moment>, stamp: &Stamp) {
    let moment = Moment { at: stamp.created, event_id: stamp.event_id.clone() };
    if slot.as_ref().is_none_or(|known| moment < *known) {
        *slot = Some(moment);
    }
}

impl Objects {
    fn add(&mut self, stamp: &Stamp, fact: &Fact) {
        match fact {
            Fact::Invoice(fact) => self.add_invoice(stamp, fact),
            Fact::Checkout(fact) => self.add_session(stamp, fact),
            Fact::Intent(fact) => self.add_intent(stamp, fact),
            Fact::Charge(fact) => self.add_charge(stamp, fact),
            Fact::Refund(fact) => self.add_refund(stamp, fact),
            Fact::Dispute(fact) => self.add_dispute(stamp, fact),
            Fact::CreditNote(fact) => self.add_note(stamp, fact),
            Fact::InvoicePayment(InvoicePaymentFact { invoice, intent, charge, .. }) => {
                self.invoice_payments.insert((invoice.clone(), intent.clone(), charge.clone()));
            }
            Fact::Customer(fact) => self.add_customer(stamp, fact),
            Fact::Subscription(fact) => self.add_subscription(stamp, fact),
            Fact::PromotionCode(_) | Fact::Transfer(_) | Fact::Account(_) => {}
        }
    }

    fn add_invoice(&mut self, stamp: &Stamp, fact: &InvoiceFact) {
        let invoice = self.invoices.entry(fact.id.clone()).or_default();
        take(&mut invoice.customer, fact.customer.as_ref());
        take(&mut invoice.subscription, fact.subscription.as_ref());
        take(&mut invoice.billing_reason, fact.billing_reason.as_ref());
        take(&mut invoice.paid_at, fact.paid_at.as_ref());
        invoice.currency = Some(fact.currency);
        invoice.status = invoice.status.max(fact.status);
        invoice.total = fact.total;
        invoice.tax = fact.tax;
        invoice.on_stripe = invoice.on_stripe.max(fact.paid_on_stripe);
        invoice.off_stripe = invoice.off_stripe.max(fact.paid_off_stripe);
        match fact.status {
            InvoiceStatus::Open => {}
            InvoiceStatus::Paid => first(&mut invoice.first_paid, stamp),
            InvoiceStatus::Void => first(&mut invoice.voided, stamp),
        }
        invoice.intents.extend(fact.intents.iter().cloned());
        invoice.charges.extend(fact.charges.iter().cloned());
        take_metadata(&mut invoice.metadata, &fact.metadata);
        take_metadata(&mut invoice.subscription_metadata, &fact.subscription_metadata);
        let at = fact.created.unwrap_or(stamp.created);
        invoice.shown.show_all(&fact.metadata, &fact.promotion_codes, at);
        invoice.shown.show_email(fact.email.as_deref(), at);
        invoice.snapshot.show_all(&fact.subscription_metadata, &[], at);
        if !fact.lines.is_empty() {
            let known = std::mem::replace(&mut invoice.lines, fact.lines.clone());
            for line in &mut invoice.lines {
                if let Some(known) = known.iter().find(|known| known.id == line.id) {
                    complete_line(line, known);
                }
            }
            invoice.unseen_lines = fact.unseen_lines;
        }
    }

    fn add_session(&mut self, stamp: &Stamp, fact: &CheckoutFact) {
        let session = self.sessions.entry(fact.id.clone()).or_default();
        session.mode = fact.mode;
        session.status = session.status.max(fact.status);
        take(&mut session.customer, fact.customer.as_ref());
        take(&mut session.invoice, fact.invoice.as_ref());
        take(&mut session.intent, fact.intent.as_ref());
        take(&mut session.subscription, fact.subscription.as_ref());
        take(&mut session.currency, fact.currency.as_ref());
        session.total = fact.total;
        session.subtotal = fact.subtotal;
        session.tax = fact.tax;
        if fact.status == CheckoutStatus::Paid {
            first(&mut session.first_paid, stamp);
        }
        take_metadata(&mut session.metadata, &fact.metadata);
        let at = fact.created.unwrap_or(stamp.created);
        session.shown.show_all(&fact.metadata, &fact.promotion_codes, at);
        session.shown.show_email(fact.email.as_deref(), at);
        if let Some(reference) = &fact.client_reference {
            session.shown.show(What::ClientReference(reference.clone()), at);
        }
    }

    fn add_intent(&mut self, stamp: &Stamp, fact: &IntentFact) {
        let intent = self.intents.entry(fact.id.clone()).or_default();
        take(&mut intent.customer, fact.customer.as_ref());
        take_link(&mut intent.invoice, &fact.invoice);
        intent.currency = Some(fact.currency);
        intent.received = intent.received.max(fact.received);
        if fact.received > 0 {
            first(&mut intent.first_received, stamp);
        }
        intent.charges.extend(fact.charges.iter().cloned());
        take_metadata(&mut intent.metadata, &fact.metadata);
        let at = fact.created.unwrap_or(stamp.created);
        intent.shown.show_all(&fact.metadata, &[], at);
        intent.shown.show_email(fact.email.as_deref(), at);
    }

    fn add_charge(&mut self, stamp: &Stamp, fact: &ChargeFact) {
        let charge = self.charges.entry(fact.id.clone()).or_default();
        take(&mut charge.intent, fact.intent.as_ref());
        take(&mut charge.customer, fact.customer.as_ref());
        take_link(&mut charge.invoice, &fact.invoice);
        charge.currency = Some(fact.currency);
        charge.captured = charge.captured.max(fact.captured);
        if fact.captured > 0 {
            first(&mut charge.first_captured, stamp);
        }
        if fact.refunded > 0 {
            let moment = Moment { at: stamp.created, event_id: stamp.event_id.clone() };
            let known = charge.figures.entry(fact.refunded).or_insert_with(|| moment.clone());
            if moment < *known {
                *known = moment;
            }
        }
        take_metadata(&mut charge.metadata, &fact.metadata);
        let at = fact.created.unwrap_or(stamp.created);
        charge.shown.show_all(&fact.metadata, &[], at);
        charge.shown.show_email(fact.email.as_deref(), at);
    }

    fn add_refund(&mut self, stamp: &Stamp, fact: &RefundFact) {
        let refund = self.refunds.entry(fact.id.clone()).or_insert_with(|| Refund {
            charge: None,
            intent: None,
            money: RefundMoney {
                id: fact.id.clone(),
                amount: fact.amount,
                created: fact.created.unwrap_or(stamp.created),
                succeeded: None,
                ended: None,
            },
        });
        take(&mut refund.charge, fact.charge.as_ref());
        take(&mut refund.intent, fact.intent.as_ref());
        refund.money.amount = fact.amount;
        if let Some(created) = fact.created {
            refund.money.created = created;
        }
        match fact.status {
            RefundStatus::Pending => {}
            // Events are merged in order of their stamps: the first to say so stays.
            RefundStatus::Succeeded => {
                refund.money.succeeded.get_or_insert_with(|| stamp.event_id.clone());
            }
            RefundStatus::Failed | RefundStatus::Canceled => first(&mut refund.money.ended, stamp),
        }
    }

    fn add_dispute(&mut self, stamp: &Stamp, fact: &DisputeFact) {
        let dispute = self.disputes.entry(fact.id.clone()).or_insert_with(|| Dispute {
            charge: None,
            intent: None,
            money: DisputeMoney { id: fact.id.clone(), amount: fact.amount, taken: None, returned: None },
        });
        take(&mut dispute.charge, fact.charge.as_ref());
        take(&mut dispute.intent, fact.intent.as_ref());
        dispute.money.amount = fact.amount;
        match fact.money {
            Says::Unmoved => {}
            Says::Taken => first(&mut dispute.money.taken, stamp),
            Says::Returned => first(&mut dispute.money.returned, stamp),
        }
    }

    fn add_note(&mut self, stamp: &Stamp, fact: &CreditNoteFact) {
        let moment = Moment { at: fact.created.unwrap_or(stamp.created), event_id: stamp.event_id.clone() };
        let note = self.notes.entry(fact.id.clone()).or_insert_with(|| Note {
            invoice: fact.invoice.clone(),
            money: NoteMoney { id: fact.id.clone(), amount: 0, created: moment, voided: None },
        });
        note.money.amount = note.money.amount.max(fact.out_of_band);
        if fact.voided {
            let voided = Moment { at: fact.voided_at.unwrap_or(stamp.created), event_id: stamp.event_id.clone() };
            if note.money.voided.as_ref().is_none_or(|known| voided < *known) {
                note.money.voided = Some(voided);
            }
        }
    }

    fn add_customer(&mut self, stamp: &Stamp, fact: &CustomerFact) {
        let customer = self.customers.entry(fact.id.clone()).or_default();
        let at = if fact.is_creation { fact.created.unwrap_or(stamp.created) } else { stamp.created };
        customer.shown.show_all(&fact.metadata, &fact.promotion_codes, at);
        if let Some(email) = &fact.email {
            customer.shown.show_email(Some(email), at);
            customer.emails.push((at, normal_email(email)));
        }
    }

    fn add_subscription(&mut self, stamp: &Stamp, fact: &SubscriptionFact) {
        let subscription = self.subscriptions.entry(fact.id.clone()).or_default();
        let at = if fact.is_creation { fact.created.unwrap_or(stamp.created) } else { stamp.created };
        take(&mut subscription.customer, fact.customer.as_ref());
        subscription.shown.show_all(&fact.metadata, &fact.promotion_codes, at);
        for said in &fact.prices {
            let known = self.prices.entry(said.price.clone()).or_insert_with(|| said.clone());
            take(&mut known.product, said.product.as_ref());
            take(&mut known.interval, said.interval.as_ref());
            take_metadata(&mut known.metadata, &said.metadata);
        }
    }
}

/// What one shape of a line says and the other does not.
fn complete_line(line: &mut Line, known: &Line) {
    let fill = |slot: &mut Option<String>, known: &Option<String>| {
        if slot.is_none() {
            slot.clone_from(known);
        }
    };
    fill(&mut line.price, &known.price);
    fill(&mut line.product, &known.product);
    fill(&mut line.interval, &known.interval);
    line.period_start = line.period_start.or(known.period_start);
    line.period_end = line.period_end.or(known.period_end);
    line.subscription |= known.subscription;
    line.proration |= known.proration;
    if line.metadata.is_empty() {
        line.metadata.clone_from(&known.metadata);
    }
}
