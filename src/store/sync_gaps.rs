//! Stretches of time that nobody asked Stripe about while it still had their events. They stay on record until a backfill
//! closes them.

use sqlx::FromRow;

use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// A gap.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Gap {
    gap_from: i64,
    gap_until: i64,
}

impl Gap {
    /// Up to here all was known.
    pub fn from(&self) -> Time {
        from_micros(self.gap_from)
    }

    /// From here on Stripe still had the events.
    pub fn until(&self) -> Time {
        from_micros(self.gap_until)
    }

    /// What it is and how it is closed, for people.
    pub fn sentence(&self) -> String {
        format!(
            "nobody asked Stripe for events from {} to {}, and Stripe keeps them for 30 days: commission-bridge backfill \
             --since {}",
            self.from().format("%Y-%m-%d %H:%M"),
            self.until().format("%Y-%m-%d %H:%M UTC"),
            self.from().format("%Y-%m-%d"),
        )
    }
}

/// Puts a gap on record; one that begins at the same moment grows.
pub async fn find(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    (from, until): (Time, Time),
    now: Time,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO sync_gaps (workspace_id, mode, gap_from, gap_until, found_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (workspace_id, mode, gap_from) DO UPDATE SET
                 gap_until = excluded.gap_until, closed_at = NULL, closed_by = NULL
             WHERE excluded.gap_until > sync_gaps.gap_until",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(micros(from))
        .bind(micros(until))
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// The gaps of a book that nobody closed, the oldest first.
pub async fn open(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Vec<Gap>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT gap_from, gap_until FROM sync_gaps
             WHERE workspace_id = $1 AND mode = $2 AND closed_at IS NULL
             ORDER BY gap_from",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .fetch_all(conn)
        .await?
    }))
}

/// Closes the gaps that history from `since` until `until` covers; tells how many.
pub async fn close(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    (since, until): (Time, Time),
    by: &str,
    now: Time,
) -> Result<u64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query(
            "UPDATE sync_gaps SET closed_at = $5, closed_by = $6
             WHERE workspace_id = $1 AND mode = $2 AND gap_from >= $3 AND gap_until <= $4 AND closed_at IS NULL",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(micros(since))
        .bind(micros(until))
        .bind(micros(now))
        .bind(by)
        .execute(conn)
        .await?
        .rows_affected()
    }))
}
