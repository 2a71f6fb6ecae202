//! `/v1/stripe`: how a book is connected to its Stripe account. What is asked for is written down with the answer, and
//! done after it is durable: a request that is sent again does nothing twice.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{Nothing, Post, object};
use super::super::{App, Problem};
use super::begin;
use crate::connect::endpoint::{self, Carrier, Intended};
use crate::connect::permissions::{Has, Permission as Tried};
use crate::connect::{self, Asked, ConnectError};
use crate::store::api_keys::Role;
use crate::store::stripe_endpoints::{self as stored, Endpoint as Row};
use crate::store::{Mode, Tx, workspaces};
use crate::stripe_api::Api;

/// How a book is connected to Stripe.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StripeConnection {
    /// Always `stripe_connection`.
    #[schema(example = "stripe_connection")]
    object: &'static str,
    /// `live` or `test`.
    mode: &'static str,
    /// Whether there is a key for this book.
    has_key: bool,
    /// The account that this book was connected to.
    #[schema(example = "acct_1NXWPn")]
    account: Option<String>,
    /// What the key may do; only in the answer to connecting.
    permissions: Option<Vec<Permission>>,
    /// The webhook endpoints that the bridge made.
    endpoints: Vec<Endpoint>,
}

/// One permission of a Stripe key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Permission {
    #[schema(example = "invoices")]
    name: &'static str,
    /// What it is used for.
    purpose: &'static str,
    /// What to switch on in Stripe where it is missing.
    switch_on: &'static str,
    /// Whether the books cannot be kept by asking Stripe without it.
    needed: bool,
    /// `yes`, `no` or `unclear`.
    #[schema(example = "yes")]
    has: &'static str,
}

/// A webhook endpoint at Stripe.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Endpoint {
    url: String,
    /// Whether it is for the events of connected accounts.
    connected: bool,
    /// `making`, `retiring` (the one before is being removed), `made` or `removing`.
    #[schema(example = "made")]
    state: &'static str,
    /// `we_…`, once it is known.
    stripe_id: Option<String>,
}

impl From<&Row> for Endpoint {
    fn from(row: &Row) -> Self {
        let (url, stripe_id) = (row.url.clone(), row.stripe_id.clone());
        Self { url, connected: row.connect(), state: row.state().as_str(), stripe_id }
    }
}

impl From<&Tried> for Permission {
    fn from(tried: &Tried) -> Self {
        let has = match tried.has {
            Has::Yes => "yes",
            Has::No(_) => "no",
            Has::Unclear(_) => "unclear",
        };
        let Tried { name, purpose, switch_on, needed, .. } = *tried;
        Self { name, purpose, switch_on, needed, has }
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Store(error) => Self::database(&error),
            ConnectError::Unclear(_) => Self::unavailable(error.code(), error.to_string()),
            error => Self::conflict(error.code(), error.to_string()),
        }
    }
}

impl StripeConnection {
    async fn of(tx: &mut Tx, caller: &Caller, has_key: bool) -> Result<Self, Problem> {
        let (workspace, mode) = (caller.workspace(), caller.mode());
        let rows = stored::all(tx, workspace).await?;
        Ok(Self {
            object: "stripe_connection",
            mode: mode.as_str(),
            has_key,
            account: stored::account(tx, workspace, mode).await?,
            permissions: None,
            endpoints: rows.iter().filter(|row| row.mode() == mode).map(Endpoint::from).collect(),
        })
    }
}

/// How this book is connected to Stripe
///
/// What is kept of it; nothing is asked of Stripe.
#[utoipa::path(
    get, path = "/v1/stripe", tag = "stripe", operation_id = "get_stripe_connection",
    responses((status = 200, description = "The connection", body = StripeConnection))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let has_key = connect::way(&app.db, &app.stripe, (caller.workspace(), caller.mode())).await?.is_ok();
    let mut tx = app.db.read().await?;
    object(StatusCode::OK, &StripeConnection::of(&mut tx, &caller, has_key).await?)
}

/// How to connect.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Connecting {
    /// Where this service is reached from outside; the configured address where left out.
    #[schema(example = "https://bridge.example.com")]
    url: Option<String>,
    /// Whether there is to be an endpoint for events of connected accounts, too.
    connected: bool,
    /// Whether an endpoint whose signing secret is not known is replaced.
    replace: bool,
}

/// Connect this book to Stripe
///
/// Tries the key's permissions one by one, keeps whose key it is, and makes the webhook endpoint with exactly the events
/// that are understood, or brings it up to date. The endpoint is made right after the answer: `state` says how far it is.
#[utoipa::path(
    post, path = "/v1/stripe/connect", tag = "stripe", operation_id = "connect_stripe",
    request_body = Option<Connecting>,
    responses((status = 200, description = "The connection", body = StripeConnection))
)]
pub(super) async fn join(State(app): State<App>, caller: Caller, post: Post<Connecting>) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let api = app.stripe_of(caller.workspace(), caller.mode()).await?;
    let seen = connect::look(&api).await?;
    let mut doing = begin!(post, app, caller);
    let workspace = workspaces::key(&mut doing.session.tx, caller.workspace()).await?;
    let asked = Asked {
        workspace: &workspace,
        public_url: post.body.url.as_deref().unwrap_or(&app.public_url),
        connected: post.body.connected,
        replace: post.body.replace,
        force: false,
    };
    let intended = connect::begin(&mut doing.session, &seen, asked).await?.unwrap_or_default();
    let mut connection = StripeConnection::of(&mut doing.session.tx, &caller, true).await?;
    connection.permissions = Some(seen.permissions.iter().map(Permission::from).collect());
    let answer = doing.answer(StatusCode::OK, &connection).await?;
    carry_out(&app, &caller, &api, &intended).await;
    Ok(answer)
}

/// Give the endpoint a new signing secret
///
/// A new endpoint is made and the one before removed; the old secret counts for another 24 hours.
#[utoipa::path(
    post, path = "/v1/stripe/rotate-secret", tag = "stripe", operation_id = "rotate_stripe_secret",
    request_body = Option<Nothing>,
    responses((status = 200, description = "The connection", body = StripeConnection))
)]
pub(super) async fn rotate(State(app): State<App>, caller: Caller, post: Post<Nothing>) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let api = app.stripe_of(caller.workspace(), caller.mode()).await?;
    let at_stripe = endpoint::settled(api.webhook_endpoints().await)?;
    let mut doing = begin!(post, app, caller);
    let workspace = workspaces::key(&mut doing.session.tx, caller.workspace()).await?;
    let intended = connect::begin_rotation(&mut doing.session, &at_stripe, &workspace).await?;
    let connection = StripeConnection::of(&mut doing.session.tx, &caller, true).await?;
    let answer = doing.answer(StatusCode::OK, &connection).await?;
    carry_out(&app, &caller, &api, &intended).await;
    Ok(answer)
}

/// Remove the endpoint
///
/// Events can still be fetched.
#[utoipa::path(
    post, path = "/v1/stripe/disconnect", tag = "stripe", operation_id = "disconnect_stripe",
    request_body = Option<Nothing>,
    responses((status = 200, description = "The connection", body = StripeConnection))
)]
pub(super) async fn leave(State(app): State<App>, caller: Caller, post: Post<Nothing>) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let api = app.stripe_of(caller.workspace(), caller.mode()).await?;
    let mut doing = begin!(post, app, caller);
    let rows = endpoint::intend_removal(&mut doing.session).await?;
    let connection = StripeConnection::of(&mut doing.session.tx, &caller, true).await?;
    let answer = doing.answer(StatusCode::OK, &connection).await?;
    let intended: Vec<(bool, Intended)> = rows.into_iter().map(|row| (row.connect(), Intended::Begun(row))).collect();
    carry_out(&app, &caller, &api, &intended).await;
    Ok(answer)
}

/// Does what was written down; what does not work out now, the service goes on with.
async fn carry_out(app: &App, caller: &Caller, api: &Api, intended: &[(bool, Intended)]) {
    let (db, clock, ids, workspace) = (&app.db, &app.clock, &app.ids, caller.workspace());
    let carrier = Carrier { db, clock, ids, workspace, api };
    if let Err(error) = connect::finish(carrier, intended).await {
        let mode: Mode = caller.mode();
        tracing::warn!(%error, %mode, "a webhook endpoint is not as it should be yet");
    }
}
