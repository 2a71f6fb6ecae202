//! What Stripe showed and could not be read: its id and why, never its text.

use sqlx::FromRow;

use super::rows::Column::Text;
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, micros};
use crate::domain::Time;
use crate::on;

/// An object that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Parked {
    /// `event`, `invoice` and so on.
    pub kind: String,
    /// Its id; a digest of it where it shows none.
    pub object: String,
    /// Which field is at fault.
    pub reason: String,
}

/// Keeps what could not be read.
pub async fn park(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    parked: &[Parked],
    run_id: &str,
    now: Time,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("kind", Text), ("object", Text), ("reason", Text)]);
    let mut seen = std::collections::HashSet::new();
    for one in parked.iter().filter(|one| seen.insert((&one.kind, &one.object))) {
        rows.push([(&one.kind).into(), (&one.object).into(), one.reason.replace('\0', "\u{fffd}").into()]);
    }
    let text = "INSERT INTO parked_objects (workspace_id, mode, kind, object, reason, run_id, parked_at)
                SELECT $1, $2, kind, object, reason, $3, $4
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, kind, object) DO UPDATE SET
                    reason = excluded.reason, run_id = excluded.run_id, parked_at = excluded.parked_at";
    let args = [workspace.0.into(), mode.as_i64().into(), run_id.into(), micros(now).into()];
    rows.execute(tx, text, &args).await?;
    Ok(())
}

/// Whether a book has any.
pub async fn any(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<bool, StoreError> {
    Ok(!list(tx, workspace, mode, 1).await?.is_empty())
}

/// Takes those off the list that were read after all.
pub async fn read_after_all(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    kind: &str,
    objects: impl IntoIterator<Item = &str>,
) -> Result<(), StoreError> {
    let text = "DELETE FROM parked_objects
                WHERE workspace_id = $1 AND mode = $2 AND kind = $3 AND object $in(object)";
    let args = [workspace.0.into(), mode.as_i64().into(), kind.into()];
    Rows::texts(&[("object", Text)], objects).execute(tx, text, &args).await?;
    Ok(())
}

/// The first of a book's, by kind and id.
pub async fn list(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, limit: i64) -> Result<Vec<Parked>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT kind, object, reason FROM parked_objects
             WHERE workspace_id = $1 AND mode = $2
             ORDER BY kind, object
             LIMIT $3",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}
