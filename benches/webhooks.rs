//! How many signed webhooks a second `serve` acknowledges durably over HTTP, with which latency, and when all of them are
//! recorded and settled. The service is a process of its own; this one only sends.
//!
//! ```text
//! cargo bench --bench webhooks -- sqlite 100000
//! bash tests/run.sh cargo bench --bench webhooks -- postgres 100000
//! ```
//!
//! All are made and signed beforehand (some 3 GB for a million). Closed loop: each of 128 connections sends its next webhook when the one before was answered.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unwrap_used)] // figures

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use commission_bridge::sample::{Options, Shape, business, stream};
use commission_bridge::store::{Db, customers, events, workspaces};
use commission_bridge::stripe::sign;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const SECRET: &str = "whsec_bench";
const CONNECTIONS: usize = 128;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let engine = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let count: usize = arguments.next().map_or(100_000, |count| count.parse().expect("a number of events"));
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&engine, count, folder.path()));
}

async fn run(engine: &str, count: usize, folder: &std::path::Path) {
    let url = match engine {
        "postgres" => fresh_postgres().await,
        _ => format!("sqlite://{}", folder.join("bench.db").display()),
    };
    let options = Options { customers: 200, ..Options::new(1) };
    let program = folder.join("program.toml");
    std::fs::write(&program, business(&Options { customers: 0, ..options.clone() }).program_toml).unwrap();
    let binary = env!("CARGO_BIN_EXE_commission-bridge");
    let applied = Command::new(binary).args(["apply", program.to_str().unwrap()]).env("DATABASE_URL", &url).output();
    assert!(applied.unwrap().status.success());
    let (mut service, address) = serve(binary, &url);

    let bodies = stream::bodies(&options, Shape::Hybrid).take(count).map(signed);
    let bodies: Vec<(String, Bytes)> = bodies.collect();
    let bytes: usize = bodies.iter().map(|(_, body)| body.len()).sum();
    println!("{engine}, {count} events, {CONNECTIONS} connections, service and generator on the same machine");
    println!("{:>10} {:>12} {:>9} {:>9} {:>9}", "events", "webhooks/s", "p50 ms", "p99 ms", "max ms");
    let (mut sent, mut all) = (0, Vec::with_capacity(count));
    let started = Instant::now();
    for stretch in bodies.chunks(count.div_ceil(10).max(1)) {
        let begun = Instant::now();
        let mut latencies = send_all(address, stretch).await;
        sent += stretch.len();
        report(sent, stretch.len(), begun.elapsed(), &mut latencies);
        all.append(&mut latencies);
    }
    let busy = started.elapsed();
    let db = Db::open(&url).await.unwrap();
    wait_until_settled(&db).await;
    let whole = started.elapsed();
    println!("\nall of them:");
    report(sent, sent, busy, &mut all);
    println!("mean body: {} bytes", bytes / sent);
    println!(
        "recorded and settled meanwhile and afterwards: {:.0} events/s ({:.1} s after the last webhook)",
        sent as f64 / whole.as_secs_f64(),
        whole.saturating_sub(busy).as_secs_f64()
    );
    println!("peak memory of the service: {} MB", peak_memory(&service) / 1024);
    println!("database: {} bytes an event", database_bytes(&url, folder).await / sent as u64);
    let _ = service.kill();
    let _ = service.wait();
}

fn report(sent: usize, size: usize, took: Duration, latencies: &mut [u32]) {
    latencies.sort_unstable();
    let at = |percent: usize| f64::from(latencies[(latencies.len() - 1) * percent / 100]) / 1000.0;
    let rate = size as f64 / took.as_secs_f64();
    println!("{sent:>10} {rate:>12.0} {:>9.2} {:>9.2} {:>9.2}", at(50), at(99), at(100));
}

fn signed(body: Vec<u8>) -> (String, Bytes) {
    let now = commission_bridge::clock::Clock::machine().now();
    // From the future, which is accepted: making and sending all of them takes longer than a signature lasts.
    (sign(SECRET, now.timestamp() + 3600, &body), Bytes::from(body))
}

fn serve(binary: &str, url: &str) -> (Child, SocketAddr) {
    let mut service = Command::new(binary)
        .arg("serve")
        .env("FX_URL", "off")
        .env("DATABASE_URL", url)
        .env("LISTEN", "127.0.0.1:0")
        .env("STRIPE_WEBHOOK_SECRET", SECRET)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(service.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("/webhooks/stripe/")).expect("serve prints its address");
    std::thread::spawn(move || lines.for_each(drop));
    let host = line.trim().trim_start_matches("http://").split('/').next().unwrap();
    (service, host.parse().unwrap())
}

/// Sends everything over all connections; the latencies in microseconds.
async fn send_all(address: SocketAddr, bodies: &[(String, Bytes)]) -> Vec<u32> {
    let mut lanes: Vec<Vec<(String, Bytes)>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for (index, body) in bodies.iter().enumerate() {
        lanes[index % CONNECTIONS].push(body.clone());
    }
    let tasks: Vec<_> = lanes.into_iter().map(|lane| tokio::spawn(send_lane(address, lane))).collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.append(&mut task.await.unwrap());
    }
    latencies
}

async fn send_lane(address: SocketAddr, lane: Vec<(String, Bytes)>) -> Vec<u32> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut latencies = Vec::with_capacity(lane.len());
    for (signature, body) in lane {
        let request = Request::post("/webhooks/stripe/default")
            .header("host", "bench")
            .header("stripe-signature", signature)
            .body(Full::new(body))
            .unwrap();
        let begun = Instant::now();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        response.into_body().collect().await.unwrap();
        assert!(status.is_success(), "{status}");
        latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    latencies
}

async fn wait_until_settled(db: &Db) {
    loop {
        let mut tx = db.read().await.unwrap();
        let workspace = workspaces::find(&mut tx, "default").await.unwrap().unwrap();
        let pending = events::pending(&mut tx, workspace, None, 1).await.unwrap().0.len();
        let due = customers::next_due(&mut tx, workspace).await.unwrap();
        tx.rollback().await.unwrap();
        let now = commission_bridge::clock::Clock::machine().now();
        if pending == 0 && due.is_none_or(|due| due > now) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `VmHWM` of a process, in KiB.
fn peak_memory(service: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn fresh_postgres() -> String {
    use sqlx::Connection as _;
    let server = std::env::var("TEST_POSTGRES_URL").expect("run it through `bash tests/run.sh`");
    let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
    let name = format!("bench_{}", std::process::id());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

async fn database_bytes(url: &str, folder: &std::path::Path) -> u64 {
    use sqlx::Connection as _;
    if url.starts_with("postgres") {
        let mut database = sqlx::PgConnection::connect(url).await.unwrap();
        let size: i64 =
            sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(&mut database).await.unwrap();
        return size.unsigned_abs();
    }
    let sizes = std::fs::read_dir(folder).unwrap().filter_map(Result::ok);
    let of_database = sizes.filter(|file| file.file_name().to_string_lossy().starts_with("bench.db"));
    of_database.map(|file| file.metadata().unwrap().len()).sum()
}
