//! A ledger in memory, appended by the difference as the real one is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use commission_bridge::domain::Time;
use commission_bridge::domain::booking::{Booked, NewEntry, difference, withdraw};
use commission_bridge::domain::decision::Decision;

use super::books::Owed;

/// Payments and their entries.
#[derive(Debug, Default)]
pub struct Ledger {
    payments: Vec<Vec<NewEntry>>,
    by_reference: HashMap<String, usize>,
}

impl Ledger {
    /// Appends what the decisions about everybody differ from what is booked.
    pub fn settle(&mut self, decisions: &[Decision], now: Time) {
        let mut claimed: BTreeSet<usize> = BTreeSet::new();
        for decision in decisions {
            let mut known: BTreeSet<usize> =
                decision.references.iter().filter_map(|reference| self.by_reference.get(reference).copied()).collect();
            known.retain(|payment| claimed.insert(*payment));
            let kept = known.pop_first().unwrap_or_else(|| {
                self.payments.push(Vec::new());
                claimed.insert(self.payments.len() - 1);
                self.payments.len() - 1
            });
            for merged in known {
                self.take_back(merged, now);
            }
            for reference in &decision.references {
                self.by_reference.insert(reference.clone(), kept);
            }
            let entries = difference(&booked(&self.payments[kept]), decision, now);
            self.payments[kept].extend(entries);
        }
        for payment in (0..self.payments.len()).filter(|payment| !claimed.contains(payment)) {
            self.take_back(payment, now);
        }
    }

    fn take_back(&mut self, payment: usize, now: Time) {
        let entries = withdraw(&booked(&self.payments[payment]), now);
        self.payments[payment].extend(entries);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.payments.iter().map(Vec::len).sum()
    }

    /// The sum of all entries by partner and currency, without those that are zero.
    pub fn owed(&self) -> Owed {
        let mut owed = Owed::new();
        for entry in self.payments.iter().flatten() {
            *owed.entry((entry.partner.clone(), entry.currency)).or_default() += entry.amount;
        }
        owed.retain(|_, amount| *amount != 0);
        owed
    }

    /// What the entries of a decision's payment add up to, by partner and program, without those that are zero.
    pub fn sums_of(&self, decision: &Decision) -> BTreeMap<(&str, &str), i64> {
        let mut sums = BTreeMap::new();
        let payment = decision.references.iter().find_map(|reference| self.by_reference.get(reference));
        for entry in payment.iter().flat_map(|payment| &self.payments[**payment]) {
            *sums.entry((entry.partner.as_str(), entry.program.as_str())).or_default() += entry.amount;
        }
        sums.retain(|_, amount| *amount != 0);
        sums
    }

    /// Every way in which entries break the ledger's rules, a line each.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for entries in &self.payments {
            let mut by_key: BTreeMap<_, Vec<&NewEntry>> = BTreeMap::new();
            for entry in entries {
                by_key.entry((&entry.partner, &entry.program, entry.component)).or_default().push(entry);
            }
            for entries in by_key.into_values() {
                if let Some(fault) = fault(entries.clone()) {
                    faults.push(format!("{fault}: {entries:#?}"));
                }
            }
        }
        faults
    }
}

fn fault(mut entries: Vec<&NewEntry>) -> Option<&'static str> {
    if !entries.iter().zip(0..).all(|(entry, revision)| entry.revision == revision) {
        return Some("revisions are not counted from 0");
    }
    if entries.iter().any(|entry| entry.amount == 0) {
        return Some("an entry of nothing");
    }
    if is_ever_negative(&entries) {
        return Some("more was taken back than was booked");
    }
    entries.sort_by_key(|entry| (entry.available_at, entry.revision));
    is_ever_negative(&entries).then_some("a reversal becomes available before what it takes back")
}

fn is_ever_negative(entries: &[&NewEntry]) -> bool {
    let mut sum = 0;
    entries.iter().any(|entry| {
        sum += entry.amount;
        sum < 0
    })
}

fn booked(entries: &[NewEntry]) -> Vec<Booked> {
    entries
        .iter()
        .map(|entry| Booked {
            partner: entry.partner.clone(),
            program: entry.program.clone(),
            component: entry.component,
            revision: entry.revision,
            amount: entry.amount,
            currency: entry.currency,
            available_at: entry.available_at,
        })
        .collect()
}
