//! Many facts about one object become one object, whatever the order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{DisputeMoney, Moment, NoteMoney, Place, RefundMoney, Said, What};
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::evidence::normal_email;
use crate::domain::facts::{
    BillingReason, ChargeBooked, ChargeFact, CheckoutFact, CheckoutMode, CheckoutStatus, CreditNoteFact, CustomerFact,
    DisputeFact, DisputeMoney as Says, EventFacts, Fact, IntentFact, InvoiceFact, InvoicePaymentFact, InvoiceStatus,
    Line, Link, Metadata, PriceInfo, RefundFact, RefundStatus, Stamp, SubscriptionFact,
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
    pub hidden_discounts: bool,
    pub discounts_shown: bool,
    pub shown: Showings,
    pub snapshot: Showings,
    /// When it showed its subscription's metadata, of which there may have been none.
    snapshot_at: Option<Time>,
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
    pub lines: Vec<Line>,
    /// When it was made, where only what was fetched says that it is paid.
    pub made: Option<Moment>,
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
    pub booked: Option<ChargeBooked>,
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
    past: Past,
    pub edited: Vec<(What, Time)>,
}

#[derive(Debug, Default)]
pub(super) struct Subscription {
    pub customer: Option<String>,
    pub shown: Showings,
    past: Past,
    pub edited: Vec<(What, Time)>,
}

/// What is known of an object's past beside what was fetched of it: what its events, and what people, showed when.
#[derive(Debug, Default)]
struct Past {
    /// In order of time.
    shown: Vec<(Time, BTreeSet<What>)>,
    stated: BTreeSet<What>,
    /// What was fetched, from when it would count (the object's creation), and when it was asked for.
    fetched: Vec<(BTreeSet<What>, Time, Time)>,
}

impl Past {
    fn show(&mut self, event: &EventFacts, metadata: &Metadata, codes: &[String], at: Time, shown: &mut Showings) {
        let mut all = Showings::default();
        all.show_all(metadata, codes, at);
        let all: BTreeSet<What> = all.0.into_keys().collect();
        match event.fetched_at {
            Some(fetched_at) => return self.fetched.push((all, at, fetched_at)),
            None if event.stamp.event_id.starts_with(STATED) => self.stated.extend(all.iter().cloned()),
            None => self.shown.push((at, all.clone())),
        }
        for what in all {
            shown.show(what, at);
        }
    }

    /// What was fetched holds since the object was made, unless something tells of a time before it held, or somebody said
    /// since when: then since it was first shown. Returns what is known to have been edited and nobody spoke about, with
    /// the moment from which it counts.
    fn date(self, shown: &mut Showings) -> Vec<(What, Time)> {
        let first = self.shown.iter().min_by_key(|(at, _)| *at);
        let mut edited = Vec::new();
        for (all, made, fetched_at) in self.fetched {
            for what in all {
                if self.stated.contains(&what) {
                    continue;
                }
                if first.is_none_or(|(_, first)| first.contains(&what)) {
                    shown.show(what, made);
                } else {
                    shown.show(what.clone(), fetched_at);
                    let since = shown.0[&what];
                    edited.push((what, since));
                }
            }
        }
        edited.sort_unstable();
        edited.dedup();
        edited
    }
}

/// How the ids of events begin that say what people said.
const STATED: &str = "stated_";

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
            objects.add(event, fact);
        }
    }
    objects.date_what_was_fetched();
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
    fn date_what_was_fetched(&mut self) {
        // An invoice shows what its subscription's metadata was when it was made.
        for invoice in self.invoices.values() {
            let Some(subscription) = invoice.subscription.as_ref().and_then(|id| self.subscriptions.get_mut(id)) else {
                continue;
            };
            if let Some(at) = invoice.snapshot_at {
                let all: BTreeSet<What> = invoice.snapshot.0.keys().cloned().collect();
                // Codes are not among what an invoice shows of its subscription.
                let codes = subscription
                    .past
                    .fetched
                    .iter()
                    .flat_map(|(all, ..)| all)
                    .filter(|what| matches!(what, What::PromotionCode(_)));
                let all = all.into_iter().chain(codes.cloned().collect::<Vec<_>>()).collect();
                subscription.past.shown.push((at, all));
            }
        }
        for customer in self.customers.values_mut() {
            customer.edited = std::mem::take(&mut customer.past).date(&mut customer.shown);
        }
        for subscription in self.subscriptions.values_mut() {
            subscription.edited = std::mem::take(&mut subscription.past).date(&mut subscription.shown);
        }
    }

    fn add(&mut self, event: &EventFacts, fact: &Fact) {
        let stamp = &event.stamp;
        match fact {
            Fact::Invoice(fact) => self.add_invoice(stamp, fact),
            Fact::Checkout(fact) => self.add_session(event, fact),
            Fact::Intent(fact) => self.add_intent(stamp, fact),
            Fact::Charge(fact) => self.add_charge(stamp, fact),
            Fact::Refund(fact) => self.add_refund(stamp, fact),
            Fact::Dispute(fact) => self.add_dispute(stamp, fact),
            Fact::CreditNote(fact) => self.add_note(stamp, fact),
            Fact::InvoicePayment(InvoicePaymentFact { invoice, intent, charge, .. }) => {
                self.invoice_payments.insert((invoice.clone(), intent.clone(), charge.clone()));
            }
            Fact::Customer(fact) => self.add_customer(event, fact),
            Fact::Subscription(fact) => self.add_subscription(event, fact),
            Fact::PromotionCode(_) | Fact::Price(_) | Fact::Transfer(_) | Fact::Account(_) => {}
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
            InvoiceStatus::Void => {
                let voided = fact.voided_at.unwrap_or(stamp.created);
                first(&mut invoice.voided, &Stamp { created: voided, event_id: stamp.event_id.clone() });
                // What was fetched shows both: that it was paid, and that it was voided afterwards.
                if let (Some(_), Some(paid_at)) = (fact.voided_at, fact.paid_at) {
                    first(&mut invoice.first_paid, &Stamp { created: paid_at, event_id: stamp.event_id.clone() });
                }
            }
        }
        invoice.intents.extend(fact.intents.iter().cloned());
        invoice.charges.extend(fact.charges.iter().cloned());
        take_metadata(&mut invoice.metadata, &fact.metadata);
        take_metadata(&mut invoice.subscription_metadata, &fact.subscription_metadata);
        invoice.hidden_discounts |= fact.hidden_discounts;
        invoice.discounts_shown |= !fact.hidden_discounts;
        let at = fact.created.unwrap_or(stamp.created);
        invoice.shown.show_all(&fact.metadata, &fact.promotion_codes, at);
        invoice.shown.show_email(fact.email.as_deref(), at);
        invoice.snapshot.show_all(&fact.subscription_metadata, &[], at);
        if fact.empty_snapshot || !fact.subscription_metadata.is_empty() {
            invoice.snapshot_at = invoice.snapshot_at.into_iter().chain([at]).min();
        }
        // All lines are more than a first page of them, whoever came last.
        let is_less = fact.unseen_lines != 0 && invoice.unseen_lines == 0 && !invoice.lines.is_empty();
        if !fact.lines.is_empty() && !is_less {
            let known = std::mem::replace(&mut invoice.lines, fact.lines.clone());
            complete_lines(&mut invoice.lines, &known);
            invoice.unseen_lines = fact.unseen_lines;
        }
    }

    fn add_session(&mut self, event: &EventFacts, fact: &CheckoutFact) {
        let stamp = &event.stamp;
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
        if !fact.lines.is_empty() {
            session.lines.clone_from(&fact.lines);
        }
        // What was fetched shows that it is paid, not since when: its payment intent and charge say more.
        match (fact.status, event.fetched_at) {
            (CheckoutStatus::Paid, None) => first(&mut session.first_paid, stamp),
            (CheckoutStatus::Paid, Some(_)) => first(&mut session.made, stamp),
            _ => {}
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
        take(&mut charge.booked, fact.booked.as_ref());
        if fact.captured > 0 {
            first(&mut charge.first_captured, stamp);
        }
        if fact.refunded > 0 {
            // Events come in order: the first that says so stays.
            let moment = || Moment { at: stamp.created, event_id: stamp.event_id.clone() };
            charge.figures.entry(fact.refunded).or_insert_with(moment);
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
        let at =
            |time: Option<Time>| Stamp { created: time.unwrap_or(stamp.created), event_id: stamp.event_id.clone() };
        match fact.money {
            Says::Unmoved => {}
            Says::Taken => first(&mut dispute.money.taken, &at(fact.taken_at)),
            Says::Returned => {
                // What was fetched shows both movements.
                if let Some(taken) = fact.taken_at {
                    first(&mut dispute.money.taken, &at(Some(taken)));
                }
                first(&mut dispute.money.returned, &at(fact.returned_at));
            }
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

    fn add_customer(&mut self, event: &EventFacts, fact: &CustomerFact) {
        let customer = self.customers.entry(fact.id.clone()).or_default();
        let at = if fact.is_creation { fact.created.unwrap_or(event.stamp.created) } else { event.stamp.created };
        customer.past.show(event, &fact.metadata, &fact.promotion_codes, at, &mut customer.shown);
        if let Some(email) = &fact.email {
            customer.shown.show_email(Some(email), at);
            let since = (at, normal_email(email));
            // An event may come twice.
            if customer.emails.last() != Some(&since) {
                customer.emails.push(since);
            }
        }
    }

    fn add_subscription(&mut self, event: &EventFacts, fact: &SubscriptionFact) {
        let stamp = &event.stamp;
        let subscription = self.subscriptions.entry(fact.id.clone()).or_default();
        let at = if fact.is_creation { fact.created.unwrap_or(stamp.created) } else { stamp.created };
        take(&mut subscription.customer, fact.customer.as_ref());
        subscription.past.show(event, &fact.metadata, &fact.promotion_codes, at, &mut subscription.shown);
        for said in &fact.prices {
            let known = self.prices.entry(said.price.clone()).or_insert_with(|| said.clone());
            take(&mut known.product, said.product.as_ref());
            take(&mut known.interval, said.interval.as_ref());
            take_metadata(&mut known.metadata, &said.metadata);
        }
    }
}

/// Lines that are known by another event are completed by what it says. Before API 2019-12-03 the lines of a subscription
/// were all called as it is: those of one id are taken in their order.
fn complete_lines(lines: &mut [Line], known: &[Line]) {
    let mut by_id: BTreeMap<&str, VecDeque<&Line>> = BTreeMap::new();
    for line in known {
        by_id.entry(&line.id).or_default().push_back(line);
    }
    for line in lines {
        if let Some(known) = by_id.get_mut(line.id.as_str()).and_then(VecDeque::pop_front) {
            complete_line(line, known);
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
