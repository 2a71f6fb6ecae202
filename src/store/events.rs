//! Raw events: kept as received, with what became of them.

use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{Engine, Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;
use found::{BODY, at_places};

mod erasing;
mod found;
mod insert;
mod lines;
mod replay;
pub mod shelf;

pub use erasing::{Rewritten, of_type, rewrite, unrecorded_page};
pub use found::{Located, absent_page, by_keys, fetched_of, known, locate, present};
pub use insert::insert;
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
    let places: Vec<Located> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, received_at, event_id, shape FROM unread
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
    let mut events: Vec<StoredEvent> = at_places(tx, workspace, &places, BODY, "").await?;
    events.sort_unstable_by(|a, b| (a.received_at, &a.event_id, a.shape).cmp(&(b.received_at, &b.event_id, b.shape)));
    let last = places.into_iter().last();
    Ok((events, last.map(|Located { received_at, event_id, shape, .. }| Place { received_at, event_id, shape })))
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
