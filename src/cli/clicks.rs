//! `clicks import`: clicks from a file, so that click ids in metadata name partners.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::out::outln;
use super::table::many;
use crate::config::Config;
use crate::domain::Time;
use crate::domain::decision::Click;
use crate::domain::terms::Terms;
use crate::store::{Tx, lookups};

/// How many clicks share a query.
const GROUP: usize = 1000;

/// Import clicks, so that click ids name partners.
#[derive(Debug, Subcommand)]
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
pub enum Command {
    /// Import clicks from a CSV file with the columns click_id, partner_key, clicked_at (RFC 3339) and, if wanted,
    /// program_key. All or nothing; importing a click again changes nothing
    #[command(after_help = "Example:\n  commission-bridge clicks import clicks.csv")]
    Import(Import),
}

#[derive(Debug, Args)]
pub struct Import {
    /// The CSV file
    file: PathBuf,
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
}

/// The columns that a file must have, and the one that it may have.
const COLUMNS: [&str; 3] = ["click_id", "partner_key", "clicked_at"];
const PROGRAM: &str = "program_key";
/// How many problems are told; the rest are counted.
const TOLD: usize = 20;

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    let Command::Import(arguments) = command;
    let which = Which { workspace: arguments.workspace.clone(), mode: None };
    let context = Context::open(config, &which).await?;
    let text =
        std::fs::read(&arguments.file).map_err(Failure::system(format!("cannot read {}", arguments.file.display())))?;
    let terms = context.terms().await?;
    let refused = |problems: Vec<String>| Failure::Said(nothing_imported(&problems));
    let rows = read(&text, &terms, context.clock.now()).map_err(refused)?;
    let mut tx = context.db.read().await?;
    known_as_they_are(&mut tx, &context, &rows).await?.map_err(refused)?;
    tx.rollback().await?;
    let clicks: Vec<(String, Click)> = rows.into_iter().map(|(_, id, click)| (id, click)).collect();
    let new = context.ledger().enter_clicks(context.workspace, &clicks).await?;
    context.catch_up().await?;
    outln!("{}, {} already known", many(new, "new click"), clicks.len() - new);
    Ok(())
}

fn nothing_imported(problems: &[String]) -> String {
    let told = problems[..problems.len().min(TOLD)].join("\n");
    match problems.len().saturating_sub(TOLD) {
        0 => format!("nothing was imported:\n{told}"),
        more => format!("nothing was imported:\n{told}\n… and {more} more"),
    }
}

/// A click with the row it stands in.
type Row = (usize, String, Click);

/// A click that is known already must say what it said before: nobody's click becomes another's.
async fn known_as_they_are(tx: &mut Tx, context: &Context, rows: &[Row]) -> Result<Result<(), Vec<String>>, Failure> {
    let mut problems = Vec::new();
    for group in rows.chunks(GROUP) {
        let ids = group.iter().map(|(_, id, _)| id.as_str());
        let known = lookups::clicks(tx, context.workspace, ids).await?;
        for (number, id, click) in group {
            let Some(known) = known.get(id) else { continue };
            if (&known.partner, &known.program, known.clicked_at) != (&click.partner, &click.program, click.clicked_at)
            {
                problems.push(format!(
                    "row {number}: click {id:?} is known already, with another partner, program or time"
                ));
            }
        }
    }
    Ok(if problems.is_empty() { Ok(()) } else { Err(problems) })
}

fn read(text: &[u8], terms: &Terms, now: Time) -> Result<Vec<Row>, Vec<String>> {
    // A byte order mark at the start is Windows' way of saying UTF-8.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text);
    let headings = reader.headers().cloned().unwrap_or_default();
    let place = |name: &str| headings.iter().position(|heading| heading == name);
    let unknown: Vec<&str> =
        headings.iter().filter(|heading| !COLUMNS.contains(heading) && *heading != PROGRAM).collect();
    let ([Some(id), Some(partner), Some(clicked_at)], true) = (COLUMNS.map(place), unknown.is_empty()) else {
        let found: Vec<&str> = headings.iter().collect();
        return Err(vec![format!(
            "row 1: expected the columns {} and, if wanted, {PROGRAM}, divided by commas; found {:?}",
            COLUMNS.join(", "),
            found.join(",")
        )]);
    };
    let program = place(PROGRAM);
    let (mut clicks, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, row) in reader.records().enumerate() {
        let number = index + 2;
        let click = row.map_err(|_| "is not UTF-8 text".to_owned()).and_then(|row| {
            if row.len() != headings.len() {
                return Err(format!("has {}, but the first row has {}", many(row.len(), "cell"), headings.len()));
            }
            let program = program.map(|place| &row[place]).filter(|program| !program.is_empty());
            click(&row[id], &row[partner], &row[clicked_at], program, terms, now)
        });
        match click {
            Ok((id, _)) if !seen.insert(id.clone()) => {
                problems.push(format!("row {number}: click {id:?} is in the file twice"));
            }
            Ok((id, click)) => clicks.push((number, id, click)),
            Err(problem) => problems.push(format!("row {number}: {problem}")),
        }
    }
    if problems.is_empty() { Ok(clicks) } else { Err(problems) }
}

fn click(
    id: &str,
    partner: &str,
    clicked_at: &str,
    program: Option<&str>,
    terms: &Terms,
    now: Time,
) -> Result<(String, Click), String> {
    if id.is_empty() {
        return Err("click_id is empty".to_owned());
    }
    if !terms.partners.contains_key(partner) {
        return Err(format!("there is no partner {partner:?}"));
    }
    if let Some(program) = program.filter(|program| !terms.programs.contains_key(*program)) {
        return Err(format!("there is no program {program:?}"));
    }
    let clicked_at = clicked_at.parse().map_err(|_| {
        format!("clicked_at is {clicked_at:?}: expected a time with its offset, such as 2026-10-01T09:30:00Z")
    })?;
    let program = program.map(str::to_owned);
    Ok((id.to_owned(), Click { partner: partner.to_owned(), program, link: None, clicked_at, entered_at: now }))
}
