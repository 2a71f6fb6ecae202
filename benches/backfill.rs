//! What fetching a merchant's history takes, in time and memory, from a fake Stripe on this machine (which takes its part
//! of both processors), and what a poll costs when nothing happened. Each step is the command that people run, a process
//! of its own. Stripe itself allows 25 calls a second and endpoint: `STRIPE_RATE_LIMIT=0` here means without a limit.
//!
//! ```text
//! cargo bench --bench backfill -- sqlite 1000000
//! TEST_POSTGRES_OPTIONS="-c fsync=on" bash tests/run.sh cargo bench --bench backfill -- postgres 1000000
//! ```

#![allow(clippy::cast_precision_loss, clippy::unwrap_used)] // figures

#[path = "../tests/support/fake_stripe/mod.rs"]
mod fake_stripe;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use commission_bridge::clock::Clock;
use fake_stripe::{FakeStripe, LIVE_KEY, Merchant};
use serde_json::Value;
use sqlx::{Connection as _, Executor as _};

/// How often an idle poll is measured.
const POLLS: u32 = 5;

/// What a process took.
struct Took {
    wall: Duration,
    /// Of the processors.
    cpu: Duration,
    megabytes: u64,
    said: Value,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let engine = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let objects: usize = arguments.next().map_or(1_000_000, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = match engine.as_str() {
        "postgres" => runtime.block_on(fresh_postgres()),
        _ => format!("sqlite://{}", folder.path().join("bench.db").display()),
    };
    let clock = Clock::machine();
    let start = clock.now() - TimeDelta::days(1000);
    let fake = FakeStripe::with(clock, Merchant::large(objects, start));
    let since = start.format("%Y-%m-%d").to_string();

    let took = run(&url, &fake, &["backfill", "--since", &since, "--mode", "live", "--json"]);
    let fetched: i64 =
        took.said["kinds"].as_array().unwrap().iter().map(|kind| kind["objects"].as_i64().unwrap()).sum();
    let seconds = took.wall.as_secs_f64();
    println!(
        "{engine}: {fetched} objects fetched, recorded and settled in {seconds:.0} s: {:.0} a second, {} calls, {} MB",
        fetched as f64 / seconds,
        took.said["calls"],
        took.megabytes
    );
    let again = run(&url, &fake, &["backfill", "--since", &since, "--mode", "live", "--json"]);
    let seconds = again.wall.as_secs_f64();
    println!("once more, all known: {seconds:.0} s: {:.0} a second, {} MB", fetched as f64 / seconds, again.megabytes);
    run(&url, &fake, &["sync", "--mode", "live", "--json"]);
    let polls: Vec<Took> = (0..POLLS).map(|_| run(&url, &fake, &["sync", "--mode", "live", "--json"])).collect();
    let idle = run(&url, &fake, &["balances", "--mode", "live", "--json"]);
    let mean = |of: &dyn Fn(&Took) -> Duration| polls.iter().map(of).sum::<Duration>() / POLLS;
    println!(
        "a poll when nothing happened, as a process of its own: {} calls, {:.0} ms, {:.0} ms of a processor \
         (a command that only looks: {:.0} ms)",
        polls[0].said["syncs"][0]["calls"],
        mean(&|took| took.wall).as_secs_f64() * 1000.0,
        mean(&|took| took.cpu).as_secs_f64() * 1000.0,
        idle.cpu.as_secs_f64() * 1000.0
    );
}

/// Runs a command; what it took, and what it said.
fn run(database: &str, fake: &FakeStripe, arguments: &[&str]) -> Took {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_commission-bridge"))
        .args(arguments)
        .envs([("DATABASE_URL", database), ("STRIPE_API_KEY", LIVE_KEY), ("STRIPE_RATE_LIMIT", "0")])
        .env("STRIPE_API_BASE", fake.base())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let (status, stat) = (format!("/proc/{}/status", child.id()), format!("/proc/{}/stat", child.id()));
    let (mut most, mut ticks) = (0, 0);
    let output = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || std::io::read_to_string(output).unwrap());
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().split(' ').next()).and_then(|kilobytes| kilobytes.parse().ok());
        most = peak.unwrap_or(0).max(most);
        ticks = cpu_ticks(&std::fs::read_to_string(&stat).unwrap_or_default()).unwrap_or(0).max(ticks);
        std::thread::sleep(Duration::from_millis(5));
    };
    let wall = begun.elapsed();
    assert!(ended.success(), "{arguments:?}");
    let said = serde_json::from_str(&reading.join().unwrap()).unwrap();
    Took { wall, cpu: Duration::from_millis(ticks * 10), megabytes: most / 1024, said }
}

/// Hundredths of a second of a process's own work and of the system's for it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

async fn fresh_postgres() -> String {
    let server = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL: see tests/run.sh");
    let name = format!("bench_{}", std::process::id());
    let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
    admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}
