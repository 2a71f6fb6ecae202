//! How fast the JSON API answers on a ledger of many payments, on either engine:
//!
//! ```text
//! cargo bench --bench api -- sqlite 100000
//! TEST_POSTGRES_OPTIONS="-c fsync=on" bash tests/run.sh cargo bench --bench api -- postgres 1000000
//! ```
//!
//! The payments are made by the pipeline itself (ten by each customer, spread over the last two years, four of five
//! credited to one of 200 partners). Then the real service runs in this process, without rate limit, and 32 connections
//! that are kept open ask it, each again as soon as it was answered.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unwrap_used)] // figures

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::TimeDelta;
use commission_bridge::admin::{Session, keys};
use commission_bridge::clock::Clock;
use commission_bridge::config::Secret;
use commission_bridge::domain::Time;
use commission_bridge::http::{self, App, Bounds, DEFAULT_WORKSPACE, Settings};
use commission_bridge::ids::Ids;
use commission_bridge::intake::clicks::Clicks;
use commission_bridge::intake::{Arrivals, Inbox, Incoming};
use commission_bridge::ledger::Ledger;
use commission_bridge::program::{self, RepriceClosed};
use commission_bridge::store::api_keys::Role;
use commission_bridge::store::changes::{self, Entering};
use commission_bridge::store::events::Source;
use commission_bridge::store::{Db, Mode, Urgency, WorkspaceId, workspaces};
use commission_bridge::worker::Worker;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 32;
const PARTNERS: usize = 200;
/// How long each row of the table is measured.
const STRETCH: Duration = Duration::from_secs(4);
/// How many events are imported before they are recorded and settled.
const PIECE: usize = 20_000;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let engine = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let payments: usize = arguments.next().map_or(100_000, |count| count.parse().expect("a number of payments"));
    let folder = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&engine, payments, folder.path()));
}

async fn run(engine: &str, payments: usize, folder: &std::path::Path) {
    let url = match engine {
        "postgres" => fresh_postgres().await,
        _ => format!("sqlite://{}", folder.join("bench.db").display()),
    };
    let db = Db::open(&url).await.unwrap();
    let begun = Instant::now();
    let (workspace, first) = seed(&db, payments).await;
    println!("{engine}: {payments} payments made in {:.0} s", begun.elapsed().as_secs_f64());
    let api = Api::start(db, workspace).await;
    let deep = api.id_of_payment_at(first + TimeDelta::days(365)).await;
    println!("{:>44} {:>12} {:>9} {:>9}", "", "requests/s", "p50 ms", "p99 ms");
    let middle = (first + TimeDelta::days(365)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    for (name, path) in [
        ("balances", "/v1/balances?limit=100".to_owned()),
        ("payments, first page", "/v1/payments?limit=100".to_owned()),
        ("payments, deep page", format!("/v1/payments?limit=100&starting_after={deep}")),
        ("payments of a partner", "/v1/payments?limit=100&partner=p007".to_owned()),
        ("payments of a partner, deep page", format!("/v1/payments?limit=100&partner=p007&until={middle}")),
        ("payments by code", "/v1/payments?limit=100&code=no_evidence".to_owned()),
        ("payments of a customer", "/v1/payments?limit=100&customer=cus_7".to_owned()),
        ("entries, first page", "/v1/entries?limit=100".to_owned()),
        ("entries of a partner", "/v1/entries?limit=100&partner=p007".to_owned()),
        ("customers, first page", "/v1/customers?limit=100".to_owned()),
        ("events, first page", "/v1/events?limit=100".to_owned()),
        ("events that failed", "/v1/events?limit=100&status=failed".to_owned()),
    ] {
        api.measure(name, move |_| Ask::get(path.clone())).await;
    }
    // Numbers far apart, so that no two requests in a row are about the same page of a table.
    let any = move |number: usize| number.wrapping_mul(7_919) % payments;
    api.measure("one payment", move |n| Ask::get(format!("/v1/payments/in_{}", any(n)))).await;
    api.measure("one payment explained", move |n| Ask::get(format!("/v1/payments/in_{}/explain", any(n)))).await;
    let fresh = |n: usize| Ask::post("/v1/clicks", &json!({ "partner_key": format!("p{:03}", n % PARTNERS) }));
    api.measure("a click entered", fresh).await;
    api.measure("a click entered, its id with it", |n| Ask::post("/v1/clicks", &click(n))).await;
    api.stop.cancel();
}

/// A click as somebody's site reports it.
fn click(number: usize) -> Value {
    json!({ "click_id": format!("click_{number}"), "partner_key": format!("p{:03}", number % PARTNERS) })
}

/// What is asked.
struct Ask {
    method: &'static str,
    path: String,
    body: Bytes,
}

impl Ask {
    fn get(path: String) -> Self {
        Self { method: "GET", path, body: Bytes::new() }
    }

    fn post(path: &str, body: &Value) -> Self {
        Self { method: "POST", path: path.to_owned(), body: Bytes::from(body.to_string()) }
    }
}

struct Api {
    address: SocketAddr,
    key: String,
    stop: CancellationToken,
}

impl Api {
    async fn start(db: Db, workspace: WorkspaceId) -> Self {
        let (clock, ids) = (Clock::machine(), Ids::random());
        let mut session = Session::begin(&db, &clock, &ids, (workspace, Mode::Live), "bench".to_owned()).await.unwrap();
        let (_, key) = keys::create(&mut session, "bench", Role::Admin, Mode::Live).await.unwrap();
        session.commit().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings =
            Settings { secrets: Secret::new(""), public_url: format!("http://{address}"), ..Settings::default() };
        let arrivals = Arc::new(Arrivals::default());
        let (inbox, _) = Inbox::start(db.clone(), clock.clone(), arrivals.clone());
        let worker = Worker::new(Ledger { db: db.clone(), clock: clock.clone(), ids: ids.clone() }, arrivals);
        let (clicks, mut writers) = Clicks::start(&db, &clock, &ids, &worker.waker());
        writers.detach_all();
        let app = App::new(db, (inbox, clicks), settings, clock, ids, worker.waker());
        let stop = CancellationToken::new();
        let (http_stop, worker_stop) = (stop.clone(), stop.clone());
        tokio::spawn(http::serve(app, listener, Bounds::default(), async move { http_stop.cancelled().await }));
        tokio::spawn(async move { worker.run(worker_stop).await });
        Self { address, key, stop }
    }

    /// The id of the payment that was paid last before a moment.
    async fn id_of_payment_at(&self, at: Time) -> String {
        let path = format!("/v1/payments?limit=1&until={}", at.format("%Y-%m-%dT%H:%M:%SZ"));
        let mut sender = connect(self.address).await;
        let body = send(&mut sender, &self.key, Ask::get(path)).await;
        let page: Value = serde_json::from_slice(&body).unwrap();
        page["data"][0]["payment_id"].as_str().unwrap().to_owned()
    }

    async fn measure(&self, name: &str, ask: impl Fn(usize) -> Ask + Send + Sync + 'static) {
        let ask = Arc::new(ask);
        let mut lanes = JoinSet::new();
        let begun = Instant::now();
        for lane in 0..CONNECTIONS {
            let (address, key, ask) = (self.address, self.key.clone(), ask.clone());
            lanes.spawn(async move {
                let mut sender = connect(address).await;
                let mut latencies = Vec::new();
                let mut number = lane;
                while begun.elapsed() < STRETCH {
                    let asked = Instant::now();
                    send(&mut sender, &key, ask(number)).await;
                    latencies.push(asked.elapsed().as_micros() as u32);
                    number += CONNECTIONS;
                }
                latencies
            });
        }
        let mut latencies: Vec<u32> = lanes.join_all().await.into_iter().flatten().collect();
        let rate = latencies.len() as f64 / begun.elapsed().as_secs_f64();
        latencies.sort_unstable();
        let at = |percent: usize| f64::from(latencies[(latencies.len() - 1) * percent / 100]) / 1000.0;
        println!("{name:>44} {rate:>12.0} {:>9.2} {:>9.2}", at(50), at(99));
    }
}

async fn connect(address: SocketAddr) -> http1::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn send(sender: &mut http1::SendRequest<Full<Bytes>>, key: &str, ask: Ask) -> Bytes {
    let request = Request::builder()
        .method(ask.method)
        .uri(&ask.path)
        .header("host", "bench")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json");
    let response = sender.send_request(request.body(Full::new(ask.body)).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(status.is_success(), "{}: {status}: {}", ask.path, String::from_utf8_lossy(&body));
    body
}

/// Makes a business; tells when its first payment was paid.
async fn seed(db: &Db, payments: usize) -> (WorkspaceId, Time) {
    let clock = Clock::machine();
    let ledger = Ledger { db: db.clone(), clock: clock.clone(), ids: Ids::random() };
    let first = clock.now() - TimeDelta::days(730);
    let mut tx = db.write(Urgency::Now).await.unwrap();
    let workspace = workspaces::ensure(&mut tx, DEFAULT_WORKSPACE, clock.now()).await.unwrap();
    let mut terms = changes::terms_for_change(&mut tx, workspace).await.unwrap();
    let file = program::parse(&program_toml(), "program.toml").unwrap_or_else(|error| panic!("{error}"));
    let plan =
        program::plan(&file, &terms, clock.now(), None, RepriceClosed::No).unwrap_or_else(|error| panic!("{error}"));
    let entering = Entering { workspace, author: "bench", now: clock.now(), ids: &ledger.ids };
    changes::append(&mut tx, &entering, &mut terms, &plan.changes).await.unwrap();
    tx.commit().await.unwrap();

    let arrivals = Arc::default();
    let (inbox, _) = Inbox::start(db.clone(), clock.clone(), Arc::clone(&arrivals));
    let worker = Worker::new(ledger, arrivals);
    let apart = TimeDelta::days(730) / i32::try_from(payments).unwrap();
    let mut made = 0;
    while made < payments {
        let until = payments.min(made + PIECE);
        for from in (made..until).step_by(500) {
            let numbers = from..until.min(from + 500);
            let bodies: Vec<Vec<u8>> = numbers.map(|number| invoice_paid(number, payments, first, apart)).collect();
            let incoming = |body| Incoming { workspace, source: Source::Import, body };
            let events: Vec<Incoming<'_>> = bodies.iter().map(|body| incoming(body.as_slice())).collect();
            inbox.import(&events).await.unwrap();
        }
        worker.run_until_idle().await.unwrap();
        made = until;
    }
    (workspace, first)
}

fn program_toml() -> String {
    let mut text =
        "[[program]]\nkey = \"saas\"\nname = \"SaaS partners\"\nhold_days = 30\n\n[[program.rule]]\non = \"any\"\n\
                    percent = \"20\"\nduration = \"lifetime\"\n"
            .to_owned();
    for number in 0..PARTNERS {
        write!(text, "\n[[partner]]\nkey = \"p{number:03}\"\nname = \"Partner {number}\"\nprograms = [\"saas\"]\n")
            .unwrap();
    }
    text
}

/// `invoice.paid`: 100.00 usd for a subscription.
fn invoice_paid(number: usize, payments: usize, first: Time, apart: TimeDelta) -> Vec<u8> {
    let at = (first + apart * i32::try_from(number).unwrap()).timestamp();
    let customer = number % (payments / 10).max(1);
    let metadata = match customer % 5 {
        0 => json!({}),
        _ => json!({ "partner_key": format!("p{:03}", customer % PARTNERS) }),
    };
    let event = json!({
        "id": format!("evt_{number}"), "object": "event", "type": "invoice.paid", "created": at, "livemode": true,
        "api_version": "2026-10-28.endive", "data": {"object": {
            "id": format!("in_{number}"), "object": "invoice", "customer": format!("cus_{customer}"), "currency": "usd",
            "status": "paid", "total": 10_000, "subtotal": 10_000, "amount_due": 10_000, "amount_paid": 10_000,
            "amount_remaining": 0, "billing_reason": "subscription_cycle", "created": at,
            "status_transitions": {"paid_at": at}, "metadata": metadata,
            "parent": {"type": "subscription_details", "subscription_details": {
                "subscription": format!("sub_{customer}"), "metadata": {}}},
            "lines": {"object": "list", "has_more": false, "data": [{
                "id": format!("il_{number}"), "object": "line_item", "amount": 10_000, "currency": "usd",
                "period": {"start": at, "end": at + 2_592_000},
                "parent": {"type": "subscription_item_details", "subscription_item_details": {
                    "proration": false, "subscription": format!("sub_{customer}")}},
                "pricing": {"type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}},
                "metadata": {},
            }]},
        }},
    });
    serde_json::to_vec(&event).unwrap()
}

async fn fresh_postgres() -> String {
    use sqlx::Connection as _;
    let server = std::env::var("TEST_POSTGRES_URL").expect("run it through `bash tests/run.sh`");
    let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
    let name = format!("bench_{}", std::process::id());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}
