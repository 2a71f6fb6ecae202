//! `verify`: whatever somebody changes behind the bridge's back is told in a sentence, with exit code 1.

use crate::blackbox::{Engine, Home, Ran, finish};
use crate::{on_both_engines, shop_with_sales, shows};

on_both_engines!(a_ledger_nobody_touched_is_right);

fn a_ledger_nobody_touched_is_right(home: &mut Home) {
    shop_with_sales(home);
    home.ok("events import test-mode.jsonl");
    home.ok("payouts close --month 2025-02");
    home.ok("payouts approve 2025-02");
    home.run("verify");
    home.run("verify --json");
    shows!("verify", home.transcript());
}

/// A home with the triggers gone that keep the ledger as it is, a paid month included.
fn unguarded() -> Home {
    let mut home = Home::new(Engine::Sqlite);
    shop_with_sales(&mut home);
    home.ok("payouts close --month 2025-02");
    home.ok("payouts approve 2025-02");
    home.sql("DROP TRIGGER entries_no_update");
    home.sql("DROP TRIGGER entries_no_delete");
    home
}

/// Verifies a copy of the database that was changed.
fn after(home: &Home, sql: &str) -> Ran {
    let copy = home.path("changed.db");
    std::fs::copy(home.path("ledger.db"), &copy).unwrap();
    let changed = home.sql_in(&format!("sqlite://{}", copy.display()), sql);
    assert!(changed > 0, "{sql} changed nothing");
    finish(home.command().arg("verify").env("DATABASE_URL", format!("sqlite://{}", copy.display())))
}

#[test]
fn every_change_is_told() {
    let mut home = unguarded();
    let mut untold = Vec::new();
    for (what, sql) in [
        ("an amount is changed", "UPDATE entries SET amount = amount + 1 WHERE event_id = 'evt_02'"),
        ("a partner is changed", "UPDATE entries SET partner_key = 'bolt' WHERE event_id = 'evt_03'"),
        ("a time is changed", "UPDATE entries SET available_at = 0 WHERE event_id = 'evt_05'"),
        ("the last line of a payment is deleted", "DELETE FROM entries WHERE event_id = 'evt_04'"),
        ("the first line of a payment is deleted", "DELETE FROM entries WHERE event_id = 'evt_03'"),
        ("the only line of a payment is deleted", "DELETE FROM entries WHERE event_id = 'evt_10'"),
        (
            "a line is added",
            "INSERT INTO entries SELECT workspace_id, 'ent_extra', mode, kind, partner_key, program_key, component,
                    revision + 1, payment_id, amount, currency, occurred_at, booked_at, available_at, event_id,
                    payout_id, reason, digest
             FROM entries WHERE event_id = 'evt_02'",
        ),
        (
            "a line about no payment is added",
            "INSERT INTO entries SELECT workspace_id, 'ent_extra', mode, 'adjustment', 'bolt', NULL, component,
                    1, NULL, 100, 'usd', occurred_at, booked_at, available_at, NULL, NULL, 'because', digest
             FROM entries WHERE event_id = 'evt_02'",
        ),
        ("a payout's line is deleted", "DELETE FROM entries WHERE kind = 'payout' AND partner_key = 'acme'"),
        ("a payout's line is changed", "UPDATE entries SET amount = -1 WHERE kind = 'payout' AND partner_key = 'acme'"),
        ("a payout is changed", "UPDATE payouts SET amount = amount * 10 WHERE partner_key = 'acme'"),
        ("a payout is deleted", "DELETE FROM payouts WHERE partner_key = 'acme'"),
        ("a paid line is set free", "DELETE FROM payout_entries WHERE live = 1"),
        ("a decision is changed", "UPDATE payments SET amount = 1 WHERE ref = 'in_2'"),
        ("a decision is deleted", "DELETE FROM payments WHERE ref = 'in_2'"),
        ("a reference is changed", "UPDATE payment_refs SET payment_id = 'pay_x' WHERE ref = 'pi_2'"),
        ("an event is deleted", "DELETE FROM events WHERE event_id = 'evt_04'"),
        (
            "an event's body is changed",
            "UPDATE events SET payload_codec = 0, payload = CAST('{}' AS BLOB) WHERE event_id = 'evt_03'",
        ),
        ("an event's facts are deleted", "DELETE FROM facts WHERE event_id = 'evt_06'"),
        (
            "an event is marked as ignored",
            "INSERT INTO unrecorded (workspace_id, event_id, shape, mode, status, reason)
             SELECT workspace_id, event_id, shape, mode, 2, 'unknown_type' FROM events WHERE event_id = 'evt_06'",
        ),
        ("a term is changed", r#"UPDATE changes SET body = REPLACE(body, '"percent":"20"', '"percent":"90"')"#),
    ] {
        let said = after(&home, sql);
        home.remark(what);
        home.write_down("verify", &said);
        if said.code != Some(1) || !said.stdout.contains("difference") {
            untold.push(format!("{what}: exit code {:?}\n{}{}", said.code, said.stdout, said.stderr));
        }
    }
    assert!(untold.is_empty(), "{}", untold.join("\n"));
    shows!("verify_tampered", home.transcript());
}
