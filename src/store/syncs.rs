//! Polls of Stripe's events: who polls, up to which moment all is known, the window that is being read, gaps, and what
//! each poll brought.

use sqlx::FromRow;

use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// A book whose events are polled.
#[derive(Debug, Clone, FromRow)]
pub struct Book {
    /// Whose.
    pub workspace_id: WorkspaceId,
    mode: i64,
    started_at: Option<i64>,
    succeeded_at: Option<i64>,
    webhooks_since: Option<i64>,
    webhooks_looked_until: Option<i64>,
    leased_until: Option<i64>,
    /// Events that polls brought first, in sum.
    pub new: i64,
    /// Those of them that webhooks should have brought, in sum.
    pub missed: i64,
}

impl Book {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// When the last poll began.
    pub fn started_at(&self) -> Option<Time> {
        self.started_at.map(from_micros)
    }

    /// When the last poll ended that read everything.
    pub fn succeeded_at(&self) -> Option<Time> {
        self.succeeded_at.map(from_micros)
    }

    /// When the first webhook came.
    pub fn webhooks_since(&self) -> Option<Time> {
        self.webhooks_since.map(from_micros)
    }

    /// Whether whoever polled it last ended without saying so.
    pub fn is_abandoned(&self, now: Time) -> bool {
        self.leased_until.is_some_and(|until| from_micros(until) <= now)
    }

    /// Up to which moment nobody need look for the first webhook again.
    pub fn webhooks_looked_until(&self) -> Option<Time> {
        self.webhooks_looked_until.map(from_micros)
    }
}

const BOOK: &str = "SELECT workspace_id, mode, started_at, succeeded_at, webhooks_since, webhooks_looked_until,
            leased_until, new, missed
     FROM sync_books";

/// A book; none that was never polled.
pub async fn book(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Option<Book>, StoreError> {
    let text = sqlx::AssertSqlSafe(format!("{BOOK} WHERE workspace_id = $1 AND mode = $2"));
    Ok(on!(tx, conn => {
        sqlx::query_as(text).bind(workspace.0).bind(mode.as_i64()).fetch_optional(conn).await?
    }))
}

/// Every book that was ever polled.
pub async fn books(tx: &mut Tx) -> Result<Vec<Book>, StoreError> {
    let text = sqlx::AssertSqlSafe(format!("{BOOK} ORDER BY workspace_id, mode"));
    Ok(on!(tx, conn => sqlx::query_as(text).fetch_all(conn).await?))
}

/// Takes the lease on a book, unless somebody else has it; tells whether it worked.
pub async fn take(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    holder: &str,
    now: Time,
    until: Time,
) -> Result<bool, StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO sync_books (workspace_id, mode, new, missed) VALUES ($1, $2, 0, 0)
             ON CONFLICT (workspace_id, mode) DO NOTHING",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .execute(conn)
        .await?;
    });
    let taken = on!(tx, conn => {
        sqlx::query(
            "UPDATE sync_books SET lease_holder = $3, leased_until = $5, started_at = $4
             WHERE workspace_id = $1 AND mode = $2 AND (leased_until IS NULL OR leased_until <= $4)",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(holder)
        .bind(micros(now))
        .bind(micros(until))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(taken == 1)
}

/// What a page, or a whole poll, came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls to Stripe.
    pub calls: i64,
    /// Events that Stripe showed.
    pub fetched: i64,
    /// Those that nobody had brought before.
    pub new: i64,
    /// Those of them that a webhook should have brought.
    pub missed: i64,
    /// Items that could not be read.
    pub parked: i64,
}

impl Counts {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.fetched = self.fetched.saturating_add(other.fetched);
        self.new = self.new.saturating_add(other.new);
        self.missed = self.missed.saturating_add(other.missed);
        self.parked = self.parked.saturating_add(other.parked);
    }
}

/// Adds what a page brought to its poll and its book, and keeps the lease for longer. [`StoreError::Conflict`] where
/// somebody else has it: then nothing of the page may stand.
pub async fn count(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    (holder, until): (&str, Time),
    counts: &Counts,
) -> Result<(), StoreError> {
    let held = on!(tx, conn => {
        sqlx::query(
            "UPDATE sync_books SET leased_until = $4, new = new + $5, missed = missed + $6
             WHERE workspace_id = $1 AND mode = $2 AND lease_holder = $3",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(holder)
        .bind(micros(until))
        .bind(counts.new)
        .bind(counts.missed)
        .execute(conn)
        .await?
        .rows_affected()
    });
    if held != 1 {
        return Err(StoreError::Conflict);
    }
    on!(tx, conn => {
        sqlx::query(
            "UPDATE syncs SET calls = calls + $3, fetched = fetched + $4, new = new + $5, missed = missed + $6,
                    parked = parked + $7
             WHERE workspace_id = $1 AND sync_id = $2",
        )
        .bind(workspace.0)
        .bind(holder)
        .bind(counts.calls)
        .bind(counts.fetched)
        .bind(counts.new)
        .bind(counts.missed)
        .bind(counts.parked)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Notes since when the book gets webhooks, if it does, and up to when somebody looked.
pub async fn note_webhooks(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    since: Option<Time>,
    looked_until: Time,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE sync_books SET webhooks_since = $3, webhooks_looked_until = $4
             WHERE workspace_id = $1 AND mode = $2",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(since.map(micros))
        .bind(micros(looked_until))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// When the first webhook came that a book got from a moment on.
pub async fn first_webhook(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    from: Option<Time>,
) -> Result<Option<Time>, StoreError> {
    let found: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT received_at FROM events
             WHERE workspace_id = $1 AND mode = $2 AND received_at >= $3 AND source = 'webhook'
             ORDER BY received_at
             LIMIT 1",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(from.map_or(i64::MIN, micros))
        .fetch_optional(conn)
        .await?
    });
    Ok(found.map(from_micros))
}

/// A poll.
#[derive(Debug, Clone, FromRow)]
pub struct Sync {
    /// `sync_…`
    pub sync_id: String,
    mode: i64,
    started_at: i64,
    finished_at: Option<i64>,
    calls: i64,
    fetched: i64,
    new: i64,
    missed: i64,
    parked: i64,
    /// Why it did not read everything.
    pub error: Option<String>,
}

impl Sync {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// When it began.
    pub fn started_at(&self) -> Time {
        from_micros(self.started_at)
    }

    /// When it ended; never, where its process was killed.
    pub fn finished_at(&self) -> Option<Time> {
        self.finished_at.map(from_micros)
    }

    /// What it brought.
    pub fn counts(&self) -> Counts {
        Counts { calls: self.calls, fetched: self.fetched, new: self.new, missed: self.missed, parked: self.parked }
    }
}

/// Enters a poll that begins.
pub async fn begin(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, id: &str, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO syncs (workspace_id, sync_id, mode, started_at, calls, fetched, new, missed, parked)
             VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0)",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(mode.as_i64())
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Ends a poll and gives the lease back.
pub async fn finish(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    id: &str,
    error: Option<&str>,
    now: Time,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("UPDATE syncs SET finished_at = $3, error = $4 WHERE workspace_id = $1 AND sync_id = $2")
            .bind(workspace.0)
            .bind(id)
            .bind(micros(now))
            .bind(error)
            .execute(conn)
            .await?;
    });
    on!(tx, conn => {
        sqlx::query(
            "UPDATE sync_books
             SET lease_holder = NULL, leased_until = NULL,
                 succeeded_at = CASE WHEN $4 = 1 THEN $5 ELSE succeeded_at END
             WHERE workspace_id = $1 AND mode = $2 AND lease_holder = $3",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(id)
        .bind(i64::from(error.is_none()))
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// A poll.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, id: &str) -> Result<Option<Sync>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM syncs WHERE workspace_id = $1 AND sync_id = $2")
            .bind(workspace.0)
            .bind(id)
            .fetch_optional(conn)
            .await?
    }))
}

/// Polls of a book, the newest first, behind `before`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Sync>, StoreError> {
    let mut listing = super::listing::Listing::of("SELECT * FROM syncs WHERE workspace_id =", workspace);
    listing.and_cell("mode =", mode.as_i64());
    if let Some(before) = before {
        listing.before("(sync_id)", [before.into()]);
    }
    listing.fetch(tx, "sync_id DESC", limit).await
}

/// How far a group of event types is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Everything that was made by then is in the inbox.
    pub known_until: Option<Time>,
    /// The window that is being read.
    pub open: Option<Open>,
}

/// A window that is being read, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// From when.
    pub from: Time,
    /// Until when.
    pub until: Time,
    /// The last event that was read, and when it was made.
    pub cursor: Option<(String, Time)>,
}

#[derive(FromRow)]
struct WindowRow {
    known_until: Option<i64>,
    window_from: Option<i64>,
    window_until: Option<i64>,
    cursor: Option<String>,
    cursor_created_at: Option<i64>,
}

/// How far a group is known; not at all where it was never asked for.
pub async fn window(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    group: &str,
) -> Result<Option<Window>, StoreError> {
    let row: Option<WindowRow> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT known_until, window_from, window_until, cursor, cursor_created_at
             FROM sync_windows
             WHERE workspace_id = $1 AND mode = $2 AND group_key = $3",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(group)
        .fetch_optional(conn)
        .await?
    });
    Ok(row.map(|row| Window {
        known_until: row.known_until.map(from_micros),
        open: row.window_from.zip(row.window_until).map(|(from, until)| Open {
            from: from_micros(from),
            until: from_micros(until),
            cursor: row.cursor.zip(row.cursor_created_at.map(from_micros)),
        }),
    }))
}

/// The latest moment up to which any group of a book is known: where the groups were cut otherwise by an earlier
/// release, it tells how long nobody asked.
pub async fn known_by_any(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Option<Time>, StoreError> {
    let known: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar("SELECT MAX(known_until) FROM sync_windows WHERE workspace_id = $1 AND mode = $2")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .fetch_one(conn)
            .await?
    });
    Ok(known.map(from_micros))
}

/// Writes how far a group is known.
pub async fn put_window(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    group: &str,
    window: &Window,
) -> Result<(), StoreError> {
    let open = window.open.as_ref();
    let cursor = open.and_then(|open| open.cursor.as_ref());
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO sync_windows (workspace_id, mode, group_key, known_until, window_from, window_until, cursor,
                                       cursor_created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (workspace_id, mode, group_key) DO UPDATE SET
                 known_until = excluded.known_until, window_from = excluded.window_from,
                 window_until = excluded.window_until, cursor = excluded.cursor,
                 cursor_created_at = excluded.cursor_created_at",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(group)
        .bind(window.known_until.map(micros))
        .bind(open.map(|open| micros(open.from)))
        .bind(open.map(|open| micros(open.until)))
        .bind(cursor.map(|(id, _)| id.as_str()))
        .bind(cursor.map(|(_, at)| micros(*at)))
        .execute(conn)
        .await?;
    });
    Ok(())
}
