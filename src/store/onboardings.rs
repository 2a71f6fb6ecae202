//! Links by which partners open a connected account. A token itself is never kept.

use sqlx::FromRow;

use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// A link.
#[derive(Debug, Clone, FromRow)]
pub struct Onboarding {
    /// Whose partner.
    pub workspace_id: WorkspaceId,
    /// The SHA-256 of its token.
    pub hash: String,
    mode: i64,
    /// For whom.
    pub partner_key: String,
    /// The account that was made, or that the partner had.
    pub account: Option<String>,
    created_at: i64,
    expires_at: i64,
    completed_at: Option<i64>,
}

impl Onboarding {
    /// A new one.
    pub fn new(
        workspace: WorkspaceId,
        hash: String,
        mode: Mode,
        partner_key: &str,
        (now, until): (Time, Time),
    ) -> Self {
        Self {
            workspace_id: workspace,
            hash,
            mode: mode.as_i64(),
            partner_key: partner_key.to_owned(),
            account: None,
            created_at: micros(now),
            expires_at: micros(until),
            completed_at: None,
        }
    }

    /// For which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// Until when it works.
    pub fn expires_at(&self) -> Time {
        from_micros(self.expires_at)
    }

    /// When the account could be paid.
    pub fn completed_at(&self) -> Option<Time> {
        self.completed_at.map(from_micros)
    }
}

/// Keeps a new link.
pub async fn insert(tx: &mut Tx, new: &Onboarding) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO onboardings (workspace_id, hash, mode, partner_key, account, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(new.workspace_id.0)
        .bind(&new.hash)
        .bind(new.mode)
        .bind(&new.partner_key)
        .bind(&new.account)
        .bind(new.created_at)
        .bind(new.expires_at)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// The link of a token, by its hash.
pub async fn find(tx: &mut Tx, hash: &str) -> Result<Option<Onboarding>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM onboardings WHERE hash = $1").bind(hash).fetch_optional(conn).await?
    }))
}

/// Notes the account that a link leads to.
pub async fn note_account(tx: &mut Tx, link: &Onboarding, account: &str) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("UPDATE onboardings SET account = $3 WHERE workspace_id = $1 AND hash = $2")
            .bind(link.workspace_id.0)
            .bind(&link.hash)
            .bind(account)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// Notes that its account can be paid.
pub async fn complete(tx: &mut Tx, link: &Onboarding, now: Time) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE onboardings SET completed_at = $3 WHERE workspace_id = $1 AND hash = $2 AND completed_at IS NULL",
        )
        .bind(link.workspace_id.0)
        .bind(&link.hash)
        .bind(micros(now))
        .execute(conn)
        .await?;
    });
    Ok(())
}
