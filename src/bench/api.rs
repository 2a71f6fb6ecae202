//! Reads of the JSON API, one after the other, on the database that the load left.

use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::load::Loaded;
use super::place::Served;
use super::table::Row;
use super::{BenchError, system};

const READS: usize = 200;

/// A row for each address.
pub(super) async fn rows(served: &Served<'_>) -> Result<Vec<Row>, BenchError> {
    let printed = served.place().command(&["api-key", "create", "--name", "bench", "--role", "admin", "--json"])?;
    let key: serde_json::Value =
        serde_json::from_str(&printed).map_err(|error| BenchError::Said(format!("api-key create: {error}")))?;
    let key = key["key"].as_str().unwrap_or_default();
    let mut rows = Vec::new();
    for path in ["/v1/balances", "/v1/entries?limit=100", "/v1/payments?limit=100"] {
        let begun = Instant::now();
        let mut loaded = Loaded::default();
        for _ in 0..READS {
            let one = Instant::now();
            get(served, path, key).await?;
            loaded.latencies.push(u32::try_from(one.elapsed().as_micros()).unwrap_or(u32::MAX));
            loaded.sent += 1;
        }
        loaded.took = begun.elapsed();
        rows.push(Row::of_load(&format!("GET {path}"), &loaded, None));
    }
    Ok(rows)
}

async fn get(served: &Served<'_>, path: &str, key: &str) -> Result<(), BenchError> {
    let said = |error: &dyn std::fmt::Display| BenchError::Said(format!("GET {path}: {error}"));
    let stream = TcpStream::connect(served.address()).await.map_err(system("cannot connect"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| said(&error))?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "bench")
        .header("authorization", format!("Bearer {key}"))
        .body(Empty::<Bytes>::new())
        .map_err(|error| said(&error))?;
    let response = sender.send_request(request).await.map_err(|error| said(&error))?;
    let status = response.status();
    response.into_body().collect().await.map_err(|error| said(&error))?;
    if status.is_success() || status.as_u16() == 429 { Ok(()) } else { Err(said(&status)) }
}
