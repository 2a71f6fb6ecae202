//! `bench`: what a machine can do. A service of its own on a throw-away database, and signed webhooks sent to it.
//!
//! The service is a process of its own; this one sends. Where both are on one machine they share its processors, so that
//! the figures to compare are ratios: to the floor (an endpoint that only verifies signatures, under the same load), and
//! to another run on the same machine.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // figures

mod api;
mod floor;
mod load;
mod machine;
mod place;
mod stock;
mod table;

pub use load::Loaded;
pub use machine::Machine;
pub use place::{Engine, Place};
pub use table::{Report, Row};

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use load::Target;
use place::Served;
use stock::Stock;

use crate::clock::Clock;

/// What webhooks are signed with.
pub(crate) const SECRET: &str = "whsec_bench";

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Webhooks of the closed loop.
    pub events: usize,
    /// How many are sent at a time.
    pub connections: usize,
    /// For so long webhooks are sent at half the rate of the closed loop.
    pub steady: Duration,
}

/// Why a benchmark came to no end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// What failed, in words.
    #[error("{0}")]
    Said(String),
    /// A file, socket or process.
    #[error("{0}: {1}")]
    System(&'static str, #[source] std::io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The database could not be opened.
    #[error(transparent)]
    Open(#[from] crate::store::OpenError),
}

pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> BenchError {
    move |error| BenchError::System(what, error)
}

/// Runs everything on one place. `say` is told what goes on.
///
/// # Errors
/// What went wrong; the throw-away database is removed in any case.
pub async fn run(plan: &Plan, place: &Place, say: impl Fn(&str)) -> Result<Report, BenchError> {
    say("making webhooks");
    let stock = Stock::new();
    let mut report = Report::new(Machine::look(), place, plan, stock.mean_size()).await?;
    say("an endpoint that only verifies signatures");
    report.rows.push(floor_row(plan, &stock).await?);

    let served = place.serve(&crate::sample::program::program_toml(&crate::sample::program::partners(8))).await?;
    say("webhooks, as fast as they are answered");
    closed(plan, &stock, &served, &mut report).await?;
    say("webhooks at half that rate");
    steady(plan, &stock, &served, &mut report).await?;
    say("reading the API");
    report.rows.extend(api::rows(&served).await?);
    report.memory = served.peak_memory();
    report.disk = served.disk().await?;
    say("starting on this database");
    let started = served.restart().await?;
    report.rows.push(Row::once("start, until it answers", started));
    say("closing a month of it");
    report.rows.push(Row::once("close the month", served.close_month()?));
    served.end().await?;
    Ok(report)
}

async fn floor_row(plan: &Plan, stock: &Stock) -> Result<Row, BenchError> {
    let address = floor::serve().await?;
    let target = Target { address, connections: plan.connections };
    let loaded = load::closed(target, stock, 0..plan.events.min(200_000)).await?;
    Ok(Row::of_load("signature verified, nothing stored", &loaded, None))
}

async fn closed(plan: &Plan, stock: &Stock, served: &Served<'_>, report: &mut Report) -> Result<(), BenchError> {
    let target = Target { address: served.address(), connections: plan.connections };
    let before = served.processors();
    let tenth = (plan.events / 10).max(1);
    let (mut all, mut tenths) = (Loaded::default(), Vec::new());
    for number in 0..10 {
        let loaded = load::closed(target, stock, number * tenth..(number + 1) * tenth).await?;
        tenths.push(loaded.rate());
        all.add(loaded);
    }
    let meanwhile = served.recorded().await?;
    let spent = served.processors().since(&before);
    report.rows.push(Row::of_load("webhooks acknowledged on disk", &all, Some(spent)));
    let rate = meanwhile.settled as f64 / all.took.as_secs_f64();
    report.rows.push(Row::rate("recorded and settled meanwhile", rate));
    report.rows.push(Row::rate("acknowledged, the first tenth", tenths[0]));
    report.rows.push(Row::rate("acknowledged, the last tenth", tenths[9]));
    let rest = Instant::now();
    served.wait_until_settled().await?;
    let whole = all.took + rest.elapsed();
    let spent = served.processors().since(&before);
    let row = Row::rate("all recorded and settled", all.sent as f64 / whole.as_secs_f64());
    report.rows.push(row.with_processors(spent, all.sent));
    report.half = (all.rate() / 2.0) as usize;
    Ok(())
}

async fn steady(plan: &Plan, stock: &Stock, served: &Served<'_>, report: &mut Report) -> Result<(), BenchError> {
    let target = Target { address: served.address(), connections: plan.connections };
    let count = (report.half as f64 * plan.steady.as_secs_f64()) as usize;
    let before = served.processors();
    let loaded = load::open(target, stock, plan.events..plan.events + count, report.half).await?;
    let spent = served.processors().since(&before);
    report.rows.push(Row::of_load("at half that rate, from when each was due", &loaded, Some(spent)));
    served.wait_until_settled().await
}

/// The time that signatures are made for: from now on they last long enough.
pub(crate) fn signed_at() -> i64 {
    Clock::machine().now().timestamp()
}

/// Where a service listens on this machine.
pub(crate) type Address = SocketAddr;
