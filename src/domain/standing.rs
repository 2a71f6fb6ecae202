//! A customer's standing: what earlier payments leave behind for later ones (winner, pinned versions, stream starts,
//! counts, caps used). Standings of customers that turn out to be one are merged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Time;
use super::attribution::Credit;
use super::currency::Currency;
use super::money::{Exact, Overflow};
use super::terms::{Kind, ProgramKey, Whose};

/// Where a payment stands among the customer's: `(paid_at, reference)`.
pub type Order = (Time, String);

/// What a rule's count is kept under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleKey {
    /// Whose override it is in; the program's own when `None`. So neither counts for the other.
    pub whose: Option<Whose>,
    /// Its key, or its position from 1.
    pub key: String,
}

impl fmt::Display for RuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whose {
            Some(whose) => write!(f, "{} of {whose}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

/// Subscription payments form one stream, one-off payments another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// First, recurring and change payments.
    Subscription,
    /// One-off payments.
    OneOff,
}

impl Stream {
    /// The stream of a kind of payment.
    pub fn of(kind: Kind) -> Self {
        if kind == Kind::OneOff { Self::OneOff } else { Self::Subscription }
    }
}

/// What the first payment holds for those after it, until it is fully taken back: then the next one has it. By the dates
/// of the facts: what was decided before stays.
#[derive(Debug, Clone)]
pub struct Held<T>(Vec<(Order, Option<Time>, T)>);

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Held<T> {
    /// The payment at `order`, a later one than any so far, has it too, `until` it is fully taken back.
    pub fn hold(&mut self, order: Order, until: Option<Time>, value: T) {
        // Behind one that holds it for good nobody's turn comes.
        if self.0.last().is_none_or(|(_, until, _)| until.is_some()) {
            self.0.push((order, until, value));
        }
    }

    /// Who has it at a moment.
    pub fn at(&self, at: Time) -> Option<&(Order, Option<Time>, T)> {
        self.0.iter().find(|(_, until, _)| until.is_none_or(|until| until > at))
    }

    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
    }
}

/// What earlier payments leave behind.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The first payment's winner.
    pub winner: Held<Credit>,
    /// The version in force at the first credited payment, by program.
    pub pins: BTreeMap<ProgramKey, Held<u32>>,
    /// The period start of each stream's first credited payment.
    pub starts: BTreeMap<Stream, (Order, Time)>,
    /// How many payments of a stream each rule priced.
    pub counts: BTreeMap<(ProgramKey, Stream, RuleKey), u32>,
    /// What each rule gave of its cap per customer.
    pub used: BTreeMap<(ProgramKey, RuleKey, Currency), Exact>,
    /// The subscriptions that brought money before; empty text where an invoice did not say which.
    pub subscriptions: BTreeSet<String>,
    /// Earlier payments of nothing, by their index.
    pub free: Vec<usize>,
}

fn keep_first<K: Ord, V>(into: &mut BTreeMap<K, (Order, V)>, from: BTreeMap<K, (Order, V)>) {
    for (key, value) in from {
        match into.get(&key) {
            Some(known) if known.0 <= value.0 => {}
            _ => drop(into.insert(key, value)),
        }
    }
}

impl Standing {
    /// Joins the standing of a customer that turned out to be the same.
    pub fn merge(&mut self, other: Self) -> Result<(), Overflow> {
        self.winner.merge(other.winner);
        for (program, held) in other.pins {
            self.pins.entry(program).or_default().merge(held);
        }
        keep_first(&mut self.starts, other.starts);
        for (key, count) in other.counts {
            let known = self.counts.entry(key).or_default();
            *known = known.saturating_add(count);
        }
        for (key, used) in other.used {
            let known = self.used.entry(key).or_insert_with(Exact::zero);
            *known = known.plus(used)?;
        }
        self.subscriptions.extend(other.subscriptions);
        self.free.extend(other.free);
        Ok(())
    }
}
