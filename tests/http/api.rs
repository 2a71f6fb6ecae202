//! `GET /v1/balances` and its keys.

use std::time::Duration;

use crate::blackbox::{Home, events, fixture, lines};
use crate::on_both_engines;
use crate::server::{Server, ask, until};

on_both_engines!(
    a_key_opens_its_book_until_it_is_revoked,
    who_has_no_key_sees_nothing,
    a_payment_is_explained_by_any_of_its_references,
    the_ledger_is_listed_in_pages,
);

fn a_key_opens_its_book_until_it_is_revoked(home: &Home) {
    home.write("program.toml", fixture("shop/program.toml"));
    home.write("sales.jsonl", lines(&events(&fixture("shop/sales.toml"))));
    home.write("test-mode.jsonl", lines(&events(&fixture("shop/test-mode.toml"))));
    for words in ["apply program.toml", "events import sales.jsonl", "events import test-mode.jsonl"] {
        home.ok(words);
    }
    let server = Server::start(home);
    for mode in ["live", "test"] {
        let made = home.json(&format!("api-key create --name {mode} --mode {mode}"));
        let key = made["key"].as_str().unwrap();
        assert!(key.starts_with(&format!("cb_{mode}_")), "{key}");
        let answer = server.get_with_key("/v1/balances", key);
        assert_eq!(answer.status, 200);
        let mut balances = answer.json()["data"].clone();
        for balance in balances.as_array_mut().unwrap() {
            let balance = balance.as_object_mut().unwrap();
            balance.remove("object");
            balance.remove("id");
        }
        assert_eq!(balances, home.json(&format!("balances --mode {mode}"))["balances"]);
        assert_eq!(server.get_with_key(&format!("/v1/balances?mode={mode}"), key).body, answer.body);

        let other = if mode == "live" { "test" } else { "live" };
        let refused = server.get_with_key(&format!("/v1/balances?mode={other}"), key);
        assert_eq!(refused.problem(403), "wrong_mode");
        let unknown = server.get_with_key("/v1/balances?color=red", key);
        assert_eq!((unknown.problem(422).as_str(), unknown.json()["field"].as_str()), ("invalid", Some("color")));
        assert_eq!(server.get_with_key("/v1/balances?mode=real", key).problem(422), "invalid");

        let listed = home.json("api-key list").to_string();
        assert!(!listed.contains(key) && listed.contains("last_used_at\":\"2"), "{listed}");
        assert_eq!(home.count(&format!("SELECT CAST(COUNT(*) AS BIGINT) FROM api_keys WHERE hash LIKE '%{key}%'")), 0);

        home.ok(&format!("api-key revoke {}", made["key_id"].as_str().unwrap()));
        assert!(until(Duration::from_secs(5), || server.get_with_key("/v1/balances", key).status == 401));
        assert_eq!(server.get_with_key("/v1/balances", key).problem(401), "api_key_invalid");
    }
    assert!(!server.stop().contains("cb_live_"), "keys are never logged");
}

fn who_has_no_key_sees_nothing(home: &Home) {
    let server = Server::start(home);
    for (header, code) in [
        (None, "api_key_missing"),
        (Some(""), "api_key_missing"),
        (Some("Bearer"), "api_key_missing"),
        (Some("Bearer   "), "api_key_missing"),
        (Some("Basic Y2I6Y2I="), "api_key_missing"),
        (Some("Bearer cb_live_0000"), "api_key_invalid"),
        (Some("bearer ' OR 1=1 --"), "api_key_invalid"),
    ] {
        let headers: Vec<(&str, &str)> = header.map(|value| ("authorization", value)).into_iter().collect();
        let answer = ask(&server.address, "GET", "/v1/balances", &headers, b"").unwrap();
        assert_eq!(answer.problem(401), code, "{header:?}");
        assert!(answer.headers.contains("www-authenticate: bearer"), "{answer:?}");
    }
}

/// The shop with its sales, and a key to its live book.
fn open_shop(home: &Home) -> (Server, String) {
    home.write("program.toml", fixture("shop/program.toml"));
    home.write("sales.jsonl", lines(&events(&fixture("shop/sales.toml"))));
    for words in ["apply program.toml", "events import sales.jsonl"] {
        home.ok(words);
    }
    let key = home.json("api-key create --name reader --mode live");
    (Server::start(home), key["key"].as_str().unwrap().to_owned())
}

fn a_payment_is_explained_by_any_of_its_references(home: &Home) {
    let (server, key) = &open_shop(home);
    let told = home.json("explain in_1");
    for reference in told["payment"]["references"].as_array().unwrap() {
        let answer = server.get_with_key(&format!("/v1/payments/{}/explain", reference.as_str().unwrap()), key);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), told);
    }
    assert_eq!(server.get_with_key("/v1/payments/in_nobody/explain", key).problem(404), "not_found");
    assert_eq!(server.get_with_key("/v1/payments/%ff/explain", key).problem(404), "not_found");
    assert_eq!(server.get_with_key("/v1/payments/in_1/explain?mode=test", key).problem(403), "wrong_mode");
    assert_eq!(server.get_with_key("/v1/payments/in_1/explain?color=red", key).problem(422), "invalid");
    let bare = ask(&server.address, "GET", "/v1/payments/in_1/explain", &[], b"").unwrap();
    assert_eq!(bare.problem(401), "api_key_missing");
}

fn the_ledger_is_listed_in_pages(home: &Home) {
    let (server, key) = &open_shop(home);
    let exported = home.ok("ledger export --json");
    let mut all: Vec<serde_json::Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    all.reverse();
    assert!(all.len() > 3);
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = server.get_with_key(&format!("/v1/entries?limit=2{after}"), key).json();
        assert_eq!(page["object"], "list");
        listed.extend(page["data"].as_array().unwrap().clone());
        if page["has_more"] == false {
            break;
        }
        after = format!("&starting_after={}", listed.last().unwrap()["entry_id"].as_str().unwrap());
    }
    assert_eq!(listed, all);
    let of_acme = server.get_with_key("/v1/entries?limit=100&partner=acme", key).json();
    let expected: Vec<_> = all.iter().filter(|entry| entry["partner_key"] == "acme").cloned().collect();
    assert_eq!(of_acme["data"].as_array().unwrap(), &expected);
    assert_eq!(server.get_with_key("/v1/entries?partner=nobody", key).json()["data"], serde_json::json!([]));
    for (query, field) in
        [("limit=0", "limit"), ("limit=1&limit=2", "limit"), ("starting_after=x", "starting_after"), ("a=b", "a")]
    {
        let refused = server.get_with_key(&format!("/v1/entries?{query}"), key);
        assert_eq!((refused.problem(422).as_str(), refused.json()["field"].as_str()), ("invalid", Some(field)));
    }
}
