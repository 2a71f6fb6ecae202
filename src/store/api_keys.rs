//! Keys of the JSON API, by their hashes.

use sqlx::FromRow;

use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Look.
    Read,
    /// Look, and pay.
    Finance,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Finance, Self::Admin];

    /// As in SQL, JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Finance => "finance",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("{text:?} is no role: expected read, finance or admin"))
    }
}

/// A key as it is kept: whoever reads this cannot use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Whose.
    pub workspace: WorkspaceId,
    /// `key_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Which book it opens.
    pub mode: Mode,
    /// How it begins, so that people can tell it from others.
    pub prefix: String,
    /// SHA-256 of the whole key, in hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Time>,
    /// Since when it opens nothing.
    pub revoked_at: Option<Time>,
}

impl ApiKey {
    /// Everything but the hash.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "key_id": self.id,
            "name": self.name,
            "role": self.role.as_str(),
            "mode": self.mode.as_str(),
            "prefix": self.prefix,
            "created_at": self.created_at,
            "last_used_at": self.last_used_at,
            "revoked_at": self.revoked_at,
        })
    }
}

#[derive(FromRow)]
struct Row {
    workspace_id: i64,
    key_id: String,
    name: String,
    role: String,
    mode: i64,
    prefix: String,
    hash: String,
    created_at: i64,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let role = row.role.parse();
        let role = role.map_err(|why| StoreError::Unreadable { what: "API key", key: row.key_id.clone(), why })?;
        Ok(Self {
            workspace: WorkspaceId(row.workspace_id),
            id: row.key_id,
            name: row.name,
            role,
            mode: Mode::from_i64(row.mode),
            prefix: row.prefix,
            hash: row.hash,
            created_at: from_micros(row.created_at),
            last_used_at: row.last_used_at.map(from_micros),
            revoked_at: row.revoked_at.map(from_micros),
        })
    }
}

/// Enters a new key.
pub async fn insert(tx: &mut Tx, key: &ApiKey) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO api_keys (workspace_id, key_id, name, role, mode, prefix, hash, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(key.workspace.0)
        .bind(&key.id)
        .bind(&key.name)
        .bind(key.role.as_str())
        .bind(key.mode.as_i64())
        .bind(&key.prefix)
        .bind(&key.hash)
        .bind(micros(key.created_at))
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Every key of a workspace, the oldest first, those revoked included.
pub async fn all(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<ApiKey>, StoreError> {
    let rows: Vec<Row> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT workspace_id, key_id, name, role, mode, prefix, hash, created_at, last_used_at, revoked_at
             FROM api_keys
             WHERE workspace_id = $1
             ORDER BY key_id",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    });
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// A key by its id.
pub async fn by_id(tx: &mut Tx, workspace: WorkspaceId, id: &str) -> Result<Option<ApiKey>, StoreError> {
    let row: Option<Row> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT workspace_id, key_id, name, role, mode, prefix, hash, created_at, last_used_at, revoked_at
             FROM api_keys
             WHERE workspace_id = $1 AND key_id = $2",
        )
        .bind(workspace.0)
        .bind(id)
        .fetch_optional(conn)
        .await?
    });
    row.map(ApiKey::try_from).transpose()
}

/// The key with this hash, of whatever workspace.
pub async fn by_hash(tx: &mut Tx, hash: &str) -> Result<Option<ApiKey>, StoreError> {
    let row: Option<Row> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT workspace_id, key_id, name, role, mode, prefix, hash, created_at, last_used_at, revoked_at
             FROM api_keys
             WHERE hash = $1",
        )
        .bind(hash)
        .fetch_optional(conn)
        .await?
    });
    row.map(ApiKey::try_from).transpose()
}

/// Revokes a key; tells whether it was one until now.
pub async fn revoke(tx: &mut Tx, workspace: WorkspaceId, id: &str, now: Time) -> Result<bool, StoreError> {
    let changed = on!(tx, conn => {
        sqlx::query(
            "UPDATE api_keys SET revoked_at = $3
             WHERE workspace_id = $1 AND key_id = $2 AND revoked_at IS NULL",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    });
    Ok(changed == 1)
}

/// Writes down that a key was used.
pub async fn used(tx: &mut Tx, key: &ApiKey, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("UPDATE api_keys SET last_used_at = $3 WHERE workspace_id = $1 AND key_id = $2")
            .bind(key.workspace.0)
            .bind(&key.id)
            .bind(micros(now))
            .execute(conn)
            .await?;
    });
    Ok(())
}
