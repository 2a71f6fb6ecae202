//! `fetch`: single objects from Stripe, by their ids.

use clap::Args;
use serde_json::json;

use super::Failure;
use super::context::{Reached, reach};
use super::out::{note, outln};
use super::table::print_json;
use crate::config::Config;
use crate::connect;
use crate::intake::Inbox;
use crate::intake::asking::Asking;
use crate::intake::fetch::{Destination, fetch};
use crate::intake::patience::Patience;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge fetch in_1Nabc ch_3Mxyz re_3Mxyz")]
pub struct Arguments {
    /// Ids of invoices, payments, charges, refunds, disputes, credit notes, sessions, customers, subscriptions, promotion
    /// codes, prices or events
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    book: Reached,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let keys = config.stripe()?;
    let context = reach(config, &keys, &arguments.book).await?;
    let way = connect::way(&context.db, &keys, (context.workspace, context.mode)).await?;
    let asking = Asking::new(way.map_err(|error| Failure::Said(error.to_string()))?, Patience::machine());
    let (inbox, writer) = Inbox::start(context.db.clone(), context.clock.clone(), std::sync::Arc::default());
    let into = Destination { db: context.db.clone(), inbox, workspace: context.workspace, mode: context.mode };
    let fetched = fetch(&into, &asking, &arguments.ids, context.clock.now()).await;
    drop(into);
    let _ = writer.await;
    let report = fetched.map_err(|error| Failure::Said(error.to_string()))?;
    context.catch_up().await?;
    if arguments.json {
        let fetched: Vec<_> = report.fetched.iter().map(|(id, new)| json!({ "id": id, "new": new })).collect();
        let problems: Vec<_> = report.problems.iter().map(|(id, why)| json!({ "id": id, "reason": why })).collect();
        print_json(&json!({ "fetched": fetched, "problems": problems, "calls": report.calls }))?;
    } else {
        for (id, is_new) in &report.fetched {
            outln!("{id}: {}", if *is_new { "new" } else { "known as it is" });
        }
    }
    for (id, why) in &report.problems {
        note!("{id}: {why}");
    }
    if report.problems.is_empty() { Ok(()) } else { Err(Failure::Answered) }
}
