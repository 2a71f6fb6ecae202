//! `clicks import`: clicks from a file, so that click ids in metadata name partners.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use crate::config::Config;
use crate::domain::Time;
use crate::domain::decision::Click;
use crate::domain::terms::Terms;

/// Import clicks, so that click ids name partners.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import clicks from a CSV file with the columns `click_id`, `partner_key`, `clicked_at` (RFC 3339) and, if wanted,
    /// `program_key`. All or nothing; importing a click again changes nothing
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    click_id: String,
    partner_key: String,
    #[serde(default)]
    program_key: Option<String>,
    clicked_at: Time,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    let Command::Import(arguments) = command;
    let which = Which { workspace: arguments.workspace.clone(), mode: None };
    let context = Context::open(config, &which).await?;
    let text =
        std::fs::read(&arguments.file).map_err(Failure::system(format!("cannot read {}", arguments.file.display())))?;
    let terms = context.terms().await?;
    let clicks = read(&text, &terms, context.clock.now())
        .map_err(|problems| Failure::Said(format!("nothing was imported:\n{}", problems.join("\n"))))?;
    let new = context.ledger().enter_clicks(context.workspace, &clicks).await?;
    context.catch_up().await?;
    println!("{new} new clicks, {} already known", clicks.len() - new);
    Ok(())
}

fn read(text: &[u8], terms: &Terms, now: Time) -> Result<Vec<(String, Click)>, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let (mut clicks, mut problems, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, row) in reader.deserialize::<Row>().enumerate() {
        let number = index + 2;
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                problems.push(format!("row {number}: {error}"));
                continue;
            }
        };
        let program = row.program_key.filter(|program| !program.is_empty());
        if row.click_id.is_empty() {
            problems.push(format!("row {number}: click_id is empty"));
        } else if !terms.partners.contains_key(&row.partner_key) {
            problems.push(format!("row {number}: there is no partner {:?}", row.partner_key));
        } else if let Some(program) = program.as_ref().filter(|program| !terms.programs.contains_key(*program)) {
            problems.push(format!("row {number}: there is no program {program:?}"));
        } else if !seen.insert(row.click_id.clone()) {
            problems.push(format!("row {number}: click {:?} is in the file twice", row.click_id));
        } else {
            let click = Click { partner: row.partner_key, program, clicked_at: row.clicked_at, entered_at: now };
            clicks.push((row.click_id, click));
        }
    }
    if problems.is_empty() { Ok(clicks) } else { Err(problems) }
}
