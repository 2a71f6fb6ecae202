//! Reports and timelines over HTTP: what the command line says, and clear answers to what cannot be asked.

use serde_json::{Value, json};

use crate::blackbox::{Home, events, fixture, lines};
use crate::on_both_engines;
use crate::server::Server;

on_both_engines!(reports_are_read, timelines_are_read);

/// The shop, its sales, and a key to them.
fn open(home: &Home) -> (Server, String) {
    home.write("program.toml", fixture("shop/program.toml"));
    home.write("sales.jsonl", lines(&events(&fixture("shop/sales.toml"))));
    home.ok("apply program.toml");
    home.ok("events import sales.jsonl");
    let key = home.json("api-key create --name reader --mode live");
    (Server::start(home), key["key"].as_str().unwrap().to_owned())
}

fn get(server: &Server, key: &str, path: &str) -> (u16, Value) {
    let answer = server.get_with_key(path, key);
    (answer.status, answer.json())
}

fn reports_are_read(home: &Home) {
    let (server, key) = open(home);
    for by in ["partners", "links", "products"] {
        let (status, report) = get(&server, &key, &format!("/v1/reports/{by}?month=2025-02"));
        assert_eq!(status, 200, "{report}");
        assert_eq!(report, home.json(&format!("report {by} --month 2025-02 --mode live")));
        assert_eq!((&report["by"], &report["month"]), (&json!(by), &json!("2025-02")));
    }
    let (_, report) = get(&server, &key, "/v1/reports/partners?month=2025-02");
    assert_eq!(report["rows"][0]["subject"], "acme", "{report}");
    for (query, field) in [("month=February", "month"), ("month=2999-01", "month"), ("", "month"), ("year=1", "year")] {
        let (status, problem) = get(&server, &key, &format!("/v1/reports/partners?{query}"));
        assert_eq!((status, &problem["field"]), (422, &json!(field)), "{query}: {problem}");
    }
}

fn timelines_are_read(home: &Home) {
    let (server, key) = open(home);
    let (status, told) = get(&server, &key, "/v1/customers/cus_1/timeline");
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["data"], home.json("timeline in_1 --mode live")["moments"]);
    let words: Vec<&str> = told["data"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(words, ["paid", "paid", "refunded", "paid", "refunded"]);
    let (status, problem) = get(&server, &key, "/v1/customers/cus_99/timeline");
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{problem}");
}
