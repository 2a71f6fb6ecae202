//! Whose personal data was erased, and the key by which their addresses became pseudonyms.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::FromRow;

use super::rows::Column::Text;
use super::rows::Rows;
use super::vault::{Place, Vault};
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::pseudonym::Pseudonyms;
use crate::domain::terms::Erasable;
use crate::on;

/// That somebody's personal data was erased.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Erasure {
    /// `era_…`
    pub erasure_id: String,
    mode: i64,
    /// `customer` or `partner`.
    pub object: String,
    /// An id, a key or a pseudonym.
    pub subject: String,
    /// Who asked for it.
    pub author: String,
    erased_at: i64,
}

impl Erasure {
    /// Of which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// When it was done the last time.
    pub fn erased_at(&self) -> Time {
        from_micros(self.erased_at)
    }
}

fn place(workspace: WorkspaceId) -> Place<'static> {
    Place { what: "key of pseudonyms", workspace, id: "1" }
}

/// The workspace's key for pseudonyms, if anything was ever erased.
///
/// # Errors
/// [`StoreError::Sealed`] where it cannot be decrypted, or the database's.
pub async fn pseudonyms(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<Pseudonyms>, StoreError> {
    let Some(stored) = secret(tx, workspace).await? else { return Ok(None) };
    let opened = tx.vault.open(place(workspace), &stored)?;
    let key = STANDARD.decode(&opened).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.ok_or_else(|| StoreError::Unreadable {
        what: "the key of pseudonyms of workspace",
        key: workspace.0.to_string(),
        why: "is no key of 32 bytes".to_owned(),
    })?;
    Ok(Some(Pseudonyms::new(key)))
}

/// The same; made where there is none yet.
///
/// # Errors
/// The same.
pub async fn pseudonyms_or_new(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<Pseudonyms, StoreError> {
    if let Some(known) = pseudonyms(tx, workspace).await? {
        return Ok(known);
    }
    let new = Vault::new_key().map_err(|error| StoreError::Unreadable {
        what: "the key of pseudonyms of workspace",
        key: workspace.0.to_string(),
        why: error.to_string(),
    })?;
    let kept = tx.vault.seal(place(workspace), &new)?;
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO pseudonym_keys (workspace_id, secret, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (workspace_id) DO NOTHING",
        )
        .bind(workspace.0)
        .bind(kept)
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    // Whoever was first made it.
    pseudonyms(tx, workspace).await?.ok_or(StoreError::Conflict)
}

async fn secret(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<String>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar("SELECT secret FROM pseudonym_keys WHERE workspace_id = $1")
            .bind(workspace.0)
            .fetch_optional(conn)
            .await?
    }))
}

/// Brings every key to how `wanted` keeps it; tells how many were kept otherwise.
///
/// # Errors
/// [`StoreError::Sealed`], or the database's.
pub(super) async fn keep_as(tx: &mut Tx, wanted: &Vault) -> Result<u64, StoreError> {
    let all: Vec<(WorkspaceId, String)> = on!(tx, conn => {
        sqlx::query_as("SELECT workspace_id, secret FROM pseudonym_keys ORDER BY workspace_id").fetch_all(conn).await?
    });
    let mut changed = 0;
    for (workspace, stored) in all {
        let opened = tx.vault.open(place(workspace), &stored)?;
        if Vault::key_of(&stored) == wanted.key_ids().next() {
            continue;
        }
        let kept = wanted.seal(place(workspace), &opened)?;
        changed += on!(tx, conn => {
            sqlx::query("UPDATE pseudonym_keys SET secret = $2 WHERE workspace_id = $1 AND secret = $3")
                .bind(workspace.0)
                .bind(kept)
                .bind(stored)
                .execute(conn)
                .await?
                .rows_affected()
        });
    }
    Ok(changed)
}

/// Writes down that a subject was erased, once more where it was before; tells the erasure's id.
///
/// # Errors
/// The database's.
pub async fn put(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    (object, subject): (Erasable, &str),
    (id, author): (&str, &str),
    now: Time,
) -> Result<String, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "INSERT INTO erasures (workspace_id, erasure_id, mode, object, subject, author, erased_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (workspace_id, mode, object, subject) DO UPDATE SET erased_at = excluded.erased_at
             RETURNING erasure_id",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(mode.as_i64())
        .bind(object.as_str())
        .bind(subject)
        .bind(author)
        .bind(micros(now))
        .fetch_one(conn)
        .await?
    }))
}

/// A page of a book's erasures, the newest first, behind `before`.
///
/// # Errors
/// The database's.
pub async fn page(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Erasure>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT erasure_id, mode, object, subject, author, erased_at FROM erasures
             WHERE workspace_id = $1 AND mode = $2 AND erasure_id < $3
             ORDER BY erasure_id DESC
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(before.unwrap_or("~"))
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// Says that customers are erased.
///
/// # Errors
/// The database's.
pub async fn mark(
    tx: &mut Tx,
    workspace: WorkspaceId,
    erasure: &str,
    customers: impl IntoIterator<Item = &str>,
) -> Result<(), StoreError> {
    let text = "INSERT INTO erased_customers (workspace_id, customer_id, erasure_id, again)
                SELECT $1, customer_id, $2, 0
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, customer_id) DO UPDATE SET again = 0";
    let rows = Rows::texts(&[("customer_id", Text)], customers);
    rows.execute(tx, text, &[workspace.0.into(), erasure.into()]).await?;
    Ok(())
}

/// Which of some customers are erased.
///
/// # Errors
/// The database's.
pub async fn among(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = &str>,
) -> Result<HashSet<String>, StoreError> {
    let text = "SELECT c.customer_id
                FROM erased_customers c
                WHERE c.workspace_id = $1 AND c.customer_id $in(customer_id)";
    let rows = Rows::texts(&[("customer_id", Text)], customers);
    let found: Vec<(String,)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Of customers that were joined, `(from, into)`, those of which one was erased are to be erased once more, as one.
///
/// # Errors
/// The database's.
pub async fn give(tx: &mut Tx, workspace: WorkspaceId, joined: &[(String, String)]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("loser", Text), ("winner", Text)]);
    for (loser, winner) in joined {
        rows.push([loser.into(), winner.into()]);
    }
    let text = "INSERT INTO erased_customers (workspace_id, customer_id, erasure_id, again)
                SELECT $1, v.winner, MIN(c.erasure_id), 1
                FROM v
                JOIN erased_customers c
                  ON c.workspace_id = $1 AND (c.customer_id = v.loser OR c.customer_id = v.winner)
                WHERE TRUE
                GROUP BY v.winner
                ON CONFLICT (workspace_id, customer_id) DO UPDATE SET again = 1";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// A customer that is to be erased once more.
///
/// # Errors
/// The database's.
pub async fn again(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<(String, String)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT customer_id, erasure_id FROM erased_customers
             WHERE workspace_id = $1 AND again = 1
             ORDER BY customer_id
             LIMIT 1",
        )
        .bind(workspace.0)
        .fetch_optional(conn)
        .await?
    }))
}

/// Whether anybody was ever erased.
///
/// # Errors
/// The database's.
pub async fn any(tx: &mut Tx, workspace: WorkspaceId) -> Result<bool, StoreError> {
    let found: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar("SELECT created_at FROM pseudonym_keys WHERE workspace_id = $1")
            .bind(workspace.0)
            .fetch_optional(conn)
            .await?
    });
    Ok(found.is_some())
}
