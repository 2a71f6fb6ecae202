//! The floor: an endpoint that reads a body, verifies its signature and answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;

use super::{Address, BenchError, SECRET, system};
use crate::clock::Clock;
use crate::stripe::Secrets;

/// Serves in this process until it ends.
pub(super) async fn serve() -> Result<Address, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(system("cannot listen"))?;
    let address = listener.local_addr().map_err(system("cannot listen"))?;
    let verifying = Arc::new((Secrets::new(&[SECRET]), Clock::machine()));
    let router = Router::new().route("/webhooks/stripe/{workspace}", post(verify)).with_state(verifying);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn verify(State(verifying): State<Arc<(Secrets, Clock)>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let (secrets, clock) = verifying.as_ref();
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match secrets.verify(header, &body, clock.now()) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
