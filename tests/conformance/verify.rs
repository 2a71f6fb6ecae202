//! Proof that the ledger is what the events say, and that whatever was tampered with is found.

use chrono::TimeDelta;
use commission_bridge::ledger::verify::Report;
use commission_bridge::store::Engine;
use commission_bridge::store::events::EventStatus;
use serde_json::json;

use crate::harness::{World, charge, hour, invoice_paid, invoice_payment, refund, terms};

crate::on_both_engines!(
    an_untouched_ledger_is_clean,
    a_tampered_entry_is_found,
    a_removed_entry_is_found,
    tampered_facts_are_found,
    lost_facts_are_found,
    a_reference_led_astray_is_found,
    an_edited_decision_is_found,
    who_is_due_is_waiting_and_no_difference,
);

/// Three customers, one with a refund that has taken effect.
async fn some_business(world: &World) {
    world.enter(&terms()).await;
    let acme = json!({"partner_key": "acme"});
    let mut events = vec![refund(1, 5_000)];
    for number in 1..=3 {
        let customer = format!("cus_{number}");
        events.push(charge(number, &customer));
        events.push(invoice_payment(number));
        events.push(invoice_paid(number, &customer, &acme));
    }
    world.receive(&events).await;
    world.clock.advance(TimeDelta::hours(3));
    world.work().await;
    assert_eq!(world.balance().await, 5_000);
    assert!(world.now() > hour(2));
}

async fn verify(world: &World) -> Report {
    world.ledger.verify(world.workspace, |_| {}).await.unwrap()
}

/// The only difference there is.
async fn difference(world: &World) -> String {
    let report = verify(world).await;
    assert_eq!(report.differences.len(), 1, "{report:?}");
    report.differences.into_iter().next().unwrap_or_default()
}

async fn without_the_guard(world: &World) {
    let sql = match world.db.engine() {
        Engine::Sqlite => ["DROP TRIGGER entries_no_update", "DROP TRIGGER entries_no_delete"],
        Engine::Postgres => {
            ["DROP TRIGGER entries_no_change ON entries", "DROP TRIGGER entries_no_truncate ON entries"]
        }
    };
    for sql in sql {
        world.tamper(sql).await.unwrap();
    }
}

async fn an_untouched_ledger_is_clean(world: &World) {
    some_business(world).await;
    let report = verify(world).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.customers, report.payments, report.entries, report.events), (3, 3, 4, 10));
    assert_eq!((report.waiting, report.parked, report.pending, report.failed, report.ignored), (0, 0, 0, 0, 0));
}

async fn a_tampered_entry_is_found(world: &World) {
    some_business(world).await;
    without_the_guard(world).await;
    world.tamper("UPDATE entries SET available_at = available_at - 1 WHERE amount < 0").await.unwrap();
    assert!(difference(world).await.contains("was changed after it was appended"));
    world.tamper("UPDATE entries SET amount = amount + 1 WHERE amount < 0").await.unwrap();
    let report = verify(world).await;
    assert_eq!(report.different, 2, "{report:?}");
    assert!(report.differences[0].contains("in_1"), "{report:?}");
}

async fn a_removed_entry_is_found(world: &World) {
    some_business(world).await;
    without_the_guard(world).await;
    world.tamper("DELETE FROM entries WHERE amount < 0").await.unwrap();
    assert!(difference(world).await.contains("off by -10.00 usd for acme"));
    world.tamper("UPDATE entries SET revision = 1").await.unwrap();
    let report = verify(world).await;
    assert!(report.differences.iter().any(|difference| difference.contains("is gone")), "{report:?}");
}

async fn tampered_facts_are_found(world: &World) {
    some_business(world).await;
    let edit = "UPDATE facts SET body = REPLACE(body, '10000', '20000') WHERE event_id = 'evt_in_2'";
    assert_eq!(world.tamper(edit).await.unwrap(), 1);
    assert!(difference(world).await.contains("evt_in_2"));
}

async fn lost_facts_are_found(world: &World) {
    some_business(world).await;
    world.tamper("DELETE FROM facts WHERE event_id = 'evt_ch_2'").await.unwrap();
    let report = verify(world).await;
    assert!(report.differences.iter().any(|difference| difference.contains("evt_ch_2")), "{report:?}");
    world.tamper("DELETE FROM events WHERE event_id = 'evt_ch_3'").await.unwrap();
    let report = verify(world).await;
    assert!(report.differences.iter().any(|difference| difference.contains("the event is gone")), "{report:?}");
}

async fn a_reference_led_astray_is_found(world: &World) {
    some_business(world).await;
    world.tamper("DELETE FROM refs WHERE ref = 'ch_2'").await.unwrap();
    assert!(difference(world).await.contains("ch_2 belongs to"));
}

async fn an_edited_decision_is_found(world: &World) {
    some_business(world).await;
    world.tamper("UPDATE payments SET code = 'no_evidence' WHERE ref = 'in_2'").await.unwrap();
    assert!(difference(world).await.contains("in_2"));
}

async fn who_is_due_is_waiting_and_no_difference(world: &World) {
    some_business(world).await;
    world.submit(&charge(4, "cus_1")).await.unwrap();
    assert_eq!(verify(world).await.pending, 1);
    world.ledger.record(world.workspace).await.unwrap();
    let report = verify(world).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.waiting, report.customers), (1, 2));
    assert_eq!(world.event("evt_ch_4").await[0].status(), EventStatus::Recorded);
}
