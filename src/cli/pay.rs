//! `payouts pay`: asks for a batch to be paid by Stripe, and pays until it is done or stands still.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::context::{Context, Which};
use super::out::{note, outln};
use super::serve::asked_to_stop;
use super::table::{self, Align, Rows};
use crate::config::Config;
use crate::connect;
use crate::domain::currency::Currency;
use crate::domain::money::{Money, decimal_text};
use crate::payouts::batch::PayoutError;
use crate::payouts::transfers::{self, Payer, Round};
use crate::store::StoreError;
use crate::store::batches::{self, Batch};
use crate::store::transfers::{self as stored, Standing};

/// Rounds in which nothing moves before it is left to `serve`, or to the next call.
const PATIENCE: u32 = 8;
/// The longest wait between two rounds.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub struct Pay {
    /// The batch, by its id or month
    batch: String,
    #[command(flatten)]
    which: Which,
    /// Print JSON: amounts in minor units
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, arguments: &Pay) -> Result<(), Failure> {
    let keys = config.stripe()?;
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let way = connect::way(&context.db, &keys, (context.workspace, context.mode)).await?;
    let api = way.map_err(|error| Failure::Said(error.to_string()))?;
    let mut session = context.session().await?;
    let (tx, by) = session.parts();
    let batch = transfers::ask(tx, by, context.mode, &arguments.batch).await?;
    session.commit().await?;
    let book = (context.workspace, context.mode);
    let payer = Payer::new(context.db.clone(), context.clock.clone(), context.ids.clone(), book, api);
    let stop = CancellationToken::new();
    let (stopping, on_signal) = (stop.clone(), asked_to_stop());
    tokio::spawn(async move {
        on_signal.await;
        stopping.cancel();
    });
    pay(&context, &payer, &batch.batch_id, &stop).await?;
    show(&context, &batch.batch_id, arguments.json).await
}

/// Rounds until nothing is open, it stands still, or nothing moves any more.
async fn pay(context: &Context, payer: &Payer, batch_id: &str, stop: &CancellationToken) -> Result<(), Failure> {
    let mut still = 0;
    while !stop.is_cancelled() && still < PATIENCE {
        let round = match payer.round(batch_id, stop).await {
            Ok(round) => round,
            Err(PayoutError::Store(error)) if error.is_collision() => Round::default(),
            Err(error) => return Err(error.into()),
        };
        if round.settled + round.failed == 0 {
            still += 1;
        } else {
            still = 0;
        }
        let Some(next) = round.next.filter(|_| round.paused.is_none()) else { return Ok(()) };
        let wait = (next - context.clock.now()).to_std().unwrap_or(Duration::ZERO).min(LONGEST_WAIT);
        if wait > Duration::from_secs(2) {
            note!("some answers of Stripe's are not clear yet: asking again in {} s", wait.as_secs());
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
    }
    Ok(())
}

/// Prints what became of the batch; fails where something is left to do.
async fn show(context: &Context, batch_id: &str, json: bool) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let batch = batches::by_id(&mut tx, context.workspace, batch_id).await?.ok_or(StoreError::Conflict)?;
    let standing = stored::standing(&mut tx, context.workspace, batch_id).await?;
    tx.rollback().await?;
    let open = standing.iter().any(|standing| matches!(standing.status.as_str(), "ready" | "sending"));
    if json {
        let by_status: Vec<_> = standing
            .iter()
            .map(|Standing { status, currency, count, sum }| {
                json!({ "status": status, "currency": currency, "count": count, "sum": sum })
            })
            .collect();
        let mut value = batch.json();
        value["transfers"] = by_status.into();
        table::print_json(&value)?;
    } else {
        print(&batch, &standing)?;
    }
    if open { Err(Failure::Answered) } else { Ok(()) }
}

fn print(batch: &Batch, standing: &[Standing]) -> Result<(), Failure> {
    outln!("Batch {} · {} · {}", batch.batch_id, batch.month, batch.status);
    if standing.is_empty() {
        outln!("Nobody in it is paid by Stripe.");
        return Ok(());
    }
    let mut rows = Rows::new(&[
        ("status", Align::Left),
        ("payouts", Align::Right),
        ("sum", Align::Right),
        ("currency", Align::Left),
    ]);
    for Standing { status, currency, count, sum } in standing {
        let of = currency.parse::<Currency>().map_err(|error| Failure::Said(error.to_string()))?;
        rows.row([status.clone(), count.to_string(), decimal_text(*sum, of), currency.clone()]);
    }
    rows.print();
    if let Some(paused) = batch.paused() {
        outln!("{}", why_paused(&paused, &batch.month));
    } else if standing.iter().any(|standing| standing.status == "sending") {
        outln!(
            "Stripe has not said clearly what became of those that are `sending`: ask again later, or let `serve` do it."
        );
    }
    if standing.iter().any(|standing| standing.status == "failed") {
        outln!("What failed is free for the next month: `payouts list {}` says why.", batch.month);
    }
    Ok(())
}

/// Why it stands still, and what to do.
fn why_paused(paused: &serde_json::Value, month: &str) -> String {
    let currency = paused["currency"].as_str().and_then(|text| text.parse::<Currency>().ok());
    let missing = paused["missing"].as_i64();
    match (paused["code"].as_str(), currency, missing) {
        (Some("balance_insufficient"), Some(currency), Some(missing)) if missing > 0 => format!(
            "The balance at Stripe does not suffice: {} is missing. Add it, then: commission-bridge payouts pay {month}",
            Money::new(missing, currency)
        ),
        (Some("balance_insufficient"), _, _) => {
            format!("The balance at Stripe did not suffice. When it does: commission-bridge payouts pay {month}")
        }
        _ => format!(
            "{}. Then: commission-bridge payouts pay {month}",
            paused["message"].as_str().unwrap_or("Paying stands still").trim_end_matches('.')
        ),
    }
}
