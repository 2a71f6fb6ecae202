//! `import`: partners, their customers and codes from another tool's export, or from a file of one's own.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::out::outln;
use super::table::{many, print_json};
use crate::admin::imports::{self, ImportFailure, Imported};
use crate::config::Config;
use crate::imports::{Format, ImportFile, Kind, read};

/// How many changes are listed; the rest are counted.
const LISTED: usize = 50;

/// Import partners, customers or codes from a CSV file. All or nothing; importing a file again changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Columns of a file of your own, in any order; an empty cell says nothing, and what is known stays:
  partners:  key, and any of name, email, legal_name, country, tax_id, vat_id, group, status,
             on_hold, note, programs, payout_method, payout_account, payout_currency
  customers: customer (cus_…, a customer key or an e-mail), partner_key; program, since
  codes:     code, partner_key; program

Example:
  commission-bridge import partners.csv --kind partners --program saas --dry-run
  commission-bridge import rewardful.csv --kind customers --format rewardful")]
pub struct Arguments {
    /// The CSV file, or - for standard input
    file: PathBuf,
    /// What it lists: partners, customers or codes
    #[arg(long)]
    kind: Kind,
    /// Whose file it is: bridge, rewardful, firstpromoter, tolt or partnerstack [default: as its headings tell]
    #[arg(long)]
    format: Option<Format>,
    /// The program to enroll partners in; for customers and codes, the program where a row names none
    #[arg(long, value_name = "KEY")]
    program: Option<String>,
    /// Print what would be entered, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let (name, bytes) = load(&arguments.file)?;
    let file = read(&bytes, arguments.kind, arguments.format, &name);
    let file = file.map_err(|error| Failure::Said(error.to_string()))?;
    let which = Which { workspace: arguments.workspace.clone(), mode: None };
    let context = Context::open(config, &which).await?;
    let imported = import(&context, &file, arguments).await?;
    if arguments.json {
        print_json(&imported.json(&file))?;
    } else {
        print(&file, &imported);
    }
    if imported.applied {
        context.catch_up().await?;
    }
    Ok(())
}

async fn import(context: &Context, file: &ImportFile, arguments: &Arguments) -> Result<Imported, Failure> {
    let failed = |failure| match failure {
        ImportFailure::File(error) => Failure::Said(error.to_string()),
        ImportFailure::Store(error) => Failure::Store(error),
    };
    let program = arguments.program.as_deref();
    if arguments.dry_run {
        let mut tx = context.db.read().await?;
        let terms = context.db.terms(&mut tx, context.workspace).await?;
        return imports::try_out(&mut tx, context.workspace, &terms, file, program).await.map_err(failed);
    }
    let mut session = context.session().await?;
    let imported = imports::apply(&mut session.desk().await?, file, program).await.map_err(failed)?;
    session.commit().await?;
    Ok(imported)
}

/// A file and its name; `-` is standard input.
pub(super) fn load(file: &PathBuf) -> Result<(String, Vec<u8>), Failure> {
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(Failure::system("cannot read standard input"))?;
        return Ok(("standard input".to_owned(), bytes));
    }
    let name = file.display().to_string();
    let bytes = std::fs::read(file).map_err(Failure::system(format!("cannot read {name}")))?;
    Ok((name, bytes))
}

fn print(file: &ImportFile, imported: &Imported) {
    outln!("{}: {} in the format {}", file.file_name, file.kind, file.format);
    for line in imported.lines.iter().take(LISTED) {
        outln!("{line}");
    }
    if let more @ 1.. = imported.lines.len().saturating_sub(LISTED) {
        outln!("… and {more} more");
    }
    if !file.ignored_columns.is_empty() {
        outln!("Columns left out: {}", file.ignored_columns.join(", "));
    }
    for note in imported.notes.iter().take(LISTED) {
        outln!("Note: {note}");
    }
    if let more @ 1.. = imported.notes.len().saturating_sub(LISTED) {
        outln!("… and {} more", many(more, "note"));
    }
    let counts = imported.counts;
    let (new, changed, same) = (counts.created, counts.updated, counts.unchanged);
    let what = many(counts.total(), file.noun());
    if imported.applied {
        outln!("Imported {what}: {new} new, {changed} changed, {same} as before.");
    } else {
        outln!("{what}: {new} new, {changed} changed, {same} as before. Nothing was changed (--dry-run).");
    }
}
