//! Any sequence of facts about one customer, under any of some programs: folded, decided, booked.

use std::sync::OnceLock;

use chrono::TimeDelta;

use super::dice::Dice;
use super::facts::{event, moment};
use super::terms::{enter, of_file};
use crate::domain::Time;
use crate::domain::booking::{Booked, NewEntry, difference};
use crate::domain::decision::{Click, Code, Decision, Decisions, Lookups, Step, decide, explain};
use crate::domain::facts::EventFacts;
use crate::domain::history::fold;
use crate::domain::lead::{Lead, LeadBy, LeadTo};
use crate::domain::mrr;
use crate::domain::terms::{Change, Status, Terms, Verdict};

const PROGRAMS: [&str; 5] = [
    super::terms::README,
    include_str!("programs/steps.toml"),
    include_str!("programs/payments.toml"),
    include_str!("programs/fees.toml"),
    include_str!("programs/caps.toml"),
];

/// The answer depends on what is known alone, and not on the order, repetition and batches in which it came; what is
/// owed is the sum of its steps, and what is booked the sum of what is owed.
pub fn run(bytes: &[u8]) {
    let mut dice = Dice::new(bytes);
    let mut terms = dice.pick(&[0, 1, 2, 3, 4].map(applied)).clone();
    let lookups = entered(&mut dice, &mut terms);
    let order = u64::from(dice.byte());
    let now = moment(&mut dice);
    let mut events = Vec::new();
    while !dice.is_empty() && events.len() < 24 {
        events.push(event(&mut dice, events.len()));
    }
    let Some(decisions) = decided(&events, &terms, &lookups, now) else { return };
    let shuffled = shuffled(&events, order);
    assert_eq!(Some(&decisions), decided(&shuffled, &terms, &lookups, now).as_ref(), "order says nothing");
    let explained = explain(&fold(&events), &terms, &lookups, now).map(without_trace);
    assert_eq!(Ok(&decisions), explained.as_ref(), "a trace changes nothing");
    assert!(decisions.settle_due_at.is_none_or(|due| due > now), "what is due is due later");
    decisions.payments.iter().for_each(adds_up);
    booked(&events, &terms, &lookups, now, &decisions);
    let _ = mrr::spans(&events, &decisions.payments, &terms.current_settings());
}

fn applied(index: usize) -> &'static Terms {
    static TERMS: OnceLock<Vec<Terms>> = OnceLock::new();
    let all = TERMS.get_or_init(|| PROGRAMS.iter().map(|text| of_file(text, long_ago())).collect());
    &all[index]
}

fn long_ago() -> Time {
    Time::from_timestamp(1_700_000_000, 0).unwrap_or_default()
}

/// What people and visitors brought besides the program.
fn entered(dice: &mut Dice<'_>, terms: &mut Terms) -> Lookups {
    let mut lookups = Lookups::default();
    for _ in 0..dice.below(6) {
        let (at, from) = (moment(dice), dice.once_in(2).then(|| moment(dice)));
        let partner = dice.pick(&["acme", "bolt", "nobody"]).to_owned();
        let program = dice.id(&["saas", "gone"]);
        let reference = dice.pick(&["cus_1", "sub_1", "in_1", "in_2", "pi_1", "ch_1", "cs_1"]).to_owned();
        let status = dice.pick(&[Status::Inactive, Status::Active]);
        let change = match dice.below(7) {
            0 => Change::Attribution { reference, partner: (partner != "nobody").then_some(partner), program, from },
            1 => Change::PartnerStatus { partner, status, from },
            2 => Change::Enrollment { partner, program: "saas".to_owned(), status, from },
            3 => {
                let verdict = dice.pick(&[Verdict::Rejected, Verdict::Restored]);
                Change::Review { reference, verdict, note: "because".to_owned() }
            }
            4 => Change::ProgramStatus { program: "saas".to_owned(), status, from },
            5 => {
                let click = Click { partner, program, link: None, clicked_at: from.unwrap_or(at), entered_at: at };
                lookups.clicks.insert("clk_1".to_owned(), click);
                continue;
            }
            _ => {
                let to = LeadTo::Partner { partner, program };
                let known_by = (LeadBy::Email, "ann@buyer.example".to_owned());
                lookups.leads.entry(known_by).or_default().push(Lead { to, from, entered_at: at });
                continue;
            }
        };
        enter(terms, [change], at);
    }
    lookups
}

fn decided(events: &[EventFacts], terms: &Terms, lookups: &Lookups, now: Time) -> Option<Decisions> {
    decide(&fold(events), terms, lookups, now).ok()
}

fn without_trace(mut decisions: Decisions) -> Decisions {
    decisions.payments.iter_mut().for_each(|decision| decision.trace.clear());
    decisions
}

/// Another order, and some of it twice.
fn shuffled(events: &[EventFacts], order: u64) -> Vec<EventFacts> {
    let mut state = order;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 40).unwrap_or_default()
    };
    let mut shuffled = events.to_vec();
    shuffled.extend(events.iter().filter(|_| next() % 4 == 0).cloned().collect::<Vec<_>>());
    for last in (1..shuffled.len()).rev() {
        shuffled.swap(last, next() % (last + 1));
    }
    shuffled
}

fn adds_up(decision: &Decision) {
    let sum = |steps: &[Step]| steps.iter().map(|step| i128::from(step.amount)).sum::<i128>();
    assert!(decision.paid >= 0 && (0..=decision.paid).contains(&decision.taken_back), "{decision:?}");
    assert_eq!(sum(&decision.steps), i128::from(decision.amount), "{decision:?}");
    assert!(decision.steps.iter().all(|step| step.amount != 0), "{decision:?}");
    assert!(decision.steps.is_sorted_by_key(|step| step.occurred_at), "{decision:?}");
    assert!(decision.amount >= 0, "{decision:?}");
    for share in &decision.shares {
        assert_eq!(sum(&share.steps), i128::from(share.amount), "{decision:?}");
        assert!(share.amount >= 0, "{decision:?}");
    }
    if decision.amount > 0 {
        assert!(
            decision.code == Code::Credited && decision.partner.is_some() && decision.program.is_some(),
            "{decision:?}"
        );
        assert!(decision.taken_back < decision.paid, "{decision:?}");
    }
    assert!(decision.takings.iter().all(|(_, taken)| (0..=decision.paid).contains(taken)), "{decision:?}");
    assert!(decision.references.contains(&decision.reference) && decision.references.is_sorted(), "{decision:?}");
}

/// Half of it is known first, and booked; then the rest.
fn booked(events: &[EventFacts], terms: &Terms, lookups: &Lookups, now: Time, decisions: &Decisions) {
    let earlier = now - TimeDelta::days(3);
    let half = decided(&events[..events.len() / 2], terms, lookups, earlier);
    for decision in &decisions.payments {
        let before = half.iter().flat_map(|half| &half.payments).find(|known| known.reference == decision.reference);
        let mut ledger = Vec::new();
        if let Some(before) = before.filter(|before| before.currency == decision.currency) {
            append(&mut ledger, difference(&[], before, earlier));
        }
        let entries = difference(&ledger, decision, now);
        append(&mut ledger, entries);
        let owed =
            i128::from(decision.amount) + decision.shares.iter().map(|share| i128::from(share.amount)).sum::<i128>();
        assert_eq!(ledger.iter().map(|entry| i128::from(entry.amount)).sum::<i128>(), owed, "{decision:?} {ledger:?}");
        assert_eq!(difference(&ledger, decision, now), [], "what is booked is not booked again");
    }
}

fn append(ledger: &mut Vec<Booked>, entries: Vec<NewEntry>) {
    for entry in entries {
        let NewEntry { partner, program, component, revision, amount, currency, available_at, .. } = entry;
        assert!(amount != 0, "an entry moves money");
        let series =
            |booked: &&Booked| (&booked.partner, &booked.program, booked.component) == (&partner, &program, component);
        assert!(ledger.iter().filter(series).all(|booked| booked.revision < revision), "a key is used once");
        ledger.push(Booked { partner, program, component, revision, amount, currency, available_at });
    }
}
