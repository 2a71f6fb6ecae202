//! `POST /webhooks/stripe/{workspace}`: verify, store, answer. 200 means that the event is on disk.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{App, BODY_LIMIT, Counters, Problem};
use crate::intake::{Incoming, SubmitError};
use crate::store::events::Source;
use crate::store::{StoreError, WorkspaceId, workspaces};

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Workspaces by key, as far as they were asked for. They are never renamed.
#[derive(Clone, Default)]
pub(super) struct Workspaces(Arc<RwLock<HashMap<String, WorkspaceId>>>);

impl Workspaces {
    async fn find(&self, app: &App, key: &str) -> Result<Option<WorkspaceId>, StoreError> {
        if let Some(&known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(Some(known));
        }
        let mut tx = app.db.read().await?;
        let found = workspaces::find(&mut tx, key).await?;
        if let Some(found) = found {
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), found);
        }
        Ok(found)
    }
}

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

async fn accept(app: &App, workspace: &str, headers: &HeaderMap, body: Body) -> Result<&'static str, Problem> {
    let body = read(body).await.inspect_err(|_| Counters::count(&app.counters.refused))?;
    verify(app, headers, &body)?;
    let workspace = match app.workspaces.find(app, workspace).await {
        Ok(Some(workspace)) => workspace,
        Ok(None) => return Err(Problem::not_found(format!("there is no workspace {workspace:?}"))),
        Err(error) => return Err(unavailable(app, &error)),
    };
    match app.inbox.submit(Incoming { workspace, source: Source::Webhook, body: &body }).await {
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
        Err(error) => Err(unavailable(app, &error)),
    }
}

/// The whole body, within its limits.
async fn read(body: Body) -> Result<Bytes, Problem> {
    let collected = tokio::time::timeout(BODY_PATIENCE, Limited::new(body, BODY_LIMIT).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::too_large(format!("the body is larger than {BODY_LIMIT} bytes")))
        }
        Ok(Err(_)) => Err(Problem::bad_request("body_unreadable", "the body ended too early")),
        Err(_) => Err(Problem::too_slow("the body took more than 10 seconds to arrive")),
    }
}

fn verify(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    if app.secrets.is_empty() {
        Counters::count(&app.counters.unavailable);
        return Err(Problem::unavailable(
            "webhook_secret_missing",
            "no signing secret is configured: set STRIPE_WEBHOOK_SECRET to the endpoint's whsec_… and restart",
        ));
    }
    let header = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    app.secrets.verify(header, body, app.clock.now()).map_err(|error| {
        Counters::count(&app.counters.bad_signature);
        tracing::warn!(%error, "a webhook was refused: its signature is not Stripe's");
        Problem::bad_request("bad_signature", error.to_string())
    })
}

fn unavailable(app: &App, error: &dyn std::fmt::Display) -> Problem {
    Counters::count(&app.counters.unavailable);
    tracing::error!(%error, "a webhook could not be stored and was not acknowledged");
    Problem::unavailable("not_stored", "the event could not be stored; send it again")
}
