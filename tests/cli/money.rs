//! `balances`, `ledger export`, `payouts`, `verify`, `doctor` and `api-key`.

use crate::blackbox::{Home, Ran};
use crate::{on_both_engines, shop, shop_with_sales, shows};

on_both_engines!(
    balances_and_the_ledger_say_the_same,
    a_month_is_closed_approved_exported_and_paid,
    what_payouts_refuse,
    a_month_is_closed_and_approved_once_by_many,
    keys_are_made_listed_and_revoked,
    workspaces_are_made_and_listed,
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

fn workspaces_are_made_and_listed(home: &mut Home) {
    home.run("workspace create shop-eu");
    home.run("workspace create shop-eu");
    home.run("workspace create Shop");
    home.run("workspace list");
    home.run("workspace list --json");
    home.run("api-key create --workspace shop-eu --name first");
    home.run("balances --workspace shop-eu");
    shows!("workspaces", home.transcript());
}

fn the_doctor_says_what_to_do(home: &mut Home) {
    let engine = format!("{:?}", home.engine).to_lowercase();
    home.run("doctor");
    shop_with_sales(home);
    home.run("doctor");
    home.run("doctor --json");
    shows!(format!("doctor_{engine}"), home.transcript());
}

/// Whoever presses the button at the same time as somebody else pays nobody twice.
fn a_month_is_closed_and_approved_once_by_many(home: &mut Home) {
    shop_with_sales(home);
    let at_once = |words: &str| {
        let ran: Vec<Ran> = std::thread::scope(|scope| {
            let home = &*home;
            let running: Vec<_> = (0..4).map(|_| scope.spawn(move || home.quietly(words))).collect();
            running.into_iter().map(|one| one.join().unwrap()).collect()
        });
        for said in &ran {
            assert_eq!(said.code, Some(0), "{words}: {}", said.stderr);
            assert_eq!(said.stdout, ran[0].stdout, "{words}");
        }
        let before = ran.iter().filter(|said| said.stderr.contains("before; nothing was changed")).count();
        assert_eq!(before, 3, "{words}: {ran:?}");
    };
    at_once("payouts close --month 2025-02 --mode live");
    at_once("payouts approve 2025-02 --mode live");
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM batches"), 1);
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM entries WHERE kind = 'payout'"), 2);
    assert!(home.ok("verify").contains("right to the last minor unit"));
}
