//! What Stripe has to be asked for ([`Missing`]): a queue, and a memory of what was asked before.

use std::collections::BTreeSet;

use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::missing::Missing;
use crate::on;

/// How many customers that wait are looked at to see whether the question still stands.
const WITNESSES: i64 = 8;

/// A question that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// What.
    pub missing: Missing,
    /// How often it was asked in vain.
    pub attempts: i64,
}

/// A question, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What.
    pub missing: Missing,
    /// Since when it is asked.
    pub asked_at: Time,
    /// When it is tried next; none once it was answered, or given up.
    pub due_at: Option<Time>,
    /// How often it was tried in vain.
    pub attempts: i64,
    /// Why it was in vain.
    pub error: Option<String>,
}

/// Notes what the decisions about customers lack: `(mode, what, customer)`. What was asked before is not asked again.
pub async fn ask(
    tx: &mut Tx,
    workspace: WorkspaceId,
    missing: &[(Mode, Missing, &str)],
    now: Time,
    due: impl Fn(&Missing) -> Time,
) -> Result<(), StoreError> {
    if missing.is_empty() {
        return Ok(());
    }
    let once: BTreeSet<(Mode, &Missing)> = missing.iter().map(|(mode, what, _)| (*mode, what)).collect();
    let mut rows = Rows::new(&[("mode", Int), ("what", Text), ("object", Text), ("due_at", Int)]);
    for (mode, what) in once {
        rows.push([mode.as_i64().into(), what.what().into(), what.object().into(), micros(due(what)).into()]);
    }
    let text = "INSERT INTO lookups (workspace_id, mode, what, object, asked_at, due_at, attempts)
                SELECT $1, mode, what, object, $2, due_at, 0 FROM v WHERE TRUE
                ON CONFLICT (workspace_id, mode, what, object) DO NOTHING";
    rows.execute(tx, text, &[workspace.0.into(), micros(now).into()]).await?;
    let mut rows = Rows::new(&[("mode", Int), ("what", Text), ("object", Text), ("customer_id", Text)]);
    for (mode, what, customer) in missing {
        rows.push([mode.as_i64().into(), what.what().into(), what.object().into(), (*customer).into()]);
    }
    let text = "INSERT INTO lookup_customers (workspace_id, mode, what, object, customer_id)
                SELECT $1, mode, what, object, customer_id FROM v WHERE TRUE
                ON CONFLICT (workspace_id, mode, what, object, customer_id) DO NOTHING";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// When the next question of a book is due.
pub async fn next_due(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Option<Time>, StoreError> {
    let due: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT due_at FROM lookups WHERE workspace_id = $1 AND mode = $2 AND due_at IS NOT NULL
             ORDER BY due_at LIMIT 1",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .fetch_optional(conn)
        .await?
    });
    Ok(due.map(from_micros))
}

/// Takes the questions that have been due the longest, for whoever asks: nobody else gets them until `until`.
pub async fn claim(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    (now, until): (Time, Time),
    limit: i64,
) -> Result<Vec<Due>, StoreError> {
    let rows: Vec<(String, String, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "UPDATE lookups SET due_at = $4
             WHERE workspace_id = $1 AND mode = $2 AND due_at <= $3 AND (what, object) IN (
                 SELECT what, object FROM lookups
                 WHERE workspace_id = $1 AND mode = $2 AND due_at <= $3
                 ORDER BY due_at, what, object LIMIT $5)
             RETURNING what, object, attempts",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(micros(now))
        .bind(micros(until))
        .bind(limit)
        .fetch_all(conn)
        .await?
    });
    let due =
        |(what, object, attempts): (String, String, i64)| Some(Due { missing: Missing::of(&what, &object)?, attempts });
    Ok(rows.into_iter().filter_map(due).collect())
}

/// Some of the customers whose decisions wait for an answer.
pub async fn waiting(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    missing: &Missing,
) -> Result<Vec<String>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT customer_id FROM lookup_customers
             WHERE workspace_id = $1 AND mode = $2 AND what = $3 AND object = $4
             ORDER BY customer_id LIMIT $5",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(missing.what())
        .bind(missing.object())
        .bind(WITNESSES)
        .fetch_all(conn)
        .await?
    }))
}

/// All customers whose decisions wait for what is said about some prices.
pub async fn waiting_for_prices(
    tx: &mut Tx,
    workspace: WorkspaceId,
    prices: &[(Mode, String)],
) -> Result<Vec<String>, StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("price", Text)]);
    for (mode, price) in prices {
        rows.push([mode.as_i64().into(), price.into()]);
    }
    let text = "SELECT DISTINCT w.customer_id FROM v
                JOIN lookup_customers w ON w.workspace_id = $1 AND w.mode = v.mode AND w.what = 'price' AND w.object = v.price";
    let found: Vec<(String,)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Forgets a question: nobody needs the answer any more, or everybody has it.
pub async fn forget(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, missing: &Missing) -> Result<(), StoreError> {
    for table in ["lookups", "lookup_customers"] {
        let text = format!("DELETE FROM {table} WHERE workspace_id = $1 AND mode = $2 AND what = $3 AND object = $4");
        on!(tx, conn => {
            sqlx::query(sqlx::AssertSqlSafe(text))
                .bind(workspace.0)
                .bind(mode.as_i64())
                .bind(missing.what())
                .bind(missing.object())
                .execute(conn)
                .await?;
        });
    }
    Ok(())
}

/// Notes an attempt: when it is looked at again (never where `None`), and why it was in vain, if it was.
pub async fn postpone(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    missing: &Missing,
    due_at: Option<Time>,
    error: Option<&str>,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE lookups SET due_at = $5, attempts = attempts + 1, error = $6
             WHERE workspace_id = $1 AND mode = $2 AND what = $3 AND object = $4",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(missing.what())
        .bind(missing.object())
        .bind(due_at.map(micros))
        .bind(error)
        .execute(conn)
        .await?;
    });
    Ok(())
}

/// Has everything asked again that was given up. Tells how many questions.
pub async fn ask_again(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, now: Time) -> Result<u64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query(
            "UPDATE lookups SET due_at = $3, attempts = 0
             WHERE workspace_id = $1 AND mode = $2 AND due_at IS NULL",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(micros(now))
        .execute(conn)
        .await?
        .rows_affected()
    }))
}

#[derive(FromRow)]
struct Row {
    what: String,
    object: String,
    asked_at: i64,
    due_at: Option<i64>,
    attempts: i64,
    error: Option<String>,
}

/// The questions of a book, in order of what is asked, at most `limit`.
pub async fn all(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, limit: i64) -> Result<Vec<Question>, StoreError> {
    let rows: Vec<Row> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT what, object, asked_at, due_at, attempts, error FROM lookups
             WHERE workspace_id = $1 AND mode = $2 ORDER BY what, object LIMIT $3",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(limit)
        .fetch_all(conn)
        .await?
    });
    let question = |row: Row| {
        Some(Question {
            missing: Missing::of(&row.what, &row.object)?,
            asked_at: from_micros(row.asked_at),
            due_at: row.due_at.map(from_micros),
            attempts: row.attempts,
            error: row.error,
        })
    };
    Ok(rows.into_iter().filter_map(question).collect())
}

/// How many questions wait, and how many were given up: `(what, waiting, given up)`.
pub async fn counts(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Vec<(String, i64, i64)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT what, COUNT(due_at), COUNT(*) - COUNT(due_at) FROM lookups
             WHERE workspace_id = $1 AND mode = $2 GROUP BY what ORDER BY what",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .fetch_all(conn)
        .await?
    }))
}

/// How many calls a day's questions took (UTC days since 1970).
pub async fn calls(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, day: i64) -> Result<i64, StoreError> {
    let calls: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar("SELECT calls FROM lookup_calls WHERE workspace_id = $1 AND mode = $2 AND day = $3")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(day)
            .fetch_optional(conn)
            .await?
    });
    Ok(calls.unwrap_or(0))
}

/// Counts calls.
pub async fn count_calls(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    day: i64,
    calls: i64,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO lookup_calls (workspace_id, mode, day, calls) VALUES ($1, $2, $3, $4)
             ON CONFLICT (workspace_id, mode, day) DO UPDATE SET calls = lookup_calls.calls + excluded.calls",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(day)
        .bind(calls)
        .execute(conn)
        .await?;
    });
    Ok(())
}
