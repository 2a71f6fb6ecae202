//! HTTP: the Stripe webhook endpoint, the JSON API, and what watches the service.

pub mod auth;

mod balances;
mod entries;
mod health;
mod payments;
mod problem;
mod query;
mod webhook;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;

pub use problem::Problem;

use crate::clock::Clock;
use crate::intake::Inbox;
use crate::store::Db;
use crate::stripe::signature::Secrets;

/// The largest body that is read: 1 MiB, several times Stripe's largest events.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub db: Db,
    /// The way in for events.
    pub inbox: Inbox,
    /// The webhook endpoint's signing secrets; empty until one is configured.
    pub secrets: Arc<Secrets>,
    /// The time.
    pub clock: Clock,
    /// What happened so far.
    pub counters: Arc<Counters>,
    workspaces: webhook::Workspaces,
}

/// Counts since the start, for `/metrics`.
#[derive(Debug, Default)]
pub struct Counters {
    stored: AtomicU64,
    duplicate: AtomicU64,
    ignored: AtomicU64,
    bad_signature: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

impl App {
    /// Puts the parts together.
    pub fn new(db: Db, inbox: Inbox, secrets: Secrets, clock: Clock) -> Self {
        Self {
            db,
            inbox,
            secrets: Arc::new(secrets),
            clock,
            counters: Arc::default(),
            workspaces: webhook::Workspaces::default(),
        }
    }

    /// Every route.
    pub fn router(self) -> Router {
        Router::new()
            .route("/webhooks/stripe/{workspace}", post(webhook::receive))
            .route("/v1/balances", get(balances::list))
            .route("/v1/entries", get(entries::newest))
            .route("/v1/payments/{reference}/explain", get(payments::explain))
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .route("/metrics", get(health::metrics))
            .fallback(|| async { Problem::not_found("there is nothing at this address") })
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
            .with_state(self)
    }
}

impl Counters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves until `shutdown` resolves; requests under way are finished.
///
/// # Errors
/// What the system says of the socket.
pub async fn serve(
    app: App,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, app.router()).with_graceful_shutdown(shutdown).await
}
