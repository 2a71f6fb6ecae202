//! What comparing a month with Stripe's own objects came to, the last time, and what it looks up on the way.

use std::collections::HashMap;

use sqlx::FromRow;

use super::payments::Payment;
use super::rows::Column::Text;
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::reconcile::Report;
use crate::on;

/// A comparison.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Reconciliation {
    workspace_id: i64,
    mode: i64,
    /// `2026-10`
    pub month: String,
    checked_at: i64,
    /// How many objects differ.
    pub differing: i64,
    report: String,
}

impl Reconciliation {
    /// Whose.
    pub fn workspace(&self) -> WorkspaceId {
        WorkspaceId(self.workspace_id)
    }

    /// Of which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// When it was made.
    pub fn checked_at(&self) -> Time {
        from_micros(self.checked_at)
    }

    /// What it came to.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`].
    pub fn report(&self) -> Result<Report, StoreError> {
        serde_json::from_str(&self.report).map_err(|error| StoreError::Unreadable {
            what: "the reconciliation of",
            key: self.month.clone(),
            why: error.to_string(),
        })
    }
}

/// Keeps what a comparison came to, in the place of the one before.
pub async fn put(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    month: &str,
    report: &Report,
    now: Time,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(report).map_err(|error| StoreError::Unreadable {
        what: "the reconciliation of",
        key: month.to_owned(),
        why: error.to_string(),
    })?;
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO reconciliations (workspace_id, mode, month, checked_at, differing, report)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (workspace_id, mode, month) DO UPDATE SET
                 checked_at = excluded.checked_at, differing = excluded.differing, report = excluded.report",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(month)
        .bind(micros(now))
        .bind(i64::try_from(report.differing).unwrap_or(i64::MAX))
        .bind(text)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// The comparison of a month.
pub async fn of_month(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    month: &str,
) -> Result<Option<Reconciliation>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT workspace_id, mode, month, checked_at, differing, report FROM reconciliations
             WHERE workspace_id = $1 AND mode = $2 AND month = $3",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(month)
        .fetch_optional(conn)
        .await?
    }))
}

/// The comparisons of a book, the newest months first, behind `before`.
pub async fn list(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Reconciliation>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT workspace_id, mode, month, checked_at, differing, report FROM reconciliations
             WHERE workspace_id = $1 AND mode = $2 AND month < $3
             ORDER BY month DESC
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(before.unwrap_or("9999-99"))
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// The newest month's comparison of a book.
pub async fn newest(tx: &mut Tx, book: (WorkspaceId, Mode)) -> Result<Option<Reconciliation>, StoreError> {
    Ok(list(tx, book, None, 1).await?.into_iter().next())
}

/// The payments that references are of, by reference.
pub async fn payments_of(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    references: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, PaymentOf>, StoreError> {
    let text = "SELECT r.ref, r.mode, p.payment_id, p.code, p.paid
                FROM payment_refs r
                JOIN payments p ON p.workspace_id = r.workspace_id AND p.payment_id = r.payment_id
                WHERE r.workspace_id = $1 AND r.ref $in(ref) AND p.merged_into IS NULL";
    let rows: Vec<(String, i64, String, String, i64)> =
        Rows::texts(&[("ref", Text)], references).fetch(tx, text, &[workspace.0.into()]).await?;
    let of_book = rows.into_iter().filter(|(_, of, ..)| *of == mode.as_i64());
    Ok(of_book.map(|(reference, _, id, code, paid)| (reference, PaymentOf { id, code, paid })).collect())
}

/// A payment, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentOf {
    /// `pay_…`
    pub id: String,
    /// The reason code.
    pub code: String,
    /// Received, minor units.
    pub paid: i64,
}

/// Those of some customers that are to be settled.
pub async fn unsettled(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = &str>,
) -> Result<Vec<String>, StoreError> {
    let text = "SELECT c.customer_id
                FROM customers c
                WHERE c.workspace_id = $1 AND c.customer_id $in(customer_id) AND c.dirty_version > c.settled_version";
    let rows: Vec<(String,)> =
        Rows::texts(&[("customer_id", Text)], customers).fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Payments that were paid within a span, in order, behind one: all, or those of which something was taken back.
pub async fn paid_within(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    (from, until): (Time, Time),
    behind: Option<&Payment>,
    (taken_back, limit): (bool, i64),
) -> Result<Vec<Payment>, StoreError> {
    let (at, id) = behind.map_or((micros(from), ""), |last| (micros(last.paid_at()), last.payment_id.as_str()));
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT * FROM payments
             WHERE workspace_id = $1 AND mode = $2 AND (paid_at, payment_id) > ($3, $4) AND paid_at < $5
               AND merged_into IS NULL AND ($6 = 0 OR taken_back > 0)
             ORDER BY paid_at, payment_id
             LIMIT $7",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(at)
        .bind(id)
        .bind(micros(until))
        .bind(i64::from(taken_back))
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}
