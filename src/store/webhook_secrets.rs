//! Signing secrets of a workspace's webhook endpoint; several while one is rotated.

use sqlx::FromRow;

use super::{StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// A signing secret.
#[derive(Clone, FromRow)]
pub struct WebhookSecret {
    /// `whs_…`
    pub secret_id: String,
    /// `whsec_…`: never shown, never logged.
    pub secret: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSecret").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

impl WebhookSecret {
    /// When it was entered.
    pub fn created_at(&self) -> Time {
        from_micros(self.created_at)
    }

    /// Until when it counts; for ever when `None`.
    pub fn expires_at(&self) -> Option<Time> {
        self.expires_at.map(from_micros)
    }

    /// Whether it counts at a moment.
    pub fn counts(&self, at: Time) -> bool {
        self.expires_at().is_none_or(|end| end > at)
    }
}

/// Enters a secret. Entered once more it counts for ever again; tells its id.
pub async fn add(tx: &mut Tx, workspace: WorkspaceId, id: &str, secret: &str, now: Time) -> Result<String, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "INSERT INTO webhook_secrets (workspace_id, secret_id, secret, created_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id, secret) DO UPDATE SET expires_at = NULL
             RETURNING secret_id",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(secret)
        .bind(micros(now))
        .fetch_one(conn)
        .await?
    }))
}

/// Lets all secrets but one end at a moment, if they do not end before.
pub async fn let_others_end(tx: &mut Tx, workspace: WorkspaceId, kept: &str, at: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE webhook_secrets SET expires_at = $3
             WHERE workspace_id = $1 AND secret_id <> $2 AND (expires_at IS NULL OR expires_at > $3)",
        )
        .bind(workspace.0)
        .bind(kept)
        .bind(micros(at))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Lets one secret end at a moment, if it does not end before.
pub async fn let_end(tx: &mut Tx, workspace: WorkspaceId, id: &str, at: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE webhook_secrets SET expires_at = $3
             WHERE workspace_id = $1 AND secret_id = $2 AND (expires_at IS NULL OR expires_at > $3)",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(micros(at))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Every secret that has not ended, the oldest first.
pub async fn all(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<Vec<WebhookSecret>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT secret_id, secret, created_at, expires_at FROM webhook_secrets
             WHERE workspace_id = $1 AND (expires_at IS NULL OR expires_at > $2)
             ORDER BY secret_id",
        )
        .bind(workspace.0)
        .bind(micros(now))
        .fetch_all(conn)
        .await?
    }))
}

/// Removes a secret; tells whether it was there.
pub async fn remove(tx: &mut Tx, workspace: WorkspaceId, id: &str) -> Result<bool, StoreError> {
    let gone = on!(tx, conn => {
        sqlx::query("DELETE FROM webhook_secrets WHERE workspace_id = $1 AND secret_id = $2")
            .bind(workspace.0)
            .bind(id)
            .execute(conn)
            .await?
            .rows_affected()
    });
    Ok(gone == 1)
}
