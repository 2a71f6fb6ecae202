//! Lists of the API: filtered, and read page by page, each object once and in order.

use std::time::Duration;

use commission_bridge::sample::{Options, Shape, business, render_all};
use serde_json::{Value, json};

use crate::blackbox::{Home, events, fixture, lines};
use crate::on_both_engines;
use crate::server::{Server, ask, until};

on_both_engines!(
    payments_are_listed_and_found,
    customers_are_listed_and_found,
    entries_are_filtered,
    balances_are_listed_in_pages,
    events_are_listed_and_shown,
    events_are_replayed,
);

/// A year of a business, the shop's test sales in the other book, and a key to the live one.
fn open(home: &Home) -> (Server, String) {
    let sample = business(&Options { customers: 25, months: 12, ..Options::new(3) });
    let bodies: Vec<String> =
        sample.events.iter().flat_map(|event| render_all(event, Shape::New)).map(|b| b.to_string()).collect();
    home.write("program.toml", sample.program_toml);
    home.write("events.jsonl", bodies.join("\n"));
    home.write("test-mode.jsonl", lines(&events(&fixture("shop/test-mode.toml"))));
    for words in ["apply program.toml", "events import events.jsonl", "events import test-mode.jsonl"] {
        home.ok(words);
    }
    let key = home.json("api-key create --name reader --mode live");
    (Server::start(home), key["key"].as_str().unwrap().to_owned())
}

/// Everything in a list, read in pages of several sizes; `path` ends with `?` or `&`.
pub fn all(server: &Server, key: &str, path: &str, id: &str) -> Vec<Value> {
    let read = |limit: usize| {
        let (mut read, mut after) = (Vec::new(), String::new());
        loop {
            let answer = server.get_with_key(&format!("{path}limit={limit}{after}"), key);
            assert_eq!(answer.status, 200, "{answer:?}");
            let page = answer.json();
            assert_eq!(page["object"], "list");
            let data = page["data"].as_array().unwrap();
            assert!(data.len() == limit || page["has_more"] == false, "{path}");
            read.extend(data.iter().cloned());
            match data.last() {
                Some(last) if page["has_more"] == true => {
                    after = format!("&starting_after={}", last[id].as_str().unwrap());
                }
                _ => return read,
            }
        }
    };
    let at_once = read(100);
    assert_eq!(read(7), at_once, "{path}");
    at_once
}

/// Checks that a filter leaves what it should of the whole list, and that this is something and not all.
fn filtered(server: &Server, key: &str, (path, id): (&str, &str), query: &str, keep: impl Fn(&Value) -> bool) {
    let whole = all(server, key, &format!("{path}?"), id);
    let expected: Vec<Value> = whole.iter().filter(|object| keep(object)).cloned().collect();
    assert!(
        !expected.is_empty() && expected.len() < whole.len(),
        "{path}?{query}: {} of {}",
        expected.len(),
        whole.len()
    );
    assert_eq!(all(server, key, &format!("{path}?{query}&"), id), expected, "{path}?{query}");
}

fn refuses(server: &Server, key: &str, path: &str, field: &str) {
    let refused = server.get_with_key(path, key);
    assert_eq!((refused.problem(422).as_str(), refused.json()["field"].as_str()), ("invalid", Some(field)), "{path}");
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn payments_are_listed_and_found(home: &Home) {
    let (server, key) = &open(home);
    let list = ("/v1/payments", "payment_id");
    let whole = all(server, key, "/v1/payments?", "payment_id");
    let place = |payment: &Value| (text(payment, "/paid_at").to_owned(), text(payment, "/payment_id").to_owned());
    assert!(whole.iter().map(place).rev().is_sorted(), "those paid last come first");
    let booked = home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM payments WHERE merged_into IS NULL AND mode = 1");
    assert_eq!(i64::try_from(whole.len()), Ok(booked));

    let credited = whole.iter().find(|payment| text(payment, "/decision/code") == "credited").unwrap();
    let partner = text(credited, "/decision/partner_key");
    filtered(server, key, list, &format!("partner={partner}"), |one| text(one, "/decision/partner_key") == partner);
    filtered(server, key, list, "code=no_evidence", |one| text(one, "/decision/code") == "no_evidence");
    filtered(server, key, list, &format!("partner={partner}&code=credited"), |one| {
        text(one, "/decision/partner_key") == partner && text(one, "/decision/code") == "credited"
    });
    let (since, until) = (text(&whole[whole.len() / 2], "/paid_at"), text(&whole[9], "/paid_at"));
    filtered(server, key, list, &format!("since={since}&until={until}"), |one| {
        (since..until).contains(&text(one, "/paid_at"))
    });
    let customer = text(credited, "/customer_id");
    for name in [customer, text(credited, "/customer")] {
        filtered(server, key, list, &format!("customer={name}"), |one| text(one, "/customer_id") == customer);
    }
    for nothing in ["partner=nobody", "customer=cus_nobody", "code=awaiting_review", "since=2100-01-01T00:00:00Z"] {
        assert_eq!(all(server, key, &format!("/v1/payments?{nothing}&"), "payment_id"), [json!(null); 0], "{nothing}");
    }
    for (query, field) in [
        ("code=bad", "code"),
        ("since=yesterday", "since"),
        ("until=2026-10-01", "until"),
        ("starting_after=pay_x", "starting_after"),
        ("starting_after=in_1", "starting_after"),
        ("limit=101", "limit"),
        ("color=red", "color"),
    ] {
        refuses(server, key, &format!("/v1/payments?{query}"), field);
    }

    for payment in [credited, whole.last().unwrap()] {
        for reference in payment["references"].as_array().unwrap().iter().chain([&payment["payment_id"]]) {
            let path = format!("/v1/payments/{}", reference.as_str().unwrap());
            assert_eq!(&server.get_with_key(&path, key).json(), payment);
        }
        let told = server.get_with_key(&format!("/v1/payments/{}/explain", text(payment, "/ref")), key).json();
        for field in ["ref", "references", "customer", "kind", "paid_at", "paid", "taken_back", "currency"] {
            assert_eq!(payment[field], told["payment"][field], "{field}");
        }
        for field in ["code", "sentence", "partner_key", "program", "version", "amount"] {
            assert_eq!(payment["decision"][field], told["decision"][field], "{field}");
        }
    }
    assert_eq!(server.get_with_key("/v1/payments/in_nobody", key).problem(404), "not_found");
    assert_eq!(server.get_with_key("/v1/payments/pay_nobody", key).problem(404), "not_found");
    assert_eq!(server.get_with_key("/v1/payments?mode=test", key).problem(403), "wrong_mode");
}

fn customers_are_listed_and_found(home: &Home) {
    let (server, key) = &open(home);
    let whole = all(server, key, "/v1/customers?", "customer_id");
    assert!(whole.iter().map(|one| text(one, "/customer_id")).rev().is_sorted());
    let payments = all(server, key, "/v1/payments?", "payment_id");
    assert_eq!(whole.iter().map(|one| one["payments"].as_u64().unwrap()).sum::<u64>(), payments.len() as u64);
    for customer in whole.iter().step_by(5) {
        let keys = customer["customer_keys"].as_array().unwrap();
        let names = customer["references"].as_array().unwrap().iter().chain(keys).chain([&customer["customer_id"]]);
        for name in names {
            let path = format!("/v1/customers/{}", name.as_str().unwrap());
            assert_eq!(&server.get_with_key(&path, key).json(), customer);
        }
        assert!(customer["settled_at"].is_string() && customer["error"].is_null(), "{customer}");
    }
    assert!(whole.iter().any(|one| !one["references"].as_array().unwrap().is_empty()));
    refuses(server, key, "/v1/customers?starting_after=cus_1", "starting_after");
    assert_eq!(server.get_with_key("/v1/customers/cus_nobody", key).problem(404), "not_found");
    let other = home.json("api-key create --name reader --mode test");
    let other = other["key"].as_str().unwrap();
    let path = format!("/v1/customers/{}", text(&whole[0], "/customer_id"));
    assert_eq!(server.get_with_key(&path, other).problem(404), "not_found", "it is in the other book");
    assert!(!all(server, other, "/v1/customers?", "customer_id").is_empty());
}

fn entries_are_filtered(home: &Home) {
    let (server, key) = &open(home);
    let list = ("/v1/entries", "entry_id");
    let whole = all(server, key, "/v1/entries?", "entry_id");
    let first = &whole[0];
    let (partner, program) = (text(first, "/partner_key"), text(first, "/program"));
    for kind in ["accrual", "reversal"] {
        filtered(server, key, list, &format!("kind={kind}"), |one| text(one, "/kind") == kind);
    }
    filtered(server, key, list, &format!("partner={partner}&kind=accrual"), |one| {
        text(one, "/partner_key") == partner && text(one, "/kind") == "accrual"
    });
    let of_program = all(server, key, &format!("/v1/entries?program={program}&"), "entry_id");
    assert_eq!(of_program, whole.iter().filter(|one| text(one, "/program") == program).cloned().collect::<Vec<_>>());
    let reversal = whole.iter().find(|one| text(one, "/kind") == "reversal").unwrap();
    let reference = text(reversal, "/payment_ref");
    filtered(server, key, list, &format!("payment={reference}"), |one| text(one, "/payment_ref") == reference);
    filtered(server, key, list, &format!("payment={reference}&kind=reversal"), |one| {
        text(one, "/payment_ref") == reference && text(one, "/kind") == "reversal"
    });
    let booked = text(first, "/booked_at");
    let none: [Value; 0] = [];
    assert_eq!(all(server, key, &format!("/v1/entries?since={booked}&kind=payout&"), "entry_id"), none);
    assert_eq!(all(server, key, &format!("/v1/entries?since={booked}&"), "entry_id")[0], *first);
    let before: Vec<Value> = whole.iter().filter(|one| text(one, "/booked_at") < booked).cloned().collect();
    assert_eq!(all(server, key, &format!("/v1/entries?until={booked}&"), "entry_id"), before);
    refuses(server, key, "/v1/entries?kind=gift", "kind");
    refuses(server, key, "/v1/entries?starting_after=ent_x", "starting_after");
}

fn balances_are_listed_in_pages(home: &Home) {
    let (server, key) = &open(home);
    let whole = all(server, key, "/v1/balances?", "id");
    assert!(whole.len() > 7, "{}", whole.len());
    let told = home.json("balances --mode live");
    let amounts = |list: &[Value]| -> Vec<[Value; 3]> {
        list.iter().map(|one| ["partner_key", "balance", "available"].map(|field| one[field].clone())).collect()
    };
    assert_eq!(amounts(&whole), amounts(told["balances"].as_array().unwrap()));
    refuses(server, key, "/v1/balances?starting_after=acme", "starting_after");
}

/// The shop, its sales, an event that cannot be read, and a key with role admin.
fn open_with_a_failure(home: &Home) -> (Server, String) {
    home.write("program.toml", fixture("shop/program.toml"));
    let sales = lines(&events(&fixture("shop/sales.toml")));
    let mut broken: Value = serde_json::from_str(sales.lines().nth(1).unwrap()).unwrap();
    broken["id"] = json!("evt_broken");
    broken["data"]["object"]["amount_paid"] = json!("much");
    home.write("sales.jsonl", format!("{sales}{broken}\n"));
    for words in ["apply program.toml", "events import sales.jsonl"] {
        home.ok(words);
    }
    let key = home.json("api-key create --name boss --mode live --role admin");
    (Server::start(home), key["key"].as_str().unwrap().to_owned())
}

fn events_are_listed_and_shown(home: &Home) {
    let (server, key) = &open_with_a_failure(home);
    let list = ("/v1/events", "id");
    let whole = all(server, key, "/v1/events?", "id");
    assert!(whole.iter().map(|one| text(one, "/received_at").to_owned()).rev().is_sorted());
    for status in ["recorded", "ignored", "failed"] {
        filtered(server, key, list, &format!("status={status}"), |one| text(one, "/status") == status);
    }
    assert!(all(server, key, "/v1/events?status=pending&", "id").is_empty());
    filtered(server, key, list, "reason=unknown_type", |one| text(one, "/reason") == "unknown_type");
    filtered(server, key, list, "type=invoice.paid", |one| text(one, "/type") == "invoice.paid");
    filtered(server, key, list, "type=invoice.paid&status=recorded", |one| {
        text(one, "/type") == "invoice.paid" && text(one, "/status") == "recorded"
    });
    let (since, until) = (text(&whole[whole.len() / 2], "/received_at"), text(&whole[1], "/received_at"));
    filtered(server, key, list, &format!("since={since}&until={until}"), |one| {
        (since..until).contains(&text(one, "/received_at"))
    });
    let listed = home.json("events list --mode live --limit 100");
    let ids = |list: &[Value], field: &str| -> Vec<Value> { list.iter().map(|one| one[field].clone()).collect() };
    assert_eq!(ids(listed["events"].as_array().unwrap(), "id"), ids(&whole, "event_id"), "as the command lists them");

    let failed = whole.iter().find(|one| text(one, "/status") == "failed").unwrap();
    assert!(text(failed, "/error").contains("amount_paid"), "{failed}");
    for name in ["/v1/events/evt_broken".to_owned(), format!("/v1/events/{}", text(failed, "/id"))] {
        let shown = server.get_with_key(&name, key).json();
        assert_eq!((&shown["status"], &shown["error"]), (&failed["status"], &failed["error"]));
        assert_eq!(shown["payload"]["data"]["object"]["amount_paid"], "much");
        assert_eq!(shown["other_shapes"], json!([]));
    }
    assert_eq!(server.get_with_key("/v1/events/evt_nobody", key).problem(404), "not_found");
    refuses(server, key, "/v1/events?status=lost", "status");
    refuses(server, key, "/v1/events?status=failed&reason=unknown_type", "reason");
    refuses(server, key, "/v1/events?starting_after=evt_nobody", "starting_after");
}

fn events_are_replayed(home: &Home) {
    let (server, key) = &open_with_a_failure(home);
    let post = |path: &str, key: &str, once: &str| {
        let bearer = format!("Bearer {key}");
        ask(&server.address, "POST", path, &[("authorization", bearer.as_str()), ("idempotency-key", once)], b"")
            .unwrap()
    };
    let answer = post("/v1/events/evt_broken/replay", key, "one");
    assert_eq!((answer.status, text(&answer.json(), "/status")), (200, "pending"));
    let is_failed = || server.get_with_key("/v1/events/evt_broken", key).json()["status"] == "failed";
    assert!(until(Duration::from_secs(10), is_failed), "it was read again, and still says nothing");
    let again = post("/v1/events/evt_broken/replay", key, "one");
    assert_eq!((again.body, again.headers.contains("idempotent-replayed: true")), (answer.body, true));
    let all_failed = post("/v1/events/replay", key, "all");
    assert_eq!(all_failed.json(), json!({"object": "replay", "events": 1, "has_more": false}));
    assert_eq!(post("/v1/events/evt_nobody/replay", key, "none").problem(404), "not_found");
    let audited = server.get_with_key("/v1/audit-log?subject=event", key).json();
    let actions: Vec<&str> = audited["data"].as_array().unwrap().iter().map(|line| text(line, "/action")).collect();
    assert_eq!(actions, ["events.replayed", "event.replayed"]);
    let reader = home.json("api-key create --name reader --mode live");
    let reader = reader["key"].as_str().unwrap();
    assert_eq!(post("/v1/events/replay", reader, "all").problem(403), "wrong_role");
    let tester = home.json("api-key create --name tester --mode test --role admin");
    let tester = tester["key"].as_str().unwrap();
    assert_eq!(
        post("/v1/events/evt_broken/replay", tester, "one").problem(404),
        "not_found",
        "it is in the other book"
    );
}
