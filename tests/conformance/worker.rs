//! The loops, alone and beside others.

use std::sync::Arc;

use commission_bridge::ledger::Ledger;
use commission_bridge::on;
use commission_bridge::store::{Db, Engine, Urgency};
use commission_bridge::worker::Worker;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::harness::{World, charge, invoice_paid, invoice_payment, terms};

crate::on_both_engines!(
    two_workers_at_once_book_everything_once,
    the_loops_work_and_stop_when_told,
    only_what_can_be_made_again_is_not_waited_for
);

async fn two_workers_at_once_book_everything_once(world: &World) {
    world.enter(&terms()).await;
    let other = Db::open(&world.url).await.unwrap();
    let second = Worker::new(Ledger { db: other.clone(), ..world.ledger.clone() }, Arc::default());
    for number in 0..300 {
        let customer = format!("cus_{}", number % 40);
        world.submit(&invoice_paid(number, &customer, &json!({"partner_key": "acme"}))).await.unwrap();
        world.submit(&invoice_payment(number)).await.unwrap();
        world.submit(&charge(number, &customer)).await.unwrap();
    }
    let stubborn = |worker: Worker| async move {
        // A collision is an answer: try again.
        for _ in 0..200 {
            if worker.run_until_idle().await.is_ok() {
                return;
            }
        }
        panic!("the workers keep colliding");
    };
    let (one, two) = (tokio::spawn(stubborn(world.worker.clone())), tokio::spawn(stubborn(second)));
    one.await.unwrap();
    two.await.unwrap();
    world.work().await;
    assert_eq!(world.balance().await, 300 * 2_000);
    assert_eq!(world.entries().await.len(), 300);
    assert_eq!(world.count("SELECT COUNT(*) FROM customers").await, 40);
    assert_eq!(world.count("SELECT COUNT(*) FROM payments").await, 300);
    other.close().await;
}

async fn the_loops_work_and_stop_when_told(world: &World) {
    world.enter(&terms()).await;
    let stop = CancellationToken::new();
    let worker = world.worker.clone();
    let settled = worker.settled();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(stop).await }
    });
    world.submit(&invoice_paid(1, "cus_1", &json!({"partner_key": "acme"}))).await.unwrap();
    settled.notified().await;
    assert_eq!(world.balance().await, 2_000);
    stop.cancel();
    running.await.unwrap();
}

async fn only_what_can_be_made_again_is_not_waited_for(world: &World) {
    let waits = async |urgency| {
        let mut tx = world.db.write(urgency).await.unwrap();
        let sql = match tx.engine() {
            Engine::Sqlite => "SELECT synchronous = 2 FROM pragma_synchronous",
            Engine::Postgres => "SELECT current_setting('synchronous_commit') = 'on'",
        };
        let waits: bool = on!(tx, conn => sqlx::query_scalar(sql).fetch_one(conn).await.unwrap());
        tx.rollback().await.unwrap();
        waits
    };
    assert!(waits(Urgency::Derived).await);
    world.db.pour(true);
    assert!(!waits(Urgency::Derived).await);
    assert!(waits(Urgency::Now).await && waits(Urgency::Background).await);
    if world.db.engine() == Engine::Sqlite {
        assert!(world.db.durability().await.unwrap().iter().all(|setting| setting.is_safe));
    }
    world.db.pour(false);
    assert!(waits(Urgency::Derived).await);
}
