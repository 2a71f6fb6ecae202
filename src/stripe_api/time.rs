//! What time it is at Stripe, by the `Date` of any answer: the client shows no headers.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{DATE, USER_AGENT};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::domain::Time;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where Stripe's API is.
const STRIPE: &str = "https://api.stripe.com";

/// What time it is at Stripe, or at another server; none where nobody says.
pub async fn server_time(base: Option<&str>) -> Option<Time> {
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider).ok()?;
    let connector = connector.https_or_http().enable_http1().build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let address = format!("{}/healthcheck", base.unwrap_or(STRIPE).trim_end_matches('/'));
    let request = Request::get(address)
        .header(USER_AGENT, concat!("commission-bridge/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())
        .ok()?;
    // Whatever is answered, it is dated.
    let answer = tokio::time::timeout(PATIENCE, client.request(request)).await.ok()?.ok()?;
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    chrono::DateTime::parse_from_rfc2822(date).ok().map(|at| at.to_utc())
}
