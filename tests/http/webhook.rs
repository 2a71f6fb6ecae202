//! `POST /webhooks/stripe/{workspace}`: what is stored, what is refused, and what neither.

use std::time::Duration;

use commission_bridge::stripe::signature::sign;
use serde_json::{Value, json};

use crate::blackbox::{Engine, Home, events, finish, fixture, lines};
use crate::on_both_engines;
use crate::server::{SECRET, Server, ask, now, signed, until};

on_both_engines!(
    an_event_is_stored_once_and_credited,
    what_has_no_good_signature_is_not_stored,
    secrets_can_be_rotated,
    without_a_secret_nothing_is_taken,
    bodies_that_are_no_events_are_refused,
    addresses_and_methods_that_are_none,
    it_says_how_it_is,
    test_events_land_in_the_test_book,
    a_database_that_is_gone_acknowledges_nothing,
    what_apply_changes_takes_effect_here,
);

const HOOK: &str = "/webhooks/stripe/default";

/// `invoice.paid` with an id of its own.
fn invoice(number: usize, partner: &str, livemode: bool) -> Vec<u8> {
    json!({
        "id": format!("evt_{number}"), "object": "event", "type": "invoice.paid", "created": 1_736_071_200,
        "livemode": livemode, "api_version": "2026-03-25.dahlia",
        "data": {"object": {
            "id": format!("in_{number}"), "object": "invoice", "customer": format!("cus_{number}"), "currency": "usd",
            "status": "paid", "total": 10_000, "subtotal": 10_000, "amount_due": 10_000, "amount_paid": 10_000,
            "amount_remaining": 0, "billing_reason": "manual", "created": 1_736_071_200,
            "status_transitions": {"paid_at": 1_736_071_200}, "metadata": {"partner_key": partner},
            "lines": {"object": "list", "has_more": false, "data": [{
                "id": format!("il_{number}"), "object": "line_item", "amount": 10_000, "currency": "usd",
                "period": {"start": 1_736_071_200, "end": 1_736_071_200}, "metadata": {},
            }]},
        }},
    })
    .to_string()
    .into_bytes()
}

fn stored(home: &Home) -> i64 {
    home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM events")
}

fn apply(home: &Home) {
    home.write("program.toml", fixture("shop/program.toml"));
    home.ok("apply program.toml");
}

/// A partner's balance as the service itself sees it.
fn balance(server: &Server, key: &str, partner: &str) -> Option<i64> {
    let answer = server.get_with_key("/v1/balances", key);
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let found = body["data"].as_array().unwrap().iter().find(|row| row["partner_key"] == partner)?;
    found["balance"].as_i64()
}

fn key(home: &Home, mode: &str) -> String {
    home.ok(&format!("api-key create --name test --mode {mode}")).trim().to_owned()
}

fn an_event_is_stored_once_and_credited(home: &Home) {
    apply(home);
    let server = Server::start(home);
    let body = invoice(1, "acme", true);
    for (body, status) in [
        (body.clone(), "stored"),
        (body.clone(), "duplicate"),
        (lines(&events(&fixture("shop/sales.toml"))[11..]).into_bytes(), "ignored"),
        (lines(&events(&fixture("shop/sales.toml"))[11..]).into_bytes(), "duplicate"),
    ] {
        let answer = server.deliver(&body);
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some(status)), "{answer:?}");
    }
    assert_eq!(stored(home), 2);
    // The workers of the service itself credit it; no command helps.
    let key = key(home, "live");
    assert!(until(Duration::from_secs(5), || balance(&server, &key, "acme") == Some(500)), "{}", server.said());
    let metrics = server.get("/metrics").body;
    for line in ["{result=\"stored\"} 1", "{result=\"duplicate\"} 2", "{result=\"ignored\"} 1"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let said = server.stop();
    assert!(!said.contains(SECRET), "{said}");
}

fn what_has_no_good_signature_is_not_stored(home: &Home) {
    let server = Server::start(home);
    let body = invoice(1, "acme", true);
    let other = invoice(2, "acme", true);
    let late = sign(SECRET, now() - 301, &body);
    for (signature, why) in [
        (None, "none"),
        (Some(String::new()), "empty"),
        (Some("nonsense".to_owned()), "no signature at all"),
        (Some("t=soon,v1=00".to_owned()), "no time"),
        (Some(format!("t={}", now())), "a time alone"),
        (Some(sign("whsec_of_another", now(), &body)), "another secret's"),
        (Some(signed(&other)), "another body's"),
        (Some(signed(&body).replace("v1=", "v0=")), "an old scheme"),
        (Some(late), "too old"),
    ] {
        let answer = server.post(HOOK, signature.as_deref(), &body);
        assert_eq!(answer.problem(400), "bad_signature", "{why}");
    }
    assert_eq!(stored(home), 0);
    assert!(server.get("/metrics").body.contains("{result=\"bad_signature\"} 9"));
    // Stripe's own libraries accept what comes from a clock that goes ahead.
    for (number, at) in [(1, now() - 290), (2, now() + 3600)] {
        let body = invoice(number, "acme", true);
        assert_eq!(server.post(HOOK, Some(&sign(SECRET, at, &body)), &body).status, 200);
    }
    assert_eq!(stored(home), 2);
}

fn secrets_can_be_rotated(home: &Home) {
    home.write("secrets", "whsec_new, whsec_old\n");
    let server = Server::start_with(home, |command| command.env("STRIPE_WEBHOOK_SECRET_FILE", "secrets"));
    for (number, secret, status) in [(1, "whsec_old", 200), (2, "whsec_new", 200), (3, "whsec_older", 400)] {
        let body = invoice(number, "acme", true);
        assert_eq!(server.post(HOOK, Some(&sign(secret, now(), &body)), &body).status, status, "{secret}");
    }
    // Stripe signs with both secrets while one is rotated.
    let body = invoice(4, "acme", true);
    let both = format!("{},v1={}", sign("whsec_gone", now(), &body), &sign("whsec_new", now(), &body)[16..]);
    assert_eq!(server.post(HOOK, Some(&both), &body).status, 200, "{both}");
    assert_eq!(stored(home), 3);
}

fn without_a_secret_nothing_is_taken(home: &Home) {
    let server = Server::start_with(home, |command| command);
    let body = invoice(1, "acme", true);
    for signature in [None, Some(signed(&body)), Some(sign("", now(), &body))] {
        let answer = server.post(HOOK, signature.as_deref(), &body);
        assert_eq!(answer.problem(503), "webhook_secret_missing");
        assert!(answer.headers.contains("retry-after:"), "{answer:?}");
    }
    assert_eq!(stored(home), 0);
    assert!(until(Duration::from_secs(10), || server.said().contains("No signing secret is set yet")));
}

fn bodies_that_are_no_events_are_refused(home: &Home) {
    let server = Server::start(home);
    for body in [&b""[..], b"not json", b"\xff\xfe", b"{}", b"[]", b"null", br#"{"object":"charge","id":"ch_1"}"#] {
        assert_eq!(server.deliver(body).problem(400), "not_an_event", "{}", String::from_utf8_lossy(body));
    }
    let largest = 1024 * 1024;
    let mut body = invoice(1, "acme", true);
    body.resize(largest, b' ');
    assert_eq!(server.deliver(&body).status, 200, "exactly 1 MiB");
    body.push(b' ');
    assert_eq!(server.deliver(&body).problem(413), "body_too_large");
    body.resize(4 * largest, b' ');
    assert_eq!(server.deliver(&body).problem(413), "body_too_large");
    assert_eq!(stored(home), 1);
    assert_eq!(server.get("/healthz").status, 200);
}

fn addresses_and_methods_that_are_none(home: &Home) {
    let server = Server::start(home);
    let body = invoice(1, "acme", true);
    for path in [
        "/webhooks/stripe/nobody",
        "/webhooks/stripe/%ff",
        "/webhooks/stripe/",
        "/webhooks/stripe",
        "/nowhere",
        "/v1/nowhere",
        "/webhooks/stripe/default/",
    ] {
        assert_eq!(server.post(path, Some(&signed(&body)), &body).problem(404), "not_found", "{path}");
    }
    for (method, path) in [("GET", HOOK), ("DELETE", HOOK), ("POST", "/healthz"), ("POST", "/v1/balances")] {
        let answer = ask(&server.address, method, path, &[], b"").unwrap();
        assert_eq!(answer.problem(405), "method_not_allowed", "{method} {path}");
        assert!(answer.headers.contains("\nallow: "), "{answer:?}");
    }
    assert_eq!(stored(home), 0);
}

fn it_says_how_it_is(home: &Home) {
    let server = Server::start(home);
    assert_eq!(server.get("/healthz").body, "ok\n");
    assert_eq!(server.get("/readyz").body, "ready\n");
    let metrics = server.get("/metrics");
    assert!(metrics.headers.contains("content-type: text/plain; version=0.0.4"), "{metrics:?}");
    for line in metrics.body.lines() {
        assert!(line.starts_with("# ") || line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
    }
    let said = server.said();
    for told in
        ["/webhooks/stripe/default", "invoice.paid", "commission-bridge apply", "commission-bridge api-key create"]
    {
        assert!(said.contains(told), "{told}: {said}");
    }
    // The port is taken now.
    let address = server.address.clone();
    let second = finish(home.command().args(["serve", "--listen", &address]));
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains(&format!("cannot listen on {address} (LISTEN)")), "{}", second.stderr);
    server.stop();
}

fn test_events_land_in_the_test_book(home: &Home) {
    apply(home);
    let server = Server::start(home);
    // The same customer, invoice and event in both modes: Stripe's ids do differ, but nothing may hang on it.
    server.deliver(&invoice(1, "acme", false));
    let mut twin: Value = serde_json::from_slice(&invoice(1, "acme", true)).unwrap();
    twin["id"] = "evt_live".into();
    twin["data"]["object"]["amount_paid"] = 20_000.into();
    twin["data"]["object"]["total"] = 20_000.into();
    twin["data"]["object"]["lines"]["data"][0]["amount"] = 20_000.into();
    server.deliver(twin.to_string().as_bytes());
    let (live, test) = (key(home, "live"), key(home, "test"));
    assert!(until(Duration::from_secs(5), || {
        balance(&server, &live, "acme") == Some(1000) && balance(&server, &test, "acme") == Some(500)
    }));
    let amount = |mode: &str| home.json(&format!("balances --mode {mode}"))["balances"][0]["balance"].as_i64();
    assert_eq!((amount("live"), amount("test")), (Some(1000), Some(500)));
    let count = |mode: &str| home.ok(&format!("ledger export --mode {mode}")).lines().count();
    assert_eq!((count("live"), count("test")), (2, 2));
    // A month of one book is no month of the other.
    home.ok("payouts close --month 2025-06 --mode test");
    assert!(home.ok("payouts list --mode live").contains("No month has been closed"));
    assert!(home.ok("verify").contains("right to the last minor unit"));
}

fn a_database_that_is_gone_acknowledges_nothing(home: &Home) {
    let server = Server::start(home);
    assert_eq!(server.deliver(&invoice(1, "acme", true)).status, 200);
    let files = ["ledger.db", "ledger.db-wal", "ledger.db-shm"];
    match home.engine {
        // Moved away, as by somebody who restores a backup: the process still has the old file open.
        Engine::Sqlite => {
            for file in files {
                std::fs::rename(home.path(file), home.path(&format!("away-{file}"))).unwrap();
            }
        }
        Engine::Postgres => home.lock_out(),
    }
    assert_eq!(server.deliver(&invoice(2, "acme", true)).problem(503), "not_stored", "{}", server.said());
    assert_eq!(server.get("/readyz").problem(503), "database_unavailable");
    assert_eq!(server.get("/healthz").status, 200, "the process itself is well");
    match home.engine {
        Engine::Sqlite => {
            for file in files {
                std::fs::rename(home.path(&format!("away-{file}")), home.path(file)).unwrap();
            }
        }
        Engine::Postgres => home.let_in(),
    }
    assert_eq!(server.deliver(&invoice(2, "acme", true)).status, 200, "{}", server.said());
    assert_eq!(stored(home), 2);
}

fn what_apply_changes_takes_effect_here(home: &Home) {
    let server = Server::start(home);
    server.deliver(&invoice(1, "acme", true));
    let key = key(home, "live");
    // Nobody catches up with a command while this is polled: `apply` returns, the service does the rest.
    assert!(until(Duration::from_secs(5), || {
        home.count(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM payments WHERE code = 'partner_unknown' OR code = 'no_evidence'",
        ) == 1
    }));
    assert_eq!(balance(&server, &key, "acme"), None);
    apply(home);
    server.deliver(&invoice(2, "acme", true));
    assert!(until(Duration::from_secs(5), || balance(&server, &key, "acme") == Some(1000)), "{}", server.said());
}
