//! `payouts`: the monthly batch, from the close to the bank.

use clap::{Args, Subcommand};

use super::Failure;
use super::context::{Context, Which};
use super::export::{self, Export};
use super::out::{note, outln};
use super::pay::{self, Pay};
use super::read_back::{self, ReadBack};
use super::table::{self, Align, Rows, many, moment};
use crate::config::Config;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::money::decimal_text;
use crate::payouts::batch::{self, Done, Paid, PayoutError};
use crate::payouts::closing;
use crate::payouts::outcome::{self, InFile};
use crate::payouts::totals::{self, Totals};
use crate::program::valid;
use crate::store::batches::{self, Batch};
use crate::store::payouts::{self, Payout};

/// Close a month, approve and export its payouts.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Close a month: net what is payable into one payout per partner, currency and method
    #[command(after_help = "Example:\n  commission-bridge payouts close --month 2026-10")]
    Close(Close),
    /// List batches, or the payouts of one
    #[command(after_help = "Example:\n  commission-bridge payouts list 2026-10")]
    List(List),
    /// Approve a batch: its payouts are booked
    #[command(after_help = "Example:\n  commission-bridge payouts approve 2026-10")]
    Approve(Named),
    /// Pay a batch by Stripe: asks for it, pays until it is done or stands still, and says how much is missing
    #[command(after_help = "Example:\n  STRIPE_API_KEY=sk_live_… commission-bridge payouts pay 2026-10")]
    Pay(Pay),
    /// Mark a batch's payouts, or one partner's, as paid
    #[command(
        after_help = "Example:\n  commission-bridge payouts mark-paid 2026-10 --partner acme --external-id TX123"
    )]
    MarkPaid(MarkPaid),
    /// Cancel a payout that has not left: its money is free for the next batch
    #[command(after_help = "Example:\n  commission-bridge payouts cancel po_… --reason 'wrong account'")]
    Cancel(Cancel),
    /// Write a batch as a file for bookkeepers, or make its payment files
    #[command(after_help = "Example:\n  commission-bridge payouts export 2026-10 --format sepa --output files/")]
    Export(Export),
    /// Read what a bank or service says became of a batch's payouts. All or nothing
    #[command(after_help = "Example:\n  commission-bridge payouts read-back 2026-10 status.xml --format pain002")]
    ReadBack(ReadBack),
}

#[derive(Debug, Args)]
pub struct Close {
    /// The month, on the workspace's calendar
    #[arg(long, value_name = "YYYY-MM")]
    month: Month,
    #[command(flatten)]
    which: Which,
    /// Print JSON: amounts in minor units
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// A batch, by its id or month; all batches when left out
    batch: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Print JSON: amounts in minor units
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Named {
    /// The batch, by its id or month
    batch: String,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct MarkPaid {
    /// The batch, by its id or month
    batch: String,
    /// Only this partner's payouts
    #[arg(long, value_name = "KEY")]
    partner: Option<String>,
    /// Only payouts in this currency
    #[arg(long, value_name = "CURRENCY")]
    currency: Option<Currency>,
    /// What the bank or service calls the payment; for one payout only
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Cancel {
    /// The payout's id
    payout: String,
    /// Why, for the partner's next statement and the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The payment file that it stands in was not, and will not be, handed over
    #[arg(long)]
    not_paid_out: bool,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl From<PayoutError> for Failure {
    fn from(error: PayoutError) -> Self {
        match error {
            PayoutError::Store(error) => Self::Store(error),
            other => Self::Said(other.to_string()),
        }
    }
}

pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::Close(arguments) => close(config, &arguments).await,
        Command::List(arguments) => list(config, &arguments).await,
        Command::Approve(arguments) => approve(config, &arguments).await,
        Command::Pay(arguments) => pay::run(config, &arguments).await,
        Command::MarkPaid(arguments) => mark_paid(config, &arguments).await,
        Command::Cancel(arguments) => cancel(config, &arguments).await,
        Command::Export(arguments) => export::run(config, &arguments).await,
        Command::ReadBack(arguments) => read_back::run(config, &arguments).await,
    }
}

async fn close(config: &Config, arguments: &Close) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.catch_up().await?;
    context.say_book(&arguments.which);
    let mut session = context.session().await?;
    let (tx, by) = session.parts();
    let (batch, done) = batch::close(tx, by, context.mode, arguments.month).await?;
    session.commit().await?;
    let batch = closing::finish(&context.db, &context.clock, &context.ids, context.workspace, &batch.batch_id).await?;
    say_done(done, &format!("{} was closed before; nothing was changed", batch.month));
    show(&context, &batch, arguments.json).await
}

async fn approve(config: &Config, arguments: &Named) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let mut session = context.session().await?;
    let (tx, by) = session.parts();
    let (batch, done) = batch::approve(tx, by, context.mode, &arguments.batch).await?;
    session.commit().await?;
    say_done(done, &format!("{} was approved before; nothing was changed", batch.month));
    show(&context, &batch, arguments.json).await
}

async fn mark_paid(config: &Config, arguments: &MarkPaid) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let paid = Paid {
        partner: arguments.partner.as_deref(),
        currency: arguments.currency,
        external_id: arguments.external_id.as_deref(),
    };
    let mut session = context.session().await?;
    let (tx, by) = session.parts();
    let (batch, marked) = batch::mark_paid(tx, by, context.mode, &arguments.batch, &paid).await?;
    session.commit().await?;
    note!("{} marked as paid", many(marked, "payout"));
    show(&context, &batch, arguments.json).await
}

async fn cancel(config: &Config, arguments: &Cancel) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    let reason = valid::prose(&arguments.reason, "a reason").map_err(Failure::Said)?;
    let in_file = if arguments.not_paid_out { InFile::NotPaidOut } else { InFile::Refuse };
    let mut session = context.session().await?;
    let (tx, by) = session.parts();
    let changed = outcome::cancel(tx, by, &arguments.payout, &reason, in_file).await?;
    session.commit().await?;
    let payout = &changed.after;
    if !changed.is_news() {
        note!("{} was canceled before; nothing was changed", payout.payout_id);
    }
    if arguments.json {
        return table::print_json(&payout.json());
    }
    let amount = decimal_text(payout.amount, payout.currency()?);
    let Payout { payout_id, partner_key, .. } = payout;
    outln!("{payout_id} is canceled: {amount} {} of {partner_key} is free for the next batch.", payout.currency()?);
    Ok(())
}

fn say_done(done: Done, before: &str) {
    if done == Done::Before {
        note!("{before}");
    }
}

async fn list(config: &Config, arguments: &List) -> Result<(), Failure> {
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let mut tx = context.db.read().await?;
    if let Some(name) = &arguments.batch {
        let batch = batch::find(&mut tx, context.workspace, context.mode, name).await?;
        tx.rollback().await?;
        return show(&context, &batch, arguments.json).await;
    }
    let batches = batches::all(&mut tx, context.workspace, context.mode).await?;
    if arguments.json {
        let list: Vec<serde_json::Value> = batches.iter().map(Batch::json).collect();
        return table::print_json(&serde_json::json!({ "mode": context.mode.as_str(), "batches": list }));
    }
    if batches.is_empty() {
        outln!("No month has been closed yet: commission-bridge payouts close --month YYYY-MM");
        return Ok(());
    }
    let mut table =
        Rows::new(&[("month", Align::Left), ("batch", Align::Left), ("status", Align::Left), ("closed", Align::Left)]);
    for batch in &batches {
        table.row([batch.month.clone(), batch.batch_id.clone(), batch.status.clone(), moment(batch.closed_at())]);
    }
    table.print();
    Ok(())
}

/// Prints a batch with its payouts.
pub async fn show(context: &Context, batch: &Batch, json: bool) -> Result<(), Failure> {
    let mut tx = context.db.read().await?;
    let payouts = payouts::of_batch(&mut tx, context.workspace, &batch.batch_id).await?;
    let settings = context.db.terms(&mut tx, context.workspace).await?.current_settings();
    let totals = totals::of_batch(&mut tx, context.workspace, &settings, batch).await?;
    tx.rollback().await?;
    if json {
        let list: Vec<serde_json::Value> = payouts.iter().map(Payout::json).collect();
        let mut value = batch.json();
        value["payouts"] = list.into();
        value["totals"] = totals_json(&totals);
        return table::print_json(&value);
    }
    outln!("Batch {} · {} · {}", batch.batch_id, batch.month, batch.status);
    if payouts.is_empty() {
        outln!("Nothing was payable.");
        return Ok(());
    }
    let mut table = Rows::new(&[
        ("partner", Align::Left),
        ("currency", Align::Left),
        ("method", Align::Left),
        ("opening", Align::Right),
        ("earned", Align::Right),
        ("reversed", Align::Right),
        ("adjusted", Align::Right),
        ("payout", Align::Right),
        ("closing", Align::Right),
        ("status", Align::Left),
        ("why", Align::Left),
    ]);
    for payout in &payouts {
        let currency = payout.currency()?;
        let money = |amount| decimal_text(amount, currency);
        table.row([
            payout.partner_key.clone(),
            currency.to_string(),
            payout.method.clone(),
            money(payout.opening),
            money(payout.earned),
            money(payout.reversed),
            money(payout.adjustments),
            money(payout.amount),
            money(payout.closing),
            payout.status.clone(),
            payout.reason.clone().unwrap_or_default(),
        ]);
    }
    table.print();
    for line in totals_in_words(&totals) {
        outln!("{line}");
    }
    Ok(())
}

/// A line for each currency, and one for the base currency.
pub fn totals_in_words(totals: &Totals) -> Vec<String> {
    let mut lines = Vec::new();
    for total in &totals.by_currency {
        let currency = total.currency;
        let count = many(usize::try_from(total.payouts).unwrap_or(0), "payout");
        let mut line = format!("{count}, {} {currency}", decimal_text(total.amount, currency));
        if total.returned != 0 {
            line = format!("{line}, of which {} did not leave or came back", decimal_text(total.returned, currency));
        }
        if let (Some(base), Some(in_base)) = (totals.base, &total.in_base)
            && base != currency
        {
            let amount = decimal_text(in_base.amount, base);
            line = format!("{line} = {amount} {base} at {} of {} ({})", in_base.rate, in_base.day, in_base.source);
        }
        lines.push(line);
    }
    match (totals.base, totals.in_base) {
        (Some(base), Some(sum)) if totals.by_currency.iter().any(|total| total.currency != base) => {
            lines.push(format!("in all {} {base}", decimal_text(sum, base)));
        }
        (Some(base), None) if !totals.by_currency.is_empty() => {
            lines.push(format!("in all: not known in {base}, because a rate is missing (commission-bridge fx fetch)"));
        }
        _ => {}
    }
    lines
}

fn totals_json(totals: &Totals) -> serde_json::Value {
    let by_currency = totals.by_currency.iter().map(|total| {
        let in_base = total.in_base.as_ref();
        serde_json::json!({
            "currency": total.currency,
            "payouts": total.payouts,
            "amount": total.amount,
            "returned": total.returned,
            "in_base": in_base.map(|in_base| in_base.amount),
            "rate": in_base.map(|in_base| in_base.rate.to_string()),
            "rate_day": in_base.map(|in_base| in_base.day),
            "rate_source": in_base.map(|in_base| in_base.source.clone()),
        })
    });
    let by_currency: Vec<serde_json::Value> = by_currency.collect();
    serde_json::json!({ "by_currency": by_currency, "base_currency": totals.base, "in_base": totals.in_base })
}
