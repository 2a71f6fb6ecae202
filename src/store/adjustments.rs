//! Adjustments and bonuses: what people book by hand, each with the one entry that books it.

use sqlx::FromRow;

use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// An adjustment or bonus.
#[derive(Debug, Clone, FromRow, PartialEq, Eq)]
pub struct Adjustment {
    /// `adj_…`
    pub adjustment_id: String,
    /// Which book.
    pub mode: i64,
    /// `adjustment` or `bonus`.
    pub kind: String,
    /// Whose money.
    pub partner_key: String,
    /// Under which program, if any.
    pub program_key: Option<String>,
    /// Signed minor units.
    pub amount: i64,
    /// Of what.
    pub currency: String,
    /// Why, for the statement.
    pub note: String,
    /// Who entered it.
    pub author: String,
    created_at: i64,
    /// `ent_…`: the line in the ledger.
    pub entry_id: String,
}

impl Adjustment {
    /// Puts one together.
    #[allow(clippy::too_many_arguments)] // a row has as many columns
    pub fn new(
        adjustment_id: String,
        mode: Mode,
        kind: String,
        partner_key: String,
        program_key: Option<String>,
        (amount, currency): (i64, String),
        note: String,
        author: String,
        created_at: Time,
        entry_id: String,
    ) -> Self {
        Self {
            adjustment_id,
            mode: mode.as_i64(),
            kind,
            partner_key,
            program_key,
            amount,
            currency,
            note,
            author,
            created_at: micros(created_at),
            entry_id,
        }
    }

    /// When it was entered.
    pub fn created_at(&self) -> Time {
        from_micros(self.created_at)
    }
}

/// Enters one; its entry is appended in the same transaction.
pub async fn insert(tx: &mut Tx, workspace: WorkspaceId, new: &Adjustment) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO adjustments (workspace_id, adjustment_id, mode, kind, partner_key, program_key, amount,
                                      currency, note, author, created_at, entry_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(workspace.0)
        .bind(&new.adjustment_id)
        .bind(new.mode)
        .bind(&new.kind)
        .bind(&new.partner_key)
        .bind(&new.program_key)
        .bind(new.amount)
        .bind(&new.currency)
        .bind(&new.note)
        .bind(&new.author)
        .bind(new.created_at)
        .bind(&new.entry_id)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// One of them.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, id: &str) -> Result<Option<Adjustment>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT adjustment_id, mode, kind, partner_key, program_key, amount, currency, note, author, created_at,
                    entry_id
             FROM adjustments
             WHERE workspace_id = $1 AND adjustment_id = $2 AND mode = $3",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(mode.as_i64())
        .fetch_optional(conn)
        .await?
    }))
}

/// Those of a book, or of one partner in it, the newest first, behind `before`.
pub async fn newest(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    partner: Option<&str>,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Adjustment>, StoreError> {
    let text = match partner {
        None => {
            "SELECT adjustment_id, mode, kind, partner_key, program_key, amount, currency, note, author, created_at,
                    entry_id
             FROM adjustments
             WHERE workspace_id = $1 AND mode = $2 AND adjustment_id < $3
             ORDER BY adjustment_id DESC
             LIMIT $4"
        }
        Some(_) => {
            "SELECT adjustment_id, mode, kind, partner_key, program_key, amount, currency, note, author, created_at,
                    entry_id
             FROM adjustments
             WHERE workspace_id = $1 AND mode = $2 AND adjustment_id < $3 AND partner_key = $5
             ORDER BY adjustment_id DESC
             LIMIT $4"
        }
    };
    let before = before.unwrap_or("~");
    Ok(on!(tx, conn => {
        let query = sqlx::query_as(text).bind(workspace.0).bind(mode.as_i64()).bind(before).bind(limit);
        match partner {
            None => query.fetch_all(conn).await?,
            Some(partner) => query.bind(partner).fetch_all(conn).await?,
        }
    }))
}
