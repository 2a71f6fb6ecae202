//! `balances`, `ledger export`, `payouts`, `verify`, `doctor` and `api-key`.

use crate::blackbox::Home;
use crate::{on_both_engines, shop, shop_with_sales, shows};

on_both_engines!(
    balances_and_the_ledger_say_the_same,
    a_month_is_closed_approved_exported_and_paid,
    what_payouts_refuse,
    keys_are_made_listed_and_revoked,
    the_doctor_says_what_to_do,
);

fn balances_and_the_ledger_say_the_same(home: &mut Home) {
    shop(home);
    home.run("balances");
    home.run("balances --json");
    home.run("ledger export");
    home.ok("events import sales.jsonl");
    home.remark("the shop's sales were imported");
    home.run("balances");
    home.run("balances --json");
    home.run("ledger export");
    home.run("ledger export --json");
    home.run("ledger export --output out.csv");
    assert_eq!(std::fs::read_to_string(home.path("out.csv")).unwrap(), home.ok("ledger export"));
    home.run("ledger export --output nowhere/out.csv");
    shows!("balances", home.transcript());
}

fn a_month_is_closed_approved_exported_and_paid(home: &mut Home) {
    shop_with_sales(home);
    home.run("payouts list");
    home.run("payouts close --month 2025-02");
    home.run("payouts close --month 2025-02");
    home.run("payouts export 2025-02");
    home.run("payouts approve 2025-02");
    home.run("payouts approve 2025-02");
    home.run("payouts close --month 2025-03 --json");
    home.run("payouts list");
    home.run("payouts list 2025-02 --json");
    home.run("payouts mark-paid 2025-02 --partner acme --external-id TX-1");
    home.run("payouts mark-paid 2025-02 --partner acme --external-id TX-1");
    home.run("payouts mark-paid 2025-02 --partner acme --external-id TX-2");
    home.run("payouts mark-paid 2025-02");
    home.run("payouts mark-paid 2025-02");
    home.run("payouts export 2025-02");
    home.run("payouts export 2025-02 --output paid.csv");
    home.run("payouts list");
    home.run("balances");
    home.run("ledger export");
    home.run("verify");
    shows!("payouts", home.transcript());
}

fn what_payouts_refuse(home: &mut Home) {
    shop_with_sales(home);
    home.run("payouts close --month 2999-12");
    home.run("payouts approve 2025-02");
    home.run("payouts list 2025-02");
    home.run("payouts export bat_1");
    home.run("payouts close --month 2025-02");
    home.run("payouts mark-paid 2025-02");
    home.run("payouts close --month 2025-01");
    home.run("payouts close --month 2025-02 --mode test");
    home.run("payouts approve 2025-02 --mode test");
    home.run("payouts mark-paid 2025-02 --mode test");
    home.ok("payouts approve 2025-02");
    home.run("payouts mark-paid 2025-02 --partner nobody");
    home.run("payouts mark-paid 2025-02 --partner bolt");
    home.run("payouts mark-paid 2025-02 --external-id TX-1");
    home.run("payouts mark-paid 2025-02 --partner acme --currency eur");
    home.run("payouts mark-paid 2025-02 --currency doubloon");
    shows!("payouts_refused", home.transcript());
}

fn keys_are_made_listed_and_revoked(home: &mut Home) {
    home.run("api-key list");
    home.run("api-key create --name first");
    home.run("api-key create --name second --role admin --mode live --json");
    home.run("api-key list");
    home.run("api-key list --json");
    let keys = home.json("api-key list");
    let id = keys["keys"][0]["key_id"].as_str().unwrap().to_owned();
    home.run(&format!("api-key revoke {id}"));
    home.run(&format!("api-key revoke {id}"));
    home.run("api-key revoke key_of_nobody");
    home.run("api-key list");
    shows!("api_keys", home.transcript());
}

fn the_doctor_says_what_to_do(home: &mut Home) {
    let engine = format!("{:?}", home.engine).to_lowercase();
    home.run("doctor");
    shop_with_sales(home);
    home.run("doctor");
    home.run("doctor --json");
    shows!(format!("doctor_{engine}"), home.transcript());
}
