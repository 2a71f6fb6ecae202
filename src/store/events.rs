//! Raw events: kept as received, with what became of them.

use std::collections::HashSet;

use sqlx::FromRow;

use super::rows::Column::{Bytes, Int, Text};
use super::rows::{Cell, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventStatus {
    /// Not read yet.
    Pending,
    /// Its facts are recorded.
    Recorded,
    /// It is none of the bridge's business; the reason says why.
    Ignored,
    /// It could not be read; the error says why.
    Failed,
}

impl EventStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Recorded, Self::Ignored, Self::Failed];

    /// As in SQL.
    pub fn as_i64(self) -> i64 {
        self as i64
    }

    /// As in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Recorded => "recorded",
            Self::Ignored => "ignored",
            Self::Failed => "failed",
        }
    }

    fn from_i64(value: i64) -> Self {
        match value {
            0 => Self::Pending,
            1 => Self::Recorded,
            2 => Self::Ignored,
            _ => Self::Failed,
        }
    }
}

/// By which way an event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Stripe called.
    Webhook,
    /// A file.
    Import,
    /// The bridge asked Stripe.
    Poll,
}

impl Source {
    /// As in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Import => "import",
            Self::Poll => "poll",
        }
    }
}

/// An event on its way into the inbox.
#[derive(Debug)]
pub struct NewEvent {
    /// Whose.
    pub workspace: WorkspaceId,
    /// `evt_…`
    pub id: String,
    /// Which of the shapes in which Stripe may show this event.
    pub shape: i64,
    /// Which book.
    pub mode: Mode,
    /// `invoice.paid` and so on.
    pub kind: String,
    /// Stripe's `created`.
    pub created: Time,
    /// When the bridge got it.
    pub received: Time,
    /// By which way.
    pub source: Source,
    /// Why it is ignored, where that is known already.
    pub ignored: Option<String>,
    /// The body, as `codec` says.
    pub payload: Vec<u8>,
    /// How the body is written: see [`crate::intake::payload`].
    pub codec: i64,
}

const NEW: &[(&str, Column_)] = &[
    ("workspace_id", Int),
    ("event_id", Text),
    ("shape", Int),
    ("mode", Int),
    ("type", Text),
    ("created_at", Int),
    ("received_at", Int),
    ("source", Text),
    ("status", Int),
    ("reason", Text),
    ("payload_codec", Int),
    ("payload", Bytes),
];

type Column_ = super::rows::Column;

/// What makes an event the same: workspace, id and shape.
pub type EventKey = (i64, String, i64);

/// Stores events; returns the keys of those that were new.
pub async fn insert(tx: &mut Tx, events: &[NewEvent]) -> Result<HashSet<EventKey>, StoreError> {
    let mut rows = Rows::new(NEW);
    for event in events {
        let status = if event.ignored.is_some() { EventStatus::Ignored } else { EventStatus::Pending };
        rows.push([
            event.workspace.0.into(),
            (&event.id).into(),
            event.shape.into(),
            event.mode.as_i64().into(),
            (&event.kind).into(),
            micros(event.created).into(),
            micros(event.received).into(),
            event.source.as_str().into(),
            status.as_i64().into(),
            event.ignored.as_deref().into(),
            event.codec.into(),
            event.payload.as_slice().into(),
        ]);
    }
    let text = "INSERT INTO events (workspace_id, event_id, shape, mode, type, created_at, received_at, source, status,
                                    reason, payload_codec, payload)
                SELECT workspace_id, event_id, shape, mode, type, created_at, received_at, source, status,
                       reason, payload_codec, payload
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, event_id, shape) DO NOTHING
                RETURNING workspace_id, event_id, shape";
    Ok(rows.fetch::<EventKey>(tx, text, &[]).await?.into_iter().collect())
}

/// An event with its body.
#[derive(Debug, FromRow)]
pub struct StoredEvent {
    /// `evt_…`
    pub event_id: String,
    /// Which shape.
    pub shape: i64,
    mode: i64,
    status: i64,
    /// Why it was ignored, before it was replayed.
    pub reason: Option<String>,
    /// How the body is written.
    pub payload_codec: i64,
    /// The body.
    pub payload: Vec<u8>,
}

impl StoredEvent {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// What became of it.
    pub fn status(&self) -> EventStatus {
        EventStatus::from_i64(self.status)
    }
}

/// The oldest events that nobody has read yet.
pub async fn pending(tx: &mut Tx, workspace: WorkspaceId, limit: i64) -> Result<Vec<StoredEvent>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT event_id, shape, mode, status, reason, payload_codec, payload
             FROM events
             WHERE workspace_id = $1 AND status = 0
             ORDER BY received_at
             LIMIT $2",
        )
        .bind(workspace.0)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// Events by id and shape, with their bodies.
pub async fn by_keys(
    tx: &mut Tx,
    workspace: WorkspaceId,
    keys: impl IntoIterator<Item = (&str, i64)>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut rows = Rows::new(&[("event_id", Text), ("shape", Int)]);
    for (id, shape) in keys {
        rows.push([id.into(), shape.into()]);
    }
    let text = "SELECT e.event_id, e.shape, e.mode, e.status, e.reason, e.payload_codec, e.payload
                FROM v CROSS JOIN events e
                WHERE e.workspace_id = $1 AND e.event_id = v.event_id AND e.shape = v.shape";
    rows.fetch(tx, text, &[workspace.0.into()]).await
}

/// How many recorded events are of types `LIKE` a pattern.
pub async fn recorded_of_type(tx: &mut Tx, workspace: WorkspaceId, pattern: &str) -> Result<i64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar("SELECT COUNT(*) FROM events WHERE workspace_id = $1 AND status = 1 AND type LIKE $2")
            .bind(workspace.0)
            .bind(pattern)
            .fetch_one(conn)
            .await?
    }))
}

/// A page of recorded events in order of id and shape, after `after`, with their bodies.
pub async fn recorded_page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: Option<(&str, i64)>,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let (id, shape) = after.unwrap_or(("", i64::MIN));
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT event_id, shape, mode, status, reason, payload_codec, payload
             FROM events
             WHERE workspace_id = $1 AND (event_id, shape) > ($2, $3) AND status = 1
             ORDER BY event_id, shape
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(shape)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// What became of an event, to be written.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// `evt_…`
    pub event_id: &'a str,
    /// Which shape.
    pub shape: i64,
    /// What became of it.
    pub status: EventStatus,
    /// Why it is ignored.
    pub reason: Option<&'a str>,
    /// Why it failed.
    pub error: Option<&'a str>,
}

/// Writes what became of events.
pub async fn mark(tx: &mut Tx, workspace: WorkspaceId, outcomes: &[Outcome<'_>]) -> Result<(), StoreError> {
    let mut recorded = Rows::new(&[("event_id", Text), ("shape", Int)]);
    let mut others =
        Rows::new(&[("event_id", Text), ("shape", Int), ("status", Int), ("reason", Text), ("error", Text)]);
    for outcome in outcomes {
        let (id, shape): (Cell<'_>, Cell<'_>) = (outcome.event_id.into(), outcome.shape.into());
        if outcome.status == EventStatus::Recorded {
            recorded.push([id, shape]);
        } else {
            let status = outcome.status.as_i64().into();
            others.push([id, shape, status, outcome.reason.into(), outcome.error.into()]);
        }
    }
    let text = "UPDATE events SET status = 1, reason = NULL, error = NULL
                FROM v
                WHERE events.workspace_id = $1 AND events.event_id = v.event_id AND events.shape = v.shape";
    recorded.execute(tx, text, &[workspace.0.into()]).await?;
    let text = "UPDATE events SET status = v.status, reason = v.reason, error = v.error
                FROM v
                WHERE events.workspace_id = $1 AND events.event_id = v.event_id AND events.shape = v.shape";
    others.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// An event without its body, for lists.
#[derive(Debug, FromRow)]
pub struct EventLine {
    /// `evt_…`
    pub event_id: String,
    /// Which shape.
    pub shape: i64,
    mode: i64,
    /// `invoice.paid` and so on.
    #[sqlx(rename = "type")]
    pub kind: String,
    created_at: i64,
    received_at: i64,
    /// By which way it came.
    pub source: String,
    status: i64,
    /// Why it is ignored.
    pub reason: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl EventLine {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// What became of it.
    pub fn status(&self) -> EventStatus {
        EventStatus::from_i64(self.status)
    }

    /// Stripe's `created`.
    pub fn created(&self) -> Time {
        from_micros(self.created_at)
    }

    /// When the bridge got it.
    pub fn received(&self) -> Time {
        from_micros(self.received_at)
    }
}

/// A page of events of one status (or all) in order of id, after `after`.
pub async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    status: Option<EventStatus>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<EventLine>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT event_id, shape, mode, type, created_at, received_at, source, status, reason, error
             FROM events
             WHERE workspace_id = $1 AND event_id > $2 AND mode = $3 AND ($4 < 0 OR status = $4)
             ORDER BY event_id, shape
             LIMIT $5",
        )
        .bind(workspace.0)
        .bind(after.unwrap_or_default())
        .bind(mode.as_i64())
        .bind(status.map_or(-1, EventStatus::as_i64))
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// Every shape of one event, without bodies.
pub async fn of_id(tx: &mut Tx, workspace: WorkspaceId, event_id: &str) -> Result<Vec<EventLine>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT event_id, shape, mode, type, created_at, received_at, source, status, reason, error
             FROM events
             WHERE workspace_id = $1 AND event_id = $2
             ORDER BY shape",
        )
        .bind(workspace.0)
        .bind(event_id)
        .fetch_all(conn)
        .await?
    }))
}

/// How many events of each mode and status there are.
pub async fn counts(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<(Mode, EventStatus, i64)>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, status, COUNT(*) FROM events WHERE workspace_id = $1 GROUP BY mode, status ORDER BY 1, 2",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    });
    Ok(rows.into_iter().map(|(mode, status, n)| (Mode::from_i64(mode), EventStatus::from_i64(status), n)).collect())
}

/// Which events to read again.
#[derive(Debug, Clone, Copy)]
pub enum Replay<'a> {
    /// All that failed.
    Failed,
    /// One, whatever became of it.
    One(&'a str),
}

/// Makes events pending again; tells how many.
pub async fn replay(tx: &mut Tx, workspace: WorkspaceId, which: Replay<'_>) -> Result<u64, StoreError> {
    Ok(match which {
        Replay::Failed => on!(tx, conn => {
            sqlx::query("UPDATE events SET status = 0, error = NULL WHERE workspace_id = $1 AND status = 3")
                .bind(workspace.0)
                .execute(conn)
                .await?
                .rows_affected()
        }),
        Replay::One(id) => on!(tx, conn => {
            sqlx::query(
                "UPDATE events SET status = 0, error = NULL WHERE workspace_id = $1 AND event_id = $2",
            )
            .bind(workspace.0)
            .bind(id)
            .execute(conn)
            .await?
            .rows_affected()
        }),
    })
}
