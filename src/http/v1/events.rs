//! `/v1/events`: what Stripe said, and what became of it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, Begun, Nothing, Post, object};
use super::super::query::{self, List, Page, Query};
use super::super::{App, Problem};
use super::payments::Book;
use crate::admin::events as replaying;
use crate::store::Span;
use crate::store::api_keys::Role;
use crate::store::events::{self, EventLine, EventStatus};

/// An event as Stripe showed it. The same event in another shape (another API version's set of fields) is kept beside it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Event {
    /// Always `event`.
    #[schema(example = "event")]
    object: &'static str,
    /// The event and its shape.
    #[schema(example = "evt_1:2305843009213693951")]
    id: String,
    /// `evt_…`
    #[schema(example = "evt_1")]
    event_id: String,
    #[schema(example = "invoice.paid")]
    r#type: String,
    /// When Stripe made it.
    created_at: DateTime<Utc>,
    /// When the bridge got it.
    received_at: DateTime<Utc>,
    /// `webhook`, `import` or `poll`.
    #[schema(example = "webhook")]
    source: String,
    /// `pending` (not read yet), `recorded`, `ignored` or `failed`.
    #[schema(example = "recorded")]
    status: &'static str,
    /// Why it is ignored.
    #[schema(example = "unknown_type")]
    reason: Option<String>,
    /// Why it could not be read.
    error: Option<String>,
}

/// An event with its payload.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct EventInFull {
    #[serde(flatten)]
    event: Event,
    /// The event as Stripe wrote it; null where it cannot be read back.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// The `id` of every other shape in which it came.
    other_shapes: Vec<String>,
}

/// How many events will be read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// Always `replay`.
    #[schema(example = "replay")]
    object: &'static str,
    events: usize,
    /// Whether there are more that failed: send the request again, with another `Idempotency-Key`.
    has_more: bool,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Pending,
    Recorded,
    Ignored,
    Failed,
}

impl From<Status> for EventStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Recorded => Self::Recorded,
            Status::Ignored => Self::Ignored,
            Status::Failed => Self::Failed,
        }
    }
}

impl From<&EventLine> for Event {
    fn from(line: &EventLine) -> Self {
        Self {
            object: "event",
            id: line.id(),
            event_id: line.event_id.clone(),
            r#type: line.kind.clone(),
            created_at: line.created(),
            received_at: line.received(),
            source: line.source.clone(),
            status: line.status().as_str(),
            reason: line.reason.clone(),
            error: line.error.clone(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `id` of the last event of the page before.
    #[param(pattern = "^evt_")]
    starting_after: Option<String>,
    /// `pending`, `recorded`, `ignored` or `failed`.
    #[param(value_type = Option<String>, example = "failed")]
    status: Option<Status>,
    /// Those of this type.
    #[param(example = "invoice.paid")]
    r#type: Option<String>,
    /// Those that are ignored for this reason.
    #[param(example = "unknown_type")]
    reason: Option<String>,
    /// Those received at this moment or later.
    since: Option<DateTime<Utc>>,
    /// Those received before this moment.
    until: Option<DateTime<Utc>>,
    /// The key's own book, `live` or `test`; there is no need to say it.
    mode: Option<String>,
}

/// What Stripe said
///
/// The events received last first, without their payloads.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "list_events", params(Wanted),
    responses((status = 200, description = "A page of events", body = List<Event>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Event>>, Problem> {
    let mode = caller.book(query::mode(wanted.mode.as_deref())?)?;
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let status = wanted.status.map(EventStatus::from);
    if wanted.reason.is_some() && status.is_some_and(|status| status != EventStatus::Ignored) {
        return Err(Problem::invalid("reason", "only events that are ignored have one"));
    }
    let mut tx = app.db.read().await?;
    let behind = match &page.starting_after {
        None => None,
        Some(id) => {
            let place = events::place(&mut tx, caller.workspace(), mode, id).await?;
            Some(place.ok_or_else(|| page.unknown())?)
        }
    };
    let filter = events::Wanted {
        status,
        kind: wanted.r#type.as_deref(),
        reason: wanted.reason.as_deref(),
        received: Span { since: wanted.since, until: wanted.until },
        behind: behind.as_ref(),
    };
    let found = events::list(&mut tx, caller.workspace(), mode, &filter, page.and_one()).await?;
    Ok(Json(page.list(found.iter().map(Event::from).collect())))
}

/// The `evt_…` of an id that may name a shape, too.
fn event_of(id: &str) -> &str {
    id.split_once(':').map_or(id, |(event, _)| event)
}

/// An event with its payload
///
/// In the shape that was received last, or in that which its `id` names.
#[utoipa::path(
    get, path = "/v1/events/{event_id}", tag = "events", operation_id = "get_event",
    params(("event_id" = String, Path, description = "`evt_…`, or the `id` of one shape", example = "evt_1"), Book),
    responses((status = 200, description = "The event", body = EventInFull))
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Query(book): Query<Book>,
) -> Result<Response, Problem> {
    let mode = caller.book(query::mode(book.mode.as_deref())?)?;
    let missing = || Problem::not_found(format!("there is no event {id:?} in the {mode} book"));
    let mut tx = app.db.read().await?;
    let mut shapes = events::of_id(&mut tx, caller.workspace(), event_of(&id)).await?;
    shapes.retain(|shape| shape.mode() == mode);
    shapes.sort_by_key(|shape| std::cmp::Reverse(shape.received()));
    let asked = shapes.iter().position(|shape| shape.id() == id || shape.event_id == id);
    let Some(asked) = asked else {
        let archived = replaying::archived(&mut tx, caller.workspace(), event_of(&id), &[mode]).await?;
        let (_, archive) = archived.first().ok_or_else(missing)?;
        return Err(Problem::not_found(replaying::where_archived(event_of(&id), archive)));
    };
    let line = shapes.swap_remove(asked);
    let payloads = replaying::payloads(&mut tx, caller.workspace(), std::slice::from_ref(&line)).await?;
    let event = EventInFull {
        event: Event::from(&line),
        payload: payloads.into_iter().next().flatten(),
        other_shapes: shapes.iter().map(EventLine::id).collect(),
    };
    object(StatusCode::OK, &event)
}

/// Read an event again
///
/// In all its shapes, whatever became of it: after an upgrade that can read what failed, or a change of settings by which
/// it is no longer ignored. What it says is booked once, however often it is read.
#[utoipa::path(
    post, path = "/v1/events/{event_id}/replay", tag = "events", operation_id = "replay_event", request_body = Nothing,
    params(("event_id" = String, Path, description = "`evt_…`", example = "evt_1")),
    responses((status = 200, description = "The event, which is pending now", body = Event))
)]
pub(super) async fn replay(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    post: Post<Nothing>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let mut doing = match post.begin(&app, &caller).await? {
        Begun::Before(response) => return Ok(response),
        Begun::Now(doing) => doing,
    };
    let id = event_of(&id);
    let replayed = replaying::replay(&mut doing.session, id, &[caller.mode()]).await?;
    let newest = replayed.iter().max_by_key(|shape| shape.received()).map(Event::from);
    let pending =
        newest.map(|event| Event { status: EventStatus::Pending.as_str(), reason: None, error: None, ..event });
    let response = doing.answer(StatusCode::OK, &pending).await?;
    app.inbox.again();
    Ok(response)
}

/// Read failed events again
///
/// Those received last first, at most 1000 at once.
#[utoipa::path(
    post, path = "/v1/events/replay", tag = "events", operation_id = "replay_failed_events", request_body = Nothing,
    responses((status = 200, description = "How many are pending now", body = Replayed))
)]
pub(super) async fn replay_failed(
    State(app): State<App>,
    caller: Caller,
    post: Post<Nothing>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Admin)?;
    let mut doing = match post.begin(&app, &caller).await? {
        Begun::Before(response) => return Ok(response),
        Begun::Now(doing) => doing,
    };
    let events = replaying::replay_failed(&mut doing.session, caller.mode(), None).await?.len();
    let has_more = i64::try_from(events).is_ok_and(|events| events >= replaying::MOST);
    let response = doing.answer(StatusCode::OK, &Replayed { object: "replay", events, has_more }).await?;
    app.inbox.again();
    Ok(response)
}
