//! `reconcile`: holds a month against Stripe's own objects.

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::context::{Context, Which};
use super::out::outln;
use super::table::{self, Align, Rows, many};
use crate::config::Config;
use crate::connect;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::money::decimal_text;
use crate::domain::reconcile::{Difference, Report, Why};
use crate::intake::Inbox;
use crate::intake::asking::Asking;
use crate::intake::fetch::{Destination, fetch};
use crate::intake::patience::Patience;
use crate::reconcile::Reconciler;

/// So many objects are named on the terminal; `--json` names them all.
const SHOWN: usize = 50;

/// Hold a month against Stripe's own charges, invoices, refunds and disputes: every cent that Stripe received is credited,
/// refused for a reason or not settled yet, or the objects that differ are named. Exit code 1 where something differs.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  commission-bridge reconcile --month 2026-10\n  commission-bridge reconcile --month 2026-10 --fetch"
)]
pub struct Arguments {
    /// The month, in the workspace's time zone
    #[arg(long, value_name = "YYYY-MM")]
    month: Month,
    /// Fetch what is missing or differs, and compare again
    #[arg(long)]
    fetch: bool,
    #[command(flatten)]
    which: Which,
    /// Print JSON: amounts in minor units
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let keys = config.stripe()?;
    let context = Context::open(config, &arguments.which).await?;
    context.say_book(&arguments.which);
    let book = (context.workspace, context.mode);
    let api = connect::way(&context.db, &keys, book).await?.map_err(connect::ConnectError::from)?;
    let asking = Asking::new(api, Patience::machine());
    let (db, clock) = (context.db.clone(), context.clock.clone());
    let reconciler = Reconciler { db, clock, book, asking };
    context.catch_up().await?;
    let mut report = reconciler.run(arguments.month).await.map_err(said)?;
    if arguments.fetch && report.to_fetch().next().is_some() {
        fetch_missing(&context, &reconciler.asking, &report).await?;
        context.catch_up().await?;
        report = reconciler.run(arguments.month).await.map_err(said)?;
    }
    if arguments.json {
        table::print_json(&json!({
            "workspace": context.key, "mode": context.mode.as_str(), "month": arguments.month.to_string(),
            "is_clean": report.is_clean(), "report": report,
        }))?;
    } else {
        show(&report, arguments.month);
    }
    if report.is_clean() { Ok(()) } else { Err(Failure::Answered) }
}

fn said(error: impl std::fmt::Display) -> Failure {
    Failure::Said(error.to_string())
}

async fn fetch_missing(context: &Context, asking: &Asking, report: &Report) -> Result<(), Failure> {
    let (inbox, _) = Inbox::start(context.db.clone(), context.clock.clone(), Arc::default());
    let into = Destination { db: context.db.clone(), inbox, workspace: context.workspace, mode: context.mode };
    let ids: Vec<String> = report.to_fetch().map(|difference| difference.id.clone()).collect();
    let fetched = fetch(&into, asking, &ids, context.clock.now()).await.map_err(said)?;
    for (id, problem) in &fetched.problems {
        super::out::note!("{id}: {problem}");
    }
    Ok(())
}

fn show(report: &Report, month: Month) {
    let looked_at: Vec<String> = report
        .objects
        .iter()
        .map(|(kind, count)| many(i64::try_from(*count).unwrap_or(i64::MAX), kind.as_str()))
        .collect();
    if looked_at.is_empty() {
        outln!("Stripe lists nothing for {month}.");
    } else {
        outln!("{month}: {} at Stripe\n", looked_at.join(", "));
    }
    show_money(report);
    if report.unasked > 0 {
        outln!(
            "\n{} known here were not listed and were too many to ask for one by one.",
            many(report.unasked, "object")
        );
    }
    if report.is_clean() {
        outln!("\nNothing differs: every cent is credited, refused for a reason, or not settled yet.");
        return;
    }
    outln!("\n{} differ:\n", many(report.differing, "object"));
    let mut rows = Rows::new(&[
        ("object", Align::Left),
        ("id", Align::Left),
        ("here", Align::Right),
        ("at Stripe", Align::Right),
        ("currency", Align::Left),
        ("what differs", Align::Left),
    ]);
    for difference in report.differences.iter().take(SHOWN) {
        let Difference { kind, id, why, currency, ours, stripe } = difference;
        let amount = |amount: &Option<i64>| match (amount, currency) {
            (Some(amount), Some(currency)) => decimal_text(*amount, *currency),
            (Some(amount), None) => amount.to_string(),
            (None, _) => "-".to_owned(),
        };
        let of = currency.map(|currency| currency.to_string()).unwrap_or_default();
        rows.row([kind.as_str().to_owned(), id.clone(), amount(ours), amount(stripe), of, words(*why).to_owned()]);
    }
    rows.print();
    if report.differences.len() > SHOWN {
        outln!("… and more: --json names them.");
    }
    let ids: Vec<&str> = report.to_fetch().take(SHOWN).map(|difference| difference.id.as_str()).collect();
    if !ids.is_empty() {
        outln!("\nTo fetch what is missing: commission-bridge reconcile --month {month} --fetch\nor one by one:");
        outln!("  commission-bridge fetch {}", ids.join(" "));
    }
}

fn show_money(report: &Report) {
    if report.currencies.is_empty() {
        return;
    }
    let mut rows = Rows::new(&[("money", Align::Left), ("amount", Align::Right), ("currency", Align::Left)]);
    for (currency, money) in &report.currencies {
        let mut line = |what: &str, amount: i64, of: Currency| {
            rows.row([what.to_owned(), decimal_text(amount, of), of.to_string()]);
        };
        line("received, says Stripe", money.stripe, *currency);
        line("  credited", money.credited, *currency);
        for (code, amount) in &money.refused {
            line(&format!("  refused: {code}"), *amount, *currency);
        }
        line("  not settled yet", money.unsettled, *currency);
        line("  differing", money.differing, *currency);
        line("refunded, says Stripe", money.refunded, *currency);
        line("disputed, says Stripe", money.disputed, *currency);
    }
    rows.print();
}

fn words(why: Why) -> &'static str {
    match why {
        Why::Missing => "not known here",
        Why::Differs => "other amounts",
        Why::UnknownToStripe => "Stripe has no such object",
        Why::Unreadable => "cannot be read",
    }
}
