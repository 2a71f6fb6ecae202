//! Objects become payments: references that any event ties together are one payment, and what was taken back is put
//! where it belongs.

use std::collections::{BTreeMap, BTreeSet};

use super::merge::{Charge, Intent, Invoice, Objects, Session};
use super::{Buyer, ChargeMoney, History, Moment, Payment, Place, Said, Source, Subscription, What};
use crate::domain::Time;
use crate::domain::facts::{CheckoutMode, CheckoutStatus, InvoiceStatus, Line, Link, Metadata};

/// The references of what may be one payment.
#[derive(Debug, Default)]
struct Group {
    invoice: Option<String>,
    sessions: BTreeSet<String>,
    intents: BTreeSet<String>,
    charges: BTreeSet<String>,
}

/// Which group each reference is in.
#[derive(Debug, Default)]
struct Groups {
    by_reference: BTreeMap<String, usize>,
    groups: Vec<Group>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Invoice,
    Session,
    Intent,
    Charge,
}

impl Groups {
    fn of(&mut self, part: Part, reference: &str) -> usize {
        if let Some(&group) = self.by_reference.get(reference) {
            return group;
        }
        let mut group = Group::default();
        match part {
            Part::Invoice => group.invoice = Some(reference.to_owned()),
            Part::Session => drop(group.sessions.insert(reference.to_owned())),
            Part::Intent => drop(group.intents.insert(reference.to_owned())),
            Part::Charge => drop(group.charges.insert(reference.to_owned())),
        }
        self.groups.push(group);
        self.by_reference.insert(reference.to_owned(), self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// Joins two references. Two invoices never become one payment: the second then keeps its own group.
    fn join(&mut self, a: (Part, &str), b: (Part, &str)) {
        let (into, from) = (self.of(a.0, a.1), self.of(b.0, b.1));
        if into == from || (self.groups[into].invoice.is_some() && self.groups[from].invoice.is_some()) {
            return;
        }
        let moved = std::mem::take(&mut self.groups[from]);
        for reference in moved.invoice.iter().chain(&moved.sessions).chain(&moved.intents).chain(&moved.charges) {
            self.by_reference.insert(reference.clone(), into);
        }
        let group = &mut self.groups[into];
        group.invoice = group.invoice.take().or(moved.invoice);
        group.sessions.extend(moved.sessions);
        group.intents.extend(moved.intents);
        group.charges.extend(moved.charges);
    }
}

pub(super) fn assemble(objects: Objects) -> History {
    let mut groups = tie(&objects);
    attach_starting_sessions(&objects, &mut groups);
    let mut history = History { subscriptions: subscriptions(&objects), ..History::default() };
    let mut taken = TakenBack::collect(&objects, &groups);
    for (index, group) in groups.groups.iter().enumerate() {
        history.unlinked.extend(unlinked(&objects, group).filter(|_| taken.takes_of(index)));
        if let Some(mut payment) = payment(&objects, group) {
            taken.give(index, &mut payment);
            history.payments.push(payment);
        }
    }
    history.unlinked.append(&mut taken.unlinked);
    history.unlinked.sort_unstable();
    history.unlinked.dedup();
    history.payments.sort_by(|a, b| (a.paid_at, &a.reference).cmp(&(b.paid_at, &b.reference)));
    history.unmatched = taken.unmatched();
    history.buyers = buyers(&objects, &history.payments);
    let edited = |place: Place, id: &String, edited: &[(What, Time)]| {
        let said = |(what, at): &(What, Time)| Said { place, object: id.clone(), what: what.clone(), at: *at };
        edited.iter().map(said).collect::<Vec<_>>()
    };
    for (id, customer) in &objects.customers {
        history.edited.extend(edited(Place::Customer, id, &customer.edited));
    }
    for (id, subscription) in &objects.subscriptions {
        history.edited.extend(edited(Place::Subscription, id, &subscription.edited));
    }
    history.prices = objects.prices;
    history
}

/// Joins every two references that some event names together.
fn tie(objects: &Objects) -> Groups {
    let mut groups = Groups::default();
    for (id, invoice) in &objects.invoices {
        groups.of(Part::Invoice, id);
        for intent in &invoice.intents {
            groups.join((Part::Invoice, id), (Part::Intent, intent));
        }
        for charge in &invoice.charges {
            groups.join((Part::Invoice, id), (Part::Charge, charge));
        }
    }
    for (invoice, intent, charge) in &objects.invoice_payments {
        if let Some(intent) = intent {
            groups.join((Part::Invoice, invoice), (Part::Intent, intent));
        }
        if let Some(charge) = charge {
            groups.join((Part::Invoice, invoice), (Part::Charge, charge));
        }
    }
    for (id, session) in &objects.sessions {
        if let Some(invoice) = &session.invoice {
            groups.join((Part::Invoice, invoice), (Part::Session, id));
        }
        if let Some(intent) = &session.intent {
            groups.join((Part::Session, id), (Part::Intent, intent));
        }
        groups.of(Part::Session, id);
    }
    for (id, intent) in &objects.intents {
        groups.of(Part::Intent, id);
        if let Some(invoice) = intent.invoice.id() {
            groups.join((Part::Invoice, invoice), (Part::Intent, id));
        }
        for charge in &intent.charges {
            groups.join((Part::Intent, id), (Part::Charge, charge));
        }
    }
    for (id, charge) in &objects.charges {
        groups.of(Part::Charge, id);
        if let Some(invoice) = charge.invoice.id() {
            groups.join((Part::Invoice, invoice), (Part::Charge, id));
        }
        if let Some(intent) = &charge.intent {
            groups.join((Part::Intent, intent), (Part::Charge, id));
        }
    }
    // A refund or dispute that names both ties a charge to its intent.
    let pairs = objects.refunds.values().map(|refund| (&refund.charge, &refund.intent));
    for pair in pairs.chain(objects.disputes.values().map(|dispute| (&dispute.charge, &dispute.intent))) {
        if let (Some(charge), Some(intent)) = pair {
            groups.join((Part::Intent, intent), (Part::Charge, charge));
        }
    }
    groups
}

/// A session that started a subscription and names no invoice is a reference of that subscription's first paid invoice.
fn attach_starting_sessions(objects: &Objects, groups: &mut Groups) {
    for (id, session) in &objects.sessions {
        let (None, Some(subscription)) = (&session.invoice, &session.subscription) else { continue };
        let first = objects
            .invoices
            .iter()
            .filter(|(_, invoice)| invoice.subscription.as_ref() == Some(subscription))
            .filter_map(|(id, invoice)| Some((paid_at(invoice)?, id)))
            .min();
        if let Some((_, invoice)) = first {
            groups.join((Part::Invoice, invoice), (Part::Session, id));
        }
    }
}

fn paid_at(invoice: &Invoice) -> Option<Time> {
    let first = invoice.first_paid.as_ref()?;
    Some(invoice.paid_at.unwrap_or(first.at))
}

/// The payment that a group of references is, if money was received.
fn payment(objects: &Objects, group: &Group) -> Option<Payment> {
    if let Some(id) = &group.invoice {
        // An invoice that is only named (its event has not come yet) still claims its charges.
        return invoice_payment(objects, group, id, objects.invoices.get(id)?);
    }
    let sessions = group.sessions.iter().filter_map(|id| Some((id, objects.sessions.get(id)?)));
    let mut of_payments = sessions.filter(|(_, session)| session.mode == CheckoutMode::Payment).peekable();
    if of_payments.peek().is_some() {
        return of_payments.find_map(|(id, session)| session_payment(objects, group, id, session));
    }
    direct_payment(objects, group)
}

fn invoice_payment(objects: &Objects, group: &Group, id: &str, invoice: &Invoice) -> Option<Payment> {
    let first = invoice.first_paid.clone()?;
    let mut lines = invoice.lines.clone();
    if invoice.unseen_lines > 0 || lines.is_empty() {
        let amount = if lines.is_empty() { invoice.total } else { invoice.unseen_lines };
        lines.push(Line { id: "unseen".to_owned(), amount, ..Line::default() });
    }
    let mut payment = blank(objects, group, id, Source::Invoice, first, invoice.currency?);
    payment.customer = invoice.customer.clone().or(payment.customer);
    payment.subscription.clone_from(&invoice.subscription);
    payment.billing_reason = invoice.billing_reason;
    payment.paid_at = invoice.paid_at.unwrap_or(payment.paid_at);
    payment.voided = invoice.voided.clone().filter(|_| invoice.status == InvoiceStatus::Void);
    payment.on_stripe = invoice.on_stripe;
    payment.off_stripe = invoice.off_stripe;
    payment.total = invoice.total;
    payment.tax = invoice.tax;
    payment.has_unseen_lines = invoice.unseen_lines != 0;
    payment.has_hidden_discounts = invoice.hidden_discounts && !invoice.discounts_shown;
    payment.lines = lines;
    payment.metadata.splice(0..0, [invoice.subscription_metadata.clone(), invoice.metadata.clone()]);
    payment.said.extend(invoice.shown.said(Place::Invoice, id));
    let subscription = invoice.subscription.as_deref().unwrap_or(id);
    payment.said.extend(invoice.snapshot.said(Place::Subscription, subscription));
    payment.emails.splice(0..0, invoice.shown.emails().map(str::to_owned));
    Some(finish(payment))
}

fn session_payment(objects: &Objects, group: &Group, id: &str, session: &Session) -> Option<Payment> {
    let intents = || group.intents.iter().filter_map(|id| objects.intents.get(id));
    let (first, received) = match (&session.first_paid, session.status) {
        (Some(first), _) => (first.clone(), session.total),
        // Captured by hand, later: the session never says so, its payment intent does.
        (None, CheckoutStatus::Completed) => {
            let first = intents().filter_map(|intent| intent.first_received.clone()).min()?;
            (first, intents().map(|intent| intent.received).fold(0, i64::saturating_add).min(session.total))
        }
        (None, CheckoutStatus::Paid) => {
            let charges = group.charges.iter().filter_map(|id| objects.charges.get(id));
            let charged = charges.filter_map(|charge| charge.first_captured.clone()).min();
            let received = || intents().filter_map(|intent| intent.first_received.clone()).min();
            (charged.or_else(received).or_else(|| session.made.clone())?, session.total)
        }
        (None, CheckoutStatus::Open) => return None,
    };
    let mut payment = blank(objects, group, id, Source::Checkout, first, session.currency?);
    payment.customer = session.customer.clone().or(payment.customer);
    payment.on_stripe = received;
    payment.total = session.total;
    payment.tax = session.tax;
    payment.has_unseen_lines = session.lines.is_empty();
    payment.lines.clone_from(&session.lines);
    if payment.lines.is_empty() {
        payment.lines.push(Line { id: id.to_owned(), amount: session.subtotal.max(0), ..Line::default() });
    }
    Some(finish(payment))
}

fn direct_payment(objects: &Objects, group: &Group) -> Option<Payment> {
    let intents: Vec<(&String, &Intent)> =
        group.intents.iter().filter_map(|id| objects.intents.get_key_value(id)).collect();
    let charges: Vec<(&String, &Charge)> =
        group.charges.iter().filter_map(|id| objects.charges.get_key_value(id)).collect();
    if group.sessions.iter().any(|id| objects.sessions.contains_key(id)) {
        return None;
    }
    let moments = intents.iter().filter_map(|(_, intent)| intent.first_received.clone());
    let first = moments.chain(charges.iter().filter_map(|(_, charge)| charge.first_captured.clone())).min()?;
    let by_intents = intents.iter().map(|(_, intent)| intent.received).fold(0, i64::saturating_add);
    let by_charges = charges.iter().map(|(_, charge)| charge.captured).fold(0, i64::saturating_add);
    let received = by_intents.max(by_charges);
    let currency = intents.iter().find_map(|(_, intent)| intent.currency);
    let currency = currency.or_else(|| charges.iter().find_map(|(_, charge)| charge.currency))?;
    let known_alone = intents.iter().any(|(_, intent)| intent.invoice == Link::None)
        || charges.iter().any(|(_, charge)| charge.invoice == Link::None);
    let id = group.intents.first().or(group.charges.first())?;
    let mut payment = blank(objects, group, id, Source::Direct { known_alone }, first, currency);
    payment.on_stripe = received;
    payment.total = received;
    payment.lines = vec![Line { id: id.clone(), amount: received, ..Line::default() }];
    Some(finish(payment))
}

/// By what Stripe can be asked about a group of which no invoice or session is known, unless it is known that there is
/// none.
fn unlinked(objects: &Objects, group: &Group) -> Option<String> {
    let is_alone = || {
        let intents = group.intents.iter().filter_map(|id| objects.intents.get(id)).map(|intent| &intent.invoice);
        let charges = group.charges.iter().filter_map(|id| objects.charges.get(id)).map(|charge| &charge.invoice);
        intents.chain(charges).any(|link| *link == Link::None)
    };
    let may_be_alone = group.invoice.is_none() && group.sessions.is_empty();
    group.intents.first().or(group.charges.first()).filter(|_| may_be_alone && !is_alone()).cloned()
}

/// What all sorts of payments have: references, and what their session, intent and charges say.
fn blank(
    objects: &Objects,
    group: &Group,
    id: &str,
    source: Source,
    first: Moment,
    currency: crate::domain::currency::Currency,
) -> Payment {
    let mut references: Vec<String> = group.invoice.iter().cloned().collect();
    references.extend(group.sessions.iter().chain(&group.intents).chain(&group.charges).cloned());
    references.sort_unstable();
    let mut payment = Payment {
        reference: id.to_owned(),
        references,
        buyer: String::new(),
        customer: None,
        source,
        subscription: None,
        billing_reason: None,
        paid_at: first.at,
        event_id: first.event_id,
        voided: None,
        currency,
        on_stripe: 0,
        off_stripe: 0,
        total: 0,
        tax: 0,
        lines: Vec::new(),
        metadata: Vec::new(),
        said: Vec::new(),
        emails: Vec::new(),
        has_unseen_lines: false,
        has_hidden_discounts: false,
        charges: Vec::new(),
        notes: Vec::new(),
    };
    let mut says = |place, id: &str, customer: &Option<String>, metadata: &Metadata, shown: &super::merge::Showings| {
        payment.customer = payment.customer.take().or_else(|| customer.clone());
        payment.metadata.push(metadata.clone());
        payment.said.extend(shown.said(place, id));
        payment.emails.extend(shown.emails().map(str::to_owned));
    };
    for (id, session) in group.sessions.iter().filter_map(|id| objects.sessions.get_key_value(id)) {
        says(Place::Session, id, &session.customer, &session.metadata, &session.shown);
    }
    for (id, intent) in group.intents.iter().filter_map(|id| objects.intents.get_key_value(id)) {
        says(Place::Intent, id, &intent.customer, &intent.metadata, &intent.shown);
    }
    for (id, charge) in group.charges.iter().filter_map(|id| objects.charges.get_key_value(id)) {
        says(Place::Charge, id, &charge.customer, &charge.metadata, &charge.shown);
    }
    payment
}

fn finish(mut payment: Payment) -> Payment {
    payment.buyer = payment.customer.clone().unwrap_or_else(|| format!("guest:{}", payment.reference));
    payment.metadata.retain(|metadata| !metadata.is_empty());
    payment.said.sort_unstable();
    payment.said.dedup();
    payment
}

fn subscriptions(objects: &Objects) -> BTreeMap<String, Subscription> {
    let mut subscriptions: BTreeMap<String, Subscription> = BTreeMap::new();
    for (id, subscription) in &objects.subscriptions {
        let said = subscription.shown.said(Place::Subscription, id).collect();
        subscriptions.insert(id.clone(), Subscription { said, ..Subscription::default() });
    }
    for (id, session) in &objects.sessions {
        if session.status == CheckoutStatus::Open || session.mode != CheckoutMode::Subscription {
            continue;
        }
        if let Some(subscription) = &session.subscription {
            let subscription = subscriptions.entry(subscription.clone()).or_default();
            subscription.started_by.extend(session.shown.said(Place::Session, id));
            subscription.sessions.push(id.clone());
        }
    }
    subscriptions
}

fn buyers(objects: &Objects, payments: &[Payment]) -> BTreeMap<String, Buyer> {
    let mut buyers: BTreeMap<String, Buyer> = BTreeMap::new();
    for payment in payments {
        buyers.entry(payment.buyer.clone()).or_default();
    }
    for (id, customer) in &objects.customers {
        let buyer = buyers.entry(id.clone()).or_default();
        buyer.emails.clone_from(&customer.emails);
        buyer.said.extend(customer.shown.said(Place::Customer, id));
    }
    // A subscription's or session's customer key is its customer's, too.
    for (id, subscription) in &objects.subscriptions {
        if let Some(customer) = &subscription.customer {
            let said = subscription.shown.said(Place::Subscription, id);
            buyers.entry(customer.clone()).or_default().identity.extend(said);
        }
    }
    for (id, session) in &objects.sessions {
        if let (Some(customer), true) = (&session.customer, session.status != CheckoutStatus::Open) {
            let said = session.shown.said(Place::Session, id);
            let buyer = buyers.entry(customer.clone()).or_default();
            // A setup session belongs to no payment: what it says counts for the customer from then on.
            if session.mode == CheckoutMode::Setup { buyer.said.extend(said) } else { buyer.identity.extend(said) }
        }
    }
    buyers
}

/// Refunds, disputes and credit notes by the group that they take from.
#[derive(Default)]
struct TakenBack {
    charges: BTreeMap<usize, BTreeMap<String, ChargeMoney>>,
    notes: BTreeMap<usize, Vec<super::NoteMoney>>,
    ids: BTreeMap<usize, Vec<String>>,
    loose: Vec<String>,
    /// What those name.
    unlinked: Vec<String>,
}

impl TakenBack {
    fn collect(objects: &Objects, groups: &Groups) -> Self {
        let mut taken = Self::default();
        for (id, charge) in &objects.charges {
            let Some(&group) = groups.by_reference.get(id) else { continue };
            let money = taken.charges.entry(group).or_default().entry(id.clone()).or_default();
            money.captured = charge.captured;
            money.booked = charge.booked;
            money.figures = charge.figures.iter().map(|(amount, moment)| (moment.clone(), *amount)).collect();
        }
        for (id, refund) in &objects.refunds {
            if let Some(money) = taken.charge_of(objects, groups, id, refund.charge.as_ref(), refund.intent.as_ref()) {
                money.refunds.push(refund.money.clone());
            }
        }
        for (id, dispute) in &objects.disputes {
            if let Some(money) = taken.charge_of(objects, groups, id, dispute.charge.as_ref(), dispute.intent.as_ref())
            {
                money.disputes.push(dispute.money.clone());
            }
        }
        for (id, note) in &objects.notes {
            if let Some(&group) = groups.by_reference.get(&note.invoice) {
                taken.notes.entry(group).or_default().push(note.money.clone());
                taken.ids.entry(group).or_default().push(id.clone());
            } else {
                taken.loose.push(id.clone());
            }
        }
        taken
    }

    /// The charge that a refund or dispute takes from. One that names only a payment intent takes from the charge that
    /// the intent captured.
    fn charge_of(
        &mut self,
        objects: &Objects,
        groups: &Groups,
        id: &str,
        charge: Option<&String>,
        intent: Option<&String>,
    ) -> Option<&mut ChargeMoney> {
        let captured = |group: usize| {
            let charges = groups.groups[group].charges.iter();
            charges.max_by_key(|id| objects.charges.get(*id).map_or(0, |charge| charge.captured)).cloned()
        };
        let place = match (charge, intent) {
            (Some(charge), _) => groups.by_reference.get(charge).map(|&group| (group, charge.clone())),
            (None, Some(intent)) => {
                groups.by_reference.get(intent).map(|&group| (group, captured(group).unwrap_or_else(|| intent.clone())))
            }
            (None, None) => None,
        };
        let Some((group, charge)) = place else {
            self.unlinked.extend(intent.or(charge).cloned());
            self.loose.push(id.to_owned());
            return None;
        };
        self.ids.entry(group).or_default().push(id.to_owned());
        Some(self.charges.entry(group).or_default().entry(charge).or_default())
    }

    /// Whether anything is taken back of a group's charges.
    fn takes_of(&self, group: usize) -> bool {
        let takes =
            |money: &ChargeMoney| !money.figures.is_empty() || !money.refunds.is_empty() || !money.disputes.is_empty();
        self.charges.get(&group).is_some_and(|charges| charges.values().any(takes))
    }

    fn give(&mut self, group: usize, payment: &mut Payment) {
        payment.charges = self.charges.remove(&group).unwrap_or_default().into_values().collect();
        payment.notes = self.notes.remove(&group).unwrap_or_default();
        self.ids.remove(&group);
    }

    fn unmatched(self) -> Vec<String> {
        let mut ids: Vec<String> = self.loose.into_iter().chain(self.ids.into_values().flatten()).collect();
        ids.sort_unstable();
        ids
    }
}
