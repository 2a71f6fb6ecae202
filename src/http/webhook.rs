//! `POST /webhooks/stripe/{workspace}`: verify, store, answer. 200 means that the event is on disk.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::body::read_counting;
use super::{App, BODY_LIMIT, Counters, DEFAULT_WORKSPACE, Problem, request_id};
use crate::intake::{Incoming, SubmitError};
use crate::store::events::Source;
use crate::store::{StoreError, WorkspaceId, webhook_secrets, workspaces};
use crate::stripe::signature::Secrets;

/// What an event is answered.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // the answers are written out below
pub(super) struct Received {
    received: bool,
    /// `stored`, `duplicate` or `ignored`.
    #[schema(example = "stored")]
    status: String,
}

/// For so long what was looked up about a workspace's endpoint is taken for true: a new secret counts that soon.
const KNOWN_FOR: Duration = Duration::from_secs(2);

/// Stripe waits a little longer for an answer. An event that is stored later all the same is a duplicate when it is sent
/// again.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);

/// A workspace's endpoint.
pub(super) struct Endpoint {
    workspace: WorkspaceId,
    secrets: Secrets,
    since: Instant,
}

/// Endpoints by their workspaces' keys, as far as they were asked for. A workspace is never renamed.
#[derive(Clone, Default)]
pub(super) struct Endpoints(Arc<RwLock<HashMap<String, Arc<Endpoint>>>>);

impl Endpoints {
    async fn find(&self, app: &App, key: &str) -> Result<Option<Arc<Endpoint>>, StoreError> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.since.elapsed() < KNOWN_FOR) {
            return Ok(Some(known.clone()));
        }
        match look_up(app, key).await {
            Ok(Some(found)) => {
                let found = Arc::new(found);
                self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), found.clone());
                Ok(Some(found))
            }
            // What is known of it stays true while the database does not answer.
            Err(error) => known.map(Some).ok_or(error),
            Ok(None) => Ok(None),
        }
    }
}

async fn look_up(app: &App, key: &str) -> Result<Option<Endpoint>, StoreError> {
    let mut tx = app.db.read().await?;
    let Some(workspace) = workspaces::find(&mut tx, key).await? else { return Ok(None) };
    let stored = webhook_secrets::signing(&mut tx, workspace, app.clock.now()).await?;
    tx.rollback().await?;
    let mut secrets: Vec<&str> = stored.iter().map(String::as_str).collect();
    // What the environment says is the first workspace's.
    if key == DEFAULT_WORKSPACE {
        secrets.extend(app.secrets.reveal().split(','));
    }
    Ok(Some(Endpoint { workspace, secrets: Secrets::new(&secrets), since: Instant::now() }))
}

/// Stripe's events come in
///
/// Verified by the endpoint's signing secret. 200 means that the event is on disk.
#[utoipa::path(
    post, path = "/webhooks/stripe/{workspace}", tag = "events", operation_id = "receive_stripe_event",
    params(
        ("workspace" = String, Path, description = "The workspace's key", example = "default"),
        ("Stripe-Signature" = String, Header, description = "`t=…,v1=…`, as Stripe signs"),
    ),
    request_body(content = Object, description = "A Stripe event, byte for byte as it was signed"),
    responses((status = 200, description = "The event is on disk", body = Received))
)]
pub(super) async fn receive(
    State(app): State<App>,
    workspace: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let Ok(Path(workspace)) = workspace else {
        return Problem::not_found("the workspace's name is no text").into_response();
    };
    match accept(&app, &workspace, &headers, request.into_body()).await {
        Ok(body) => (StatusCode::OK, [("content-type", "application/json")], body).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Takes an event in: what to answer once it is on disk.
///
/// # Errors
/// What was wrong; nothing is stored then.
pub(super) async fn accept(
    app: &App,
    workspace: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<&'static str, Problem> {
    let _measured = app.counters.webhook_seconds.start_timer();
    let mut room = None;
    let body = read_counting(body, BODY_LIMIT, |size| make_room(app, &mut room, size)).await;
    let body = body.inspect_err(|problem| {
        let counter = if problem.is_overload() { &app.counters.overloaded } else { &app.counters.refused };
        Counters::count(counter);
    })?;
    let endpoint = match app.endpoints.find(app, workspace).await {
        Ok(Some(endpoint)) => endpoint,
        Ok(None) => return Err(Problem::not_found(format!("there is no workspace {workspace:?}"))),
        Err(error) => return Err(unavailable(app, headers, &error)),
    };
    verify(app, &endpoint.secrets, headers, &body)?;
    let incoming = Incoming { workspace: endpoint.workspace, source: Source::Webhook, body: &body };
    let Ok(submitted) = tokio::time::timeout(ANSWER_WITHIN, app.inbox.submit(incoming)).await else {
        return Err(unavailable(app, headers, &"the database takes too long"));
    };
    match submitted {
        Ok(accepted) if accepted.duplicate => {
            Counters::count(&app.counters.duplicate);
            Ok(r#"{"received":true,"status":"duplicate"}"#)
        }
        Ok(accepted) if accepted.ignored.is_some() => {
            Counters::count(&app.counters.ignored);
            Ok(r#"{"received":true,"status":"ignored"}"#)
        }
        Ok(_) => {
            Counters::count(&app.counters.stored);
            Ok(r#"{"received":true,"status":"stored"}"#)
        }
        Err(SubmitError::NotAnEvent(error)) => {
            Counters::count(&app.counters.refused);
            Err(Problem::bad_request("not_an_event", format!("the body is no Stripe event: {error}")))
        }
        Err(SubmitError::Overloaded) => {
            Counters::count(&app.counters.overloaded);
            Err(Problem::overloaded())
        }
        Err(error) => Err(unavailable(app, headers, &error)),
    }
}

/// Room in memory for a body of which so many bytes have arrived; what does not fit is sent again later, by Stripe. It is
/// not taken before they arrive: whoever only announces a body, which anybody may, keeps nobody else out.
fn make_room(app: &App, room: &mut Option<OwnedSemaphorePermit>, size: usize) -> Result<(), Problem> {
    let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let more = u32::try_from(size.div_ceil(1024).saturating_sub(held)).unwrap_or(u32::MAX);
    let more = app.bodies.clone().try_acquire_many_owned(more).map_err(|_| Problem::overloaded())?;
    match room {
        Some(room) => room.merge(more),
        None => *room = Some(more),
    }
    Ok(())
}

fn verify(app: &App, secrets: &Secrets, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    if secrets.is_empty() {
        Counters::count(&app.counters.unavailable);
        return Err(Problem::unavailable(
            "webhook_secret_missing",
            "no signing secret is configured: set STRIPE_WEBHOOK_SECRET to the endpoint's whsec_… and restart, or enter it \
             with POST /v1/workspaces/{key}/webhook-secrets",
        ));
    }
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    secrets.verify(header, body, app.clock.now()).map_err(|error| {
        Counters::count(&app.counters.bad_signature);
        tracing::warn!(%error, request = request_id(headers), "a webhook was refused: its signature is not Stripe's");
        Problem::bad_request("bad_signature", error.to_string())
    })
}

fn unavailable(app: &App, headers: &HeaderMap, error: &dyn std::fmt::Display) -> Problem {
    Counters::count(&app.counters.unavailable);
    tracing::error!(%error, request = request_id(headers), "a webhook could not be stored and was not acknowledged");
    Problem::unavailable("not_stored", "the event could not be stored; send it again")
}
