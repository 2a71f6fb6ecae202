//! `clicks import`: clicks from a file, so that click ids in metadata name partners.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::out::outln;
use super::table::many;
use crate::config::Config;
use crate::domain::decision::Click;
use crate::imports::clicks::{Row, read};
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
