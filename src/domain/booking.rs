//! Booking: the ledger is appended by the difference between what a payment should have earned and what is booked.

use super::Time;
use super::currency::Currency;
use super::decision::{Decision, Step};
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
    let claims = claims(decision);
    let mut entries = Vec::new();
    for whose in others(booked, &claims) {
        entries.extend(take_all_back(booked, whose, now));
    }
    for claim in &claims {
        append(booked, claim, decision.currency, now, &mut entries);
    }
    entries
}

/// Takes back everything booked for a payment that turned out to be no payment of its own.
pub fn withdraw(booked: &[Booked], now: Time) -> Vec<NewEntry> {
    others(booked, &[]).into_iter().filter_map(|whose| take_all_back(booked, whose, now)).collect()
}

/// Whose entries belong together: partner, program, component.
type Series<'a> = (&'a PartnerKey, &'a ProgramKey, Component);

/// What a decision says of one series.
struct Claim<'a> {
    whose: Series<'a>,
    amount: i64,
    steps: &'a [Step],
}

fn claims(decision: &Decision) -> Vec<Claim<'_>> {
    let winner = decision.partner.as_ref().zip(decision.program.as_ref());
    let direct = winner.map(|(partner, program)| Claim {
        whose: (partner, program, Component::Direct),
        amount: decision.amount,
        steps: &decision.steps,
    });
    let shares = decision.shares.iter().map(|share| Claim {
        whose: (&share.partner, &share.program, share.component),
        amount: share.amount,
        steps: &share.steps,
    });
    direct.into_iter().chain(shares).collect()
}

/// The entries of one series.
fn of<'a>(booked: &'a [Booked], whose: Series<'_>) -> Vec<&'a Booked> {
    booked.iter().filter(|entry| series(entry) == whose).collect()
}

fn series(entry: &Booked) -> Series<'_> {
    (&entry.partner, &entry.program, entry.component)
}

/// Appends the steps that are not booked yet, or what corrects the sum.
fn append(booked: &[Booked], claim: &Claim<'_>, currency: Currency, now: Time, entries: &mut Vec<NewEntry>) {
    let (mine, steps) = (of(booked, claim.whose), claim.steps);
    let (partner, program, component) = claim.whose;
    let mut revision = next_revision(&mine);
    let agrees = mine.len() <= steps.len() && mine.iter().zip(steps).all(|(entry, step)| entry.amount == step.amount);
    let mut append = |kind, amount, occurred_at, available_at, event_id, reason: &str| {
        entries.push(NewEntry {
            kind,
            partner: partner.clone(),
            program: program.clone(),
            component,
            revision,
            amount,
            currency,
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
        return;
    }
    let sum: i64 = mine.iter().map(|entry| entry.amount).sum();
    let correction = claim.amount - sum;
    if correction != 0 {
        let kind = if correction > 0 { EntryKind::Accrual } else { EntryKind::Reversal };
        let available_at = with_what_it_corrects(&mine, correction, steps.last().map(|step| step.available_at), now);
        append(kind, correction, now, available_at, None, "corrected");
    }
}

/// The series that are booked and that nobody claims.
fn others<'a>(booked: &'a [Booked], claims: &[Claim<'_>]) -> Vec<Series<'a>> {
    let mut others: Vec<Series<'a>> = booked.iter().map(series).collect();
    others.retain(|whose| !claims.iter().any(|claim| claim.whose == *whose));
    others.sort_unstable();
    others.dedup();
    others
}

fn take_all_back(booked: &[Booked], whose: Series<'_>, now: Time) -> Option<NewEntry> {
    let theirs = of(booked, whose);
    let sum: i64 = theirs.iter().map(|entry| entry.amount).sum();
    if sum == 0 {
        return None;
    }
    let first = theirs.first()?;
    let (partner, program, component) = whose;
    Some(NewEntry {
        kind: EntryKind::Reversal,
        partner: partner.clone(),
        program: program.clone(),
        component,
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

#[cfg(test)]
mod tests {
    use super::super::facts::{BillingReason, RefundStatus};
    use super::super::story::{Story, at, percent};
    use super::super::terms::{Duration, ProgramTerms};
    use super::*;

    fn booked(partner: &str, component: Component, revision: i64, amount: i64, available: &str) -> Booked {
        Booked {
            partner: partner.to_owned(),
            program: "saas".to_owned(),
            component,
            revision,
            amount,
            currency: "usd".parse().unwrap(),
            available_at: at(available),
        }
    }

    #[test]
    fn what_is_withdrawn_is_taken_back_from_everybody_once() {
        let (direct, level_2) = (Component::Direct, Component::Level2);
        let mut ledger = vec![
            booked("acme", direct, 0, 200, "2026-02-04"),
            booked("acme", direct, 1, -50, "2026-02-04"),
            booked("bolt", level_2, 4, 20, "2026-02-10"),
            booked("acme", level_2, 0, 7, "2026-02-04"),
            // Taken back before.
            booked("gone", direct, 0, 10, "2026-02-04"),
            booked("gone", direct, 1, -10, "2026-02-04"),
        ];
        let told = |entries: &[NewEntry]| -> Vec<(String, Component, i64, i64, Time)> {
            let of = |entry: &NewEntry| {
                (entry.partner.clone(), entry.component, entry.revision, entry.amount, entry.available_at)
            };
            entries.iter().map(of).collect()
        };
        let entries = withdraw(&ledger, at("2026-01-20"));
        assert_eq!(
            told(&entries),
            [
                ("acme".to_owned(), direct, 2, -150, at("2026-02-04")),
                ("acme".to_owned(), level_2, 1, -7, at("2026-02-04")),
                ("bolt".to_owned(), level_2, 5, -20, at("2026-02-10")),
            ]
        );
        assert!(entries.iter().all(|entry| entry.kind == EntryKind::Reversal && entry.occurred_at == at("2026-01-20")));
        assert!(entries.iter().all(|entry| (entry.reason.as_str(), &entry.event_id) == ("credited_otherwise", &None)));

        // What could be paid out already is taken back at once.
        let late = withdraw(&ledger, at("2026-02-05"));
        let available = [at("2026-02-05"), at("2026-02-05"), at("2026-02-10")];
        assert_eq!(late.iter().map(|entry| entry.available_at).collect::<Vec<_>>(), available);

        for (partner, component, revision, amount, _) in told(&entries) {
            ledger.push(booked(&partner, component, revision, amount, "2026-02-04"));
        }
        assert_eq!(withdraw(&ledger, at("2026-03-01")), []);
    }

    /// 200 earned on 5 January, available on 4 February, of which `refunded` percent is taken back on the 6th.
    fn decision(refunded: i64) -> Decision {
        let terms = ProgramTerms { rules: vec![percent("20", Duration::Lifetime)], ..ProgramTerms::default() };
        let mut story = Story::default();
        story.program("2020-01-01", 1, terms).partner("2020-01-01", "acme");
        story.pays("in_1", "2026-01-05", 1000, BillingReason::SubscriptionCreate).via("acme").done();
        if refunded > 0 {
            story.refund("re_1", "in_1", "2026-01-06", refunded * 10, RefundStatus::Succeeded);
        }
        story.decide("2026-01-20").payments.remove(0)
    }

    #[test]
    fn what_was_paid_accrues_and_what_was_taken_back_is_reversed() {
        let entries = difference(&[], &decision(50), at("2026-01-20"));
        let told: Vec<_> =
            entries.iter().map(|entry| (entry.kind, entry.amount, entry.reason.as_str(), entry.occurred_at)).collect();
        assert_eq!(
            told,
            [
                (EntryKind::Accrual, 200, "payment", at("2026-01-05")),
                (EntryKind::Reversal, -100, "refund", at("2026-01-06T01:00:00Z")),
            ]
        );
    }

    #[test]
    fn a_correction_upwards_is_available_when_the_decision_says_and_one_downwards_with_what_it_corrects() {
        let now = at("2026-01-20");
        for (amount, correction) in [
            (150, Some((EntryKind::Accrual, 50, at("2026-02-04")))),
            (250, Some((EntryKind::Reversal, -50, at("2026-03-10")))),
            (200, None),
        ] {
            let ledger = [booked("acme", Component::Direct, 0, amount, "2026-03-10")];
            let entries = difference(&ledger, &decision(0), now);
            let told = entries.iter().map(|entry| (entry.kind, entry.amount, entry.available_at));
            assert_eq!(told.collect::<Vec<_>>(), correction.into_iter().collect::<Vec<_>>(), "{amount} was booked");
            let dated = |entry: &NewEntry| (entry.revision, entry.occurred_at, entry.reason == "corrected");
            assert!(entries.iter().all(|entry| dated(entry) == (1, now, true)));
        }
    }
}
