//! Month end after month end of a sample business: nothing is paid twice, nothing is lost, and the file, the batch and
//! the ledger say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use commission_bridge::domain::money::decimal_text;
use commission_bridge::sample::{Options, business};
use serde_json::Value;

use crate::blackbox::{Home, events, lines};
use crate::on_both_engines;

on_both_engines!(a_year_of_payouts_adds_up);

/// A sale that is paid out, refunded afterwards, and made up for by the two next ones: 5 % of each.
const LATE_REFUND: &str = r#"
[[event]]
type = "invoice.paid"
at = "2025-01-10T10:00:00Z"
[event.invoice]
id = "in_x1"
customer = "cus_x"
currency = "chf"
metadata = { partner_key = "acme" }
lines = [{ amount = 100000 }]
payment_intent = "pi_x1"

[[event]]
type = "refund.created"
at = "2025-05-05T10:00:00Z"
refund = { id = "re_x1", amount = 100000, currency = "chf", payment_intent = "pi_x1" }

[[event]]
type = "invoice.paid"
at = "2025-07-10T10:00:00Z"
[event.invoice]
id = "in_x2"
customer = "cus_x"
currency = "chf"
metadata = { partner_key = "acme" }
lines = [{ amount = 60000 }]

[[event]]
type = "invoice.paid"
at = "2025-09-10T10:00:00Z"
[event.invoice]
id = "in_x3"
customer = "cus_x"
currency = "chf"
metadata = { partner_key = "acme" }
lines = [{ amount = 200000 }]
"#;

type Account = (String, String);

fn account(row: &Value) -> Account {
    (text(row, "partner_key"), text(row, "currency"))
}

fn text(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or_else(|| panic!("{key} in {row}")).to_owned()
}

fn number(row: &Value, key: &str) -> i64 {
    row[key].as_i64().unwrap_or_else(|| panic!("{key} in {row}"))
}

/// The sums of the ledger's lines of one kind, or of all.
fn sums(home: &Home, kind: Option<&str>) -> BTreeMap<Account, i64> {
    let mut sums = BTreeMap::new();
    for line in home.ok("ledger export --json --mode live").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if kind.is_none_or(|kind| line["kind"] == kind) {
            *sums.entry(account(&line)).or_default() += number(&line, "amount");
        }
    }
    sums
}

/// One month: its events arrive, then it is closed, approved, exported and paid.
fn close(home: &Home, month: &str, before: &BTreeMap<Account, i64>) -> Vec<Value> {
    let paid_before = sums(home, Some("payout"));
    let batch = home.json(&format!("payouts close --month {month} --mode live"));
    let payouts = batch["payouts"].as_array().unwrap().clone();
    home.ok(&format!("payouts approve {month} --mode live"));
    let again = home.json(&format!("payouts approve {month} --mode live"));
    assert_eq!(again["payouts"].as_array().unwrap().len(), payouts.len());

    let mut paid: BTreeMap<Account, i64> = BTreeMap::new();
    for payout in &payouts {
        let (opening, closing, amount) =
            (number(payout, "opening"), number(payout, "closing"), number(payout, "amount"));
        let earned = number(payout, "earned") - number(payout, "reversed") + number(payout, "adjustments");
        assert_eq!(opening + earned, amount + closing, "{month}: {payout}");
        assert_eq!(
            opening,
            before.get(&account(payout)).copied().unwrap_or(0),
            "{month} opens as the last closed: {payout}"
        );
        assert!(amount >= 0 && (amount > 0) == (text(payout, "status") == "ready"), "{month}: {payout}");
        assert!(amount == 0 || amount >= number(payout, "minimum"), "{month}: {payout}");
        *paid.entry(account(payout)).or_default() += amount;
    }

    // The ledger's new lines are what the batch pays.
    for (account, sum) in sums(home, Some("payout")) {
        let new = paid_before.get(&account).copied().unwrap_or(0) - sum;
        assert_eq!(new, paid.get(&account).copied().unwrap_or(0), "{month}: {account:?}");
    }

    // The file says what the batch says.
    let file = home.ok(&format!("payouts export {month} --mode live --format generic"));
    let mut reader = csv::Reader::from_reader(file.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), payouts.len());
    for (row, payout) in rows.iter().zip(&payouts) {
        let cell = |name: &str| row[headings.iter().position(|heading| heading == name).unwrap()].to_owned();
        let currency = text(payout, "currency");
        let money = |key: &str| decimal_text(number(payout, key), currency.parse().unwrap());
        assert_eq!(cell("payout_id"), text(payout, "payout_id"));
        for (name, key) in
            [("paid", "amount"), ("earned", "earned"), ("opening_balance", "opening"), ("closing", "closing")]
        {
            assert_eq!(cell(name), money(key), "{month} {name}: {payout}");
        }
    }
    home.ok(&format!("payouts mark-paid {month} --mode live"));
    payouts
}

fn a_year_of_payouts_adds_up(home: &Home) {
    let sample = business(&Options { customers: 40, months: 6, ..Options::new(3) });
    home.write("program.toml", &sample.program_toml);
    home.ok("apply program.toml");
    let mut all_events = [sample.events, events(LATE_REFUND)].concat();
    all_events.sort_by_key(|event| event.at);
    let mut rest = all_events.as_slice();
    let mut left: BTreeMap<Account, i64> = BTreeMap::new();
    let mut reasons: BTreeSet<String> = BTreeSet::new();
    let mut francs = Vec::new();
    for month in 1..=12 {
        // What happened until the month was over, so that a later refund finds its sale paid out.
        let end: commission_bridge::domain::Time =
            format!("{}-{:02}-01T00:00:00Z", 2025 + month / 12, month % 12 + 1).parse().unwrap();
        let (now, later) = rest.split_at(rest.partition_point(|event| event.at < end));
        rest = later;
        home.write("month.jsonl", lines(now));
        home.ok("events import month.jsonl");
        let payouts = close(home, &format!("2025-{month:02}"), &left);
        left = payouts.iter().map(|payout| (account(payout), number(payout, "closing"))).collect();
        reasons.extend(payouts.iter().filter_map(|payout| payout["reason"].as_str()).map(str::to_owned));
        let in_francs = payouts.iter().filter(|payout| payout["currency"] == "chf");
        francs.extend(in_francs.map(|payout| (month, number(payout, "opening"), number(payout, "amount"))));
    }
    assert_eq!(
        francs,
        [(2, 0, 5000), (5, 0, 0), (6, -5000, 0), (7, -5000, 0), (8, -5000, 0), (9, -2000, 0), (10, -2000, 8000)],
        "a refund after the payout is carried until later sales make up for it"
    );
    for reason in ["below_minimum", "negative_balance"] {
        assert!(reasons.contains(reason), "{reason}: {reasons:?}");
    }

    // No line is in two payouts that live, whatever became of them.
    assert_eq!(
        home.count(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM
                 (SELECT entry_id FROM payout_entries WHERE live = 1 GROUP BY entry_id HAVING COUNT(*) > 1) twice"
        ),
        0
    );
    // What is left is what the last month left, and what came or comes later.
    let balances = sums(home, None);
    let mut shown = String::new();
    for balance in home.json("balances --mode live")["balances"].as_array().unwrap() {
        assert_eq!(balances[&account(balance)], number(balance, "balance"));
        let _ = writeln!(shown, "{balance}");
    }
    // Paid and left together are what the merchant's own books say.
    home.write("rest.jsonl", lines(rest));
    home.ok("events import rest.jsonl");
    let (all, paid) = (sums(home, None), sums(home, Some("payout")));
    for ((partner, currency), owed) in sample.books.owed(sample.settled_at) {
        let account = (partner, currency.to_string());
        let sum = all.get(&account).copied().unwrap_or(0) - paid.get(&account).copied().unwrap_or(0);
        assert_eq!(sum, owed, "{account:?}\n{shown}");
    }
    assert!(home.ok("verify").contains("right to the last minor unit"));
}
