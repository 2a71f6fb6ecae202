//! The clock jumps an hour back, a month forward and back again, while webhooks are recorded and settled and leases are
//! held: nothing is doubled, and nothing waits for a time that does not come.

use std::sync::Arc;

use chrono::TimeDelta;
use commission_bridge::ids::Ids;
use commission_bridge::sample::random::Random;
use commission_bridge::sample::{Options, Shape, business, render_all};
use commission_bridge::store::{Mode, Urgency, syncs};
use commission_bridge::worker::Worker;

use crate::blackbox::Home;
use crate::harness::World;
use crate::load::seed;
use crate::on_both_engines;

on_both_engines!(whatever_the_clock_does_the_ledger_is_right_and_nothing_is_stuck);

fn whatever_the_clock_does_the_ledger_is_right_and_nothing_is_stuck(home: &mut Home) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(jump(home, seed()));
}

async fn jump(home: &Home, seed: u64) {
    println!("CHAOS_SEED={seed}");
    let merchant = business(&Options { customers: 20, months: 8, ..Options::new(seed) });
    let world = World::at(&home.url, merchant.settled_at, Ids::random()).await;
    world.apply(&merchant.program_toml).await;
    let events: Vec<_> = merchant.events.iter().flat_map(|event| render_all(event, Shape::New)).collect();
    let mut random = Random::new(seed);
    let jumps = [TimeDelta::zero(), TimeDelta::hours(-1), TimeDelta::days(31), TimeDelta::minutes(5)];
    for piece in events.chunks(40) {
        let away = *random.pick(&jumps);
        world.clock.advance(away);
        world.import(piece).await;
        if random.chance(50) {
            // Recorded there, settled here, by a process that knows nothing of it.
            while world.ledger.recorder(world.workspace).next().await.unwrap() > 0 {}
            lease(&world).await;
            world.clock.advance(-away);
            Worker::new(world.ledger.clone(), Arc::default()).run_until_idle().await.unwrap();
        } else {
            world.work().await;
            lease(&world).await;
            world.clock.advance(-away);
        }
        let stuck = "SELECT CAST(COUNT(*) AS BIGINT) FROM customers WHERE dirty_version <> settled_version";
        assert_eq!(world.count(stuck).await, 0, "everybody is settled, whenever that was due");
    }
    // Back from a month ahead for good: nobody who held something there holds it here.
    world.clock.advance(TimeDelta::days(31));
    world.work().await;
    lease(&world).await;
    world.clock.advance(TimeDelta::days(-31));
    world.work().await;
    assert!(take(&world, "another").await, "a lease of a month ahead keeps nobody away");
    let owed = merchant.books.owed(world.now());
    for balance in world.balances().await {
        let owed = owed.get(&(balance.partner.clone(), balance.currency)).copied().unwrap_or(0);
        assert_eq!(balance.balance, owed, "{} {}", balance.partner, balance.currency);
    }
    let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.differences);
    assert_eq!((report.waiting, report.parked, report.pending, report.failed), (0, 0, 0, 0));
    world.db.close().await;
}

async fn take(world: &World, holder: &str) -> bool {
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let until = world.now() + TimeDelta::minutes(10);
    let taken = syncs::take(&mut tx, (world.workspace, Mode::Live), holder, world.now(), until).await.unwrap();
    tx.commit().await.unwrap();
    taken
}

/// Somebody polls, and is gone.
async fn lease(world: &World) {
    take(world, "somebody who is gone").await;
}
