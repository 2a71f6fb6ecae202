//! Which months of raw events were put into files, and how to tell that a file is the one.

use sqlx::FromRow;

use super::events::Located;
use super::months::month_of;
use super::{Engine, Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// How far putting a month into a file, or taking it back, has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All of it is back in the database.
    Back,
    /// The file is proven; its events are being removed from the database.
    Removing,
    /// It is in the file alone.
    Removed,
    /// It is being put back into the database.
    Restoring,
}

impl State {
    fn as_i64(self) -> i64 {
        match self {
            Self::Back => 0,
            Self::Removing => 1,
            Self::Removed => 2,
            Self::Restoring => 3,
        }
    }
}

/// A month of a book that was put into a file.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Archive {
    mode: i64,
    /// `2026-01`, UTC.
    pub month: String,
    state: i64,
    /// The file's name, without a directory.
    pub file: String,
    /// How many events are in it.
    pub events: i64,
    /// Those of them that were recorded and are of a type that belongs to no customer.
    pub about_nobody: i64,
    first_at: i64,
    last_at: i64,
    /// How long the file is.
    pub file_bytes: i64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub file_sha256: String,
    /// SHA-256 of what is in it, before it was compressed; nothing where some of it is back and was erased since, so that
    /// no file is the one any more.
    pub content_sha256: String,
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
    archived_at: i64,
}

/// A month that is about to be put into a file.
#[derive(Debug, Clone)]
pub struct NewArchive<'a> {
    /// Which book.
    pub mode: Mode,
    /// `2026-01`, UTC.
    pub month: &'a str,
    /// The file's name, without a directory.
    pub file: &'a str,
    /// How many events are in it.
    pub events: i64,
    /// Those of them that were recorded and are of a type that belongs to no customer.
    pub about_nobody: i64,
    /// When its first and its last event came.
    pub received: (Time, Time),
    /// How long the file is.
    pub file_bytes: i64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub file_sha256: &'a str,
    /// SHA-256 of what is in it, before it was compressed.
    pub content_sha256: &'a str,
    /// SHA-256 of its manifest.
    pub manifest_sha256: &'a str,
}

impl Archive {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// How far it has come.
    pub fn state(&self) -> State {
        match self.state {
            0 => State::Back,
            1 => State::Removing,
            2 => State::Removed,
            _ => State::Restoring,
        }
    }

    /// When its first and its last event came.
    pub fn received(&self) -> (Time, Time) {
        (from_micros(self.first_at), from_micros(self.last_at))
    }

    /// When it was put into the file.
    pub fn archived_at(&self) -> Time {
        from_micros(self.archived_at)
    }

    /// Whether an event that is not in the database is in this file.
    pub fn holds(&self, place: &Located) -> bool {
        self.state() != State::Back
            && self.mode() == place.mode()
            && month_of(place.received_at).to_string() == self.month
    }
}

const COLUMNS: &str = "SELECT mode, month, state, file, events, about_nobody, first_at, last_at, file_bytes, file_sha256, \
     content_sha256, manifest_sha256, archived_at FROM archives";

/// All of a workspace, by book and month.
pub async fn all(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Archive>, StoreError> {
    let text = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE workspace_id = $1 ORDER BY mode, month"));
    Ok(on!(tx, conn => sqlx::query_as(text).bind(workspace.0).fetch_all(conn).await?))
}

/// A month of a book; on `PostgreSQL`, nobody changes it until the transaction ends.
pub async fn hold(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    month: &str,
) -> Result<Option<Archive>, StoreError> {
    let hold = match tx.engine() {
        Engine::Sqlite => "",
        Engine::Postgres => "FOR UPDATE",
    };
    let text = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE workspace_id = $1 AND mode = $2 AND month = $3 {hold}"));
    Ok(on!(tx, conn => {
        sqlx::query_as(text).bind(workspace.0).bind(mode.as_i64()).bind(month).fetch_optional(conn).await?
    }))
}

/// Writes down that a month's file is proven and that its events are going to be removed.
pub async fn put(tx: &mut Tx, workspace: WorkspaceId, new: &NewArchive<'_>, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO archives (workspace_id, mode, month, state, file, events, about_nobody, first_at, last_at,
                                   file_bytes, file_sha256, content_sha256, manifest_sha256, archived_at)
             VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (workspace_id, mode, month) DO UPDATE SET
                 state = 1, file = excluded.file, events = excluded.events, about_nobody = excluded.about_nobody,
                 first_at = excluded.first_at, last_at = excluded.last_at, file_bytes = excluded.file_bytes,
                 file_sha256 = excluded.file_sha256, content_sha256 = excluded.content_sha256,
                 manifest_sha256 = excluded.manifest_sha256, archived_at = excluded.archived_at",
        )
        .bind(workspace.0)
        .bind(new.mode.as_i64())
        .bind(new.month)
        .bind(new.file)
        .bind(new.events)
        .bind(new.about_nobody)
        .bind(micros(new.received.0))
        .bind(micros(new.received.1))
        .bind(new.file_bytes)
        .bind(new.file_sha256)
        .bind(new.content_sha256)
        .bind(new.manifest_sha256)
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Says how far a month has come.
pub async fn set_state(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    month: &str,
    state: State,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("UPDATE archives SET state = $4 WHERE workspace_id = $1 AND mode = $2 AND month = $3")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(month)
            .bind(state.as_i64())
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// Events of a month that is back, or coming back, were written again without what is personal in them.
pub(super) async fn rewritten(tx: &mut Tx, (workspace, mode): (i64, i64), received_at: i64) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE archives SET content_sha256 = ''
             WHERE workspace_id = $1 AND mode = $2 AND month = $3 AND state IN (0, 3)",
        )
        .bind(workspace)
        .bind(mode)
        .bind(month_of(received_at).to_string())
        .execute(conn)
        .await?;
    });
    Ok(())
}
