//! `sync`, `backfill` and `fetch`: what people see of asking Stripe.

use std::process::Command;

use chrono::TimeDelta;
use commission_bridge::clock::Clock;
use commission_bridge::domain::Time;
use serde_json::{Value, json};

use crate::blackbox::{Home, Ran, finish};
use crate::fake_stripe::{FakeStripe, Kind, LIVE_KEY, Merchant, TEST_KEY};
use crate::{on_both_engines, shows};

on_both_engines!(events_and_history_are_fetched, what_cannot_be_done_is_said, a_question_is_answered);

fn sale(number: u32, at: Time) -> Value {
    let (at, subscription) = (at.timestamp(), format!("sub_{number}"));
    let line = json!({
        "id": format!("il_{number}"), "object": "line_item", "amount": 10_000, "currency": "usd", "metadata": {},
        "period": {"start": at, "end": at + 2_592_000},
        "parent": {"type": "subscription_item_details", "subscription_item_details": {
            "proration": false, "subscription": subscription}},
        "pricing": {"type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}},
    });
    let invoice = json!({
        "id": format!("in_{number}"), "object": "invoice", "customer": format!("cus_{number}"), "currency": "usd",
        "status": "paid", "total": 10_000, "subtotal": 10_000, "amount_due": 10_000, "amount_paid": 10_000,
        "amount_remaining": 0, "billing_reason": "subscription_cycle", "created": at, "livemode": true,
        "status_transitions": {"paid_at": at}, "metadata": {"partner_key": "acme"},
        "parent": {"type": "subscription_details", "subscription_details": {
            "subscription": subscription, "metadata": {"note": "none"}}},
        "lines": {"object": "list", "has_more": false, "data": [line]},
    });
    json!({
        "id": format!("evt_{number}"), "object": "event", "type": "invoice.paid", "created": at, "livemode": true,
        "api_version": "2026-10-28.endive", "data": {"object": invoice},
    })
}

fn merchant() -> Merchant {
    let (mut merchant, now) = (Merchant::default(), Clock::machine().now());
    for number in 0..5 {
        merchant.tell(&sale(number, now - TimeDelta::days(3 + i64::from(number) * 12)));
    }
    merchant
}

fn command(home: &Home, fake: &FakeStripe, words: &str) -> Command {
    let mut command = home.command();
    command.args(words.split_whitespace());
    command.env("STRIPE_API_KEY", LIVE_KEY).env("STRIPE_API_BASE", fake.base()).env("STRIPE_RATE_LIMIT", "0");
    command
}

fn run(home: &mut Home, fake: &FakeStripe, words: &str) -> Ran {
    let ran = finish(&mut command(home, fake, words));
    // Which kind is done first is open.
    let stderr = if words.starts_with("backfill") { String::new() } else { ran.stderr.clone() };
    home.write_down(words, &Ran { code: ran.code, stdout: ran.stdout.clone(), stderr });
    ran
}

fn events_and_history_are_fetched(home: &mut Home) {
    let fake = FakeStripe::with(Clock::machine(), merchant());
    assert_eq!(run(home, &fake, "sync").code, Some(0));
    home.remark("what is older than thirty days is history");
    assert_eq!(run(home, &fake, "backfill --since 400d").code, Some(0));
    let status = finish(&mut command(home, &fake, "backfill status"));
    assert!(status.code == Some(0) && status.stdout.starts_with("bf_"), "{status:?}");
    assert_eq!(run(home, &fake, "fetch in_4 evt_0").code, Some(0));
    let said = finish(&mut command(home, &fake, "sync --json"));
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&json["syncs"][0]["new"], &json["syncs"][0]["mode"]), (&json!(0), &json!("live")));
    let said = finish(&mut command(home, &fake, "backfill --since 400d --kinds invoices --json"));
    let json: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(
        (&json["kinds"][0]["objects"], &json["kinds"][0]["new"], &json["status"]),
        (&json!(5), &json!(0), &json!("done"))
    );
    assert_eq!(home.count("SELECT COUNT(*) FROM payments"), 5);
    shows!("fetching", home.transcript());
}

fn what_cannot_be_done_is_said(home: &mut Home) {
    let fake = FakeStripe::with(Clock::machine(), merchant());
    for (words, said) in [
        ("sync --since yesterday", "is no moment"),
        ("sync --since 31d", "backfill --since"),
        ("sync --mode test", "STRIPE_API_KEY is a live key"),
        ("backfill", "say since when"),
        ("backfill --since 2999-01-01", "since"),
        ("backfill --since 2024-01-01 --kinds payouts", "is no kind of objects"),
        ("backfill answer sub_1 --since created", "nothing is asked about"),
        ("backfill answer sub_1 --since soon", "is no answer"),
        ("fetch tr_1", "nobody can tell"),
        ("fetch in_nowhere", "No such invoice"),
    ] {
        let ran = run(home, &fake, words);
        assert_eq!(ran.code, Some(1), "{words}: {ran:?}");
        assert!(ran.stderr.contains(said), "{words}: {ran:?}");
    }
    fake.books().lacks.push("event_read");
    let ran = run(home, &fake, "sync");
    assert!(ran.code == Some(1) && ran.stderr.contains("lacks a permission"), "{ran:?}");
    let without = finish(command(home, &fake, "sync").env("STRIPE_API_KEY", ""));
    assert!(without.code == Some(1) && without.stderr.contains("no Stripe key is configured"), "{without:?}");
    let test = finish(command(home, &fake, "backfill --since 2024-01-01").env("STRIPE_API_KEY", TEST_KEY));
    assert_eq!(test.code, Some(0), "{test:?}");
    assert!(test.stdout.contains("test book"), "{test:?}");
}

fn a_question_is_answered(home: &mut Home) {
    let mut merchant = merchant();
    let made = Clock::machine().now() - TimeDelta::days(60);
    merchant.put(
        Kind::Subscription,
        json!({"id": "sub_2", "object": "subscription", "customer": "cus_2", "livemode": true, "status": "active",
            "created": made.timestamp(), "items": {"data": []}, "metadata": {"partner_key": "other"}}),
    );
    let fake = FakeStripe::with(Clock::machine(), merchant);
    let ran = run(home, &fake, "backfill --since 400d");
    assert!(ran.code == Some(0) && ran.stderr.contains("history cannot tell"), "{ran:?}");
    let asked = finish(&mut command(home, &fake, "backfill questions"));
    assert!(asked.stdout.contains("partner_key = other"), "{asked:?}");
    let answered = run(home, &fake, "backfill answer sub_2 --since created");
    assert_eq!(answered.code, Some(0), "{answered:?}");
    let asked = finish(&mut command(home, &fake, "backfill questions"));
    assert_eq!(asked.stdout, "History tells all there is.\n");
}
