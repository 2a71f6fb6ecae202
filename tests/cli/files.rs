//! `payouts export` of payment files, `payouts read-back`, and `fx`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::blackbox::Home;
use crate::{on_both_engines, shop_with_sales};

on_both_engines!(a_month_leaves_by_files_and_what_became_of_it_is_read_back, rates_are_imported_and_listed);

/// The shop's partners, paid by files.
const WAYS: &str = r#"
[workspace]
time_zone = "Europe/Berlin"
minimum_payout = { usd = "25.00" }
base_currency = "eur"

[workspace.sepa]
name = "Shop"
iban = "DE89370400440532013000"

[[partner]]
key = "acme"
name = "Acme Media"
email = "pay@acme.example"
payout = { method = "paypal", account = "pay@acme.example" }

[[partner]]
key = "crane"
name = "Crane"
payout = { method = "sepa", account = "DE02120300000000202051", currency = "eur" }
"#;

fn payouts(home: &Home) -> Vec<Value> {
    let batch = home.json("payouts list 2025-02");
    let all = batch["payouts"].as_array().unwrap().iter();
    all.filter(|payout| payout["status"] != "blocked").cloned().collect()
}

fn a_month_leaves_by_files_and_what_became_of_it_is_read_back(home: &mut Home) {
    shop_with_sales(home);
    home.write("ways.toml", WAYS);
    home.ok("apply ways.toml");
    home.ok("payouts close --month 2025-02");
    let early = home.quietly("payouts export 2025-02 --format paypal");
    assert_eq!(early.code, Some(1));
    assert!(early.stderr.contains("payouts approve 2025-02"), "{}", early.stderr);
    home.ok("payouts approve 2025-02");
    let paying: Vec<Value> = payouts(home).into_iter().filter(|payout| payout["method"] == "paypal").collect();
    assert!(!paying.is_empty());
    let currencies = paying.len();

    std::fs::create_dir(home.path("out")).unwrap();
    let made = home.quietly("payouts export 2025-02 --format paypal --output out");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let lines: Vec<&str> = made.stderr.lines().filter(|line| line.starts_with("payouts-2025-02-paypal-")).collect();
    assert_eq!(lines.len(), currencies, "{}", made.stderr);
    for line in &lines {
        let (name, rest) = line.split_once(": ").unwrap();
        let sum = rest.rsplit_once("sha256 ").unwrap().1;
        let bytes = std::fs::read(home.path("out").join(name)).unwrap();
        assert_eq!(commission_bridge::store::payout_files::sha256(&bytes), sum);
        assert!(rest.starts_with("1 payout, "), "{rest}");
    }
    assert!(made.stderr.contains("batch of 2025-02: "), "{}", made.stderr);
    let again = home.quietly("payouts export 2025-02 --format paypal --output out");
    assert!(again.stderr.contains("these are the same bytes"), "{}", again.stderr);
    let last =
        |text: &str| text.lines().filter(|line| line.starts_with("payouts-")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(last(&again.stderr), last(&made.stderr));
    let nothing = home.quietly("payouts export 2025-02 --format wise");
    assert!(nothing.stderr.contains("no payout that is ready to be paid by wise"), "{}", nothing.stderr);

    // The upload itself, with what PayPal adds.
    let mut results =
        "Recipient,Amount,Currency,Customer ID,Note,Wallet,Transaction ID,Transaction Status\n".to_owned();
    for line in &lines {
        let (name, _) = line.split_once(": ").unwrap();
        let file = std::fs::read_to_string(home.path("out").join(name)).unwrap();
        let _ = writeln!(results, "{},TX1,SUCCESS", file.trim_end());
    }
    home.write("results.csv", &results);
    home.ok("payouts read-back 2025-02 results.csv --format paypal --dry-run");
    assert!(payouts(home).iter().all(|payout| payout["status"] == "ready"));
    let wrong = results.replace("SUCCESS", "PERHAPS");
    home.write("wrong.csv", wrong);
    let refused = home.quietly("payouts read-back 2025-02 wrong.csv --format paypal");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("row 2, Transaction Status: \"PERHAPS\" is unknown"), "{}", refused.stderr);
    for changed in [currencies, 0] {
        let did = home.json("payouts read-back 2025-02 results.csv --format paypal");
        assert_eq!(did["changed"], changed, "{did}");
    }
    let settled = payouts(home).into_iter().filter(|payout| payout["status"] == "settled");
    assert!(settled.map(|payout| payout["external_id"].clone()).all(|id| id == "TX1"));
    home.ok("verify");
}

fn rates_are_imported_and_listed(home: &mut Home) {
    assert!(home.ok("fx list").contains("commission-bridge fx fetch"));
    home.write("rates.csv", "Date, USD, JPY, \n30 October 2024, 1.0815, 165.80, \n");
    assert!(home.ok("fx import rates.csv").starts_with("2 new rates and 0 that were known, from 2024-10-30"));
    assert!(home.ok("fx import rates.csv").starts_with("0 new rates and 2 that were known"));
    home.write("other.csv", "Date, USD, JPY, \n30 October 2024, 1.09, 165.80, \n");
    let refused = home.quietly("fx import other.csv");
    assert!(refused.stderr.contains("usd on 2024-10-30 is 1.0815 by ecb, and 1.09 in the file"), "{}", refused.stderr);
    let listed = home.json("fx list");
    assert_eq!(listed["day"], "2024-10-30");
    assert_eq!(listed["rates"][1]["per_euro"], "1.0815");
    assert!(home.ok("fx list --day 2024-11-02").contains("on weekends and holidays"));
    let nobody = home.quietly("fx fetch --url http://127.0.0.1:1/rates.xml");
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("127.0.0.1 does not answer"), "{}", nobody.stderr);
    let wrong = home.quietly("fx fetch --url rates.xml");
    assert!(wrong.stderr.contains("https://"), "{}", wrong.stderr);
}
