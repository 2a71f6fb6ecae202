//! Terms that people might have entered.

use crate::domain::Time;
use crate::domain::terms::{Change, Entered, Terms};
use crate::program::{RepriceClosed, parse, plan};

/// Appends changes to a log.
pub fn enter(terms: &mut Terms, changes: impl IntoIterator<Item = Change>, at: Time) {
    for change in changes {
        let seq = terms.seq + 1;
        terms.enter(Entered { seq, at, author: "fuzz".to_owned(), change });
    }
}

/// A workspace in which this program file was applied first.
pub fn of_file(text: &str, at: Time) -> Terms {
    let mut terms = Terms::default();
    let file = parse(text, "program.toml").expect("a program file of this crate is right");
    let plan = plan(&file, &terms, at, None, RepriceClosed::No).expect("it names nothing unknown");
    enter(&mut terms, plan.changes.into_iter().map(|(_, change)| change), at);
    terms
}

/// As in the README.
pub const README: &str = r#"
[workspace]
time_zone = "Europe/Berlin"
minimum_payout = { usd = "50.00" }

[[program]]
key = "saas"
name = "SaaS partners"
hold_days = 30
  [[program.rule]]
  on = "first"
  percent = "30"
  duration = "one_time"
  [[program.rule]]
  on = "recurring"
  percent = "20"
  duration = "12 months"

[[partner]]
key = "acme"
name = "Acme Media"
email = "pay@acme.example"
programs = ["saas"]
codes = ["ACME20"]
payout = { method = "csv" }
"#;
