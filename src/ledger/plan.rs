//! What to write so that the ledger says what was decided for one customer. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::Time;
use crate::domain::booking::{self, NewEntry, difference, withdraw};
use crate::domain::decision::Decisions;
use crate::domain::entry::EntryKind;
use crate::domain::terms::Terms;
use crate::domain::tiers::{Contribution, contribution};
use crate::ids::Ids;
use crate::store::Mode;
use crate::store::entries::Entry;
use crate::store::payments::Payment;
use crate::store::tiers::Contributed;

/// What is known of one customer's payments.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Payments by id.
    pub payments: BTreeMap<String, Payment>,
    /// Which payment a reference belongs to.
    pub refs: HashMap<String, String>,
    /// Each payment's entries in order.
    pub booked: HashMap<String, Vec<Entry>>,
    /// What each payment contributes to its partner's months.
    pub contributed: HashMap<String, Vec<Contributed>>,
}

/// What to write.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub payments: Vec<Payment>,
    /// References and the payments they belong to from now on.
    pub ties: Vec<(Mode, String, String)>,
    pub entries: Vec<Entry>,
    /// What changes about contributions.
    pub contributed: Vec<Contributed>,
}

/// Who is settled, and when.
pub(super) struct Settling<'a> {
    pub customer_id: &'a str,
    pub mode: Mode,
    pub now: Time,
    pub ids: &'a Ids,
    pub terms: &'a Terms,
}

/// Compares decisions with what is known.
pub(super) fn plan(settling: &Settling<'_>, decisions: &Decisions, known: &Known) -> Writes {
    let mut writes = Writes::default();
    let mut claimed: BTreeSet<&str> = BTreeSet::new();
    let mut decided = Vec::new();
    for decision in &decisions.payments {
        let mut same: BTreeSet<&str> = BTreeSet::new();
        for reference in &decision.references {
            same.extend(known.refs.get(reference).map(String::as_str));
        }
        same.retain(|id| claimed.insert(id));
        decided.push((decision, same));
    }
    for (decision, same) in decided {
        // Of several payments that turn out to be one, the oldest stays.
        let mut same = same.into_iter();
        let kept = same.next().map_or_else(|| settling.ids.next("pay"), ToOwned::to_owned);
        for merged in same {
            settling.give_up(&mut writes, known, merged, Some(&kept));
        }
        for reference in &decision.references {
            if known.refs.get(reference) != Some(&kept) {
                writes.ties.push((settling.mode, reference.clone(), kept.clone()));
            }
        }
        for entry in difference(&booked(known, &kept), decision, settling.now) {
            writes.entries.push(settling.entry(&kept, entry));
        }
        settling.contribute(&mut writes, known, &kept, contribution(decision, settling.terms));
        let payment = Payment::decided(kept, settling.customer_id, settling.mode, decision, settling.now);
        if known.payments.get(&payment.payment_id).is_none_or(|before| !payment.says_the_same(before)) {
            writes.payments.push(payment);
        }
    }
    for id in known.payments.keys().filter(|id| !claimed.contains(id.as_str())) {
        settling.give_up(&mut writes, known, id, None);
    }
    writes
}

impl Settling<'_> {
    /// Takes back whatever is booked for a payment that is none (any more).
    fn give_up(&self, writes: &mut Writes, known: &Known, id: &str, merged_into: Option<&str>) {
        for entry in withdraw(&booked(known, id), self.now) {
            writes.entries.push(self.entry(id, entry));
        }
        self.contribute(writes, known, id, None);
        let Some(before) = known.payments.get(id) else { return };
        let mut payment = before.clone();
        payment.void(merged_into.map(ToOwned::to_owned).or_else(|| before.merged_into.clone()), self.now);
        if !payment.says_the_same(before) {
            writes.payments.push(payment);
        }
    }

    /// The difference between what a payment contributes and what it should.
    fn contribute(&self, writes: &mut Writes, known: &Known, id: &str, should: Option<Contribution>) {
        let should = should.map(|contribution| Contributed {
            mode: self.mode,
            payment_id: id.to_owned(),
            customer_id: self.customer_id.to_owned(),
            contribution,
        });
        let before = known.contributed.get(id).map(Vec::as_slice).unwrap_or_default();
        let mut found = false;
        for contributed in before {
            let is_it = should.as_ref().is_some_and(|should| same_place(should, contributed));
            found |= is_it;
            let volume = should.as_ref().filter(|_| is_it).map_or(0, |should| should.contribution.volume);
            let difference = volume.saturating_sub(contributed.contribution.volume);
            if difference != 0 {
                let contribution = Contribution { volume: difference, ..contributed.contribution.clone() };
                writes.contributed.push(Contributed { contribution, ..contributed.clone() });
            }
        }
        writes.contributed.extend(should.filter(|_| !found));
    }

    fn entry(&self, payment_id: &str, new: NewEntry) -> Entry {
        Entry {
            entry_id: self.ids.next("ent"),
            mode: self.mode,
            kind: new.kind,
            partner: new.partner,
            program: Some(new.program),
            component: new.component,
            revision: new.revision,
            payment_id: Some(payment_id.to_owned()),
            amount: new.amount,
            currency: new.currency,
            occurred_at: new.occurred_at,
            booked_at: self.now,
            available_at: new.available_at,
            event_id: new.event_id,
            payout_id: None,
            reason: Some(new.reason),
        }
    }
}

fn same_place(a: &Contributed, b: &Contributed) -> bool {
    let nothing = |contributed: &Contributed| Contributed {
        contribution: Contribution { volume: 0, ..contributed.contribution.clone() },
        ..contributed.clone()
    };
    nothing(a) == nothing(b)
}

fn booked(known: &Known, payment_id: &str) -> Vec<booking::Booked> {
    known.booked.get(payment_id).map(as_booked).unwrap_or_default()
}

/// Entries as booking sees them: what a payment earned and what was taken back of it.
pub(super) fn as_booked<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<booking::Booked> {
    entries
        .into_iter()
        .filter(|entry| matches!(entry.kind, EntryKind::Accrual | EntryKind::Reversal))
        .filter_map(|entry| {
            Some(booking::Booked {
                partner: entry.partner.clone(),
                program: entry.program.clone()?,
                component: entry.component,
                revision: entry.revision,
                amount: entry.amount,
                currency: entry.currency,
                available_at: entry.available_at,
            })
        })
        .collect()
}
