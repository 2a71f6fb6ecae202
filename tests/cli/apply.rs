//! `apply`: the plan, doing it, doing it again, mistakes, back-dated versions and closed months.

use crate::blackbox::{Home, fixture};
use crate::{on_both_engines, shop_with_sales, shows};

on_both_engines!(
    a_file_is_planned_applied_and_then_in_force,
    mistakes_are_shown_where_they_stand,
    a_back_dated_version_shows_what_it_moves,
    closed_months_stay_unless_asked,
);

fn a_file_is_planned_applied_and_then_in_force(home: &mut Home) {
    home.write("program.toml", fixture("shop/program.toml"));
    home.run("apply program.toml --dry-run");
    home.run("apply program.toml --dry-run --json");
    home.run("apply program.toml");
    home.run("apply program.toml");
    home.run("apply program.toml --json");
    let changed = fixture("shop/program.toml")
        .replace("percent = \"5\"", "percent = \"7.5\"")
        .replace("name = \"Crane\"", "name = \"Crane Ltd\"")
        .replace("codes = [\"ACME20\"]", "codes = [\"ACME25\"]")
        .replace("\"DE02120300000000202051\"", "\"DE02120300000000202052\"");
    home.write("changed.toml", changed);
    home.run("apply changed.toml");
    home.run("apply changed.toml");
    shows!("apply", home.transcript());
}

fn mistakes_are_shown_where_they_stand(home: &mut Home) {
    home.write("broken.toml", "[[program]]\nkey = \"saas\nname = 1\n");
    home.write(
        "wrong.toml",
        r#"[workspace]
time_zone = "Europe/Berln"

[[program]]
key = "saas"
hold_day = 30
  [[program.rule]]
  on = "frist"
  percent = "130"
  duration = "12 moons"

[[partner]]
key = "acme"
programs = ["sass"]
payout = { method = "cheque" }
"#,
    );
    home.write("empty.toml", "");
    home.write("binary.toml", b"\xff\xfe\x00");
    for words in [
        "apply nowhere.toml",
        "apply broken.toml",
        "apply wrong.toml",
        "apply empty.toml",
        "apply binary.toml",
        "apply .",
    ] {
        home.run(words);
    }
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM changes"), 0);
    shows!("apply_mistakes", home.transcript());
}

/// The shop's file with 40 instead of 30 percent, since the beginning of 2025 or so.
fn raised(from: &str) -> String {
    fixture("shop/program.toml").replace("percent = \"20\"", "percent = \"40\"").replace(
        "reversal_delay = \"1h\"",
        &format!("reversal_delay = \"1h\"\neffective_from = \"{from}\"\nprice_by = \"payment\""),
    )
}

fn a_back_dated_version_shows_what_it_moves(home: &mut Home) {
    shop_with_sales(home);
    home.write("raised.toml", raised("2025-01-01"));
    home.run("balances");
    home.run("apply raised.toml --dry-run");
    home.run("balances");
    home.run("apply raised.toml");
    home.run("balances");
    home.run("apply raised.toml");
    home.run("verify");
    shows!("apply_back_dated", home.transcript());
}

fn closed_months_stay_unless_asked(home: &mut Home) {
    shop_with_sales(home);
    home.write("raised.toml", raised("2025-01-01"));
    home.run("payouts close --month 2025-03");
    home.run("apply raised.toml");
    home.run("balances");
    home.run("apply raised.toml --reprice-closed");
    home.run("balances");
    home.run("apply raised.toml --reprice-closed");
    home.run("verify");
    shows!("apply_closed_months", home.transcript());
}
