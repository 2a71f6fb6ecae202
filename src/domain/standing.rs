//! A customer's standing: what earlier payments leave behind for later ones (winner, pinned versions, stream starts,
//! counts, caps used). Standings of customers that turn out to be one are merged.

use std::collections::BTreeMap;

use super::Time;
use super::attribution::Credit;
use super::currency::Currency;
use super::money::{Exact, Overflow};
use super::terms::{Kind, ProgramKey};

/// Where a payment stands among the customer's: `(paid_at, reference)`.
pub type Order = (Time, String);

/// What a rule's count is kept under: its key, or its position from 1.
pub type RuleKey = String;

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

/// What earlier payments leave behind.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The first payment's winner.
    pub winner: Option<(Order, Credit)>,
    /// The version in force at the first credited payment, by program.
    pub pins: BTreeMap<ProgramKey, (Order, u32)>,
    /// The period start of each stream's first credited payment.
    pub starts: BTreeMap<Stream, (Order, Time)>,
    /// How many payments of a stream each rule priced.
    pub counts: BTreeMap<(ProgramKey, Stream, RuleKey), u32>,
    /// What each rule gave of its cap per customer.
    pub used: BTreeMap<(ProgramKey, RuleKey, Currency), Exact>,
    /// Whether an earlier subscription payment brought money.
    pub subscribed: bool,
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
        self.winner = match (self.winner.take(), other.winner) {
            (Some(a), Some(b)) => Some(if a.0 <= b.0 { a } else { b }),
            (a, b) => a.or(b),
        };
        keep_first(&mut self.pins, other.pins);
        keep_first(&mut self.starts, other.starts);
        for (key, count) in other.counts {
            let known = self.counts.entry(key).or_default();
            *known = known.saturating_add(count);
        }
        for (key, used) in other.used {
            let known = self.used.entry(key).or_insert_with(Exact::zero);
            *known = known.plus(used)?;
        }
        self.subscribed |= other.subscribed;
        self.free.extend(other.free);
        Ok(())
    }
}
