//! The load: signed webhooks over many connections, as fast as they are answered, or at a rate.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::stock::Stock;
use super::{Address, BenchError, SECRET, signed_at, system};
use crate::stripe::sign;

/// Where webhooks are sent, and how many at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub address: Address,
    pub connections: usize,
}

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Webhooks, all of them answered with 200.
    pub sent: usize,
    /// Answers that asked to come again; each was sent until it was taken.
    pub refused: usize,
    /// From the first to the last answer.
    pub took: Duration,
    /// In microseconds.
    pub latencies: Vec<u32>,
}

impl Loaded {
    /// Webhooks a second.
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// Which latency so many of a thousand did not exceed, in milliseconds.
    pub fn quantile(&self, per_mille: usize) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let at = sorted.len().saturating_sub(1) * per_mille / 1000;
        sorted.get(at).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }

    pub(super) fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.refused += more.refused;
        self.took += more.took;
        self.latencies.extend(more.latencies);
    }
}

/// Each connection sends its next webhook when the one before was answered.
pub(super) async fn closed(target: Target, stock: &Stock, numbers: Range<usize>) -> Result<Loaded, BenchError> {
    send(target, stock, numbers, None).await
}

/// So many a second, whatever the answers: a latency counts from when its webhook was due.
pub(super) async fn open(
    target: Target,
    stock: &Stock,
    numbers: Range<usize>,
    rate: usize,
) -> Result<Loaded, BenchError> {
    send(target, stock, numbers, Some(rate)).await
}

async fn send(target: Target, stock: &Stock, numbers: Range<usize>, rate: Option<usize>) -> Result<Loaded, BenchError> {
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let begun = Instant::now();
    let mut lanes = JoinSet::new();
    // The stock outlives the tasks, which end here; tasks need to own what they use.
    let stock = Arc::new(stock.clone());
    for _ in 0..target.connections {
        let lane = Lane { stock: stock.clone(), next: next.clone(), numbers: numbers.clone(), rate, begun };
        lanes.spawn(lane.run(target.address));
    }
    let mut loaded = Loaded::default();
    while let Some(lane) = lanes.join_next().await {
        loaded.add(lane.map_err(|error| BenchError::Said(error.to_string()))??);
    }
    loaded.took = begun.elapsed();
    Ok(loaded)
}

struct Lane {
    stock: Arc<Stock>,
    next: Arc<AtomicUsize>,
    numbers: Range<usize>,
    rate: Option<usize>,
    begun: Instant,
}

impl Lane {
    async fn run(self, address: Address) -> Result<Loaded, BenchError> {
        let mut sender = connect(address).await?;
        let mut loaded = Loaded::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.numbers.end {
                return Ok(loaded);
            }
            let due = self.due(number - self.numbers.start);
            if let Some(due) = due {
                tokio::time::sleep_until(due.into()).await;
            }
            let body = Bytes::from(self.stock.body(number));
            let signature = sign(SECRET, signed_at(), &body);
            let begun = due.unwrap_or_else(Instant::now);
            while !post(&mut sender, &signature, body.clone()).await? {
                loaded.refused += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            loaded.latencies.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
            loaded.sent += 1;
        }
    }

    /// When the webhook with this number is to be sent.
    fn due(&self, number: usize) -> Option<Instant> {
        let rate = self.rate?;
        Some(self.begun + Duration::from_secs_f64(number as f64 / rate.max(1) as f64))
    }
}

async fn connect(address: Address) -> Result<SendRequest<Full<Bytes>>, BenchError> {
    let stream = TcpStream::connect(address).await.map_err(system("cannot connect"))?;
    stream.set_nodelay(true).map_err(system("cannot connect"))?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| BenchError::Said(error.to_string()))?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Whether it was taken; not where the service asks to come again.
async fn post(sender: &mut SendRequest<Full<Bytes>>, signature: &str, body: Bytes) -> Result<bool, BenchError> {
    let said = |error: &dyn std::fmt::Display| BenchError::Said(format!("a webhook was not answered: {error}"));
    let request = Request::post("/webhooks/stripe/default")
        .header("host", "bench")
        .header("content-type", "application/json")
        .header("stripe-signature", signature)
        .body(Full::new(body))
        .map_err(|error| said(&error))?;
    let response = sender.send_request(request).await.map_err(|error| said(&error))?;
    let status = response.status();
    let answer = response.into_body().collect().await.map_err(|error| said(&error))?;
    match status.as_u16() {
        200 => Ok(true),
        503 => Ok(false),
        _ => Err(said(&format!("{status} {}", String::from_utf8_lossy(&answer.to_bytes())))),
    }
}
