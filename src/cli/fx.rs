//! `fx`: exchange rates, imported, fetched and listed.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, DEFAULT_WORKSPACE, Which};
use super::out::outln;
use super::table::{Align, Rows, print_json};
use crate::admin::fx;
use crate::config::Config;
use crate::domain::fx::EuroRate;
use crate::fx::fetch::Fetcher;
use crate::fx::{DAILY, ECB, ecb};
use crate::store::fx_rates;

/// Import, fetch and list exchange rates.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Import a file of the European Central Bank: XML or CSV, of a day or of many. All or nothing
    #[command(after_help = "Example:\n  commission-bridge fx import eurofxref-hist-90d.xml")]
    Import(Import),
    /// Fetch the last published rates (`serve` does so by itself once a day)
    #[command(after_help = "Example:\n  commission-bridge fx fetch")]
    Fetch(Fetch),
    /// List the rates of a day: units of a currency for one euro
    #[command(after_help = "Example:\n  commission-bridge fx list --day 2026-10-30")]
    List(List),
}

#[derive(Debug, Args)]
pub struct Import {
    /// The file, or - for standard input
    file: PathBuf,
    /// Who published the rates, where it is not the European Central Bank
    #[arg(long, value_name = "NAME", default_value = ECB)]
    source: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
}

#[derive(Debug, Args)]
#[allow(clippy::doc_markdown, reason = "help is read in a terminal, where Markdown would be litter")]
pub struct Fetch {
    /// Where from [default: FX_URL, else the European Central Bank's daily file]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
}

#[derive(Debug, Args)]
pub struct List {
    /// The day [default: the last one known]
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<NaiveDate>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    workspace: String,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::Import(arguments) => import(config, &arguments).await,
        Command::Fetch(arguments) => fetch(config, &arguments).await,
        Command::List(arguments) => list(config, &arguments).await,
    }
}

async fn open(config: &Config, workspace: &str) -> Result<Context, Failure> {
    Context::open(config, &Which { workspace: workspace.to_owned(), mode: None }).await
}

async fn import(config: &Config, arguments: &Import) -> Result<(), Failure> {
    let (name, bytes) = super::imports::load(&arguments.file)?;
    let rates = ecb::read(&bytes).map_err(|error| Failure::Said(format!("{name}: {error}")))?;
    enter(config, &arguments.workspace, &rates, &arguments.source, arguments.json).await
}

async fn fetch(config: &Config, arguments: &Fetch) -> Result<(), Failure> {
    let url = arguments.url.as_deref().or(config.fx_url.as_deref()).unwrap_or(DAILY);
    let rates = Fetcher::default().fetch(url).await.map_err(|error| Failure::Said(error.to_string()))?;
    enter(config, &arguments.workspace, &rates, ECB, arguments.json).await
}

async fn enter(config: &Config, workspace: &str, rates: &[EuroRate], source: &str, json: bool) -> Result<(), Failure> {
    let context = open(config, workspace).await?;
    let mut session = context.session().await?;
    let imported = fx::import(&mut session, rates, source).await?;
    session.commit().await?;
    let (first, last) = imported.days;
    if json {
        return print_json(&serde_json::json!({
            "new": imported.new, "known": imported.known, "first_day": first, "last_day": last, "source": source,
        }));
    }
    outln!("{} new rates and {} that were known, from {first} to {last}, by {source}", imported.new, imported.known);
    Ok(())
}

async fn list(config: &Config, arguments: &List) -> Result<(), Failure> {
    let context = open(config, &arguments.workspace).await?;
    let mut tx = context.db.read().await?;
    let day = match arguments.day {
        Some(day) => Some(day),
        None => fx_rates::last_day(&mut tx, context.workspace).await?,
    };
    let rates = match day {
        Some(day) => fx_rates::of_day(&mut tx, context.workspace, day).await?,
        None => Vec::new(),
    };
    if arguments.json {
        let rates: Vec<serde_json::Value> = rates.iter().map(fx_rates::KnownRate::json).collect();
        return print_json(&serde_json::json!({ "day": day, "rates": rates }));
    }
    let Some(day) = day else {
        outln!("No exchange rates are known yet: commission-bridge fx fetch");
        return Ok(());
    };
    if rates.is_empty() {
        outln!("No exchange rates of {day} are known: on weekends and holidays none are published.");
        return Ok(());
    }
    let mut table = Rows::new(&[
        ("day", Align::Left),
        ("currency", Align::Left),
        ("for one euro", Align::Right),
        ("source", Align::Left),
    ]);
    for rate in rates {
        table.row([rate.day.to_string(), rate.currency.to_string(), rate.per_euro.to_string(), rate.source]);
    }
    table.print();
    Ok(())
}
