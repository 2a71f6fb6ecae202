//! Booking: the ledger is appended by the difference between what a payment should have earned and what is booked.

use super::Time;
use super::currency::Currency;
use super::decision::Decision;
use super::entry::{Component, EntryKind};
use super::terms::{PartnerKey, ProgramKey};

/// An entry that a payment already has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// Whose.
    pub partner: PartnerKey,
    /// Under which program.
    pub program: ProgramKey,
    /// Which part of the commission.
    pub component: Component,
    /// From 0, for each partner, program and component.
    pub revision: i64,
    /// Signed minor units.
    pub amount: i64,
    /// Currency of the amount.
    pub currency: Currency,
    /// From when it can be paid out.
    pub available_at: Time,
}

/// An entry to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Accrual or reversal.
    pub kind: EntryKind,
    /// Whose.
    pub partner: PartnerKey,
    /// Under which program.
    pub program: ProgramKey,
    /// Which part of the commission.
    pub component: Component,
    /// The next free one.
    pub revision: i64,
    /// Signed minor units, never zero.
    pub amount: i64,
    /// Currency of the amount.
    pub currency: Currency,
    /// The moment of the fact; of the booking where no single fact explains it.
    pub occurred_at: Time,
    /// From when it can be paid out.
    pub available_at: Time,
    /// The event that said so, where a single one did.
    pub event_id: Option<String>,
    /// Why.
    pub reason: String,
}

/// What to append so that a payment's entries add up to its decision.
///
/// Where the entries booked so far are the first steps of the decision, the further steps are appended as they are, each
/// with its own dates. Where they are not (a fact arrived that changes the past), one entry corrects the sum. What is
/// booked for anybody else is taken back. `booked` are all entries of this payment.
pub fn difference(booked: &[Booked], decision: &Decision, now: Time) -> Vec<NewEntry> {
    let mut entries = Vec::new();
    let winner = decision.partner.as_ref().zip(decision.program.as_ref());
    for (partner, program) in others(booked, winner) {
        entries.extend(take_all_back(booked, partner, program, now));
    }
    let Some((partner, program)) = winner else { return entries };
    let mine: Vec<&Booked> =
        booked.iter().filter(|entry| entry.partner == *partner && entry.program == *program).collect();
    let steps = &decision.steps;
    let mut revision = next_revision(&mine);
    let agrees = mine.len() <= steps.len() && mine.iter().zip(steps).all(|(entry, step)| entry.amount == step.amount);
    let mut append = |kind, amount, occurred_at, available_at, event_id, reason: &str| {
        entries.push(NewEntry {
            kind,
            partner: partner.clone(),
            program: program.clone(),
            component: Component::Direct,
            revision,
            amount,
            currency: decision.currency,
            occurred_at,
            available_at,
            event_id,
            reason: reason.to_owned(),
        });
        revision += 1;
    };
    if agrees {
        for step in &steps[mine.len()..] {
            let kind = if step.reason == "payment" { EntryKind::Accrual } else { EntryKind::Reversal };
            append(kind, step.amount, step.occurred_at, step.available_at, step.event_id.clone(), step.reason);
        }
        return entries;
    }
    let sum: i64 = mine.iter().map(|entry| entry.amount).sum();
    let correction = decision.amount - sum;
    if correction != 0 {
        let kind = if correction > 0 { EntryKind::Accrual } else { EntryKind::Reversal };
        let available_at = with_what_it_corrects(&mine, correction, steps.last().map(|step| step.available_at), now);
        append(kind, correction, now, available_at, None, "corrected");
    }
    entries
}

/// Takes back everything booked for a payment that turned out to be no payment of its own.
pub fn withdraw(booked: &[Booked], now: Time) -> Vec<NewEntry> {
    others(booked, None)
        .into_iter()
        .filter_map(|(partner, program)| take_all_back(booked, partner, program, now))
        .collect()
}

fn others<'a>(
    booked: &'a [Booked],
    winner: Option<(&PartnerKey, &ProgramKey)>,
) -> Vec<(&'a PartnerKey, &'a ProgramKey)> {
    let mut others: Vec<_> = booked
        .iter()
        .map(|entry| (&entry.partner, &entry.program))
        .filter(|&(partner, program)| winner != Some((partner, program)))
        .collect();
    others.sort_unstable();
    others.dedup();
    others
}

fn take_all_back(booked: &[Booked], partner: &PartnerKey, program: &ProgramKey, now: Time) -> Option<NewEntry> {
    let theirs: Vec<&Booked> =
        booked.iter().filter(|entry| entry.partner == *partner && entry.program == *program).collect();
    let sum: i64 = theirs.iter().map(|entry| entry.amount).sum();
    if sum == 0 {
        return None;
    }
    let first = theirs.first()?;
    Some(NewEntry {
        kind: EntryKind::Reversal,
        partner: partner.clone(),
        program: program.clone(),
        component: Component::Direct,
        revision: next_revision(&theirs),
        amount: -sum,
        currency: first.currency,
        occurred_at: now,
        available_at: with_what_it_corrects(&theirs, -sum, None, now),
        event_id: None,
        reason: "credited_otherwise".to_owned(),
    })
}

/// A reversal becomes available together with what it takes back, at once if that is available already; a further
/// accrual when the decision says.
fn with_what_it_corrects(booked: &[&Booked], amount: i64, by_decision: Option<Time>, now: Time) -> Time {
    let latest = booked.iter().map(|entry| entry.available_at).max();
    let target = if amount < 0 { latest } else { by_decision.or(latest) };
    target.unwrap_or(now).max(now)
}

fn next_revision(booked: &[&Booked]) -> i64 {
    booked.iter().map(|entry| entry.revision + 1).max().unwrap_or(0)
}
