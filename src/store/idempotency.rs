//! What requests with an `Idempotency-Key` were answered: kept in the transaction of their effect, so that a repeated one
//! never acts twice, even when both arrive at once.

use sqlx::FromRow;

use super::{Mode, StoreError, Tx, WorkspaceId, micros};
use crate::domain::Time;
use crate::on;

/// How long an answer is kept.
pub const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(30);

/// A request that says it may be a repetition.
#[derive(Debug, Clone)]
pub struct Keyed<'a> {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Of which book.
    pub mode: Mode,
    /// The key that its sender chose.
    pub key: &'a str,
    /// SHA-256 of method, path and body.
    pub hash: &'a str,
}

/// What an earlier request with the same key was answered.
#[derive(Debug, Clone, FromRow, PartialEq, Eq)]
pub struct Answered {
    /// The earlier request's hash.
    pub request_hash: String,
    /// HTTP status.
    pub status: i64,
    /// JSON.
    pub body: String,
}

/// Takes the key for this transaction. `None`: it is new, and [`keep`] is to be called before the commit. One who comes
/// while another has it waits until that one has ended.
pub async fn take(tx: &mut Tx, request: &Keyed<'_>, now: Time) -> Result<Option<Answered>, StoreError> {
    forget(tx, request.workspace, now).await?;
    let taken = on!(tx, conn => {
        sqlx::query(
            "INSERT INTO idempotency (workspace_id, mode, idempotency_key, request_hash, status, body, created_at)
             VALUES ($1, $2, $3, $4, 0, '', $5)
             ON CONFLICT (workspace_id, idempotency_key, mode) DO NOTHING",
        )
        .bind(request.workspace.0)
        .bind(request.mode.as_i64())
        .bind(request.key)
        .bind(request.hash)
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    });
    if taken == 1 {
        return Ok(None);
    }
    Ok(Some(on!(tx, conn => {
        sqlx::query_as(
            "SELECT request_hash, status, body FROM idempotency
             WHERE workspace_id = $1 AND idempotency_key = $2 AND mode = $3",
        )
        .bind(request.workspace.0)
        .bind(request.key)
        .bind(request.mode.as_i64())
        .fetch_one(conn)
        .await?
    })))
}

/// Keeps the answer.
pub async fn keep(tx: &mut Tx, request: &Keyed<'_>, status: u16, body: &str) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE idempotency SET status = $4, body = $5
             WHERE workspace_id = $1 AND idempotency_key = $2 AND mode = $3",
        )
        .bind(request.workspace.0)
        .bind(request.key)
        .bind(request.mode.as_i64())
        .bind(i64::from(status))
        .bind(body)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Forgets what is too old.
async fn forget(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("DELETE FROM idempotency WHERE workspace_id = $1 AND created_at < $2")
            .bind(workspace.0)
            .bind(micros(now - KEPT))
            .execute(conn)
            .await?;
    });
    Ok(())
}
