//! `/v1/backfills`: history that is fetched from Stripe.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::Caller;
use super::super::body::{At, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::{Wanted, begin};
use crate::admin::backfills::{self as desk, Asked};
use crate::intake::backfill::{parse_kind, thousandths};
use crate::store::api_keys::Role;
use crate::store::backfills::{self, KindRow};
use crate::store::{StoreError, Tx, WorkspaceId};

/// History that is fetched from Stripe's lists.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Backfill {
    /// Always `backfill`.
    #[schema(example = "backfill")]
    object: &'static str,
    /// `bf_…`
    backfill_id: String,
    /// `live` or `test`.
    mode: &'static str,
    /// Objects made since then; customers, subscriptions, promotion codes and prices are fetched whole.
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    /// `running`, `done` or `replaced` (by one that was begun anew).
    #[schema(example = "running")]
    status: String,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    /// Calls to Stripe so far.
    calls: i64,
    /// Why it stands still; it is tried again by itself.
    error: Option<String>,
    kinds: Vec<BackfillKind>,
}

/// How far one kind of objects has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct BackfillKind {
    /// `invoice`, `charge` and so on.
    #[schema(example = "invoice")]
    kind: String,
    /// Objects that Stripe showed.
    objects: i64,
    /// Those that were not known, or not as they are now.
    new: i64,
    /// Those that could not be read; `commission-bridge backfill status` lists them.
    parked: i64,
    done: bool,
    /// How far it has come, where that can be told.
    thousandths: Option<u64>,
    error: Option<String>,
}

impl Backfill {
    fn of(backfill: &backfills::Backfill, rows: &[KindRow]) -> Self {
        let kind = |row: &KindRow| BackfillKind {
            kind: row.kind.clone(),
            objects: row.objects,
            new: row.new,
            parked: row.parked,
            done: row.is_done(),
            thousandths: thousandths(backfill, row),
            error: row.error.clone(),
        };
        Self {
            object: "backfill",
            backfill_id: backfill.backfill_id.clone(),
            mode: backfill.mode().as_str(),
            since: backfill.since(),
            until: backfill.until(),
            status: backfill.status().to_owned(),
            started_at: backfill.started_at(),
            finished_at: backfill.finished_at(),
            calls: backfill.calls,
            error: backfill.error.clone(),
            kinds: rows.iter().map(kind).collect(),
        }
    }
}

async fn with_kinds(
    tx: &mut Tx,
    workspace: WorkspaceId,
    backfill: &backfills::Backfill,
) -> Result<Backfill, StoreError> {
    let rows = backfills::kinds(tx, workspace, &backfill.backfill_id).await?;
    Ok(Backfill::of(backfill, &rows))
}

/// History to fetch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginBackfill {
    /// Objects made since then.
    #[schema(example = "2024-01-01T00:00:00Z")]
    since: DateTime<Utc>,
    /// Objects made until then; until now where nobody says.
    until: Option<DateTime<Utc>>,
    /// `invoices`, `charges` and so on; all of them where nobody says.
    #[serde(default)]
    kinds: Vec<String>,
    /// Begin anew although one is not done.
    #[serde(default)]
    restart: bool,
}

/// Fetch history from Stripe
///
/// The service works on it in the background, and goes on where it was after a restart. A book has one at a time: asked for
/// again as it is, the one under way is answered.
#[utoipa::path(
    post, path = "/v1/backfills", tag = "events", operation_id = "begin_backfill", request_body = BeginBackfill,
    responses(
        (status = 201, description = "The backfill", body = Backfill),
        (status = 200, description = "The one that is under way", body = Backfill),
    )
)]
pub(super) async fn begin_one(
    State(app): State<App>,
    caller: Caller,
    post: Post<BeginBackfill>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    app.stripe_of(caller.workspace(), caller.mode()).await?;
    let mut kinds = Vec::new();
    for (index, name) in post.body.kinds.iter().enumerate() {
        kinds.push(parse_kind(name).map_err(|error| Problem::invalid(format!("kinds[{index}]"), error))?);
    }
    let asked = Asked { since: Some(post.body.since), until: post.body.until, kinds, restart: post.body.restart };
    let mut doing = begin!(post, app, caller);
    let begun = desk::begin(&mut doing.session, &asked).await?;
    let answer = with_kinds(&mut doing.session.tx, caller.workspace(), &begun.backfill).await?;
    doing.answer(if begun.goes_on { StatusCode::OK } else { StatusCode::CREATED }, &answer).await
}

/// Backfills
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/backfills", tag = "events", operation_id = "list_backfills", params(Wanted),
    responses((status = 200, description = "A page of backfills", body = List<Backfill>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Backfill>>, Problem> {
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "bf_")?;
    let mut tx = app.db.read().await?;
    let before = page.starting_after.as_deref();
    let found = backfills::page(&mut tx, caller.workspace(), caller.mode(), before, page.and_one()).await?;
    let mut all = Vec::with_capacity(found.len());
    for backfill in &found {
        all.push(with_kinds(&mut tx, caller.workspace(), backfill).await?);
    }
    Ok(Json(page.list(all)))
}

/// A backfill
#[utoipa::path(
    get, path = "/v1/backfills/{backfill_id}", tag = "events", operation_id = "get_backfill",
    params(("backfill_id" = String, Path, description = "`bf_…`")),
    responses((status = 200, description = "The backfill", body = Backfill))
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(backfill_id): At<String>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = backfills::find(&mut tx, caller.workspace(), &backfill_id).await?;
    let found = found.filter(|backfill| backfill.mode() == caller.mode());
    let found = found.ok_or_else(|| Problem::not_found("there is no such backfill"))?;
    object(StatusCode::OK, &with_kinds(&mut tx, caller.workspace(), &found).await?)
}
