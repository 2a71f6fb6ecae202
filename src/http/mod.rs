//! HTTP: the Stripe webhook endpoint, the JSON API, what visitors meet, and what watches the service.

pub mod auth;

mod body;
mod guard;
mod headers;
mod health;
mod metrics;
mod onboard;
mod openapi;
mod problem;
mod query;
mod serving;
mod setup;
mod tracking;
mod v1;
mod webhook;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, Request};
use axum::middleware;
use axum::routing::get;
use tokio::sync::{Notify, Semaphore};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};

pub use guard::Limits;
pub use metrics::Counters;
pub use openapi::document;
pub use problem::Problem;
pub use serving::{Bounds, serve};
pub use setup::Setup;

pub use crate::store::workspaces::DEFAULT_WORKSPACE;

use crate::admin::Session;
use crate::clock::Clock;
use crate::config::Secret;
use crate::connect;
use crate::domain::terms::Terms;
use crate::ids::Ids;
use crate::intake::Inbox;
use crate::intake::clicks::Clicks;
use crate::ledger::Ledger;
use crate::store::api_keys::Role;
use crate::store::{Db, Mode, StoreError, WorkspaceId, entries, refs};
use crate::stripe_api::{Api, Keys};

/// The largest body that is read: 1 MiB, several times Stripe's largest events.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// The bodies of webhooks that are read and not yet on disk, in KiB, all together: 32 MiB, some ten thousand events.
const BODIES_AT_ONCE: usize = 32 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the handlers share. Cheap to clone, which happens with every request.
#[derive(Clone)]
pub struct App(Arc<Shared>);

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// See [`App`].
pub struct Shared {
    /// The database.
    pub db: Db,
    /// The way in for events.
    pub inbox: Inbox,
    /// The way in for clicks.
    pub clicks: Clicks,
    /// Signing secrets of workspace `default` beside those that are stored, comma-separated; may be empty.
    pub secrets: Secret,
    /// The time.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    /// How often a key may ask.
    pub limits: Limits,
    /// Where this service is reached from outside, without a slash at the end.
    pub public_url: Arc<str>,
    /// What happened so far.
    pub counters: Counters,
    /// The ways to Stripe.
    pub stripe: Keys,
    /// Whoever settles listens here.
    wake: Arc<Notify>,
    known_keys: guard::KnownKeys,
    /// The link to the first key, while it works.
    setup: Setup,
    /// One simulation at a time: it decides everything anew.
    simulating: Arc<Semaphore>,
    endpoints: webhook::Endpoints,
    ways: tracking::Ways,
    only: Option<Part>,
    /// Room for webhooks' bodies, in KiB: memory does not grow with how many come at once.
    bodies: Arc<Semaphore>,
}

/// Which half of the service a process is, where they are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Webhooks, API, pages: takes in and answers
    Http,
    /// Records, settles, fetches, pays, sends; answers only /healthz, /readyz and /metrics
    Worker,
}

/// How a service is set up.
#[derive(Clone, Default)]
pub struct Settings {
    /// The half that it is; both when `None`.
    pub only: Option<Part>,
    /// Signing secrets of workspace `default`, comma-separated; may be empty.
    pub secrets: Secret,
    /// How often a key may ask.
    pub limits: Limits,
    /// Where it is reached from outside.
    pub public_url: String,
    /// The link to the first key, while it works.
    pub setup: Setup,
    /// The ways to Stripe.
    pub stripe: Keys,
    /// Whether Stripe is asked for events every hour.
    pub sync: bool,
}

impl App {
    /// Puts the parts together. `wake` is told when customers may be due.
    pub fn new(
        db: Db,
        (inbox, clicks): (Inbox, Clicks),
        settings: Settings,
        clock: Clock,
        ids: Ids,
        wake: Arc<Notify>,
    ) -> Self {
        Self(Arc::new(Shared {
            db,
            inbox,
            clicks,
            secrets: settings.secrets,
            clock,
            ids,
            limits: settings.limits,
            public_url: settings.public_url.trim_end_matches('/').into(),
            counters: Counters::default(),
            stripe: settings.stripe,
            wake,
            known_keys: guard::KnownKeys::default(),
            setup: settings.setup,
            simulating: Arc::new(Semaphore::new(1)),
            endpoints: webhook::Endpoints::default(),
            ways: tracking::Ways::default(),
            only: settings.only,
            bodies: Arc::new(Semaphore::new(BODIES_AT_ONCE)),
        }))
    }

    /// The ledger on this database.
    pub(crate) fn ledger(&self) -> Ledger {
        Ledger { db: self.db.clone(), clock: self.clock.clone(), ids: self.ids.clone() }
    }

    /// One transaction of changes by whoever asks.
    pub(crate) async fn session(&self, caller: &auth::Caller) -> Result<Session, Problem> {
        let book = (caller.workspace(), caller.mode());
        Ok(Session::begin(&self.db, &self.clock, &self.ids, book, caller.author()).await?)
    }

    /// The terms as they are.
    pub(crate) async fn terms(&self, caller: &auth::Caller) -> Result<Arc<Terms>, Problem> {
        let mut tx = self.db.read().await?;
        Ok(self.db.terms(&mut tx, caller.workspace()).await?)
    }

    /// Lets administrators change the terms, which both books share: once there is live money, with a live key only.
    pub(crate) async fn may_change_terms(&self, caller: &auth::Caller) -> Result<(), Problem> {
        caller.must_be(Role::Admin)?;
        if caller.mode() == Mode::Live {
            return Ok(());
        }
        let mut tx = self.db.read().await?;
        if entries::any(&mut tx, caller.workspace(), Mode::Live).await? { caller.may_open(Mode::Live) } else { Ok(()) }
    }

    /// Settles the customer that a reference is of; where that does not work out now, the workers do it soon.
    pub(crate) async fn settle_at_once(&self, caller: &auth::Caller, reference: &str) {
        let settled = async {
            let mut tx = self.db.read().await?;
            let owners = refs::owners(&mut tx, caller.workspace(), [(caller.mode(), reference)]).await?;
            tx.rollback().await?;
            for (_, customer) in owners {
                self.ledger().settle_at_once(caller.workspace(), &customer).await?;
            }
            Ok::<(), StoreError>(())
        };
        if let Err(error) = settled.await {
            tracing::warn!(%error, "what was decided by hand is settled a moment later");
        }
        self.wake();
    }

    /// The way to Stripe for a book.
    pub(crate) async fn stripe_of(&self, workspace: WorkspaceId, mode: Mode) -> Result<Arc<Api>, Problem> {
        let way = connect::way(&self.db, &self.stripe, (workspace, mode)).await?;
        way.map_err(|error| Problem::conflict(error.code(), error.to_string()))
    }

    /// Tells whoever settles that customers may be due.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Whether webhooks are for this process.
    fn takes_in(&self) -> bool {
        self.only != Some(Part::Worker)
    }

    /// What watches the service.
    fn watching() -> Router<Self> {
        Router::new()
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .route("/metrics", get(metrics::metrics))
    }

    /// Every route of a part; all where there are no parts.
    pub fn router(self) -> Router {
        let routes = if self.takes_in() { self.routes() } else { Router::new() };
        routes
            .merge(Self::watching())
            .route_layer(middleware::from_fn_with_state(self.clone(), metrics::measure))
            .fallback(|| async { Problem::not_found("there is nothing at this address") })
            .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(self.clone(), headers::harden))
            .layer(PropagateRequestIdLayer::new(REQUEST_ID))
            .layer(SetRequestIdLayer::new(REQUEST_ID, NewRequestId(self.ids.clone())))
            .with_state(self)
    }

    fn routes(&self) -> Router<Self> {
        let (api, _) = v1::routes().split_for_parts();
        let (webhooks, _) = v1::webhooks().split_for_parts();
        let (tracking, _) = tracking::routes().split_for_parts();
        let api = api.route_layer(middleware::from_fn_with_state(self.clone(), guard::guard));
        Router::new()
            .merge(api)
            .merge(webhooks)
            .merge(tracking)
            .merge(openapi::pages())
            .merge(onboard::routes())
            .route("/setup/{token}", get(setup::ask).post(setup::make))
    }
}

/// Every answer says which request it answers.
#[derive(Clone)]
struct NewRequestId(Ids);

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        self.0.next("req").parse().ok().map(RequestId::new)
    }
}

/// The id under which a request is logged and answered.
fn request_id(headers: &HeaderMap) -> &str {
    headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

/// A fault of the bridge ends one request, not the service.
#[allow(clippy::needless_pass_by_value)] // as the layer hands it over
fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = said.unwrap_or("no more is known"), "a fault of the bridge itself ended a request");
    axum::response::IntoResponse::into_response(Problem::internal())
}
