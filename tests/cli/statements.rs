//! Statements on the command line: drafts before the close, files after it, and the proof of files that anybody can do.

use crate::blackbox::Home;
use crate::{on_both_engines, shop_with_sales, shows};

on_both_engines!(statements_are_drafted_listed_shown_written_and_proved);

fn statements_are_drafted_listed_shown_written_and_proved(home: &mut Home) {
    shop_with_sales(home);
    home.run("statements list");
    home.run("statements preview --month 2025-02 --output drafts");
    home.ok("payouts close --month 2025-02");
    home.ok("payouts approve 2025-02");
    home.ok("payouts close --month 2025-03");
    home.remark("two months were closed");
    home.run("statements list");
    home.run("statements list --month 2025-02 --partner acme --json");
    let listed = home.json("statements list --month 2025-02 --partner acme");
    let id = listed["statements"][0]["statement_id"].as_str().unwrap().to_owned();
    home.run(&format!("statements show {id}"));
    home.run("statements show st_1");
    home.run("statements preview --month 2025-02 --partner acme --output preview");
    for name in ["index.html", "statement-2025-02-acme-usd.html", "statement-2025-02-acme-usd.mail.html"] {
        assert!(std::fs::read_to_string(home.path("preview").join(name)).unwrap().starts_with("<!doctype html>"));
    }
    home.run("statements export --output books");
    let (february, march) = ("books/statement-2025-02-acme-usd.json", "books/statement-2025-03-acme-usd.json");
    let shown = home.ok(&format!("statements show {id} --json"));
    assert_eq!(shown, std::fs::read_to_string(home.path(february)).unwrap());
    home.run(&format!("statements check {march} {february}"));
    home.run(&format!("statements check {march}"));
    let changed = shown.replacen("\"amount\":", "\"amount\":1", 1);
    home.write("changed.json", changed);
    home.write("crlf.json", shown.replace('\n', "\r\n"));
    home.run("statements check changed.json");
    home.run(&format!("statements check crlf.json {march} program.toml nowhere.json"));
    home.run(&format!("statements check crlf.json {march} program.toml --json"));
    assert_eq!(home.quietly(&format!("statements check {march} changed.json")).code, Some(1));
    // Whoever has no bridge proves it with what every machine has.
    let by_hand = format!(
        "test \"$(sed '$d' {february} | sha256sum | cut -d' ' -f1)\" = \"$(tail -n 1 {february} | cut -d'\"' -f4)\""
    );
    let status = std::process::Command::new("sh").args(["-c", &by_hand]).current_dir(home.path("")).status();
    assert!(status.unwrap().success(), "{by_hand}");
    let document: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let lines = document["lines"].as_array().unwrap();
    let sum: i64 = lines.iter().map(|line| line["amount"].as_i64().unwrap()).sum();
    assert_eq!(document["opening"].as_i64().unwrap() + sum, document["closing"].as_i64().unwrap());
    assert!(home.ok("verify").contains("right to the last minor unit"));
    shows!("statements", home.transcript());
}
