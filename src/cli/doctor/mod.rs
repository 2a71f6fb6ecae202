//! `doctor`: what could be wrong, checked; each finding with what to do.

mod setup;
mod stripe;
mod work;

use clap::Args;

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which, open};
use super::out::outln;
use super::table;
use crate::config::Config;

/// How wide what is printed is at most.
const WIDTH: usize = 100;

/// Check configuration, database and work in hand, and say what to do. Exit code 1 where something is wrong.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge doctor --json")]
pub struct Arguments {
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Fine,
    Note,
    Wrong,
}

struct Check {
    what: &'static str,
    finding: Finding,
    detail: String,
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, what: &'static str, finding: Finding, detail: impl Into<String>) {
        self.0.push(Check { what, finding, detail: detail.into() });
    }
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let mut checks = Checks::default();
    setup::configuration(config, &mut checks);
    setup::mail_server(config, &mut checks).await;
    match open(config).await {
        Ok(db) => {
            let which = Which { workspace: arguments.workspace.clone(), mode: None };
            let context = Context::with(db, crate::clock::Clock::machine(), &which).await?;
            setup::database(&context, &mut checks).await?;
            setup::secrets(config, &context, &mut checks).await?;
            setup::encryption(&context, &mut checks).await?;
            stripe::check(config, &context, &mut checks).await?;
            work::work(&context, &mut checks).await?;
            work::outbox(&context, &mut checks).await?;
        }
        Err(error) => checks.add("database", Finding::Wrong, error.to_string()),
    }
    let is_wrong = checks.0.iter().any(|check| check.finding == Finding::Wrong);
    print(&checks, arguments.json)?;
    if is_wrong { Err(Failure::Answered) } else { Ok(()) }
}

fn print(checks: &Checks, json: bool) -> Result<(), Failure> {
    let word = |finding: Finding| match finding {
        Finding::Fine => "ok",
        Finding::Note => "note",
        Finding::Wrong => "wrong",
    };
    if json {
        let list: Vec<serde_json::Value> = checks
            .0
            .iter()
            .map(|check| {
                serde_json::json!({ "check": check.what, "finding": word(check.finding), "detail": check.detail })
            })
            .collect();
        return table::print_json(&serde_json::json!({ "checks": list }));
    }
    let name = checks.0.iter().map(|check| check.what.chars().count()).max().unwrap_or(0);
    for check in &checks.0 {
        let mut lines = wrapped(&check.detail, WIDTH.saturating_sub(name + 9)).into_iter();
        outln!("{:<5}  {:<name$}  {}", word(check.finding), check.what, lines.next().unwrap_or_default());
        for line in lines {
            outln!("{:<5}  {:<name$}  {line}", "", "");
        }
    }
    Ok(())
}

/// A text in lines of at most so many characters, but for words that are longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrapped("a bb ccc  dddd", 6), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrapped("longer_than_that x", 4), ["longer_than_that", "x"]);
        assert!(wrapped("", 10).is_empty());
    }
}
