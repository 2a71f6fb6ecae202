//! How long a visitor who follows a link waits until the click is on disk, and how many clicks servers may tell of a
//! second. The service is a process of its own; this one only asks.
//!
//! ```text
//! cargo bench --bench clicks -- sqlite 20000
//! TEST_POSTGRES_OPTIONS="-c fsync=on" bash tests/run.sh cargo bench --bench clicks -- postgres 20000
//! ```
//!
//! Closed loop: each connection asks again when it was answered.

#![allow(clippy::cast_precision_loss, clippy::unwrap_used)] // figures

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const PROGRAM: &str = r#"
[[program]]
key = "saas"
name = "SaaS partners"
  [[program.rule]]
  on = "any"
  percent = "20"
  duration = "lifetime"
[[partner]]
key = "acme"
name = "Acme"
programs = ["saas"]
"#;
const LINK: &str = r#"{"link":"x","partner_key":"acme","target":"https://shop.example/pricing?plan=pro"}"#;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let engine = arguments.next().unwrap_or_else(|| "sqlite".to_owned());
    let count: usize = arguments.next().map_or(20_000, |count| count.parse().expect("a number of clicks"));
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&engine, count, folder.path()));
}

async fn run(engine: &str, count: usize, folder: &std::path::Path) {
    let url = match engine {
        "postgres" => fresh_postgres().await,
        _ => format!("sqlite://{}", folder.join("bench.db").display()),
    };
    let program = folder.join("program.toml");
    std::fs::write(&program, PROGRAM).unwrap();
    said(&url, &["apply", program.to_str().unwrap()]);
    let key = said(&url, &["api-key", "create", "--name", "bench", "--role", "admin", "--mode", "live"]);
    let (mut service, address) = serve(&url);
    let (key, follow) = (format!("Bearer {}", key.trim()), |_| Ask { path: "/r/x", key: None, body: String::new() });
    let make = |_| Ask { path: "/v1/links", key: Some(key.clone()), body: LINK.to_owned() };
    let fresh = |_| Ask { path: "/v1/clicks", key: Some(key.clone()), body: r#"{"partner_key":"acme"}"#.to_owned() };
    let named = |number| Ask {
        path: "/v1/clicks",
        key: Some(key.clone()),
        body: format!(r#"{{"partner_key":"acme","click_id":"bench-{number}"}}"#),
    };
    ask_all(address, 1, 1, make).await;
    println!("{engine}, {count} clicks each, service and generator on the same machine");
    println!("{:>34} {:>6} {:>10} {:>9} {:>9} {:>9}", "", "lanes", "a second", "p50 ms", "p99 ms", "max ms");
    for lanes in [1, 16, 128] {
        report("GET /r/{link}", lanes, ask_all(address, count.min(lanes * 2000), lanes, follow).await);
    }
    report("POST /v1/clicks", 128, ask_all(address, count, 128, fresh).await);
    report("POST /v1/clicks with an id", 128, ask_all(address, count, 128, named).await);
    let _ = service.kill();
    let _ = service.wait();
}

fn report(what: &str, lanes: usize, (took, mut latencies): (Duration, Vec<u32>)) {
    latencies.sort_unstable();
    let at = |percent: usize| f64::from(latencies[(latencies.len() - 1) * percent / 100]) / 1000.0;
    let rate = latencies.len() as f64 / took.as_secs_f64();
    println!("{what:>34} {lanes:>6} {rate:>10.0} {:>9.2} {:>9.2} {:>9.2}", at(50), at(99), at(100));
}

/// One request.
struct Ask {
    path: &'static str,
    key: Option<String>,
    body: String,
}

/// Asks so often over so many connections; how long all took, and each in microseconds.
async fn ask_all(address: SocketAddr, count: usize, lanes: usize, ask: impl Fn(usize) -> Ask) -> (Duration, Vec<u32>) {
    let mut all: Vec<Vec<Ask>> = (0..lanes).map(|_| Vec::new()).collect();
    for number in 0..count {
        all[number % lanes].push(ask(number));
    }
    let begun = Instant::now();
    let tasks: Vec<_> = all.into_iter().map(|lane| tokio::spawn(ask_lane(address, lane))).collect();
    let mut latencies = Vec::with_capacity(count);
    for task in tasks {
        latencies.append(&mut task.await.unwrap());
    }
    (begun.elapsed(), latencies)
}

async fn ask_lane(address: SocketAddr, lane: Vec<Ask>) -> Vec<u32> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut latencies = Vec::with_capacity(lane.len());
    for Ask { path, key, body } in lane {
        let request =
            Request::builder().uri(path).header("host", "bench").method(key.as_ref().map_or("GET", |_| "POST"));
        let request = key.into_iter().fold(request, |request, key| request.header("authorization", key));
        let request = request.header("content-type", "application/json").body(Full::new(Bytes::from(body))).unwrap();
        let begun = Instant::now();
        let response = sender.send_request(request).await.unwrap();
        let (status, has_click) = (response.status(), response.headers().contains_key("set-cookie"));
        response.into_body().collect().await.unwrap();
        assert!(status == 201 || (status == 302 && has_click), "{status}");
        latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    latencies
}

fn said(url: &str, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_commission-bridge")).args(words).env("DATABASE_URL", url).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn serve(url: &str) -> (Child, SocketAddr) {
    let mut service = Command::new(env!("CARGO_BIN_EXE_commission-bridge"))
        .arg("serve")
        .env("FX_URL", "off")
        .env("DATABASE_URL", url)
        .env("LISTEN", "127.0.0.1:0")
        .env("API_RATE_LIMIT", "0")
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

async fn fresh_postgres() -> String {
    use sqlx::Connection as _;
    let server = std::env::var("TEST_POSTGRES_URL").expect("run it through `bash tests/run.sh`");
    let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
    let name = format!("bench_{}", std::process::id());
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}
