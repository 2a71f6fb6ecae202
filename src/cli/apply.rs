//! `apply`: programs, rules, partners and codes from a file.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Failure;
use super::context::{Context, Which};
use super::out::outln;
use super::table::{self, Align, Rows, many};
use crate::admin::{self, apply::NotApplied};
use crate::config::Config;
use crate::domain::Time;
use crate::domain::money::decimal_text;
use crate::domain::terms::{Entered, Terms};
use crate::ledger::simulate::{self, Compared, Comparison};
use crate::program::{self, Plan, ProgramFile, RepriceClosed};

/// Apply a program file: prints the plan, then applies it. The same file twice changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge apply program.toml --dry-run")]
pub struct Arguments {
    /// The program file (TOML)
    file: PathBuf,
    /// Print the plan and what it would move, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Let a back-dated version count in closed months, too
    #[arg(long)]
    reprice_closed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let name = arguments.file.display().to_string();
    let text = std::fs::read_to_string(&arguments.file).map_err(Failure::system(format!("cannot read {name}")))?;
    let file = program::parse(&text, &name).map_err(|error| Failure::Said(error.to_string()))?;
    let context = Context::open(config, &arguments.which).await?;
    let reprice = if arguments.reprice_closed { RepriceClosed::Yes } else { RepriceClosed::No };
    let (plan, terms) = planned(&context, &file, reprice).await?;
    let moved = if plan.is_empty() { Vec::new() } else { would_move(&context, &terms, &plan).await? };
    if !arguments.json {
        print_plan(&plan, &moved);
    }
    let applied = match (plan.is_empty(), arguments.dry_run) {
        (false, false) => Some(apply(&context, &file, reprice).await?),
        _ => None,
    };
    if arguments.json {
        print_json(&plan, &moved, applied.is_some())?;
    } else if let Some(count) = applied {
        outln!("Applied: {}.", many(count, "change"));
    } else if !plan.is_empty() {
        outln!("Nothing was changed (--dry-run).");
    }
    if applied.is_some() {
        context.catch_up().await?;
    }
    Ok(())
}

/// Applies a file in one transaction, planned against the terms as they are at that moment; tells how many changes.
pub async fn apply(context: &Context, file: &ProgramFile, reprice: RepriceClosed) -> Result<usize, Failure> {
    let mut session = context.session().await?;
    let plan = admin::apply::apply(&mut session.desk().await?, file, reprice).await.map_err(|error| match error {
        NotApplied::File(error) => Failure::Said(error.to_string()),
        NotApplied::Store(error) => Failure::Store(error),
    })?;
    session.commit().await?;
    Ok(plan.changes.len())
}

async fn planned(context: &Context, file: &ProgramFile, reprice: RepriceClosed) -> Result<(Plan, Arc<Terms>), Failure> {
    let terms = context.terms().await?;
    let closed_until = closed_until(context).await?;
    let plan = program::plan(file, &terms, context.clock.now(), closed_until, reprice);
    Ok((plan.map_err(|error| Failure::Said(error.to_string()))?, terms))
}

async fn closed_until(context: &Context) -> Result<Option<Time>, Failure> {
    let mut tx = context.db.read().await?;
    Ok(admin::closed_until(&mut tx, context.workspace).await?)
}

/// What the plan would move of what is booked, per partner and currency.
async fn would_move(context: &Context, terms: &Arc<Terms>, plan: &Plan) -> Result<Vec<Compared>, Failure> {
    let mut after = Terms::clone(terms);
    for (_, change) in &plan.changes {
        let (seq, at) = (after.seq + 1, context.clock.now());
        after.enter(Entered { seq, at, author: "cli".to_owned(), change: change.clone() });
    }
    context.catch_up().await?;
    let ledger = context.ledger();
    let comparison = Comparison {
        workspace: context.workspace,
        mode: context.mode,
        before: terms.clone(),
        after: Arc::new(after),
        since: None,
    };
    let mut compared = simulate::compare(&ledger, &comparison).await?;
    compared.retain(|compared| compared.difference() != 0);
    Ok(compared)
}

fn print_plan(plan: &Plan, moved: &[Compared]) {
    if plan.is_empty() {
        outln!("Nothing to change: the file is in force already.");
        return;
    }
    for line in &plan.lines {
        outln!("{line}");
    }
    if !moved.is_empty() {
        outln!("\nWhat is booked already would move:");
        let mut table = Rows::new(&[("partner", Align::Left), ("currency", Align::Left), ("difference", Align::Right)]);
        for moved in moved {
            let difference = decimal_text(moved.difference(), moved.currency);
            table.row([moved.partner.clone(), moved.currency.to_string(), difference]);
        }
        table.print();
    }
}

fn print_json(plan: &Plan, moved: &[Compared], applied: bool) -> Result<(), Failure> {
    let changes: Vec<serde_json::Value> =
        plan.changes.iter().map(|(key, change)| serde_json::json!({ "key": key, "change": change })).collect();
    let moves: Vec<serde_json::Value> = moved
        .iter()
        .map(|moved| {
            serde_json::json!({
                "partner_key": moved.partner,
                "currency": moved.currency,
                "difference": moved.difference(),
            })
        })
        .collect();
    table::print_json(&serde_json::json!({
        "applied": applied,
        "plan": plan.lines,
        "changes": changes,
        "would_move": moves,
    }))
}
