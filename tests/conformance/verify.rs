//! Proof that the ledger is what the events say, and that whatever was tampered with is found.

use std::ops::Not;

use chrono::TimeDelta;
use commission_bridge::domain::entry::EntryKind;
use commission_bridge::ledger::verify::Report;
use commission_bridge::payouts::batch;
use commission_bridge::store::entries::{self, Entry};
use commission_bridge::store::events::EventStatus;
use commission_bridge::store::{Engine, Mode, Urgency};
use serde_json::json;

use crate::harness::{World, charge, hour, invoice_paid, invoice_payment, paid_by_file, refund, terms};

crate::on_both_engines!(
    an_untouched_ledger_is_clean,
    a_tampered_entry_is_found,
    a_removed_entry_is_found,
    every_tampered_column_and_missing_entry_is_found,
    every_extra_entry_is_found,
    a_tampered_payout_is_found,
    a_tampered_balance_is_found,
    tampered_facts_are_found,
    lost_facts_are_found,
    facts_of_an_event_that_is_listed_as_ignored_are_found,
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
    world.tamper("UPDATE entries SET available_at = available_at + 1 WHERE amount < 0").await.unwrap();
    assert!(difference(world).await.contains("was changed after it was appended"));
    world.tamper("UPDATE entries SET amount = amount + 1 WHERE amount < 0").await.unwrap();
    let report = verify(world).await;
    assert_eq!(report.different, 3, "{report:?}");
    assert!(report.differences[0].contains("in_1"), "{report:?}");
    assert!(report.differences[2].contains("kept as 5000; the entries come to 5001"), "{report:?}");
}

async fn a_removed_entry_is_found(world: &World) {
    some_business(world).await;
    without_the_guard(world).await;
    world.tamper("DELETE FROM entries WHERE amount < 0").await.unwrap();
    let report = verify(world).await;
    assert_eq!(report.different, 2, "{report:?}");
    assert!(report.differences[0].contains("off by -10.00 usd for acme"), "{report:?}");
    assert!(report.differences[1].contains("The balance of acme in usd"), "{report:?}");
    world.tamper("UPDATE entries SET revision = 1").await.unwrap();
    let report = verify(world).await;
    assert!(report.differences.iter().any(|difference| difference.contains("is gone")), "{report:?}");
}

/// The same business after its first month: 50.00 usd paid out, 5.001 kwd of which 0.001 is carried on, and a refund.
async fn some_payouts(world: &World) {
    some_business(world).await;
    let mut dinar = invoice_paid(4, "cus_4", &json!({"partner_key": "acme"}));
    for field in ["total", "subtotal", "amount_due", "amount_paid"] {
        dinar["data"]["object"][field] = json!(25_005);
    }
    dinar["data"]["object"]["currency"] = json!("kwd");
    dinar["data"]["object"]["lines"]["data"][0]["amount"] = json!(25_005);
    world.receive(&[dinar]).await;
    world.enter(&[paid_by_file("acme")]).await;
    world.clock.advance(TimeDelta::days(32));
    world.work().await;
    let mut session = world.session().await;
    let (tx, by) = session.parts();
    batch::close(tx, by, Mode::Live, "2026-10".parse().unwrap()).await.unwrap();
    batch::approve(tx, by, Mode::Live, "2026-10").await.unwrap();
    session.commit().await.unwrap();
    world.receive(&[refund(2, 5_000)]).await;
    assert_eq!(world.entries().await.len(), 4 + 1 + 2 + 2 + 1);
    assert!(verify(world).await.is_clean(), "{:?}", verify(world).await);
}

/// A database as it was, so that it can be put back.
async fn keep(world: &World, table: &str) {
    world.tamper(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await.unwrap();
}

async fn put_back(world: &World, table: &str) {
    world.tamper(&format!("DELETE FROM {table}")).await.unwrap();
    world.tamper(&format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await.unwrap();
}

/// Whether verifying finds fault: with a difference, or because it cannot read what it finds.
async fn finds(world: &World) -> bool {
    world.ledger.verify(world.workspace, |_| {}).await.is_ok_and(|report| report.is_clean()).not()
}

async fn every_tampered_column_and_missing_entry_is_found(world: &World) {
    const TAMPERED: [(&str, &str); 18] = [
        ("workspace_id", "workspace_id + 1"),
        ("entry_id", "entry_id || 'x'"),
        ("mode", "1 - mode"),
        ("kind", "CASE WHEN kind = 'bonus' THEN 'accrual' ELSE 'bonus' END"),
        ("partner_key", "'somebody'"),
        ("program_key", "COALESCE(program_key, '') || 'x'"),
        ("component", "'level_2'"),
        ("revision", "revision + 1000"),
        ("payment_id", "COALESCE(payment_id, '') || 'x'"),
        ("amount", "amount + 1"),
        ("currency", "'eur'"),
        ("occurred_at", "occurred_at + 1"),
        ("booked_at", "booked_at - 1"),
        ("available_at", "available_at + 1"),
        ("event_id", "COALESCE(event_id, '') || 'x'"),
        ("payout_id", "COALESCE(payout_id, '') || 'x'"),
        ("reason", "COALESCE(reason, '') || 'x'"),
        ("digest", "digest || 'x'"),
    ];
    some_payouts(world).await;
    without_the_guard(world).await;
    keep(world, "entries").await;
    for id in world.entries().await.into_iter().map(|booked| booked.entry.entry_id) {
        for (column, value) in TAMPERED {
            let edit = format!("UPDATE entries SET {column} = {value} WHERE entry_id = '{id}'");
            assert_eq!(world.tamper(&edit).await.unwrap(), 1);
            assert!(finds(world).await, "{edit}");
            put_back(world, "entries").await;
        }
        for column in ["program_key", "payment_id", "event_id", "payout_id", "reason"] {
            let given = format!("entry_id = '{id}' AND {column} IS NOT NULL");
            if world.tamper(&format!("UPDATE entries SET {column} = NULL WHERE {given}")).await.unwrap() == 1 {
                assert!(finds(world).await, "{given}");
                put_back(world, "entries").await;
            }
        }
        world.tamper(&format!("DELETE FROM entries WHERE entry_id = '{id}'")).await.unwrap();
        assert!(finds(world).await, "{id} is missing");
        put_back(world, "entries").await;
    }
    assert!(!finds(world).await);
}

/// Whoever adds an entry may well know how to compute its digest.
async fn every_extra_entry_is_found(world: &World) {
    some_payouts(world).await;
    without_the_guard(world).await;
    keep(world, "balances").await;
    for like in world.entries().await.into_iter().map(|booked| booked.entry) {
        let next = Entry { entry_id: "ent_extra".to_owned(), revision: like.revision + 100, ..like.clone() };
        let mut extra = vec![
            next.clone(),
            Entry { amount: 0, ..next.clone() },
            Entry { amount: 1, ..next.clone() },
            Entry { amount: -1, ..next.clone() },
            Entry { partner: "somebody".to_owned(), ..next.clone() },
            Entry { mode: Mode::Test, ..next.clone() },
            Entry { payment_id: None, ..next.clone() },
            Entry { program: None, revision: 0, ..next.clone() },
            Entry { payment_id: None, payout_id: None, ..next.clone() },
            Entry { payment_id: Some("pay_unknown".to_owned()), ..next.clone() },
        ];
        extra.extend(EntryKind::ALL.map(|kind| Entry { kind, ..next.clone() }));
        extra.extend(EntryKind::ALL.map(|kind| Entry { kind, payment_id: None, payout_id: None, ..next.clone() }));
        for revision in [like.revision + 1, next.revision] {
            for entry in extra.iter().map(|entry| Entry { revision, ..entry.clone() }) {
                let mut tx = world.db.write(Urgency::Now).await.unwrap();
                if entries::append(&mut tx, world.workspace, std::slice::from_ref(&entry)).await.is_err() {
                    continue;
                }
                tx.commit().await.unwrap();
                assert!(finds(world).await, "{entry:?}");
                world.tamper("DELETE FROM entries WHERE entry_id = 'ent_extra'").await.unwrap();
                put_back(world, "balances").await;
            }
        }
    }
    assert!(!finds(world).await);
}

async fn a_tampered_payout_is_found(world: &World) {
    some_payouts(world).await;
    keep(world, "payouts").await;
    for column in ["amount", "opening", "earned", "reversed", "adjustments", "closing", "entry_count"] {
        world.tamper(&format!("UPDATE payouts SET {column} = {column} + 1 WHERE currency = 'kwd'")).await.unwrap();
        assert!(finds(world).await, "{column}");
        put_back(world, "payouts").await;
    }
    for edit in ["status = 'blocked'", "partner_key = 'somebody'", "currency = 'eur'"] {
        world.tamper(&format!("UPDATE payouts SET {edit} WHERE currency = 'kwd'")).await.unwrap();
        assert!(finds(world).await, "{edit}");
        put_back(world, "payouts").await;
    }
    world.tamper("DELETE FROM payouts WHERE currency = 'kwd'").await.unwrap();
    assert!(finds(world).await);
    put_back(world, "payouts").await;
    assert!(!finds(world).await);
    let one = "DELETE FROM payout_entries WHERE entry_id = (SELECT MIN(entry_id) FROM payout_entries)";
    assert_eq!(world.tamper(one).await.unwrap(), 1);
    assert!(difference(world).await.contains("it should have"));
}

async fn a_tampered_balance_is_found(world: &World) {
    some_payouts(world).await;
    keep(world, "balances").await;
    for tampered in [
        "UPDATE balances SET amount = amount + 1",
        "UPDATE balances SET partner_key = 'somebody'",
        "UPDATE balances SET currency = 'eur' WHERE currency = 'kwd'",
        "UPDATE balances SET mode = 0",
        "DELETE FROM balances",
    ] {
        world.tamper(tampered).await.unwrap();
        assert!(finds(world).await, "{tampered}");
        put_back(world, "balances").await;
    }
    assert!(!finds(world).await);
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

async fn facts_of_an_event_that_is_listed_as_ignored_are_found(world: &World) {
    some_business(world).await;
    let text = "INSERT INTO unrecorded (workspace_id, event_id, shape, mode, received_at, status, reason)
                SELECT workspace_id, event_id, shape, mode, received_at, 2, 'unknown_type' FROM events WHERE event_id = 'evt_ch_2'";
    world.tamper(text).await.unwrap();
    assert!(difference(world).await.contains("evt_ch_2 is listed as ignored"));
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
