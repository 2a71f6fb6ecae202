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

#[cfg(test)]
mod tests {
    use super::super::attribution::Via;
    use super::super::story::at;
    use super::super::terms::EvidenceKind;
    use super::*;

    fn order(day: &str, reference: &str) -> Order {
        (at(day), reference.to_owned())
    }

    #[test]
    fn what_is_held_goes_on_the_moment_it_is_taken_back() {
        let mut held = Held::default();
        held.hold(order("2026-01-05", "in_1"), Some(at("2026-02-01")), "acme");
        held.hold(order("2026-01-10", "in_2"), None, "bolt");
        held.hold(order("2026-01-15", "in_3"), None, "zeta");
        let has = |when: &str| held.at(at(when)).map(|(_, _, who)| *who);
        assert_eq!(has("2026-01-31T23:59:59Z"), Some("acme"));
        assert_eq!(has("2026-02-01"), Some("bolt"));
        assert_eq!(has("2030-01-01"), Some("bolt"));
    }

    /// What one payment leaves behind.
    fn after(day: &str, reference: &str, partner: &str, version: u32, used: i64, free: usize) -> Standing {
        let (order, program) = (order(day, reference), "saas".to_owned());
        let rule = RuleKey { whose: None, key: "1".to_owned() };
        let via = Via { kind: EvidenceKind::PartnerKey, value: None, link: None };
        let mut standing = Standing::default();
        let credit = Credit { partner: partner.to_owned(), program: program.clone(), via };
        standing.winner.hold(order.clone(), None, credit);
        standing.pins.entry(program.clone()).or_default().hold(order.clone(), None, version);
        standing.starts.insert(Stream::Subscription, (order.clone(), order.0));
        standing.counts.insert((program.clone(), Stream::Subscription, rule.clone()), 1);
        standing.used.insert((program, rule, "usd".parse().unwrap()), Exact::from(used));
        standing.subscriptions.insert(format!("sub_{reference}"));
        standing.free.push(free);
        standing
    }

    #[test]
    fn joined_customers_have_what_the_first_payment_holds_and_all_that_was_used() {
        let first = after("2026-01-05", "in_1", "acme", 1, 200, 0);
        let mut second = after("2026-02-05", "in_2", "zeta", 2, 300, 3);
        second.starts.insert(Stream::OneOff, (order("2026-02-06", "in_3"), at("2026-02-06")));
        for (mut into, from) in [(first.clone(), second.clone()), (second, first)] {
            into.merge(from).unwrap();
            let now = at("2026-03-01");
            assert_eq!(into.winner.at(now).map(|(_, _, credit)| credit.partner.as_str()), Some("acme"));
            assert_eq!(into.pins["saas"].at(now).map(|(_, _, version)| *version), Some(1));
            let starts: Vec<_> = into.starts.iter().map(|(stream, (_, start))| (*stream, *start)).collect();
            assert_eq!(starts, [(Stream::Subscription, at("2026-01-05")), (Stream::OneOff, at("2026-02-06"))]);
            assert_eq!(into.counts.values().copied().collect::<Vec<_>>(), [2]);
            assert_eq!(into.used.values().copied().collect::<Vec<_>>(), [Exact::from(500)]);
            assert_eq!(into.subscriptions, ["sub_in_1".to_owned(), "sub_in_2".to_owned()].into());
            into.free.sort_unstable();
            assert_eq!(into.free, [0, 3]);
        }
    }
}
