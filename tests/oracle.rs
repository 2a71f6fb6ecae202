//! The property at the centre of the bridge: whatever a merchant's history is, and in whatever order, shape and
//! number its events arrive, what is decided and booked is what the merchant's own books say.
//!
//! The merchant is simulated (`commission_bridge::sample`); its books share nothing with the deciding.

#![allow(clippy::unwrap_used)] // a test may end where it stands

#[path = "support/fake_stripe/mod.rs"]
mod fake_stripe;
#[path = "oracle/sources.rs"]
mod sources;
mod support;

use std::collections::BTreeMap;

use commission_bridge::domain::Time;
use commission_bridge::domain::decision::Code;
use commission_bridge::domain::facts::EventFacts;
use commission_bridge::domain::terms::{Change, Terms};
use commission_bridge::sample::event::{Event, Kind, Object};
use commission_bridge::sample::random::Random;
use commission_bridge::sample::shape::charge::Charge;
use commission_bridge::sample::shape::checkout::Session;
use commission_bridge::sample::shape::taken_back::Refund;
use commission_bridge::sample::stream::{batches, shuffle, twice, with_some_again};
use commission_bridge::sample::{InvoiceEvents, Options, RefundEvents, Shape};
use proptest::prelude::*;
use support::books::{differences, owed_by};
use support::ledger::Ledger;
use support::world::{World, decide_all, facts_of, log_of};

/// A merchant, and the shape in which its events are written.
#[derive(Debug, Clone)]
struct Merchant {
    options: Options,
    shape: Shape,
}

/// Merchants of every habit; `customers` of them, of whom the first ten are one of each kind.
fn merchants(customers: usize) -> impl Strategy<Value = Merchant> {
    let refunds = prop_oneof![Just(RefundEvents::ById), Just(RefundEvents::Cumulative)];
    let invoices = prop_oneof![Just(InvoiceEvents::Paid), Just(InvoiceEvents::Both), Just(InvoiceEvents::Succeeded)];
    let shape = prop_oneof![Just(Shape::Legacy), Just(Shape::Hybrid), Just(Shape::New)];
    (any::<u32>(), 6..28_u32, refunds, invoices, any::<bool>(), shape).prop_map(
        move |(seed, months, refunds, invoices, codes, shape)| {
            let codes_on_sessions = codes && shape.has_new();
            let seed = u64::from(seed);
            let options = Options { customers, months, refunds, invoices, codes_on_sessions, ..Options::new(seed) };
            Merchant { options, shape }
        },
    )
}

/// The other shape that the same account may write its events in: what the API answers as of the event's creation.
fn another(shape: Shape) -> Shape {
    if shape == Shape::Hybrid { Shape::New } else { Shape::Hybrid }
}

/// A new invoice shows a promotion code as a discount's id, an old session not at all: an account that writes the one so
/// and the other so has to be asked for the code, and nobody answers here.
fn showing_codes(event: &Event, shape: Shape) -> Shape {
    if matches!(event.object, Object::Session(_)) && shape == Shape::Legacy { Shape::Hybrid } else { shape }
}

fn assert_agrees(world: &World, facts: &[EventFacts], now: Time, what: &str) {
    let found = differences(&world.decide(facts, now), &world.business.books, now);
    assert!(found.is_empty(), "{what} at {now}: {} differences\n{}", found.len(), found.join("\n"));
}

/// Feeds the facts in batches, settling after each with a clock that goes on, and holds the ledger against the books.
fn settle_in_batches(world: &World, arriving: &[EventFacts], seed: u64) {
    let end = world.business.settled_at;
    let batches = batches(arriving, (arriving.len() / 5).max(1), seed);
    let clock = clock(world, batches.len(), seed);
    let mut ledger = Ledger::default();
    let mut arrived = Vec::new();
    for (batch, now) in batches.into_iter().zip(clock) {
        arrived.extend(batch);
        let decisions = world.decide(&arrived, now);
        ledger.settle(&decisions, now);
        for decision in &decisions {
            let credited = decision.partner.as_deref().zip(decision.program.as_deref());
            let due: Vec<_> =
                credited.filter(|_| decision.amount != 0).map(|key| (key, decision.amount)).into_iter().collect();
            assert_eq!(ledger.sums_of(decision).into_iter().collect::<Vec<_>>(), due, "{decision:?}");
            if matches!(decision.code, Code::Refunded | Code::Disputed | Code::Voided) {
                assert_eq!(decision.amount, 0, "{decision:?}");
            }
        }
        assert_eq!(ledger.owed(), owed_by(&decisions));
        assert_eq!(ledger.faults(), Vec::<String>::new());
    }
    let decisions = world.decide(&arrived, end);
    ledger.settle(&decisions, end);
    let found = differences(&decisions, &world.business.books, end);
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
    let mut owed = world.business.books.owed(end);
    owed.retain(|_, amount| *amount != 0);
    assert_eq!(ledger.owed(), owed, "the ledger is not what the books say");
    assert_eq!(ledger.faults(), Vec::<String>::new());
    let entries = ledger.len();
    ledger.settle(&decisions, end);
    assert_eq!(ledger.len(), entries, "settling twice appends nothing");
}

/// So many moments of the business, in order.
fn clock(world: &World, moments: usize, seed: u64) -> Vec<Time> {
    let start = world.business.events[0].at;
    let seconds = (world.business.settled_at - start).num_seconds();
    let mut random = Random::new(seed);
    let moment = |_| start + chrono::Duration::seconds(random.between(0, seconds));
    let mut moments: Vec<Time> = (0..moments).map(moment).collect();
    moments.sort_unstable();
    moments
}

/// Few cases, because each is a whole business; `PROPTEST_CASES` asks for more.
fn cases(few: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { few };
    // A smaller seed is no smaller business: shrinking would only cost time.
    ProptestConfig { cases, max_shrink_iters: 0, failure_persistence: None, ..default }
}

/// How an account tells of refunds.
#[derive(Debug, Clone, Copy)]
enum Told {
    ById,
    ByFigure,
    Both,
}

/// A guest's payment with a partner's commission on it, and refunds of parts of it, an hour and more apart.
#[derive(Debug, Clone)]
struct Returned {
    paid: i64,
    /// Hundredths of a percent.
    rate: i64,
    parts: Vec<i64>,
    told: Told,
    shape: Shape,
}

fn returned() -> impl Strategy<Value = Returned> {
    let parts = prop::collection::vec(1..1_000_000_i64, 1..9);
    let told = prop_oneof![Just(Told::ById), Just(Told::ByFigure), Just(Told::Both)];
    let shape = prop_oneof![Just(Shape::Legacy), Just(Shape::Hybrid), Just(Shape::New)];
    (parts, 1..10_000_i64, told, shape).prop_map(|(parts, rate, told, shape)| {
        let paid = parts.iter().sum();
        Returned { paid, rate, parts, told, shape }
    })
}

impl Returned {
    fn at(step: usize) -> Time {
        let start: Time = "2026-01-05T10:00:00Z".parse().expect("a moment");
        start + chrono::Duration::hours(2) * i32::try_from(step).expect("a small number")
    }

    fn terms(&self) -> Terms {
        let percent = format!("{}.{:02}", self.rate / 100, self.rate % 100);
        let program = format!(
            "[[program]]\nkey = \"saas\"\n[[program.rule]]\non = \"any\"\npercent = \"{percent}\"\nduration = \"lifetime\"\n\
             [[partner]]\nkey = \"acme\"\nname = \"Acme\"\nprograms = [\"saas\"]\n"
        );
        Terms::from_log(log_of(&program, Self::at(0)))
    }

    fn facts(&self) -> Vec<EventFacts> {
        let charge = |refunded| Charge {
            id: "ch_1".to_owned(),
            payment_intent: Some("pi_1".to_owned()),
            amount: self.paid,
            amount_refunded: refunded,
            created: Some(Self::at(0)),
            ..Charge::default()
        };
        let session = Session {
            id: "cs_1".to_owned(),
            payment_intent: Some("pi_1".to_owned()),
            amount_total: Some(self.paid),
            metadata: [("partner_key".to_owned(), "acme".to_owned())].into(),
            ..Session::default()
        };
        let mut told = vec![
            (Kind::ChargeSucceeded, 0, Object::Charge(Box::new(charge(0)))),
            (Kind::SessionCompleted, 0, Object::Session(Box::new(session))),
        ];
        let mut refunded = 0;
        for (part, step) in self.parts.iter().zip(1..) {
            refunded += part;
            let refund = Refund {
                id: format!("re_{step}"),
                amount: *part,
                charge: Some("ch_1".to_owned()),
                payment_intent: Some("pi_1".to_owned()),
                ..Refund::default()
            };
            if !matches!(self.told, Told::ByFigure) {
                told.push((Kind::RefundCreated, step, Object::Refund(refund)));
            }
            if !matches!(self.told, Told::ById) {
                told.push((Kind::ChargeRefunded, step, Object::Charge(Box::new(charge(refunded)))));
            }
        }
        let numbered = told.into_iter().enumerate();
        let event = |(number, (kind, step, object))| Event {
            id: format!("evt_{number:02}"),
            ..Event::new(kind, Self::at(step), object)
        };
        numbered.flat_map(|told| facts_of(&event(told), self.shape)).collect()
    }

    /// Half to even, of what is left of the payment.
    fn owed_after(&self, steps: usize) -> i64 {
        let left = self.paid - self.parts[..steps].iter().sum::<i64>();
        let (whole, rest) = (left * self.rate / 10_000, left * self.rate % 10_000);
        whole + i64::from(rest > 5_000 || (rest == 5_000 && whole % 2 == 1))
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn a_payment_that_is_given_back_in_any_number_of_steps_ends_at_nothing(returned in returned(), seed in any::<u64>()) {
        let terms = returned.terms();
        let mut facts = returned.facts();
        shuffle(&mut facts, seed);
        let mut ledger = Ledger::default();
        for step in 0..=returned.parts.len() {
            let now = Returned::at(step) + chrono::Duration::hours(1);
            let decisions = decide_all(&facts, &terms, now);
            prop_assert_eq!(decisions.len(), 1);
            prop_assert_eq!(decisions[0].amount, returned.owed_after(step));
            ledger.settle(&decisions, now);
            prop_assert_eq!(ledger.owed(), owed_by(&decisions));
            prop_assert_eq!(ledger.faults(), Vec::<String>::new());
            let code = if step == returned.parts.len() { Code::Refunded } else { Code::Credited };
            prop_assert_eq!(decisions[0].code, code);
        }
        prop_assert!(ledger.owed().is_empty());
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn every_business_is_decided_as_its_books_say(merchant in merchants(24), seed in any::<u64>()) {
        let world = World::new(&merchant.options);
        let mut facts = world.facts(merchant.shape);
        for now in clock(&world, 3, seed) {
            let arrived: Vec<EventFacts> = facts.iter().filter(|event| event.stamp.created <= now).cloned().collect();
            assert_agrees(&world, &arrived, now, "in time");
        }
        shuffle(&mut facts, seed);
        assert_agrees(&world, &facts, world.business.settled_at, "in any order");
        assert_agrees(&world, &twice(&facts), world.business.settled_at, "twice");
    }

    #[test]
    fn the_ledger_ends_at_the_books_whatever_the_order_and_batches(merchant in merchants(12), seed in any::<u64>()) {
        let world = World::new(&merchant.options);
        let in_order = world.facts(merchant.shape);
        settle_in_batches(&world, &with_some_again(&in_order, 30, seed), seed);
        let mut shuffled = twice(&in_order);
        shuffle(&mut shuffled, seed);
        settle_in_batches(&world, &shuffled, seed.rotate_left(7));
    }

    #[test]
    fn events_in_two_shapes_say_what_they_say_in_one(merchant in merchants(12), seed in any::<u64>()) {
        let Merchant { options, shape } = merchant;
        let world = World::new(&options);
        let mut random = Random::new(seed);
        let mut facts = Vec::new();
        for event in &world.business.events {
            facts.extend(facts_of(event, shape));
            if random.chance(60) {
                facts.extend(facts_of(event, another(shape)));
            }
        }
        shuffle(&mut facts, seed);
        assert_agrees(&world, &facts, world.business.settled_at, "in two shapes");
        settle_in_batches(&world, &facts, seed);
    }

    #[test]
    fn an_account_that_changes_its_version_loses_nothing(merchant in merchants(12), seed in any::<u64>(), to in 0..3_usize) {
        let Merchant { options, shape } = merchant;
        let world = World::new(&Options { codes_on_sessions: false, ..options });
        let upgrade = clock(&world, 1, seed)[0];
        let at = |event: &Event| if event.at < upgrade { shape } else { Shape::ALL[to] };
        let mut facts = Vec::new();
        for event in &world.business.events {
            facts.extend(facts_of(event, showing_codes(event, at(event))));
        }
        shuffle(&mut facts, seed);
        assert_agrees(&world, &facts, world.business.settled_at, "across an upgrade");
    }

    #[test]
    fn events_each_in_a_shape_of_its_own_lose_nothing(merchant in merchants(12), seed in any::<u64>()) {
        let world = World::new(&Options { codes_on_sessions: false, ..merchant.options });
        let mut random = Random::new(seed);
        let mut facts = Vec::new();
        for event in &world.business.events {
            facts.extend(facts_of(event, showing_codes(event, Shape::ALL[random.index(3)])));
        }
        shuffle(&mut facts, seed);
        assert_agrees(&world, &facts, world.business.settled_at, "each in its own shape");
    }
}

#[test]
fn a_larger_business_is_decided_as_its_books_say() {
    let world = World::new(&Options { customers: 120, months: 26, ..Options::new(1) });
    for shape in Shape::ALL {
        assert_agrees(&world, &world.facts(shape), world.business.settled_at, &format!("{shape:?}"));
    }
}

/// The merchant's terms if its partners were entered one by one while the business ran, as they were at `now`.
fn growing(world: &World, seed: u64, now: Time) -> Terms {
    let entered = |partner: &str| {
        let place = partner.bytes().fold(seed, |place, byte| place.rotate_left(5) ^ u64::from(byte));
        clock(world, 1, place)[0]
    };
    let mut log = world.log.clone();
    for entry in &mut log {
        entry.at = match &entry.change {
            Change::Partner { partner, .. } | Change::Enrollment { partner, .. } => entered(partner),
            Change::Code { owner: Some(owner), .. } => entered(&owner.partner),
            _ => entry.at,
        };
    }
    log.sort_by_key(|entry| entry.at);
    for (entry, seq) in log.iter_mut().zip(1..) {
        entry.seq = seq;
    }
    Terms::from_log(log.into_iter().filter(|entry| entry.at <= now))
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn a_partner_who_is_entered_later_takes_nothing_from_anybody(merchant in merchants(30), seed in any::<u64>()) {
        let world = World::new(&merchant.options);
        let facts = world.facts(merchant.shape);
        let mut credited: BTreeMap<String, (Option<String>, i64)> = BTreeMap::new();
        let mut ledger = Ledger::default();
        for now in clock(&world, 8, seed).into_iter().chain([world.business.settled_at]) {
            let arrived: Vec<EventFacts> = facts.iter().filter(|event| event.stamp.created <= now).cloned().collect();
            let decisions = decide_all(&arrived, &growing(&world, seed, now), now);
            ledger.settle(&decisions, now);
            prop_assert_eq!(ledger.owed(), owed_by(&decisions));
            prop_assert_eq!(ledger.faults(), Vec::<String>::new());
            for decision in &decisions {
                // A session may tell of a payment that was made shortly before.
                let is_fresh = decision.paid_at > now - chrono::Duration::days(1);
                let Some(first) = decision.steps.first().filter(|_| !is_fresh) else { continue };
                let answer = (decision.partner.clone(), first.amount);
                let before = credited.entry(decision.reference.clone()).or_insert_with(|| answer.clone());
                prop_assert_eq!(&*before, &answer, "{:?}", decision);
            }
        }
    }
}
