//! Raw events: kept as received, with what became of them.

use std::collections::HashSet;

use sqlx::FromRow;

use super::rows::Column::{Bytes, Int, Text};
use super::rows::{Cell, Column, Rows};
use super::{Engine, Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

mod erasing;
mod lines;
mod replay;

pub use erasing::{Rewritten, of_type, rewrite, unrecorded_page};
pub use lines::{
    EventLine, Received, Wanted, about_nobody, counts, list, listed_as_unrecorded, of_id, place, recorded_page,
};
pub use replay::requeue;

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
    /// The bridge asked Stripe for its events.
    Poll,
    /// The bridge asked Stripe for its history.
    Backfill,
    /// The bridge asked Stripe for one object.
    Lookup,
}

impl Source {
    /// As in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Import => "import",
            Self::Poll => "poll",
            Self::Backfill => "backfill",
            Self::Lookup => "lookup",
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

const NEW: &[(&str, Column)] = &[
    ("workspace_id", Int),
    ("event_id", Text),
    ("shape", Int),
    ("mode", Int),
    ("type", Text),
    ("created_at", Int),
    ("received_at", Int),
    ("source", Text),
    ("payload_codec", Int),
    ("payload", Bytes),
];

/// What makes an event the same: workspace, id and shape.
pub type EventKey = (i64, String, i64);

/// Stores events; returns the keys of those that were new.
pub async fn insert(tx: &mut Tx, events: &[NewEvent]) -> Result<HashSet<EventKey>, StoreError> {
    let mut rows = Rows::new(NEW);
    for event in events {
        rows.push([
            event.workspace.0.into(),
            (&event.id).into(),
            event.shape.into(),
            event.mode.as_i64().into(),
            (&event.kind).into(),
            micros(event.created).into(),
            micros(event.received).into(),
            event.source.as_str().into(),
            event.codec.into(),
            event.payload.as_slice().into(),
        ]);
    }
    let text = "INSERT INTO events (workspace_id, event_id, shape, mode, type, created_at, received_at, source,
                                    payload_codec, payload)
                SELECT workspace_id, event_id, shape, mode, type, created_at, received_at, source,
                       payload_codec, payload
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, event_id, shape) DO NOTHING
                RETURNING workspace_id, event_id, shape";
    let new: HashSet<EventKey> = rows.fetch::<EventKey>(tx, text, &[]).await?.into_iter().collect();
    queue(tx, events, &new).await?;
    Ok(new)
}

/// Queues new events for reading, but for those that are ignored.
async fn queue(tx: &mut Tx, events: &[NewEvent], new: &HashSet<EventKey>) -> Result<(), StoreError> {
    let mut unread =
        Rows::new(&[("workspace_id", Int), ("received_at", Int), ("event_id", Text), ("shape", Int), ("mode", Int)]);
    let mut ignored = Rows::new(&[
        ("workspace_id", Int),
        ("received_at", Int),
        ("event_id", Text),
        ("shape", Int),
        ("mode", Int),
        ("reason", Text),
    ]);
    let mut left = new.clone();
    for event in events {
        // The same event twice at once: the first is the one that was stored.
        if !left.remove(&(event.workspace.0, event.id.clone(), event.shape)) {
            continue;
        }
        let (workspace, id, shape, mode): (Cell<'_>, Cell<'_>, Cell<'_>, Cell<'_>) =
            (event.workspace.0.into(), (&event.id).into(), event.shape.into(), event.mode.as_i64().into());
        let received = micros(event.received).into();
        match &event.ignored {
            Some(reason) => ignored.push([workspace, received, id, shape, mode, reason.into()]),
            None => unread.push([workspace, received, id, shape, mode]),
        }
    }
    let text = "INSERT INTO unread (workspace_id, received_at, event_id, shape, mode)
                SELECT workspace_id, received_at, event_id, shape, mode
                FROM v";
    unread.execute(tx, text, &[]).await?;
    let text = "INSERT INTO unrecorded (workspace_id, event_id, shape, mode, received_at, status, reason)
                SELECT workspace_id, event_id, shape, mode, received_at, 2, reason
                FROM v";
    ignored.execute(tx, text, &[]).await?;
    Ok(())
}

/// An event with its body.
#[derive(Debug, FromRow)]
pub struct StoredEvent {
    /// `evt_…`
    pub event_id: String,
    /// Which shape.
    pub shape: i64,
    mode: i64,
    received_at: i64,
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

    /// When the bridge got it.
    pub fn received(&self) -> Time {
        from_micros(self.received_at)
    }
}

/// A place in the queue of unread events: all before it come first.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Place {
    received_at: i64,
    event_id: String,
    shape: i64,
}

/// The oldest events that nobody has read yet, behind `after`, and the place of the last of them.
pub async fn pending(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: Option<&Place>,
    limit: i64,
) -> Result<(Vec<StoredEvent>, Option<Place>), StoreError> {
    let (received_at, event_id, shape) =
        after.map_or((i64::MIN, "", 0), |place| (place.received_at, place.event_id.as_str(), place.shape));
    let places: Vec<Place> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT received_at, event_id, shape FROM unread
             WHERE workspace_id = $1 AND (received_at, event_id, shape) > ($2, $3, $4)
             ORDER BY received_at, event_id, shape
             LIMIT $5",
        )
        .bind(workspace.0)
        .bind(received_at)
        .bind(event_id)
        .bind(shape)
        .bind(limit)
        .fetch_all(conn)
        .await?
    });
    let keys = places.iter().map(|place| (place.event_id.as_str(), place.shape));
    let mut events = by_keys(tx, workspace, keys).await?;
    events.sort_unstable_by(|a, b| (a.received_at, &a.event_id, a.shape).cmp(&(b.received_at, &b.event_id, b.shape)));
    Ok((events, places.into_iter().last()))
}

/// When the oldest event that nobody has read yet came in.
pub async fn oldest_unread(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<Time>, StoreError> {
    let oldest: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar("SELECT MIN(received_at) FROM unread WHERE workspace_id = $1")
            .bind(workspace.0)
            .fetch_one(conn)
            .await?
    });
    Ok(oldest.map(from_micros))
}

/// Events by id and shape, with their bodies.
pub async fn by_keys(
    tx: &mut Tx,
    workspace: WorkspaceId,
    keys: impl IntoIterator<Item = (&str, i64)>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let asked: HashSet<(&str, i64)> = keys.into_iter().collect();
    let rows = Rows::texts(&[("event_id", Text)], asked.iter().map(|(id, _)| *id));
    let text = "SELECT event_id, shape, mode, received_at, payload_codec, payload
                FROM events
                WHERE workspace_id = $1 AND event_id $in(event_id)";
    let mut found: Vec<StoredEvent> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    // Two shapes of one event may each have been asked for, or one of them.
    let mut seen = HashSet::new();
    found.retain(|event| {
        asked.contains(&(event.event_id.as_str(), event.shape)) && seen.insert((event.event_id.clone(), event.shape))
    });
    Ok(found)
}

/// Which of some events are known, in whatever shape.
pub async fn known(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashSet<String>, StoreError> {
    let text = "SELECT DISTINCT event_id
                FROM events
                WHERE workspace_id = $1 AND event_id $in(event_id)";
    let found: Vec<(String,)> = Rows::texts(&[("event_id", Text)], ids).fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// What was fetched of an object, each time that it was otherwise, with bodies.
pub async fn fetched_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    object: &str,
) -> Result<Vec<StoredEvent>, StoreError> {
    // Its events are called by it and `@`, which is the character before `A`.
    let (from, until) = (format!("{object}@"), format!("{object}A"));
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT event_id, shape, mode, received_at, payload_codec, payload
             FROM events
             WHERE workspace_id = $1 AND event_id >= $2 AND event_id < $3 AND mode = $4",
        )
        .bind(workspace.0)
        .bind(from)
        .bind(until)
        .bind(mode.as_i64())
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
    /// Which book.
    pub mode: Mode,
    /// When the bridge got it: its place in the queue.
    pub received: Time,
    /// Ignored or failed, and why; recorded where `None`.
    pub unrecorded: Option<Unrecorded<'a>>,
}

/// Why an event has no facts.
#[derive(Debug, Clone, Copy)]
pub enum Unrecorded<'a> {
    /// The reason.
    Ignored(&'a str),
    /// The error.
    Failed(&'a str),
}

/// Takes events out of the queue and writes what became of them.
pub async fn mark(tx: &mut Tx, workspace: WorkspaceId, outcomes: &[Outcome<'_>]) -> Result<(), StoreError> {
    let mut read = Rows::new(&[("received_at", Int), ("event_id", Text), ("shape", Int)]);
    let mut unrecorded = Rows::new(&[
        ("event_id", Text),
        ("shape", Int),
        ("mode", Int),
        ("received_at", Int),
        ("status", Int),
        ("reason", Text),
        ("error", Text),
    ]);
    for outcome in outcomes {
        read.push([micros(outcome.received).into(), outcome.event_id.into(), outcome.shape.into()]);
        let (status, reason, error) = match outcome.unrecorded {
            None => continue,
            Some(Unrecorded::Ignored(reason)) => (EventStatus::Ignored, Some(reason), None),
            Some(Unrecorded::Failed(error)) => (EventStatus::Failed, None, Some(error)),
        };
        let (id, shape, mode) = (outcome.event_id.into(), outcome.shape.into(), outcome.mode.as_i64().into());
        let received = micros(outcome.received).into();
        unrecorded.push([id, shape, mode, received, status.as_i64().into(), reason.into(), error.into()]);
    }
    // Each engine finds them by the key in its own way, and by looking through the queue in the other's.
    let text = match tx.engine() {
        Engine::Sqlite => {
            "DELETE FROM unread
             WHERE (workspace_id, received_at, event_id, shape) IN (SELECT $1, received_at, event_id, shape FROM v)"
        }
        Engine::Postgres => {
            "DELETE FROM unread
             WHERE workspace_id = $1 AND received_at $in(received_at)
               AND (received_at, event_id, shape) IN (SELECT received_at, event_id, shape FROM v)"
        }
    };
    read.execute(tx, text, &[workspace.0.into()]).await?;
    let text = "INSERT INTO unrecorded (workspace_id, event_id, shape, mode, received_at, status, reason, error)
                SELECT $1, event_id, shape, mode, received_at, status, reason, error
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, event_id, shape) DO UPDATE SET
                    status = excluded.status, reason = excluded.reason, error = excluded.error";
    unrecorded.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}
