//! `/v1/syncs`: polls of Stripe's events, and what they brought.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::Wanted;
use crate::store::syncs;

/// A poll of Stripe's events.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Sync {
    /// Always `sync`.
    #[schema(example = "sync")]
    object: &'static str,
    /// `sync_…`
    sync_id: String,
    /// `live` or `test`.
    mode: &'static str,
    started_at: DateTime<Utc>,
    /// None while it is under way, or where its process was killed: the next one goes on.
    finished_at: Option<DateTime<Utc>>,
    /// Calls to Stripe.
    calls: i64,
    /// Events that Stripe showed; most are known already.
    fetched: i64,
    /// Those that nobody had brought before.
    new: i64,
    /// Those of them that were older than ten minutes, where webhooks come: one should have brought them.
    missed_webhooks: i64,
    /// Items that could not be read.
    parked: i64,
    /// Why not everything was read; the next poll goes on.
    error: Option<String>,
}

impl From<&syncs::Sync> for Sync {
    fn from(sync: &syncs::Sync) -> Self {
        let counts = sync.counts();
        Self {
            object: "sync",
            sync_id: sync.sync_id.clone(),
            mode: sync.mode().as_str(),
            started_at: sync.started_at(),
            finished_at: sync.finished_at(),
            calls: counts.calls,
            fetched: counts.fetched,
            new: counts.new,
            missed_webhooks: counts.missed,
            parked: counts.parked,
            error: sync.error.clone(),
        }
    }
}

/// Polls of Stripe's events
///
/// The newest first. The service asks Stripe for events every hour, where it has a key.
#[utoipa::path(
    get, path = "/v1/syncs", tag = "events", operation_id = "list_syncs", params(Wanted),
    responses((status = 200, description = "A page of polls", body = List<Sync>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Sync>>, Problem> {
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "sync_")?;
    let mut tx = app.db.read().await?;
    let before = page.starting_after.as_deref();
    let found = syncs::page(&mut tx, caller.workspace(), caller.mode(), before, page.and_one()).await?;
    Ok(Json(page.list(found.iter().map(Sync::from).collect())))
}
