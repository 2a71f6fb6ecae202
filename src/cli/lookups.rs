//! `lookups`: what Stripe is asked for because no event says it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Failure;
use super::context::{Context, Which};
use super::out::outln;
use super::table::{self, Align, Rows, many, moment};
use crate::config::Config;
use crate::store::asked::{self, Question};

/// Look at what Stripe is asked for because no event says it: links, fees, prices, codes.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what is asked for, and what was given up
    #[command(after_help = "Example:\n  commission-bridge lookups list")]
    List(List),
    /// Ask once more for what was given up
    #[command(after_help = "Example:\n  commission-bridge lookups retry")]
    Retry(Retry),
}

#[derive(Debug, Args)]
pub struct List {
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Retry {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(config, &arguments).await,
        Command::Retry(arguments) => {
            let context = Context::open(config, &arguments.which).await?;
            let mut session = context.session().await?;
            let (tx, by) = session.parts();
            let again = asked::ask_again(tx, by.workspace, context.mode, by.now).await?;
            if again > 0 {
                let after = json!({ "mode": context.mode.as_str(), "lookups": again });
                session.audit(("lookups.retried", "workspace"), context.mode.as_str(), None, Some(after)).await?;
            }
            session.commit().await?;
            if arguments.json {
                return table::print_json(&json!({ "mode": context.mode.as_str(), "retried": again }));
            }
            outln!("{} asked once more", many(again, "look-up"));
            Ok(())
        }
    }
}

async fn list(config: &Config, arguments: &List) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let mut tx = context.db.read().await?;
    let found = asked::all(&mut tx, context.workspace, context.mode, i64::from(arguments.limit)).await?;
    tx.rollback().await?;
    if arguments.json {
        let list: Vec<Value> = found.iter().map(shown).collect();
        return table::print_json(&json!({ "mode": context.mode.as_str(), "lookups": list }));
    }
    if found.is_empty() {
        outln!("Nothing is asked for.");
        return Ok(());
    }
    let mut rows = Rows::new(&[
        ("asked for", Align::Left),
        ("since", Align::Left),
        ("tries", Align::Right),
        ("next try", Align::Left),
        ("why in vain", Align::Left),
    ]);
    for question in &found {
        rows.row([
            question.missing.to_string(),
            moment(question.asked_at),
            question.attempts.to_string(),
            question.due_at.map_or_else(|| "given up".to_owned(), moment),
            question.error.clone().unwrap_or_default(),
        ]);
    }
    rows.print();
    Ok(())
}

fn shown(question: &Question) -> Value {
    json!({
        "what": question.missing.what(),
        "object": question.missing.object(),
        "asked_at": question.asked_at,
        "next_try_at": question.due_at,
        "tries": question.attempts,
        "error": question.error,
    })
}
