//! The property at the centre of the bridge, on a real database: whatever the order, repetition and moment in which a
//! business's events and terms come in, the ledger ends at what the business's own books say, and only ever grows.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use commission_bridge::domain::Time;
use commission_bridge::domain::currency::Currency;
use commission_bridge::sample::random::Random;
use commission_bridge::sample::{Books, Business, Options, Shape, business, render_all, stream};
use commission_bridge::store::entries::Booked;
use commission_bridge::store::payments::Payment;
use serde_json::Value;

use crate::harness::World;

crate::on_both_engines!(the_books_agree_day_by_day, the_books_agree_whatever_comes_late, terms_may_come_at_any_time);

/// When the terms are entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applied {
    /// Before anything happens.
    First,
    /// While sales are made.
    Between,
    /// When everything is over.
    Last,
}

/// A business, and how it comes in.
struct Run {
    seed: u64,
    business: Business,
    /// How long an event takes at most, in hours.
    latest: i64,
    applied: Applied,
    /// What arrives when.
    arrivals: Vec<(Time, Value)>,
    random: Random,
}

const PROMPT: i64 = 0;
const DAYS: i64 = 24 * 20;
const YEARS: i64 = 24 * 365 * 3;

/// A few seeds; `PROPTEST_CASES` asks for more.
pub fn seeds(few: u64) -> std::ops::Range<u64> {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    1..1 + cases.unwrap_or(few)
}

async fn the_books_agree_day_by_day(world: &World) {
    for seed in seeds(2) {
        Run::new(seed, PROMPT, Applied::First).run(world).await;
    }
}

async fn the_books_agree_whatever_comes_late(world: &World) {
    for seed in seeds(4) {
        let latest = if seed.is_multiple_of(2) { DAYS } else { YEARS };
        Run::new(seed, latest, Applied::First).run(world).await;
    }
}

async fn terms_may_come_at_any_time(world: &World) {
    for seed in seeds(4) {
        let applied = if seed.is_multiple_of(2) { Applied::Between } else { Applied::Last };
        Run::new(seed, DAYS, applied).run(world).await;
    }
}

impl Run {
    fn new(seed: u64, latest: i64, applied: Applied) -> Self {
        let mut random = Random::new(seed);
        let shape = *random.pick(&Shape::ALL);
        let months = 4 + u32::try_from(random.below(10)).unwrap();
        let options = Options { customers: 14, months, codes_on_sessions: shape.has_new(), ..Options::varied(seed) };
        let business = business(&options);
        let mut arrivals = Vec::new();
        for event in &business.events {
            for body in render_all(event, shape) {
                let times = if latest > PROMPT && random.chance(15) { 2 } else { 1 };
                for _ in 0..times {
                    arrivals.push((event.at + TimeDelta::hours(random.between(0, latest)), body.clone()));
                }
            }
        }
        stream::shuffle(&mut arrivals, seed);
        arrivals.sort_by_key(|(at, _)| *at);
        Self { seed, business, latest, applied, arrivals, random }
    }

    async fn run(mut self, world: &World) {
        println!("seed {}, terms {:?}", self.seed, self.applied);
        let first = self.business.events[0].at - TimeDelta::days(1);
        let world = world.another(&format!("seed-{}-{:?}", self.seed, self.applied), first).await;
        if self.applied == Applied::First {
            world.apply(&self.business.program_toml).await;
        }
        let arrivals = std::mem::take(&mut self.arrivals);
        let middle = arrivals.len() / 2;
        let batches = stream::batches(&arrivals, arrivals.len() / 12, self.seed);
        let mut booked = Vec::new();
        let (mut arrived, mut agreed) = (0, 0);
        for batch in batches {
            world.clock.advance(batch.last().unwrap().0 - world.now());
            let bodies: Vec<Value> = batch.iter().map(|(_, body)| body.clone()).collect();
            arrived += bodies.len();
            world.import(&bodies).await;
            if self.applied == Applied::Between && arrived >= middle && arrived - bodies.len() < middle {
                world.apply(&self.business.program_toml).await;
            }
            if self.random.chance(80) {
                world.work().await;
                booked = grown(&world, booked).await;
                let all_of_now = arrivals.get(arrived).is_none_or(|(at, _)| *at > world.now());
                if self.latest == PROMPT && all_of_now {
                    self.agrees(&world).await;
                    agreed += 1;
                }
            }
        }
        assert!(self.latest > PROMPT || agreed > 3, "on many days");
        let end = self.business.settled_at.max(world.now());
        world.clock.advance(end - world.now());
        if self.applied == Applied::Last {
            world.apply(&self.business.program_toml).await;
        }
        world.work().await;
        booked = grown(&world, booked).await;
        if self.applied != Applied::Between {
            self.agrees(&world).await;
        }
        nothing_is_left_of_what_was_taken_back(&world, &booked).await;
        proven(&world).await;
        assert_eq!(world.work().await.settled, 0);
        assert_eq!(world.entries().await.len(), booked.len(), "nothing is due any more");
    }

    /// The ledger says what the books say.
    async fn agrees(&self, world: &World) {
        agrees(world, &self.business.books, &format!("seed {}", self.seed)).await;
    }
}

/// The ledger says what the books say: what is owed, who has each payment and why, and what was received.
pub async fn agrees(world: &World, books: &Books, what: &str) {
    let now = world.now();
    let balances = world.balances().await.into_iter();
    let balances: BTreeMap<(String, Currency), i64> =
        balances.map(|balance| ((balance.partner, balance.currency), balance.balance)).collect();
    assert_eq!(without_zeros(balances), without_zeros(books.owed(now)), "{what}, {now}");

    let payments = by_reference(world).await;
    for expected in books.payments(now) {
        let got: Vec<&Payment> = expected.refs.iter().filter_map(|reference| payments.get(reference)).collect();
        let Some(payment) = got.first() else { panic!("{what}, {now}: no payment {expected:?}") };
        assert!(got.iter().all(|other| other == payment), "several payments: {expected:?} {got:?}");
        assert_eq!((payment.amount, payment.paid), (expected.amount, expected.paid), "{expected:?} {payment:?}");
        assert!(expected.partner.is_none() || expected.partner == payment.partner_key, "{expected:?} {payment:?}");
        assert!(expected.code.is_none_or(|code| code == payment.code), "{expected:?} {payment:?}");
    }
    let mut received: BTreeMap<(Option<String>, String, Currency), i64> = BTreeMap::new();
    for payment in world.payments().await.into_iter().filter(|payment| payment.merged_into.is_none()) {
        let currency = payment.currency.parse().unwrap();
        *received.entry((payment.partner_key, payment.code, currency)).or_default() += payment.paid;
    }
    let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
    for ((_, _, currency), paid) in &received {
        *sums.entry(*currency).or_default() += paid;
    }
    assert_eq!(sums, books.received(now), "{what}, {now}: {received:?}");
}

fn without_zeros(mut sums: BTreeMap<(String, Currency), i64>) -> BTreeMap<(String, Currency), i64> {
    sums.retain(|_, sum| *sum != 0);
    sums
}

pub async fn by_reference(world: &World) -> HashMap<String, Payment> {
    let by_id: HashMap<String, Payment> =
        world.payments().await.into_iter().map(|payment| (payment.payment_id.clone(), payment)).collect();
    world.payment_references().await.into_iter().map(|(text, id)| (text, by_id[&id].clone())).collect()
}

/// Every entry there was is there as it was.
async fn grown(world: &World, before: Vec<Booked>) -> Vec<Booked> {
    let now = world.entries().await;
    let by_id: HashMap<&str, &Booked> = now.iter().map(|booked| (booked.entry.entry_id.as_str(), booked)).collect();
    for old in &before {
        let kept = by_id.get(old.entry.entry_id.as_str()).unwrap_or_else(|| panic!("{old:?} is gone"));
        assert_eq!((&kept.entry, &kept.digest), (&old.entry, &old.digest));
    }
    now
}

async fn nothing_is_left_of_what_was_taken_back(world: &World, booked: &[Booked]) {
    let mut emptied = 0;
    for payment in
        world.payments().await.iter().filter(|payment| payment.paid > 0 && payment.taken_back >= payment.paid)
    {
        let entries = booked.iter().filter(|booked| booked.entry.payment_id.as_ref() == Some(&payment.payment_id));
        assert_eq!(entries.map(|booked| booked.entry.amount).sum::<i64>(), 0, "{payment:?}");
        emptied += 1;
    }
    assert!(emptied > 0, "a business with refunds");
}

pub async fn proven(world: &World) {
    let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.differences);
    assert_eq!((report.waiting, report.parked, report.pending, report.failed), (0, 0, 0, 0));
    assert!(report.customers > 0 && report.entries > 0 && report.events > 0);
}
