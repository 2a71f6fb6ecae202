//! `events` and `clicks`: what comes in by file, and what became of it.

use crate::blackbox::{Home, events, fixture, lines};
use crate::{on_both_engines, shop, shop_with_sales, shows};

on_both_engines!(
    events_are_imported_once,
    bad_lines_are_named_and_the_rest_goes_in,
    what_cannot_be_read_is_kept_and_replayed,
    events_are_listed_and_shown,
    clicks_are_imported_all_or_none,
    a_late_click_credits_an_old_payment,
);

fn events_are_imported_once(home: &mut Home) {
    shop(home);
    home.run("events import sales.jsonl");
    home.run("events import sales.jsonl");
    home.run("events import sales.jsonl --json");
    let input = lines(&events(&fixture("shop/test-mode.toml")));
    home.run_with("events import -", input.as_bytes());
    home.run_with("events import -", b"");
    home.run("events import nowhere.jsonl");
    home.run("events import .");
    shows!("events_import", home.transcript());
}

fn bad_lines_are_named_and_the_rest_goes_in(home: &mut Home) {
    shop(home);
    let good = lines(&events(&fixture("shop/sales.toml")));
    let mut good = good.lines();
    let mut mixed: Vec<u8> = Vec::new();
    let bad: [&[u8]; 6] =
        [b"not json", b"{}", b"[]", br#"{"id":"evt_x","object":"charge"}"#, b"\xff\xfe", br#"{"id":"evt_y"}"#];
    for bad in bad {
        mixed.extend(good.next().unwrap().as_bytes());
        mixed.extend(b"\r\n\n");
        mixed.extend(bad);
        mixed.push(b'\n');
    }
    home.write("mixed.jsonl", &mixed);
    home.run("events import mixed.jsonl");
    home.run("events import mixed.jsonl --json");
    // Last line without an end, first with a byte order mark.
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend(good.collect::<Vec<_>>().join("\n").bytes());
    home.write("marked.jsonl", &marked);
    home.run("events import marked.jsonl");
    shows!("events_import_bad", home.transcript());
}

fn what_cannot_be_read_is_kept_and_replayed(home: &mut Home) {
    shop(home);
    let one = lines(&events(&fixture("shop/sales.toml"))[1..2]);
    let mut broken: serde_json::Value = serde_json::from_str(one.lines().next().unwrap()).unwrap();
    broken["data"]["object"]["amount_paid"] = "much".into();
    let mut thin = broken.clone();
    thin["id"] = "evt_thin".into();
    thin["object"] = "v2.core.event".into();
    home.write("broken.jsonl", format!("{broken}\n{thin}\n"));
    home.run("events import broken.jsonl");
    home.run("events list");
    home.run("events list --status failed --json");
    home.run("events replay --failed");
    home.run("events replay evt_02");
    home.run("events replay evt_nobody_knows");
    home.run("doctor");
    home.run("verify");
    shows!("events_failed", home.transcript());
}

fn events_are_listed_and_shown(home: &mut Home) {
    shop_with_sales(home);
    home.ok("events import test-mode.jsonl");
    home.run("events list");
    home.run("events list --limit 2");
    home.run("events list --limit 2 --after evt_02");
    home.run("events list --status ignored");
    home.run("events list --mode test");
    home.run("events list --limit 1 --json");
    home.run("events show evt_04");
    home.run("events show evt_04 --json");
    home.run("events show evt_99");
    shows!("events_list", home.transcript());
}

fn clicks_are_imported_all_or_none(home: &mut Home) {
    shop(home);
    home.write(
        "bad.csv",
        "click_id,partner_key,clicked_at\n\
         clk_1,acme,2025-01-01T00:00:00Z\n\
         ,acme,2025-01-01T00:00:00Z\n\
         clk_2,nobody,2025-01-01T00:00:00Z\n\
         clk_3,acme,yesterday\n\
         clk_1,bolt,2025-01-01T00:00:00Z\n\
         clk_4,acme\n",
    );
    home.write("columns.csv", "id,partner\nclk_1,acme\n");
    home.write("empty.csv", "");
    home.write(
        "multiline.csv",
        "click_id,partner_key,clicked_at,program_key\n\"clk\n5\",acme,2025-01-01T00:00:00Z,\n\nclk_6,acme,2025-01-01T00:00:00Z,sass\n",
    );
    for file in ["nowhere.csv", "bad.csv", "columns.csv", "multiline.csv", "empty.csv"] {
        home.run(&format!("clicks import {file}"));
    }
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM clicks"), 0);
    home.write(
        "good.csv",
        "click_id,partner_key,clicked_at,program_key\nclk_1,acme,2025-01-01T00:00:00Z,saas\n\
         clk_2, bolt ,2025-01-01T01:00:00+01:00,\n",
    );
    home.run("clicks import good.csv");
    home.write("other.csv", b"\xef\xbb\xbfpartner_key,click_id,clicked_at\nbolt,clk_1,2025-01-01T00:00:00Z\n");
    home.run("clicks import other.csv");
    shows!("clicks", home.transcript());
}

fn a_late_click_credits_an_old_payment(home: &mut Home) {
    shop_with_sales(home);
    home.run("explain in_5");
    home.write("clicks.csv", "click_id,partner_key,clicked_at\nclk_9,bolt,2025-01-01T00:00:00Z\n");
    home.run("clicks import clicks.csv");
    home.run("explain in_5");
    home.run("balances");
    home.run("verify");
    shows!("clicks_late", home.transcript());
}
