//! `payouts read-back`: what a bank or service says became of a batch's payouts.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::context::{Context, Which};
use super::out::{note, outln};
use super::table::{Align, Rows, many, print_json};
use crate::config::Config;
use crate::payouts::batch;
use crate::payouts::readback::{self, ResultFormat};
use crate::payouts::results::{self, Did, ResultsError};

#[derive(Debug, Args)]
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
pub struct ReadBack {
    /// The batch, by its id or month
    batch: String,
    /// The file, or - for standard input
    file: PathBuf,
    /// Whose file it is: csv (payout_id,status,external_id,reason), paypal, pain002 or camt054
    #[arg(long)]
    format: ResultFormat,
    /// Print what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl From<ResultsError> for Failure {
    fn from(error: ResultsError) -> Self {
        match error {
            ResultsError::File(error) => Self::Said(error.to_string()),
            ResultsError::Store(error) => Self::Store(error),
        }
    }
}

pub async fn run(config: &Config, arguments: &ReadBack) -> Result<(), Failure> {
    let (name, bytes) = super::imports::load(&arguments.file)?;
    let rows = readback::read(arguments.format, &bytes, &name).map_err(|error| Failure::Said(error.to_string()))?;
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let mut session = context.session().await?;
    let (tx, by) = session.parts();
    let batch = batch::find(tx, by.workspace, context.mode, &arguments.batch).await?;
    let did = results::apply(tx, by, &batch, (arguments.format, &name), &rows).await?;
    if !arguments.dry_run {
        session.commit().await?;
    }
    let changed = did.iter().filter(|did| did.changed).count();
    if arguments.json {
        let rows: Vec<serde_json::Value> = did.iter().map(json).collect();
        return print_json(&serde_json::json!({
            "batch_id": batch.batch_id, "applied": !arguments.dry_run, "changed": changed, "rows": rows,
        }));
    }
    print(&did);
    let would = if arguments.dry_run { " would be" } else { "" };
    note!("{}{would} changed", many(changed, "payout"));
    Ok(())
}

fn json(did: &Did) -> serde_json::Value {
    serde_json::json!({
        "row": did.row,
        "payout_id": did.payout_id,
        "partner_key": did.partner_key,
        "says": did.says,
        "before": did.before,
        "after": did.after,
        "changed": did.changed,
        "note": did.note,
    })
}

fn print(did: &[Did]) {
    if did.is_empty() {
        outln!("The file says nothing of this batch's payouts.");
        return;
    }
    let mut table = Rows::new(&[
        ("row", Align::Right),
        ("partner", Align::Left),
        ("payout", Align::Left),
        ("says", Align::Left),
        ("status", Align::Left),
        ("why", Align::Left),
    ]);
    for did in did {
        let status = match (&did.before, &did.after) {
            (Some(before), Some(after)) if before != after => format!("{before} → {after}"),
            (_, after) => after.clone().unwrap_or_default(),
        };
        table.row([
            did.row.to_string(),
            did.partner_key.clone().unwrap_or_default(),
            did.payout_id.clone().unwrap_or_default(),
            did.says.to_owned(),
            status,
            did.note.clone().unwrap_or_default(),
        ]);
    }
    table.print();
}
