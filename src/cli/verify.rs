//! `verify`: every decision rebuilt from the raw events and compared with the ledger.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::context::{Context, Which};
use super::import::progress;
use super::out::outln;
use super::table::{self, many};
use crate::config::Config;
use crate::ledger::verify::Report;

/// Rebuild every decision from the raw events and what people entered, and compare it with the ledger. Changes nothing;
/// exit code 1 and a list where they differ.
#[derive(Debug, Args)]
#[command(
    after_help = "Events in archives are read from their files with --archive. Without it, what is kept of them is taken \
    at its word, and said to be.\n\nExample:\n  commission-bridge verify"
)]
pub struct Arguments {
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = super::context::DEFAULT_WORKSPACE)]
    workspace: String,
    /// Read archived events from the files in this directory
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let which = Which { workspace: arguments.workspace.clone(), mode: None };
    let context = Context::open(config, &which).await?;
    context.catch_up().await?;
    let bar = progress(None, "customers verified");
    let progress = |done| bar.set_position(done);
    let report = context.ledger().verify_with(context.workspace, arguments.archive.as_deref(), progress).await?;
    bar.finish_and_clear();
    print(&report, arguments.json)?;
    if report.is_clean() { Ok(()) } else { Err(Failure::Answered) }
}

/// Prints a report.
pub fn print(report: &Report, json: bool) -> Result<(), Failure> {
    if json {
        return table::print_json(&serde_json::json!({
            "customers": report.customers,
            "payments": report.payments,
            "entries": report.entries,
            "statements": report.statements,
            "waiting": report.waiting,
            "parked": report.parked,
            "events": {
                "pending": report.pending,
                "recorded": report.events,
                "ignored": report.ignored,
                "failed": report.failed,
                "archived": report.archived,
            },
            "different": report.different,
            "differences": report.differences,
        }));
    }
    outln!(
        "Rebuilt {} payments of {} customers from {} events and compared them with {} entries.",
        report.payments,
        report.customers,
        report.events,
        report.entries
    );
    for (count, noun, what) in [
        (report.waiting, "customer", "not settled yet, and not compared"),
        (report.parked, "customer", "set aside because they cannot be decided (see doctor), and not compared"),
        (report.pending, "event", "not read yet"),
        (report.failed, "event", "not readable (see events list --status failed)"),
        (report.ignored, "event", "ignored (see events list --status ignored)"),
        (report.archived, "event", "in archives that were not read, and not proven (verify --archive DIR proves them)"),
    ] {
        if count > 0 {
            outln!("  {}: {what}", many(count, noun));
        }
    }
    if report.is_clean() {
        outln!("The ledger is right to the last minor unit.");
    } else {
        outln!("\n{}:", many(report.different, "difference"));
        for difference in &report.differences {
            outln!("  {difference}");
        }
    }
    Ok(())
}
