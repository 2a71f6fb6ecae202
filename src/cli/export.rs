//! `payouts export`: a batch as a file for bookkeepers, or as payment files for a bank or service.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Failure;
use super::context::{Context, Which};
use super::out::note;
use super::payouts::totals_in_words;
use super::table::many;
use crate::config::Config;
use crate::payouts::batch::{self, Done, PayoutError};
use crate::payouts::files::{self, FileError, in_words};
use crate::payouts::rows::generic_rows;
use crate::payouts::{formats, generic, totals};
use crate::store::batches::Batch;
use crate::store::payout_files::{self, PayoutFile};
use crate::store::{StoreError, payouts};

/// How often it begins anew when somebody else writes at the same moment.
const TRIES: usize = 5;

#[derive(Debug, Clone, Copy, ValueEnum)]
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
enum Format {
    /// One row for each payout, with all that a bookkeeper asks for
    Generic,
    /// Payouts by PayPal, for its upload: no heading, at most 5,000 rows, one currency
    Paypal,
    /// Payouts by Wise, for its batch payments: at most 1,000 rows, one currency
    Wise,
    /// Payouts by SEPA credit transfer, for a bank: pain.001.001.09
    Sepa,
}

#[derive(Debug, Args)]
pub struct Export {
    /// The batch, by its id or month
    batch: String,
    /// The file's format
    #[arg(long, value_enum, default_value = "generic")]
    format: Format,
    /// Write to this file, or to files in this directory, instead of standard output
    #[arg(long, short, value_name = "FILE or DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Payout(error) => error.into(),
            other => Self::Said(other.to_string()),
        }
    }
}

pub async fn run(config: &Config, arguments: &Export) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    match arguments.format {
        Format::Generic => for_bookkeepers(&context, arguments).await,
        Format::Paypal => payments(&context, arguments, formats::Format::Paypal).await,
        Format::Wise => payments(&context, arguments, formats::Format::Wise).await,
        Format::Sepa => payments(&context, arguments, formats::Format::Sepa).await,
    }
}

async fn for_bookkeepers(context: &Context, arguments: &Export) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let batch = batch::find(&mut tx, context.workspace, context.mode, &arguments.batch).await?;
    let payouts = payouts::of_batch(&mut tx, context.workspace, &batch.batch_id).await?;
    tx.rollback().await?;
    let rows = generic_rows(&batch, &payouts)?;
    let mut bytes = Vec::new();
    generic::write(&rows, &mut bytes).map_err(Failure::system("cannot write"))?;
    let Some(path) = &arguments.output else { return to_stdout(&bytes) };
    let path = if path.is_dir() { path.join(format!("payouts-{}.csv", batch.month)) } else { path.clone() };
    to_file(&path, &bytes)?;
    note!("{} written to {}, sha256 {}", many(rows.len(), "payout"), path.display(), payout_files::sha256(&bytes));
    say_totals(context, &batch).await
}

async fn payments(context: &Context, arguments: &Export, format: formats::Format) -> Result<(), Failure> {
    let (batch, files, done) = make(context, &arguments.batch, format).await?;
    if let Some(first) = files.first().filter(|_| done == Done::Before) {
        note!("made on {}: these are the same bytes", first.created_at().format("%Y-%m-%d %H:%M UTC"));
    }
    let mut tx = context.db.read().await?;
    let mut contents = Vec::new();
    for file in &files {
        contents.push(payout_files::content(&mut tx, context.workspace, file).await?);
    }
    tx.rollback().await?;
    let only = || contents.first().map_or(&[][..], Vec::as_slice);
    match &arguments.output {
        Some(path) if path.is_dir() || files.len() > 1 => {
            std::fs::create_dir_all(path).map_err(Failure::system(format!("cannot make {}", path.display())))?;
            for (file, bytes) in files.iter().zip(&contents) {
                to_file(&path.join(&file.name), bytes)?;
            }
        }
        Some(path) => to_file(path, only())?,
        None if files.len() > 1 => {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            let (count, names) = (files.len(), names.join(", "));
            return Err(Failure::Said(format!(
                "these are {count} files ({names}): say where to put them, with --output DIR"
            )));
        }
        None => to_stdout(only())?,
    }
    for file in &files {
        note!("{}", in_words(file)?);
    }
    say_totals(context, &batch).await?;
    note!("The payouts stay ready until it is known that they left: payouts read-back, or payouts mark-paid");
    Ok(())
}

async fn make(
    context: &Context,
    name: &str,
    format: formats::Format,
) -> Result<(Batch, Vec<PayoutFile>, Done), Failure> {
    for _ in 0..TRIES {
        let mut session = context.session().await?;
        let settings = session.terms().await?.current_settings();
        let (tx, by) = session.parts();
        match files::export(tx, by, &settings, (context.mode, name, format)).await {
            Ok(made) => {
                session.commit().await?;
                return Ok(made);
            }
            Err(FileError::Payout(PayoutError::Store(error))) if error.is_collision() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict.into())
}

fn to_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(Failure::system(format!("cannot write {}", path.display())))
}

fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::system("cannot write"))
}

async fn say_totals(context: &Context, batch: &Batch) -> Result<(), Failure> {
    let settings = context.terms().await?.current_settings();
    let mut tx = context.db.read().await?;
    let totals = totals::of_batch(&mut tx, context.workspace, &settings, batch).await?;
    tx.rollback().await?;
    for line in totals_in_words(&totals) {
        note!("batch of {}: {line}", batch.month);
    }
    Ok(())
}
