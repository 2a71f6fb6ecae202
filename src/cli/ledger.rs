//! `ledger export`: every entry as CSV.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, Which};
use super::out::note;
use crate::config::Config;
use crate::domain::money::decimal_text;
use crate::payouts::csv_cell;
use crate::store::entries::{self, Entry};
use crate::store::payments;

/// How many entries are read at a time.
const PAGE: i64 = 1000;

/// The columns, in order. Stable.
const HEADER: [&str; 14] = [
    "entry_id",
    "occurred_at",
    "booked_at",
    "available_at",
    "partner_key",
    "program",
    "component",
    "kind",
    "amount",
    "currency",
    "payment_ref",
    "event_id",
    "payout_id",
    "reason",
];

/// Export the ledger.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Export every entry as CSV: amounts are signed decimals in the currency's own exponent, times are UTC
    #[command(after_help = "Example:\n  commission-bridge ledger export --output ledger.csv")]
    Export(Export),
}

#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    which: Which,
    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON lines instead of CSV: amounts in minor units
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    let Command::Export(arguments) = command;
    let context = Context::open(config, &arguments.which).await?;
    context.catch_up().await?;
    context.say_book(&arguments.which);
    let out: Box<dyn Write + Send> = match &arguments.output {
        Some(path) => {
            let file = std::fs::File::create(path);
            Box::new(file.map_err(Failure::system(format!("cannot write {}", path.display())))?)
        }
        None => Box::new(std::io::BufWriter::new(std::io::stdout())),
    };
    let count = if arguments.json { export_json(&context, out).await } else { export_csv(&context, out).await }?;
    if let Some(path) = &arguments.output {
        let count = if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
        note!("{count} written to {}", path.display());
    }
    Ok(())
}

/// Writes the book as CSV; tells how many entries it has.
async fn export_csv(context: &Context, out: impl Write) -> Result<u64, Failure> {
    let mut csv = csv::Writer::from_writer(out);
    let broken = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(source) => Failure::System { what: "cannot write".to_owned(), source },
        _ => Failure::Said("cannot write the export".to_owned()),
    };
    csv.write_record(HEADER).map_err(broken)?;
    let (mut pages, mut count) = (Pages::new(context), 0);
    while let Some(page) = pages.next().await? {
        count += page.len() as u64;
        for (entry, payment) in &page {
            csv.write_record(record(entry, payment.as_deref())).map_err(broken)?;
        }
    }
    csv.flush().map_err(Failure::system("cannot write"))?;
    Ok(count)
}

async fn export_json(context: &Context, mut out: impl Write) -> Result<u64, Failure> {
    let (mut pages, mut count) = (Pages::new(context), 0);
    while let Some(page) = pages.next().await? {
        count += page.len() as u64;
        for (entry, payment) in &page {
            let line = entry.json(payment.as_deref());
            writeln!(out, "{line}").map_err(Failure::system("cannot write"))?;
        }
    }
    out.flush().map_err(Failure::system("cannot write"))?;
    Ok(count)
}

fn record(entry: &Entry, payment: Option<&str>) -> [String; 14] {
    let text = |text: &Option<String>| csv_cell::text(text.as_deref().unwrap_or_default()).into_owned();
    let time = |at: crate::domain::Time| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    [
        entry.entry_id.clone(),
        time(entry.occurred_at),
        time(entry.booked_at),
        time(entry.available_at),
        csv_cell::text(&entry.partner).into_owned(),
        text(&entry.program),
        entry.component.as_str().to_owned(),
        entry.kind.as_str().to_owned(),
        decimal_text(entry.amount, entry.currency),
        entry.currency.to_string(),
        csv_cell::text(payment.unwrap_or_default()).into_owned(),
        text(&entry.event_id),
        text(&entry.payout_id),
        text(&entry.reason),
    ]
}

/// The book, page by page: no transaction outlives a page.
struct Pages<'a> {
    context: &'a Context,
    after: Option<String>,
}

impl<'a> Pages<'a> {
    fn new(context: &'a Context) -> Self {
        Self { context, after: None }
    }

    /// The next entries with the main reference of their payment.
    async fn next(&mut self) -> Result<Option<Vec<(Entry, Option<String>)>>, Failure> {
        let Context { db, workspace, mode, .. } = self.context;
        let mut tx = db.read().await?;
        let page = entries::page(&mut tx, *workspace, *mode, self.after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = Some(last.entry.entry_id.clone());
        let ids = page.iter().filter_map(|booked| booked.entry.payment_id.as_deref());
        let references = payments::main_refs(&mut tx, *workspace, ids).await?;
        let named = page.into_iter().map(|booked| {
            let reference = booked.entry.payment_id.as_ref().and_then(|id| references.get(id).cloned());
            (booked.entry, reference)
        });
        Ok(Some(named.collect()))
    }
}
