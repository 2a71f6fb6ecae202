//! A month held against Stripe's own objects: what each of them says, what is known here, and whether the money adds up.
//!
//! Money received is what charges took and what invoices were paid outside of Stripe. Every minor unit of it is credited,
//! refused for a reason, not settled yet, or among what differs: by construction they add up to Stripe's total.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Time;
use super::currency::Currency;
use super::facts::{DisputeMoney, EventFacts, Fact, InvoiceStatus, RefundStatus};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What was captured.
    Charge,
    /// What was received for it, through Stripe and outside.
    Invoice,
    /// What it gives back, while it stands.
    Refund,
    /// What it takes, while the money is gone.
    Dispute,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Charge, Self::Invoice, Self::Refund, Self::Dispute];

    /// In JSON and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Invoice => "invoice",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
        }
    }
}

/// One of Stripe's objects, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Of its amounts.
    pub currency: Currency,
    /// See [`Kind`].
    pub amount: i64,
    /// Of an invoice: what of it was received outside of Stripe.
    pub off_stripe: i64,
    /// Of an invoice: when it was paid.
    pub paid_at: Option<Time>,
    /// Of a refund or dispute: its charge.
    pub charge: Option<String>,
    /// Everything by which its customer or payment may be known here, the object itself first.
    pub references: Vec<String>,
}

impl Theirs {
    /// What a fetched object says; none where it is of another kind.
    pub fn of(kind: Kind, facts: &EventFacts) -> Option<Self> {
        let mut references: Vec<String> = Vec::new();
        let found = facts.facts.iter().find_map(|fact| match (kind, fact) {
            (Kind::Charge, Fact::Charge(charge)) => {
                references.push(charge.id.clone());
                references.extend(charge.intent.clone());
                references.extend(charge.invoice.id().map(ToOwned::to_owned));
                Some(Self::new(kind, &charge.id, charge.currency, charge.captured))
            }
            (Kind::Invoice, Fact::Invoice(invoice)) => {
                references.push(invoice.id.clone());
                references.extend(invoice.customer.clone());
                let amount = invoice.paid_on_stripe.saturating_add(invoice.paid_off_stripe);
                let (off_stripe, paid_at) = (invoice.paid_off_stripe, invoice.paid_at);
                Some(Self { off_stripe, paid_at, ..Self::new(kind, &invoice.id, invoice.currency, amount) })
            }
            (Kind::Refund, Fact::Refund(refund)) => {
                references.extend(
                    [Some(refund.id.clone()), refund.charge.clone(), refund.intent.clone()].into_iter().flatten(),
                );
                let amount = if refund.status == RefundStatus::Succeeded { refund.amount } else { 0 };
                let charge = refund.charge.clone();
                Some(Self { charge, ..Self::new(kind, &refund.id, refund.currency, amount) })
            }
            (Kind::Dispute, Fact::Dispute(dispute)) => {
                let named = [Some(dispute.id.clone()), dispute.charge.clone(), dispute.intent.clone()];
                references.extend(named.into_iter().flatten());
                let amount = if dispute.money == DisputeMoney::Taken { dispute.amount } else { 0 };
                let charge = dispute.charge.clone();
                Some(Self { charge, ..Self::new(kind, &dispute.id, dispute.currency, amount) })
            }
            _ => None,
        })?;
        Some(Self { references, ..found })
    }

    fn new(kind: Kind, id: &str, currency: Currency, amount: i64) -> Self {
        let (id, references) = (id.to_owned(), Vec::new());
        Self { kind, id, currency, amount, off_stripe: 0, paid_at: None, charge: None, references }
    }

    /// The money received that it alone stands for: an invoice's own money is its charges'.
    pub fn received(&self) -> i64 {
        match self.kind {
            Kind::Charge => self.amount,
            Kind::Invoice => self.off_stripe,
            Kind::Refund | Kind::Dispute => 0,
        }
    }
}

/// What is known here, from the facts of the customers concerned.
#[derive(Debug, Clone, Default)]
pub struct Ours {
    amounts: HashMap<(Kind, String), i64>,
    /// Charges that other objects name as having paid them.
    linked: HashSet<String>,
    /// By charge: the highest cumulative figure, and what refunds known by id give back.
    given_back: HashMap<String, (i64, i64)>,
    /// Refunds by id, with when each was made.
    refunds: Vec<(String, Time)>,
}

/// How an object compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Known, with the same amount.
    Same,
    /// Not known.
    Missing,
    /// Known, with this amount.
    Other(i64),
}

impl Ours {
    /// What these facts say together, in any order, with any repetition.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a EventFacts>) -> Self {
        let mut merged = Merged::default();
        for event in events {
            event.facts.iter().for_each(|fact| merged.add(fact));
        }
        merged.ours()
    }

    /// Looks an object up.
    pub fn find(&mut self, theirs: &Theirs) -> Found {
        match self.amounts.get(&(theirs.kind, theirs.id.clone())).copied() {
            Some(amount) if amount == theirs.amount => Found::Same,
            Some(amount) => Found::Other(amount),
            // Its money is known by what it paid.
            None if theirs.kind == Kind::Charge && self.linked.contains(&theirs.id) => Found::Same,
            None if theirs.kind == Kind::Refund && self.is_in_a_figure(theirs) => Found::Same,
            // What takes nothing and was never heard of changes nothing.
            None if matches!(theirs.kind, Kind::Refund | Kind::Dispute) && theirs.amount == 0 => Found::Same,
            None => Found::Missing,
        }
    }

    /// Whether a refund that is not known by id is within its charge's cumulative figure.
    fn is_in_a_figure(&mut self, theirs: &Theirs) -> bool {
        let given_back = theirs.charge.as_ref().and_then(|charge| self.given_back.get_mut(charge));
        let Some((figure, by_id)) = given_back else { return false };
        let with_it = by_id.saturating_add(theirs.amount);
        let is_in = with_it <= *figure;
        if is_in {
            *by_id = with_it;
        }
        is_in
    }

    /// The refunds made within a span, by id.
    pub fn refunds_within(&self, from: Time, until: Time) -> impl Iterator<Item = (&str, i64)> {
        let within = self.refunds.iter().filter(move |(_, at)| *at >= from && *at < until);
        within.map(|(id, _)| (id.as_str(), self.amounts.get(&(Kind::Refund, id.clone())).copied().unwrap_or(0)))
    }
}

/// Facts on their way to [`Ours`].
#[derive(Default)]
struct Merged {
    charges: HashMap<String, (i64, i64)>,
    /// On Stripe, off Stripe, whether it was ever paid.
    invoices: HashMap<String, (i64, i64, bool)>,
    refunds: HashMap<String, (i64, RefundStatus, Option<Time>, Option<String>)>,
    disputes: HashMap<String, (i64, bool, bool)>,
    linked: HashSet<String>,
}

impl Merged {
    fn add(&mut self, fact: &Fact) {
        match fact {
            Fact::Charge(charge) => {
                let known = self.charges.entry(charge.id.clone()).or_default();
                *known = (known.0.max(charge.captured), known.1.max(charge.refunded));
            }
            Fact::Invoice(invoice) => {
                let known = self.invoices.entry(invoice.id.clone()).or_default();
                let is_paid = known.2 || invoice.status >= InvoiceStatus::Paid;
                *known = (known.0.max(invoice.paid_on_stripe), known.1.max(invoice.paid_off_stripe), is_paid);
                self.linked.extend(invoice.charges.iter().cloned());
            }
            Fact::InvoicePayment(payment) => self.linked.extend(payment.charge.clone()),
            Fact::Intent(intent) if intent.received > 0 => self.linked.extend(intent.charges.iter().cloned()),
            Fact::Refund(refund) => {
                let slot = self.refunds.entry(refund.id.clone());
                let known = slot.or_insert((0, RefundStatus::Pending, None, None));
                known.0 = known.0.max(refund.amount);
                known.1 = known.1.max(refund.status);
                known.2 = known.2.or(refund.created);
                known.3 = known.3.take().or_else(|| refund.charge.clone());
            }
            Fact::Dispute(dispute) => {
                let known = self.disputes.entry(dispute.id.clone()).or_default();
                known.0 = known.0.max(dispute.amount);
                known.1 |= dispute.money == DisputeMoney::Taken;
                known.2 |= dispute.money == DisputeMoney::Returned;
            }
            _ => {}
        }
    }

    fn ours(self) -> Ours {
        let mut ours = Ours { linked: self.linked, ..Ours::default() };
        for (id, (captured, figure)) in self.charges {
            ours.given_back.insert(id.clone(), (figure, 0));
            ours.amounts.insert((Kind::Charge, id), captured);
        }
        for (id, (on, off, is_paid)) in self.invoices {
            let received = if is_paid { on.saturating_add(off) } else { 0 };
            ours.amounts.insert((Kind::Invoice, id), received);
        }
        for (id, (amount, status, created, charge)) in self.refunds {
            let stands = if status == RefundStatus::Succeeded { amount } else { 0 };
            if let Some((_, by_id)) = charge.and_then(|charge| ours.given_back.get_mut(&charge)) {
                *by_id = by_id.saturating_add(stands);
            }
            ours.refunds.extend(created.map(|at| (id.clone(), at)));
            ours.amounts.insert((Kind::Refund, id), stands);
        }
        for (id, (amount, taken, returned)) in self.disputes {
            ours.amounts.insert((Kind::Dispute, id), if taken && !returned { amount } else { 0 });
        }
        ours
    }
}

/// What became of the payment that money belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// A partner is credited.
    Credited,
    /// Nobody is; why.
    Refused(String),
    /// It is not settled yet.
    Unsettled,
}

/// The money of one currency, minor units. `stripe` = `credited` + all of `refused` + `unsettled` + `differing`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Received, as Stripe says.
    pub stripe: i64,
    /// Of payments that credit a partner.
    pub credited: i64,
    /// Of payments that credit nobody, by reason code.
    pub refused: BTreeMap<String, i64>,
    /// Of payments that are not settled yet.
    pub unsettled: i64,
    /// What Stripe has more than is known here.
    pub differing: i64,
    /// Given back by the month's refunds, as Stripe says.
    pub refunded: i64,
    /// Taken by the month's disputes, as Stripe says.
    pub disputed: i64,
}

/// Why an object is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Stripe has it and it is not known here.
    Missing,
    /// Both know it, with other amounts.
    Differs,
    /// It is known here and Stripe has no such object.
    UnknownToStripe,
    /// Stripe's object cannot be read.
    Unreadable,
}

/// An object that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Why it is named.
    pub why: Why,
    /// Of the amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What is known here, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<i64>,
    /// What Stripe says, minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe: Option<i64>,
}

/// So many objects that differ are named; all are counted.
pub const MOST_NAMED: usize = 1000;

/// What a comparison came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Objects of Stripe's that were looked at, by kind.
    pub objects: BTreeMap<Kind, u64>,
    /// The money, by currency.
    pub currencies: BTreeMap<Currency, Money>,
    /// How many objects differ.
    pub differing: u64,
    /// The first [`MOST_NAMED`] of them.
    pub differences: Vec<Difference>,
    /// Objects known here that Stripe did not list and that were too many to ask for one by one.
    pub unasked: u64,
}

impl Report {
    /// Whether nothing differs.
    pub fn is_clean(&self) -> bool {
        self.differing == 0
    }

    /// Counts one of Stripe's objects: how it compares, and what became of its payment.
    pub fn count(&mut self, theirs: &Theirs, found: Found, became: Option<Became>) {
        *self.objects.entry(theirs.kind).or_default() += 1;
        let money = self.currencies.entry(theirs.currency).or_default();
        let sums = match theirs.kind {
            Kind::Refund => Some(&mut money.refunded),
            Kind::Dispute => Some(&mut money.disputed),
            Kind::Charge | Kind::Invoice => None,
        };
        if let Some(sum) = sums {
            *sum = sum.saturating_add(theirs.amount);
        }
        let received = theirs.received();
        let known = match found {
            Found::Same => received,
            Found::Missing => 0,
            Found::Other(amount) => amount.min(received),
        };
        money.stripe = money.stripe.saturating_add(received);
        money.differing = money.differing.saturating_add(received.saturating_sub(known));
        let of_known = match became {
            Some(Became::Credited) => &mut money.credited,
            Some(Became::Refused(code)) => money.refused.entry(code).or_default(),
            Some(Became::Unsettled) | None => &mut money.unsettled,
        };
        *of_known = of_known.saturating_add(known);
        let (why, ours) = match found {
            Found::Same => return,
            Found::Missing => (Why::Missing, None),
            Found::Other(amount) => (Why::Differs, Some(amount)),
        };
        let (kind, id) = (theirs.kind, theirs.id.clone());
        self.name(Difference { kind, id, why, currency: Some(theirs.currency), ours, stripe: Some(theirs.amount) });
    }

    /// Names an object that differs.
    pub fn name(&mut self, difference: Difference) {
        self.differing += 1;
        if self.differences.len() < MOST_NAMED {
            self.differences.push(difference);
        }
    }

    /// By how much the amounts of objects differ, by currency, minor units, whatever the sign.
    pub fn gaps(&self) -> BTreeMap<Currency, i64> {
        let mut gaps: BTreeMap<Currency, i64> = self.currencies.keys().map(|currency| (*currency, 0)).collect();
        for difference in &self.differences {
            let Some(currency) = difference.currency else { continue };
            let gap = difference.stripe.unwrap_or(0).saturating_sub(difference.ours.unwrap_or(0)).saturating_abs();
            let sum = gaps.entry(currency).or_default();
            *sum = sum.saturating_add(gap);
        }
        gaps
    }

    /// The ids of what Stripe has and is not known here, or not as it is: to be fetched.
    pub fn to_fetch(&self) -> impl Iterator<Item = &Difference> {
        self.differences.iter().filter(|difference| matches!(difference.why, Why::Missing | Why::Differs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::{ChargeFact, Link, Metadata, RefundFact, Stamp};

    fn at(second: i64) -> Time {
        Time::from_timestamp(1_790_000_000 + second, 0).unwrap()
    }

    fn event(fact: Fact) -> EventFacts {
        EventFacts {
            stamp: Stamp { created: at(0), event_id: "evt_1".to_owned() },
            fetched_at: None,
            facts: vec![fact],
        }
    }

    fn charge(id: &str, captured: i64, refunded: i64) -> EventFacts {
        let currency = "usd".parse().unwrap();
        event(Fact::Charge(ChargeFact {
            id: id.to_owned(),
            intent: None,
            customer: None,
            email: None,
            invoice: Link::Unsaid,
            currency,
            captured,
            refunded,
            created: Some(at(0)),
            metadata: Metadata::new(),
            ..charge_template()
        }))
    }

    fn charge_template() -> ChargeFact {
        serde_json::from_value(serde_json::json!({"id": "", "currency": "usd", "captured": 0, "refunded": 0})).unwrap()
    }

    fn refund(id: &str, amount: i64, status: RefundStatus) -> EventFacts {
        let (charge, currency) = (Some("ch_1".to_owned()), "usd".parse().unwrap());
        let created = Some(at(0));
        event(Fact::Refund(RefundFact { id: id.to_owned(), charge, intent: None, currency, amount, status, created }))
    }

    fn theirs(kind: Kind, event: &EventFacts) -> Theirs {
        Theirs::of(kind, event).unwrap()
    }

    #[test]
    fn what_is_the_same_is_silent_and_what_is_not_is_named() {
        let mut ours = Ours::of(&[charge("ch_1", 500, 0), charge("ch_1", 0, 0), charge("ch_2", 300, 0)]);
        let mut report = Report::default();
        for (stripe, became) in [
            (charge("ch_1", 500, 0), Some(Became::Credited)),
            (charge("ch_2", 400, 0), Some(Became::Refused("no_evidence".to_owned()))),
            (charge("ch_3", 700, 0), None),
        ] {
            let stripe = theirs(Kind::Charge, &stripe);
            let found = ours.find(&stripe);
            report.count(&stripe, found, became);
        }
        let money = report.currencies.values().next().unwrap();
        assert_eq!((money.stripe, money.credited, money.unsettled), (1600, 500, 0));
        assert_eq!((money.refused["no_evidence"], money.differing), (300, 800));
        let named: Vec<_> = report.differences.iter().map(|one| (one.id.as_str(), one.why)).collect();
        assert_eq!(named, [("ch_2", Why::Differs), ("ch_3", Why::Missing)]);
        assert_eq!(report.gaps().values().copied().collect::<Vec<_>>(), [800]);
        assert!(!report.is_clean());
    }

    #[test]
    fn a_refund_is_known_by_id_or_within_the_charges_figure() {
        let mut ours = Ours::of(&[charge("ch_1", 900, 600), refund("re_1", 200, RefundStatus::Succeeded)]);
        let find =
            |ours: &mut Ours, id: &str, amount, status| ours.find(&theirs(Kind::Refund, &refund(id, amount, status)));
        assert_eq!(find(&mut ours, "re_1", 200, RefundStatus::Succeeded), Found::Same);
        assert_eq!(find(&mut ours, "re_2", 400, RefundStatus::Succeeded), Found::Same, "the figure has room for it");
        assert_eq!(find(&mut ours, "re_3", 1, RefundStatus::Succeeded), Found::Missing, "and for no more");
        assert_eq!(find(&mut ours, "re_1", 200, RefundStatus::Failed), Found::Other(200));
        assert_eq!(find(&mut ours, "re_9", 50, RefundStatus::Pending), Found::Same, "it takes nothing");
        assert_eq!(ours.refunds_within(at(0), at(1)).collect::<Vec<_>>(), [("re_1", 200)]);
        assert_eq!(ours.refunds_within(at(1), at(2)).count(), 0);
    }
}
