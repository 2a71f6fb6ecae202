//! `bench`: what this machine can do.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Failure;
use super::out::{note, out, outln};
use crate::bench::{Engine, Place, Plan, run as measure};

/// Measure what this machine can do: signed webhooks over HTTP to a service of its own on a throw-away database, as fast
/// as they are answered and at half that rate; recording and settling; reading the API; closing a month.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  commission-bridge bench\n  commission-bridge bench --events 1000000 \
                        --postgres postgres://user@host/postgres")]
pub struct Arguments {
    /// How many webhooks are sent as fast as they are answered
    #[arg(long, default_value_t = 100_000)]
    events: usize,
    /// How many are sent at a time
    #[arg(long, default_value_t = 128)]
    connections: usize,
    /// For how many seconds webhooks are sent at half the rate
    #[arg(long, default_value_t = 10)]
    steady: u64,
    /// A `PostgreSQL` server on which a database may be made and dropped; else `SQLite`
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Where the `SQLite` file is made, on the disk that is to be measured
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let engine = if let Some(server) = &arguments.postgres {
        Engine::Postgres(server.clone())
    } else {
        let folder = std::path::absolute(&arguments.folder).map_err(Failure::system("cannot find the folder"))?;
        Engine::Sqlite(folder)
    };
    let plan = Plan {
        events: arguments.events.max(10),
        connections: arguments.connections.max(1),
        steady: Duration::from_secs(arguments.steady),
    };
    let said = |error: crate::bench::BenchError| Failure::Said(error.to_string());
    let place = Place::new(engine).await.map_err(said)?;
    let measured = measure(&plan, &place, |doing| note!("{doing} …")).await;
    place.remove().await.map_err(said)?;
    let report = measured.map_err(said)?;
    if arguments.json {
        outln!("{}", serde_json::to_string_pretty(&report).map_err(|error| Failure::Said(error.to_string()))?);
    } else {
        out!("{}", report.table());
    }
    Ok(())
}
