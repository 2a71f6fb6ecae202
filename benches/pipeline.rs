//! How fast events go through the bridge, on either engine:
//!
//! ```text
//! cargo bench --bench pipeline -- sqlite 100000
//! bash tests/run.sh cargo bench --bench pipeline -- postgres 100000
//! ```
//!
//! Each row is one tenth of the events: brought by 64 callers at once, then recorded, then settled; the last column is
//! recording and settling at the same time, as `serve` does it, of as many further events.

#![allow(clippy::cast_precision_loss)] // figures for people

use std::sync::Arc;
use std::time::{Duration, Instant};

use commission_bridge::clock::Clock;
use commission_bridge::domain::Time;
use commission_bridge::domain::terms::{Change, Terms};
use commission_bridge::ids::Ids;
use commission_bridge::intake::{Arrivals, Inbox, Incoming};
use commission_bridge::ledger::Ledger;
use commission_bridge::on;
use commission_bridge::program::{self, RepriceClosed};
use commission_bridge::sample::program::{partners, program_toml};
use commission_bridge::sample::{Options, Shape, stream};
use commission_bridge::store::changes::{self, Entering};
use commission_bridge::store::events::Source;
use commission_bridge::store::{Db, Urgency, WorkspaceId, workspaces};
use commission_bridge::worker::Worker;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLERS: usize = 64;
/// Bodies that are held in memory at once.
const HELD: usize = 2_000;

/// What something took: by the clock, and of the processors by this process alone.
#[derive(Clone, Copy, Default)]
struct Took {
    wall: Duration,
    cpu: Duration,
}

impl Took {
    fn plus(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

struct Start(Instant, Duration);

impl Start {
    fn now() -> Self {
        Self(Instant::now(), processors())
    }

    fn took(&self) -> Took {
        Took { wall: self.0.elapsed(), cpu: processors().saturating_sub(self.1) }
    }
}

/// Time on the processors so far, of all threads.
fn processors() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

struct Bench {
    db: Db,
    inbox: Inbox,
    ledger: Ledger,
    worker: Worker,
    workspace: WorkspaceId,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let engine = args.first().map_or("sqlite", String::as_str);
    let events: usize = args.get(1).map_or(100_000, |text| text.parse().expect("the number of events"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run(engine, events));
}

async fn run(engine: &str, events: usize) {
    let directory =
        tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).expect("a directory");
    let url = match engine {
        "sqlite" => format!("sqlite://{}", directory.path().join("bench.db").display()),
        "postgres" => std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL, which tests/run.sh sets"),
        other => panic!("{other:?} is no engine: expected sqlite or postgres"),
    };
    let bench = Bench::open(&url).await;
    println!("{engine}, {events} events, events a second:");
    println!(
        "{:>10} {:>10} {:>10} {:>10} {:>16} {:>8}",
        "events", "submit", "record", "settle", "record + settle", "RSS MB"
    );
    let mut bodies = stream::bodies(&Options::new(1), Shape::New);
    let part = (events / 20).max(1);
    let mut bytes = 0;
    for number in 1..=10 {
        let (submit, size) = bench.submit(&mut bodies, part).await;
        let record = bench.record().await;
        let settle = bench.settle().await;
        let (again, more) = bench.submit(&mut bodies, part).await;
        let both = bench.both().await;
        bytes += size + more;
        let show = |took: Took, events: usize| {
            let rate = events as f64 / took.wall.as_secs_f64();
            let cpu = took.cpu.as_secs_f64() * 1e6 / events as f64;
            format!("{rate:.0} ({cpu:.0} µs)")
        };
        println!(
            "{:>10} {:>18} {:>18} {:>18} {:>18} {:>8}",
            number * 2 * part,
            show(submit.plus(again), 2 * part),
            show(record, part),
            show(settle, part),
            show(both, part),
            resident()
        );
    }
    let total = 20 * part;
    println!("{} bytes an event as received, {} in the database", bytes / total, bench.size(&directory).await / total);
    if engine == "postgres" {
        println!("(the database is left on the server)");
    }
}

impl Bench {
    async fn open(url: &str) -> Self {
        let db = Db::open(url).await.expect("a database");
        let clock = Clock::machine();
        let ledger = Ledger { db: db.clone(), clock: clock.clone(), ids: Ids::random() };
        let arrivals = Arc::new(Arrivals::default());
        let (inbox, _) = Inbox::start(db.clone(), clock.clone(), arrivals.clone());
        let mut tx = db.write(Urgency::Now).await.expect("a transaction");
        let workspace = workspaces::ensure(&mut tx, "default", clock.now()).await.expect("a workspace");
        let mut terms = changes::terms_for_change(&mut tx, workspace).await.expect("terms");
        let entering = Entering { workspace, author: "bench", now: clock.now(), ids: &ledger.ids };
        let planned = entered(&terms, clock.now());
        changes::append(&mut tx, &entering, &mut terms, &planned).await.expect("changes");
        tx.commit().await.expect("a commit");
        let worker = Worker::new(ledger.clone(), arrivals);
        worker.run_until_idle().await.expect("nothing to do");
        Self { db, inbox, ledger, worker, workspace }
    }

    /// Brings events; tells how long that took and how many bytes they were.
    async fn submit(&self, bodies: &mut impl Iterator<Item = Vec<u8>>, count: usize) -> (Took, usize) {
        let (mut time, mut bytes, mut left) = (Took::default(), 0, count);
        while left > 0 {
            let held: Vec<Vec<u8>> = bodies.take(left.min(HELD)).map(|body| pretty(&body)).collect();
            left -= held.len();
            bytes += held.iter().map(Vec::len).sum::<usize>();
            let held = Arc::new(Mutex::new(held));
            let start = Start::now();
            let mut callers = JoinSet::new();
            for _ in 0..CALLERS {
                let (inbox, workspace, held) = (self.inbox.clone(), self.workspace, held.clone());
                callers.spawn(async move {
                    loop {
                        let Some(body) = held.lock().await.pop() else { return };
                        let incoming = Incoming { workspace, source: Source::Webhook, body: &body };
                        inbox.submit(incoming).await.expect("an answer");
                    }
                });
            }
            callers.join_all().await;
            time = time.plus(start.took());
        }
        (time, bytes)
    }

    async fn record(&self) -> Took {
        let start = Start::now();
        let mut recorder = self.ledger.recorder(self.workspace);
        while recorder.next().await.expect("recording") > 0 {}
        start.took()
    }

    async fn settle(&self) -> Took {
        let start = Start::now();
        while self.ledger.settle(self.workspace).await.expect("settling").due > 0 {}
        start.took()
    }

    async fn both(&self) -> Took {
        let start = Start::now();
        self.worker.run_until_idle().await.expect("working");
        start.took()
    }

    async fn size(&self, directory: &tempfile::TempDir) -> usize {
        if matches!(self.db.engine(), commission_bridge::store::Engine::Sqlite) {
            self.db.close().await;
            return usize::try_from(std::fs::metadata(directory.path().join("bench.db")).expect("a file").len())
                .expect("a size");
        }
        let mut tx = self.db.read().await.expect("a transaction");
        let size: i64 = match &mut tx.inner {
            commission_bridge::store::Inner::Postgres(tx) => {
                sqlx::query_scalar("SELECT pg_database_size(current_database())")
                    .fetch_one(&mut **tx)
                    .await
                    .expect("a size")
            }
            commission_bridge::store::Inner::Sqlite(_) => 0,
        };
        let _ = on!(tx, conn => sqlx::query("SELECT 1").execute(conn).await.is_ok());
        usize::try_from(size).expect("a size")
    }
}

/// As Stripe writes it.
fn pretty(body: &[u8]) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    serde_json::to_vec_pretty(&value).expect("JSON")
}

/// The simulated merchant's program file.
fn entered(terms: &Terms, now: Time) -> Vec<(String, Change)> {
    let text = program_toml(&partners(Options::default().partners));
    let file = program::parse(&text, "program.toml").expect("a program file");
    program::plan(&file, terms, now, None, RepriceClosed::No).expect("a plan").changes
}

/// The most memory this process had, in MB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024
}
