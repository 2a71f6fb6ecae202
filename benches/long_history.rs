//! Whether one customer with very many payments costs more than many customers with few, on either engine:
//!
//! ```text
//! cargo bench --bench long_history -- sqlite 100000
//! bash tests/run.sh cargo bench --bench long_history -- postgres 100000
//! ```
//!
//! The same number of payments is brought twice, by 64 callers while the worker records and settles as under `serve`: those
//! of a hundred customers, then those of one. Then ten more payments of that one come, one after the other.

#![allow(clippy::cast_precision_loss)] // figures for people

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use commission_bridge::clock::Clock;
use commission_bridge::domain::Time;
use commission_bridge::domain::terms::Terms;
use commission_bridge::ids::Ids;
use commission_bridge::intake::{Arrivals, Inbox, Incoming};
use commission_bridge::ledger::Ledger;
use commission_bridge::program::{self, RepriceClosed};
use commission_bridge::sample::event::{Event, Kind, Object};
use commission_bridge::sample::shape::checkout::Session;
use commission_bridge::sample::{Shape, render};
use commission_bridge::store::changes::{self, Entering};
use commission_bridge::store::events::Source;
use commission_bridge::store::{Db, Urgency, WorkspaceId, workspaces};
use commission_bridge::worker::Worker;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLERS: usize = 64;
const PROGRAM: &str = "[[program]]\nkey = \"saas\"\nname = \"SaaS partners\"\n\
                       [[program.rule]]\non = \"any\"\npercent = \"20\"\nduration = \"lifetime\"\n\
                       [[partner]]\nkey = \"acme\"\nname = \"Acme\"\nprograms = [\"saas\"]\n";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let engine = args.first().map_or("sqlite", String::as_str);
    let payments: usize = args.get(1).map_or(100_000, |text| text.parse().expect("the number of payments"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run(engine, payments));
}

async fn run(engine: &str, payments: usize) {
    let directory =
        tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).expect("a directory");
    let url = match engine {
        "sqlite" => format!("sqlite://{}", directory.path().join("bench.db").display()),
        "postgres" => std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL, which tests/run.sh sets"),
        other => panic!("{other:?} is no engine: expected sqlite or postgres"),
    };
    let bench = Arc::new(Bench::open(&url).await);
    for customers in [100, 1] {
        let (begun, before) = (Instant::now(), processors());
        let ended = CancellationToken::new();
        let working = tokio::spawn({
            let (bench, ended) = (bench.clone(), ended.clone());
            async move { bench.worker.run(ended).await }
        });
        bench.bring(customers, payments).await;
        let brought = begun.elapsed();
        ended.cancel();
        working.await.expect("the worker");
        bench.worker.run_until_idle().await.expect("working");
        let cpu = processors().saturating_sub(before).as_secs_f64() * 1e6 / payments as f64;
        println!(
            "{engine}, {customers} customers with {} payments each: brought in {:.1} s, all settled after {:.1} s, \
             {cpu:.0} µs of processor a payment",
            payments / customers,
            brought.as_secs_f64(),
            begun.elapsed().as_secs_f64()
        );
    }
    let begun = Instant::now();
    for number in 0..10 {
        bench.submit(&body("cus_1_0", 1, payments + number)).await;
        bench.worker.run_until_idle().await.expect("working");
    }
    println!("one more payment of the last, settled at once: {:.0} ms", begun.elapsed().as_secs_f64() * 100.0);
    if engine == "postgres" {
        println!("(the database is left on the server)");
    }
}

struct Bench {
    inbox: Inbox,
    worker: Worker,
    workspace: WorkspaceId,
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
        let file = program::parse(PROGRAM, "program.toml").expect("a program file");
        let planned = program::plan(&file, &Terms::default(), clock.now(), None, RepriceClosed::No).expect("a plan");
        let entering = Entering { workspace, author: "bench", now: clock.now(), ids: &ledger.ids };
        changes::append(&mut tx, &entering, &mut terms, &planned.changes).await.expect("changes");
        tx.commit().await.expect("a commit");
        let worker = Worker::new(ledger, arrivals);
        worker.run_until_idle().await.expect("nothing to do");
        Self { inbox, worker, workspace }
    }

    /// Brings payments of so many customers in turn.
    async fn bring(self: &Arc<Self>, customers: usize, payments: usize) {
        let next = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (bench, next) = (self.clone(), next.clone());
            callers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= payments {
                        return;
                    }
                    bench.submit(&body(&format!("cus_{customers}_{}", number % customers), customers, number)).await;
                }
            });
        }
        callers.join_all().await;
    }

    async fn submit(&self, body: &[u8]) {
        let incoming = Incoming { workspace: self.workspace, source: Source::Webhook, body };
        self.inbox.submit(incoming).await.expect("an answer");
    }
}

/// A payment of a customer, a minute after the one before.
fn body(customer: &str, customers: usize, number: usize) -> Vec<u8> {
    let start: Time = "2026-01-05T10:00:00Z".parse().expect("a moment");
    let at = start + TimeDelta::minutes(i64::try_from(number).expect("a small number"));
    let session = Session {
        id: format!("cs_{customers}_{number}"),
        customer: Some(customer.to_owned()),
        payment_intent: Some(format!("pi_{customers}_{number}")),
        amount_total: Some(2_000),
        metadata: [("partner_key".to_owned(), "acme".to_owned())].into(),
        ..Session::default()
    };
    let event = Event {
        id: format!("evt_{customers}_{number}"),
        ..Event::new(Kind::SessionCompleted, at, Object::Session(Box::new(session)))
    };
    serde_json::to_vec(&render(&event, Shape::New)).expect("JSON")
}

/// Time on the processors so far, of all threads.
fn processors() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    Duration::from_millis(fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10)
}
