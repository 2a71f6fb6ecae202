//! Signing secrets of a workspace's webhook endpoint; several while one is rotated. They are kept as the [`Vault`] keeps
//! them.

use sqlx::FromRow;

use super::vault::{Place, Vault};
use super::{Db, StoreError, Tx, Urgency, WorkspaceId, erasures, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// A signing secret. The secret itself is shown by [`signing`] alone.
#[derive(Clone, FromRow)]
pub struct WebhookSecret {
    /// `whs_…`
    pub secret_id: String,
    secret: String,
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

    /// The id of the key that it is encrypted under; none where it is kept as it is.
    pub fn key_id(&self) -> Option<&str> {
        Vault::key_of(&self.secret)
    }
}

fn place(workspace: WorkspaceId, id: &str) -> Place<'_> {
    Place { what: "webhook secret", workspace, id }
}

/// Enters a secret. Entered once more it counts for ever again; tells its id.
pub async fn add(tx: &mut Tx, workspace: WorkspaceId, id: &str, secret: &str, now: Time) -> Result<String, StoreError> {
    let vault = tx.vault.clone();
    for known in rows(tx, workspace).await? {
        // One that does not open is another, as far as anybody can say.
        if vault.open(place(workspace, &known.secret_id), &known.secret).is_ok_and(|opened| opened == secret) {
            on!(tx, conn => {
                sqlx::query("UPDATE webhook_secrets SET expires_at = NULL WHERE workspace_id = $1 AND secret_id = $2")
                    .bind(workspace.0)
                    .bind(&known.secret_id)
                    .execute(conn)
                    .await?;
            });
            return Ok(known.secret_id);
        }
    }
    let kept = vault.seal(place(workspace, id), secret)?;
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "INSERT INTO webhook_secrets (workspace_id, secret_id, secret, created_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id, secret) DO UPDATE SET expires_at = NULL
             RETURNING secret_id",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(kept)
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

async fn rows(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<WebhookSecret>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT secret_id, secret, created_at, expires_at FROM webhook_secrets
             WHERE workspace_id = $1
             ORDER BY secret_id",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    }))
}

/// Every secret that has not ended, the oldest first.
pub async fn all(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<Vec<WebhookSecret>, StoreError> {
    let mut rows = rows(tx, workspace).await?;
    rows.retain(|secret| secret.counts(now));
    Ok(rows)
}

/// The secrets themselves that have not ended, the oldest first: for whoever verifies.
///
/// # Errors
/// [`StoreError::Sealed`] where none of them can be decrypted. Where some can, those count.
pub async fn signing(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<Vec<String>, StoreError> {
    let stored = all(tx, workspace, now).await?;
    let (mut opened, mut closed) = (Vec::new(), None);
    for secret in &stored {
        match tx.vault.open(place(workspace, &secret.secret_id), &secret.secret) {
            Ok(secret) => opened.push(secret),
            Err(error) => closed = Some(error),
        }
    }
    closed.filter(|_| opened.is_empty()).map_or(Ok(opened), Err)
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

/// Every secret of every workspace, ended ones included.
///
/// # Errors
/// The database's.
pub async fn of_everybody(tx: &mut Tx) -> Result<Vec<(WorkspaceId, WebhookSecret)>, StoreError> {
    #[derive(FromRow)]
    struct Row {
        workspace_id: WorkspaceId,
        #[sqlx(flatten)]
        secret: WebhookSecret,
    }
    let rows: Vec<Row> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT workspace_id, secret_id, secret, created_at, expires_at FROM webhook_secrets
             ORDER BY workspace_id, secret_id",
        )
        .fetch_all(conn)
        .await?
    });
    Ok(rows.into_iter().map(|row| (row.workspace_id, row.secret)).collect())
}

/// Brings every secret of every workspace to how `wanted` keeps them; tells how many were kept otherwise. A secret that
/// cannot be decrypted stops it, and nothing is changed.
///
/// # Errors
/// [`StoreError::Sealed`], or the database's.
pub async fn keep_as(db: &Db, wanted: &Vault) -> Result<u64, StoreError> {
    let mut tx = db.write(Urgency::Now).await?;
    let mut changed = erasures::keep_as(&mut tx, wanted).await?;
    for (workspace, secret) in of_everybody(&mut tx).await? {
        let place = place(workspace, &secret.secret_id);
        let opened = tx.vault.open(place, &secret.secret)?;
        if secret.key_id() == wanted.key_ids().next() {
            continue;
        }
        let kept = wanted.seal(place, &opened)?;
        changed += on!(tx, conn => {
            sqlx::query("UPDATE webhook_secrets SET secret = $3 WHERE workspace_id = $1 AND secret_id = $2 AND secret = $4")
                .bind(workspace.0)
                .bind(&secret.secret_id)
                .bind(kept)
                .bind(&secret.secret)
                .execute(conn)
                .await?
                .rows_affected()
        });
    }
    tx.commit().await?;
    Ok(changed)
}
