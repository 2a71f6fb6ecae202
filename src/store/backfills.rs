//! History that is fetched from Stripe's lists: what was asked for, and how far each kind of objects has come.

use sqlx::FromRow;

use super::rows::Column::Text;
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// A backfill.
#[derive(Debug, Clone, FromRow)]
pub struct Backfill {
    /// `bf_…`
    pub backfill_id: String,
    mode: i64,
    since_at: i64,
    until_at: i64,
    /// Who asked for it.
    pub author: String,
    started_at: i64,
    finished_at: Option<i64>,
    outcome: Option<String>,
    /// Calls to Stripe so far.
    pub calls: i64,
    /// Why it stands still.
    pub error: Option<String>,
    leased_until: Option<i64>,
}

impl Backfill {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// Objects made since then.
    pub fn since(&self) -> Time {
        from_micros(self.since_at)
    }

    /// Objects made until then.
    pub fn until(&self) -> Time {
        from_micros(self.until_at)
    }

    /// When it was asked for.
    pub fn started_at(&self) -> Time {
        from_micros(self.started_at)
    }

    /// When it ended.
    pub fn finished_at(&self) -> Option<Time> {
        self.finished_at.map(from_micros)
    }

    /// Whether somebody works on it.
    pub fn is_leased(&self, now: Time) -> bool {
        self.leased_until.is_some_and(|until| from_micros(until) > now)
    }

    /// `running`, `done` or `replaced` (by one that was begun anew).
    pub fn status(&self) -> &str {
        self.outcome.as_deref().unwrap_or("running")
    }
}

/// How far a kind has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct KindRow {
    /// `invoice` and so on.
    pub kind: String,
    /// The last object that was read.
    pub cursor: Option<String>,
    cursor_created_at: Option<i64>,
    /// Objects that Stripe showed.
    pub objects: i64,
    /// Those that were not known, or not as they are now.
    pub new: i64,
    /// Those that could not be read.
    pub parked: i64,
    is_done: i64,
    /// Why it stands still.
    pub error: Option<String>,
}

impl KindRow {
    /// When the last object that was read was made.
    pub fn cursor_created_at(&self) -> Option<Time> {
        self.cursor_created_at.map(from_micros)
    }

    /// Whether its list was read to its end.
    pub fn is_done(&self) -> bool {
        self.is_done != 0
    }

    /// Says where the list was read to.
    pub fn read_to(&mut self, cursor: Option<(String, Time)>, is_done: bool) {
        if let Some((id, created)) = cursor {
            (self.cursor, self.cursor_created_at) = (Some(id), Some(micros(created)));
        }
        self.is_done = i64::from(is_done);
    }
}

/// What a new backfill is.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// `bf_…`
    pub backfill_id: &'a str,
    /// Which book.
    pub mode: Mode,
    /// Objects made since then.
    pub since: Time,
    /// Objects made until then.
    pub until: Time,
    /// Which kinds.
    pub kinds: &'a [&'a str],
    /// Who asks for it.
    pub author: &'a str,
    /// When.
    pub now: Time,
}

/// Enters a backfill. A book has one open at a time.
pub async fn insert(tx: &mut Tx, workspace: WorkspaceId, new: &New<'_>) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO backfills (workspace_id, backfill_id, mode, since_at, until_at, author, started_at, calls)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0)",
        )
        .bind(workspace.0)
        .bind(new.backfill_id)
        .bind(new.mode.as_i64())
        .bind(micros(new.since))
        .bind(micros(new.until))
        .bind(new.author)
        .bind(micros(new.now))
        .execute(conn)
        .await?;
    });
    let rows = Rows::texts(&[("kind", Text)], new.kinds.iter().copied());
    let text = "INSERT INTO backfill_kinds (workspace_id, backfill_id, kind, objects, new, parked, is_done)
                SELECT $1, $2, kind, 0, 0, 0, 0
                FROM v";
    rows.execute(tx, text, &[workspace.0.into(), new.backfill_id.into()]).await?;
    Ok(())
}

const COLUMNS: &str =
    "SELECT backfill_id, mode, since_at, until_at, author, started_at, finished_at, outcome, calls, error,
            leased_until
     FROM backfills";

/// A backfill.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, id: &str) -> Result<Option<Backfill>, StoreError> {
    let text = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE workspace_id = $1 AND backfill_id = $2"));
    Ok(on!(tx, conn => sqlx::query_as(text).bind(workspace.0).bind(id).fetch_optional(conn).await?))
}

/// The open backfill of a book.
pub async fn open(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Option<Backfill>, StoreError> {
    let text = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE workspace_id = $1 AND mode = $2 AND finished_at IS NULL"));
    Ok(on!(tx, conn => sqlx::query_as(text).bind(workspace.0).bind(mode.as_i64()).fetch_optional(conn).await?))
}

/// Backfills of a book, the newest first, behind `before`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Backfill>, StoreError> {
    let mut listing = super::listing::Listing::of(format!("{COLUMNS} WHERE workspace_id ="), workspace);
    listing.and_cell("mode =", mode.as_i64());
    if let Some(before) = before {
        listing.before("(backfill_id)", [before.into()]);
    }
    listing.fetch(tx, "backfill_id DESC", limit).await
}

/// How far the kinds of a backfill have come, by name.
pub async fn kinds(tx: &mut Tx, workspace: WorkspaceId, id: &str) -> Result<Vec<KindRow>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT kind, cursor, cursor_created_at, objects, new, parked, is_done, error
             FROM backfill_kinds
             WHERE workspace_id = $1 AND backfill_id = $2
             ORDER BY kind",
        )
        .bind(workspace.0)
        .bind(id)
        .fetch_all(conn)
        .await?
    }))
}

/// Takes the lease on an open backfill, unless somebody else has it; tells whether it worked.
pub async fn take(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: &str,
    holder: &str,
    (now, until): (Time, Time),
) -> Result<bool, StoreError> {
    let taken = on!(tx, conn => {
        sqlx::query(
            "UPDATE backfills SET lease_holder = $3, leased_until = $5, error = NULL
             WHERE workspace_id = $1 AND backfill_id = $2 AND finished_at IS NULL
               AND (leased_until IS NULL OR leased_until <= $4)",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(holder)
        .bind(micros(now))
        .bind(micros(until))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(taken == 1)
}

/// Writes how far a kind has come and keeps the lease for longer. [`StoreError::Conflict`] where somebody else has it:
/// then nothing of the page may stand.
pub async fn put_kind(
    tx: &mut Tx,
    (workspace, id): (WorkspaceId, &str),
    (holder, until): (&str, Time),
    kind: &KindRow,
    calls: i64,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE backfill_kinds
             SET cursor = $4, cursor_created_at = $5, objects = $6, new = $7, parked = $8, is_done = $9, error = $10
             WHERE workspace_id = $1 AND backfill_id = $2 AND kind = $3",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(&kind.kind)
        .bind(&kind.cursor)
        .bind(kind.cursor_created_at)
        .bind(kind.objects)
        .bind(kind.new)
        .bind(kind.parked)
        .bind(kind.is_done)
        .bind(&kind.error)
        .execute(conn)
        .await?;
    });
    let held = on!(tx, conn => {
        sqlx::query(
            "UPDATE backfills SET leased_until = $4, calls = calls + $5
             WHERE workspace_id = $1 AND backfill_id = $2 AND lease_holder = $3 AND finished_at IS NULL",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(holder)
        .bind(micros(until))
        .bind(calls)
        .execute(conn)
        .await?
        .rows_affected()
    });
    if held == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Backfills of a book that ended and whose questions nobody looked for yet.
pub async fn to_ask(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Vec<Backfill>, StoreError> {
    let text = sqlx::AssertSqlSafe(format!(
        "{COLUMNS} WHERE workspace_id = $1 AND mode = $2 AND outcome = 'done' AND questions_at IS NULL"
    ));
    Ok(on!(tx, conn => sqlx::query_as(text).bind(workspace.0).bind(mode.as_i64()).fetch_all(conn).await?))
}

/// Notes that the questions of a backfill were looked for.
pub async fn asked(tx: &mut Tx, workspace: WorkspaceId, id: &str, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("UPDATE backfills SET questions_at = $3 WHERE workspace_id = $1 AND backfill_id = $2")
            .bind(workspace.0)
            .bind(id)
            .bind(micros(now))
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// What is said of a backfill that nobody works on any more.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// Every list was read to its end.
    Done,
    /// Another is begun in its place.
    Replaced,
    /// It stands still, and why; whoever comes next goes on.
    Stopped(&'a str),
}

/// Gives the lease back.
pub async fn end(tx: &mut Tx, workspace: WorkspaceId, id: &str, end: End<'_>, now: Time) -> Result<(), StoreError> {
    let (outcome, error) = match end {
        End::Done => (Some("done"), None),
        End::Replaced => (Some("replaced"), None),
        End::Stopped(why) => (None, Some(why)),
    };
    on!(tx, conn => {
        sqlx::query(
            "UPDATE backfills SET lease_holder = NULL, leased_until = NULL, outcome = $3, error = $4, finished_at = $5
             WHERE workspace_id = $1 AND backfill_id = $2 AND finished_at IS NULL",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(outcome)
        .bind(error)
        .bind(outcome.map(|_| micros(now)))
        .execute(conn)
        .await?;
    });
    Ok(())
}
