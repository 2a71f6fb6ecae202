//! What history cannot tell: since when metadata and codes hold that were entered later than their object was made.

use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// A question that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuestion {
    /// Of which book.
    pub mode: Mode,
    /// `cus_…` or `sub_…`
    pub object: String,
    /// What is said there: `partner_key = acme`, `promotion code promo_…`.
    pub what: String,
    /// Whose.
    pub customer_id: String,
    /// From when it counts as long as nobody answers.
    pub counted_from: Time,
}

/// A question as it stands.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Question {
    /// `cus_…` or `sub_…`
    pub object: String,
    /// What is said there.
    pub what: String,
    /// Whose.
    pub customer_id: String,
    counted_from: i64,
}

impl Question {
    /// From when it counts as long as nobody answers.
    pub fn counted_from(&self) -> Time {
        from_micros(self.counted_from)
    }
}

/// Takes back what was asked about some customers and nobody answered: what is still to be asked is asked again.
pub async fn take_back(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = &str>,
) -> Result<(), StoreError> {
    let text = "DELETE FROM questions
                WHERE workspace_id = $1 AND customer_id $in(customer_id) AND answered_at IS NULL";
    Rows::texts(&[("customer_id", Text)], customers).execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Asks. One that was asked before keeps its answer.
pub async fn ask(tx: &mut Tx, workspace: WorkspaceId, asked: &[NewQuestion], now: Time) -> Result<(), StoreError> {
    let mut rows =
        Rows::new(&[("mode", Int), ("object", Text), ("what", Text), ("customer_id", Text), ("counted_from", Int)]);
    for question in asked {
        rows.push([
            question.mode.as_i64().into(),
            (&question.object).into(),
            (&question.what).into(),
            (&question.customer_id).into(),
            micros(question.counted_from).into(),
        ]);
    }
    let text = "INSERT INTO questions (workspace_id, mode, object, what, customer_id, counted_from, asked_at)
                SELECT $1, mode, object, what, customer_id, counted_from, $2
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, object, what) DO UPDATE SET
                    customer_id = excluded.customer_id, counted_from = excluded.counted_from";
    rows.execute(tx, text, &[workspace.0.into(), micros(now).into()]).await?;
    Ok(())
}

/// The questions of a book that nobody answered, by object.
pub async fn open(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    object: Option<&str>,
    limit: i64,
) -> Result<Vec<Question>, StoreError> {
    let select = "SELECT object, what, customer_id, counted_from FROM questions WHERE workspace_id =";
    let mut listing = super::listing::Listing::of(select, workspace);
    listing.and_cell("mode =", mode.as_i64());
    listing.and_some("object =", object);
    listing.and("answered_at IS NULL");
    listing.fetch(tx, "object, what", limit).await
}

/// Notes the answer to all questions about an object; tells how many were open.
pub async fn answer(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    object: &str,
    since: Time,
    author: &str,
    now: Time,
) -> Result<u64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query(
            "UPDATE questions SET answered_at = $4, answer = $5, answered_by = $6
             WHERE workspace_id = $1 AND mode = $2 AND object = $3 AND answered_at IS NULL",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(object)
        .bind(micros(now))
        .bind(micros(since))
        .bind(author)
        .execute(conn)
        .await?
        .rows_affected()
    }))
}
