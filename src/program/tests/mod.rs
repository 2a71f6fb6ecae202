//! The program file, seen from outside.

mod files;
mod plans;

use crate::domain::Time;
use crate::domain::terms::{Entered, Terms};
use crate::program::{Plan, ProgramFile, RepriceClosed, parse, plan};

/// The file of the documentation.
const SAAS: &str = r#"
[workspace]
time_zone = "Europe/Berlin"
minimum_payout = { usd = "50.00", eur = "50.00" }

[[program]]
key = "saas"
name = "SaaS partners"
hold_days = 30
reversal_delay = "1h"
attribution = "last"
attribution_window_days = 60
base = "net"
  [[program.rule]]
  on = "first"
  percent = "30"
  duration = "one_time"
  [[program.rule]]
  on = "recurring"
  product_key = ["pro"]
  percent = "20"
  duration = "12 months"

[[partner]]
key = "acme"
name = "Acme Media"
email = "pay@acme.example"
programs = ["saas"]
codes = ["ACME20"]
payout = { method = "stripe", account = "acct_1NcQAbCd6789", currency = "usd" }
"#;

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn read(text: &str) -> ProgramFile {
    parse(text, "terms.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// A workspace to which files are applied, a day after another from 2026-10-01 on.
#[derive(Default)]
struct Workspace {
    terms: Terms,
    day: i64,
    closed_until: Option<Time>,
    reprice_closed: RepriceClosed,
}

impl Workspace {
    fn now(&self) -> Time {
        at("2026-10-01T12:00:00Z") + chrono::TimeDelta::days(self.day)
    }

    fn plan(&self, text: &str) -> Plan {
        let planned = plan(&read(text), &self.terms, self.now(), self.closed_until, self.reprice_closed);
        planned.unwrap_or_else(|error| panic!("{error}"))
    }

    fn apply(&mut self, text: &str) -> Plan {
        let plan = self.plan(text);
        for (_, change) in plan.changes.clone() {
            let seq = self.terms.seq + 1;
            self.terms.enter(Entered { seq, at: self.now(), author: "cli".to_owned(), change });
        }
        self.day += 1;
        plan
    }
}

/// A plan as its reader sees it, and the keys it is entered under.
fn shown(plan: &Plan) -> String {
    let keys: Vec<&str> = plan.changes.iter().map(|(key, _)| key.as_str()).collect();
    format!("{}\n\nkeys: {}", plan.lines.join("\n"), keys.join(", "))
}
