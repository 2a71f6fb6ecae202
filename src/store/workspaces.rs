//! Workspaces: one merchant each.

use std::collections::HashMap;

use sqlx::{FromRow, Row};

use super::rows::Column::Text;
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// The workspace that the first start makes, and whose Stripe account others may be connected to.
pub const DEFAULT_WORKSPACE: &str = "default";
/// The name of the lock whose holder records.
pub const RECORDER: &str = "recorder";
/// The name of the lock whose holder appends changes.
pub const CHANGES: &str = "changes";

/// The name of the lock whose holder changes what tiers are chosen by, or closes a month.
pub const TIERS: &str = "tiers";
/// Its version is that of [`TIERS`] up to which customers were woken.
pub const TIERS_WOKEN: &str = "tiers_woken";

/// Finds a workspace by its key.
pub async fn find(tx: &mut Tx, key: &str) -> Result<Option<WorkspaceId>, StoreError> {
    let id: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar("SELECT workspace_id FROM workspaces WHERE key = $1")
            .bind(key)
            .fetch_optional(conn)
            .await?
    });
    Ok(id.map(WorkspaceId))
}

/// The key of a workspace.
pub async fn key(tx: &mut Tx, workspace: WorkspaceId) -> Result<String, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar("SELECT key FROM workspaces WHERE workspace_id = $1").bind(workspace.0).fetch_one(conn).await?
    }))
}

/// Finds a workspace or makes it.
pub async fn ensure(tx: &mut Tx, key: &str, now: Time) -> Result<WorkspaceId, StoreError> {
    if let Some(id) = find(tx, key).await? {
        return Ok(id);
    }
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO workspaces (workspace_id, key, created_at)
             SELECT COALESCE(MAX(workspace_id), 0) + 1, $1, $2 FROM workspaces
             WHERE TRUE
             ON CONFLICT DO NOTHING",
        )
        .bind(key)
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    let id = find(tx, key).await?.ok_or(StoreError::Conflict)?;
    for name in [RECORDER, CHANGES, TIERS, TIERS_WOKEN] {
        on!(tx, conn => {
            sqlx::query(
                "INSERT INTO locks (workspace_id, name, version) VALUES ($1, $2, 0)
                 ON CONFLICT (workspace_id, name) DO NOTHING",
            )
            .bind(id.0)
            .bind(name)
            .execute(conn)
            .await?;
        });
    }
    Ok(id)
}

/// Which of these Stripe accounts are whose: those that no workspace's settings name are left out.
pub async fn of_accounts<'a>(
    tx: &mut Tx,
    accounts: impl IntoIterator<Item = &'a str>,
) -> Result<HashMap<String, WorkspaceId>, StoreError> {
    let text = "SELECT w.account, w.workspace_id FROM workspaces w WHERE w.account $in(account)";
    let found: Vec<(String, i64)> = Rows::texts(&[("account", Text)], accounts).fetch(tx, text, &[]).await?;
    Ok(found.into_iter().map(|(account, workspace)| (account, WorkspaceId(workspace))).collect())
}

/// Says which Stripe account a workspace's settings name.
///
/// # Errors
/// [`StoreError::AccountTaken`] where it is another's.
pub async fn name_account(tx: &mut Tx, workspace: WorkspaceId, account: Option<&str>) -> Result<(), StoreError> {
    if let Some(account) = account {
        let owner = of_accounts(tx, [account]).await?.remove(account);
        if let Some(other) = owner.filter(|owner| *owner != workspace) {
            let (account, workspace) = (account.to_owned(), key(tx, other).await?);
            return Err(StoreError::AccountTaken { account, workspace });
        }
    }
    on!(tx, conn => {
        sqlx::query("UPDATE workspaces SET account = $2 WHERE workspace_id = $1")
            .bind(workspace.0)
            .bind(account)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// All workspaces with their keys, in order of their ids.
pub async fn all(tx: &mut Tx) -> Result<Vec<(WorkspaceId, String)>, StoreError> {
    on!(tx, conn => {
        let rows = sqlx::query("SELECT workspace_id, key FROM workspaces ORDER BY workspace_id").fetch_all(conn).await?;
        rows.iter().map(|row| Ok((WorkspaceId(row.try_get(0)?), row.try_get(1)?))).collect()
    })
}

/// A merchant.
#[derive(Debug, Clone, FromRow)]
pub struct Workspace {
    /// Its number.
    #[sqlx(rename = "workspace_id")]
    pub id: WorkspaceId,
    /// Its key.
    pub key: String,
    /// The Stripe account that its settings name.
    pub account: Option<String>,
    created_at: i64,
}

impl Workspace {
    /// When it was made.
    pub fn created_at(&self) -> Time {
        from_micros(self.created_at)
    }
}

/// A workspace by its key.
pub async fn get(tx: &mut Tx, key: &str) -> Result<Option<Workspace>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT workspace_id, key, account, created_at FROM workspaces WHERE key = $1")
            .bind(key)
            .fetch_optional(conn)
            .await?
    }))
}

/// Workspaces in order of their keys, behind `after`.
pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<Workspace>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT workspace_id, key, account, created_at FROM workspaces WHERE key > $1 ORDER BY key LIMIT $2")
            .bind(after)
            .bind(limit)
            .fetch_all(conn)
            .await?
    }))
}

/// A workspace by its number.
pub async fn by_id(tx: &mut Tx, id: WorkspaceId) -> Result<Option<Workspace>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT workspace_id, key, account, created_at FROM workspaces WHERE workspace_id = $1")
            .bind(id.0)
            .fetch_optional(conn)
            .await?
    }))
}

/// The book to show where nobody chooses: live once it has events, else test.
pub async fn usual_mode(tx: &mut Tx, workspace: WorkspaceId) -> Result<Mode, StoreError> {
    let found: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT COALESCE(
                 (SELECT received_at FROM events WHERE workspace_id = $1 AND mode = $2 ORDER BY received_at LIMIT 1),
                 (SELECT first_at FROM archives WHERE workspace_id = $1 AND mode = $2 ORDER BY month LIMIT 1)
             )",
        )
        .bind(workspace.0)
        .bind(Mode::Live.as_i64())
        .fetch_one(conn)
        .await?
    });
    Ok(if found.is_some() { Mode::Live } else { Mode::Test })
}

/// Takes a lock until the transaction ends (`PostgreSQL`; on `SQLite` whoever writes is alone anyway) and tells how
/// often it was used.
pub async fn lock(tx: &mut Tx, workspace: WorkspaceId, name: &str) -> Result<i64, StoreError> {
    let text = match tx.engine() {
        super::Engine::Sqlite => "SELECT version FROM locks WHERE workspace_id = $1 AND name = $2",
        super::Engine::Postgres => "SELECT version FROM locks WHERE workspace_id = $1 AND name = $2 FOR UPDATE",
    };
    Ok(on!(tx, conn => sqlx::query_scalar(text).bind(workspace.0).bind(name).fetch_one(conn).await?))
}

/// Marks a lock as used. [`StoreError::Conflict`] if somebody used it since `version` was read: on `SQLite` that is how
/// reading first and writing later notices that another process did the same.
pub async fn used(tx: &mut Tx, workspace: WorkspaceId, name: &str, version: i64) -> Result<(), StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE locks SET version = version + 1 WHERE workspace_id = $1 AND name = $2 AND version = $3",
        )
        .bind(workspace.0)
        .bind(name)
        .bind(version)
        .execute(conn)
        .await?
        .rows_affected()
    });
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}
