//! Tiers: whatever the order, the rates are those of the months before; a closed month keeps its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Datelike, TimeDelta};
use commission_bridge::domain::Time;
use commission_bridge::ledger::Ledger;
use commission_bridge::payouts::batch;
use commission_bridge::sample::random::Random;
use commission_bridge::sample::stream::shuffle;
use commission_bridge::store::{Db, Mode};
use commission_bridge::worker::Worker;
use serde_json::{Value, json};

use crate::harness::{World, charge, hour, invoice_paid, invoice_payment, refund};

crate::on_both_engines!(
    any_order_ends_in_the_same_ledger,
    two_workers_end_in_the_same_ledger,
    a_late_refund_moves_an_open_month_and_no_closed_one,
    what_comes_late_for_a_closed_month_finds_its_rates,
    a_tampered_contribution_is_found,
);

/// By the number of customers in the two months before.
const TERMS: &str = r#"
[[program]]
key = "saas"
hold_days = 0
  [[program.rule]]
  tiers = { by = "customers", months = 2, steps = [
      { from = 0, percent = "10" }, { from = 3, percent = "20" }, { from = 6, percent = "30" } ] }
[[partner]]
key = "acme"
programs = ["saas"]
[[partner]]
key = "beta"
programs = ["saas"]
"#;

/// By the number of customers in the month before: 20 %, from two on 25 %.
const TWO: &str = r#"
[[program]]
key = "saas"
hold_days = 0
  [[program.rule]]
  tiers = { by = "customers", steps = [{ from = 0, percent = "20" }, { from = 2, percent = "25" }] }
[[partner]]
key = "acme"
programs = ["saas"]
payout = { method = "csv" }
"#;

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

/// A paid invoice of 100.00 usd with all its events.
fn sale(number: u32, customer: &str, partner: &str, at: Time) -> Vec<Value> {
    let metadata = json!({"partner_key": partner});
    let mut events = vec![charge(number, customer), invoice_payment(number), invoice_paid(number, customer, &metadata)];
    let seconds = json!(at.timestamp());
    for event in &mut events {
        event["created"] = seconds.clone();
        let object = &mut event["data"]["object"];
        if object.get("created").is_some() {
            object["created"] = seconds.clone();
        }
        if object.get("status_transitions").is_some() {
            object["status_transitions"]["paid_at"] = seconds.clone();
            object["lines"]["data"][0]["period"] = json!({"start": at.timestamp(), "end": at.timestamp() + 2_592_000});
        }
    }
    events
}

fn refund_at(number: u32, amount: i64, at: Time) -> Value {
    let mut event = refund(number, amount);
    event["created"] = json!(at.timestamp());
    event["data"]["object"]["created"] = json!(at.timestamp());
    event
}

/// What a business sold, and what must come of it.
struct Sold {
    events: Vec<Vec<Value>>,
    /// Owed for each payment.
    owed: BTreeMap<String, i64>,
}

struct Sale {
    customer: u64,
    month: i32,
    kept: i64,
}

/// Sixty sales of fourteen customers over five months, some taken back, counted by hand: who paid in the two months
/// before decides.
fn sold(seed: u64) -> Sold {
    let mut random = Random::new(seed);
    let (mut events, mut sales) = (Vec::new(), Vec::new());
    for number in 1..=60_u32 {
        let customer = random.below(14);
        let partner = if customer < 9 { "acme" } else { "beta" };
        let paid_at = hour(0) + TimeDelta::hours(random.between(1, 24 * 150));
        let taken = [0, 0, 0, 2_500, 10_000][random.index(5)];
        let mut said = sale(number, &format!("cus_{customer}"), partner, paid_at);
        if taken > 0 {
            said.push(refund_at(number, taken, paid_at + TimeDelta::days(random.between(1, 60))));
        }
        events.push(said);
        let month = paid_at.year() * 12 + paid_at.month().cast_signed();
        sales.push((number, Sale { customer, month, kept: 10_000 - taken }));
    }
    let partner = |sale: &Sale| sale.customer < 9;
    let paying = |like: &Sale| {
        let counts =
            |sale: &&Sale| partner(sale) == partner(like) && (like.month - 2..like.month).contains(&sale.month);
        let mut kept: BTreeMap<u64, i64> = BTreeMap::new();
        for sale in sales.iter().map(|(_, sale)| sale).filter(counts) {
            *kept.entry(sale.customer).or_default() += sale.kept;
        }
        kept.values().filter(|kept| **kept > 0).count()
    };
    let percent = |sale: &Sale| match paying(sale) {
        0..3 => 10,
        3..6 => 20,
        _ => 30,
    };
    let owed = sales.iter().map(|(number, sale)| (format!("in_{number}"), sale.kept * percent(sale) / 100)).collect();
    Sold { events, owed }
}

async fn owed(world: &World) -> BTreeMap<String, i64> {
    let payments = world.payments().await;
    payments.into_iter().map(|payment| (payment.reference.clone(), payment.amount)).collect()
}

async fn is_proven(world: &World) {
    let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.differences);
    assert_eq!((report.waiting, report.parked, report.pending), (0, 0, 0));
}

async fn any_order_ends_in_the_same_ledger(world: &World) {
    for seed in 1..=4 {
        let Sold { events, owed: expected } = sold(seed);
        let rates: BTreeSet<i64> = expected.values().copied().collect();
        assert!(rates.len() > 3, "the business reaches several tiers: {rates:?}");
        let world = world.another(&format!("tiers-{seed}"), at("2027-06-01T00:00:00Z")).await;
        world.apply(TERMS).await;
        let mut events: Vec<Value> = events.into_iter().flatten().collect();
        shuffle(&mut events, seed);
        for some in events.chunks(usize::try_from(seed).unwrap() * 20) {
            world.import(some).await;
            world.work().await;
        }
        assert_eq!(owed(&world).await, expected, "seed {seed}");
        is_proven(&world).await;
        let entries = world.entries().await.len();
        world.import(&events).await;
        world.work().await;
        assert_eq!(world.entries().await.len(), entries, "what comes twice moves nothing");
    }
}

async fn two_workers_end_in_the_same_ledger(world: &World) {
    let Sold { events, owed: expected } = sold(7);
    let world = world.another("tiers-two", at("2027-06-01T00:00:00Z")).await;
    world.apply(TERMS).await;
    let events: Vec<Value> = events.into_iter().flatten().collect();
    let other = Db::open(&world.url).await.unwrap();
    let second = Worker::new(Ledger { db: other.clone(), ..world.ledger.clone() }, Arc::default());
    for some in events.chunks(25) {
        world.import(some).await;
        let workers = [world.worker.clone(), second.clone()].map(|worker| tokio::spawn(stubborn(worker)));
        for worker in workers {
            worker.await.unwrap();
        }
    }
    other.close().await;
    world.work().await;
    assert_eq!(owed(&world).await, expected);
    is_proven(&world).await;
}

async fn stubborn(worker: Worker) {
    // A collision is an answer: try again.
    for _ in 0..200 {
        if worker.run_until_idle().await.is_ok() {
            return;
        }
    }
    panic!("the workers keep colliding");
}

async fn close(world: &World, month: &str) {
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    batch::close(tx, by, Mode::Live, month.parse().unwrap()).await.unwrap();
    session.commit().await.unwrap();
}

async fn go_to(world: &World, to: &str) {
    world.clock.advance(at(to) - world.now());
    world.work().await;
}

/// Two customers in October, of whom one pays in November: 25 %, and in December: 20 %.
async fn three_months(world: &World) {
    world.apply(TWO).await;
    for (number, customer, when) in [
        (1, "cus_1", "2026-10-05T00:00:00Z"),
        (2, "cus_2", "2026-10-06T00:00:00Z"),
        (3, "cus_1", "2026-11-05T00:00:00Z"),
        (4, "cus_1", "2026-12-05T00:00:00Z"),
    ] {
        world.import(&sale(number, customer, "acme", at(when))).await;
    }
    go_to(world, "2026-12-10T00:00:00Z").await;
    assert_eq!(amounts(world).await, [2_000, 2_000, 2_500, 2_000]);
}

async fn amounts(world: &World) -> [i64; 4] {
    let owed = owed(world).await;
    [1, 2, 3, 4].map(|number| owed[&format!("in_{number}")])
}

async fn a_late_refund_moves_an_open_month_and_no_closed_one(world: &World) {
    let open = world.another("open", hour(0)).await;
    three_months(&open).await;
    close(&open, "2026-10").await;
    // October is closed, and its payments keep their rates; November, which looks back at it, is open.
    open.import(&[refund_at(2, 10_000, at("2026-12-10T00:00:00Z"))]).await;
    go_to(&open, "2026-12-11T00:00:00Z").await;
    assert_eq!(amounts(&open).await, [2_000, 0, 2_000, 2_000]);
    is_proven(&open).await;

    let closed = world.another("closed", hour(0)).await;
    three_months(&closed).await;
    close(&closed, "2026-11").await;
    closed.import(&[refund_at(2, 10_000, at("2026-12-10T00:00:00Z"))]).await;
    go_to(&closed, "2026-12-11T00:00:00Z").await;
    assert_eq!(amounts(&closed).await, [2_000, 0, 2_500, 2_000], "November is closed");
    is_proven(&closed).await;
    // A refund in November itself still lowers December, which is open.
    closed.import(&sale(5, "cus_2", "acme", at("2026-11-20T00:00:00Z"))).await;
    closed.work().await;
    assert_eq!(amounts(&closed).await, [2_000, 0, 2_500, 2_500], "November now has two customers");
    closed.import(&[refund_at(5, 10_000, at("2026-12-11T00:00:00Z"))]).await;
    go_to(&closed, "2026-12-12T00:00:00Z").await;
    assert_eq!(amounts(&closed).await, [2_000, 0, 2_500, 2_000]);
    is_proven(&closed).await;
}

async fn what_comes_late_for_a_closed_month_finds_its_rates(world: &World) {
    let world = world.another("late", hour(0)).await;
    three_months(&world).await;
    close(&world, "2026-11").await;
    // Two more of October, and one of November that nobody had heard of.
    world.import(&sale(6, "cus_6", "acme", at("2026-10-20T00:00:00Z"))).await;
    world.import(&[refund_at(1, 10_000, at("2026-12-10T00:00:00Z"))]).await;
    world.import(&[refund_at(2, 10_000, at("2026-12-10T00:00:00Z"))]).await;
    world.import(&sale(7, "cus_7", "acme", at("2026-11-20T00:00:00Z"))).await;
    go_to(&world, "2026-12-11T00:00:00Z").await;
    assert_eq!(owed(&world).await["in_7"], 2_500, "November was closed when October had two customers");
    assert_eq!(amounts(&world).await, [0, 0, 2_500, 2_500], "December, which is open, looks back at two of November");
    is_proven(&world).await;
}

async fn a_tampered_contribution_is_found(world: &World) {
    let world = world.another("tampered", hour(0)).await;
    three_months(&world).await;
    is_proven(&world).await;
    let of_in_2 = "customer_id IN (SELECT customer_id FROM payments WHERE ref = 'in_2')";
    world.tamper(&format!("UPDATE contributions SET volume = 0 WHERE {of_in_2}")).await.unwrap();
    let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    let told = report.differences.join("\n");
    assert!(told.contains("Payment in_2: what it counts for acme's tiers in 2026-10 is off."), "{told}");
    assert!(told.contains("Payment in_3: the ledger is off by"), "{told}");
}
