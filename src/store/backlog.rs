//! What waits, fails or stands still, for whoever watches the service: every question is answered by an index, and counts
//! no further than [`MOST`].

use sqlx::{Encode, Postgres, Sqlite, Type};

use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// What is more than this is told as this.
pub const MOST: i64 = 10_000;

/// How much waits in one workspace, and since when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events that nobody has read yet.
    pub unread: i64,
    /// When the oldest of them came.
    pub oldest_unread: Option<Time>,
    /// Customers that are due.
    pub due: i64,
    /// Since when the first of them is due.
    pub due_since: Option<Time>,
    /// Customers that are set aside with an error.
    pub parked: i64,
    /// Questions to Stripe that are due.
    pub lookups: i64,
}

/// How much of something there is in one book, by state: `(state, how many, the oldest)`.
pub type States = Vec<(String, i64, Option<Time>)>;

/// What waits in a workspace.
///
/// # Errors
/// The database's.
pub async fn of(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<Backlog, StoreError> {
    let unread = "SELECT COUNT(*), MIN(received_at) FROM
                  (SELECT received_at FROM unread WHERE workspace_id = $1 AND received_at > 0
                   ORDER BY received_at LIMIT $2) q";
    let due = "SELECT COUNT(*), MIN(settle_due_at) FROM
               (SELECT settle_due_at FROM customers
                WHERE workspace_id = $1 AND settle_due_at IS NOT NULL AND settle_due_at <= $3
                ORDER BY settle_due_at LIMIT $2) q";
    let parked = "SELECT COUNT(*), CAST(NULL AS BIGINT) FROM
                  (SELECT customer_id FROM customers WHERE workspace_id = $1 AND customer_id > '' AND failures > 0
                   ORDER BY customer_id LIMIT $2) q";
    let lookups = "SELECT COUNT(*), MIN(due_at) FROM
                   (SELECT due_at FROM lookups
                    WHERE workspace_id = $1 AND mode IN (0, 1) AND due_at IS NOT NULL AND due_at <= $3 LIMIT $2) q";
    let (unread, oldest_unread) = count(tx, unread, workspace, None).await?;
    let (due, due_since) = count(tx, due, workspace, Some(now)).await?;
    let (parked, _) = count(tx, parked, workspace, None).await?;
    let (lookups, _) = count(tx, lookups, workspace, Some(now)).await?;
    Ok(Backlog { unread, oldest_unread, due, due_since, parked, lookups })
}

async fn count(
    tx: &mut Tx,
    text: &'static str,
    workspace: WorkspaceId,
    now: Option<Time>,
) -> Result<(i64, Option<Time>), StoreError> {
    let (count, oldest): (i64, Option<i64>) = on!(tx, conn => {
        let query = sqlx::query_as(text).bind(workspace.0).bind(MOST);
        match now {
            Some(now) => query.bind(micros(now)).fetch_one(conn).await?,
            None => query.fetch_one(conn).await?,
        }
    });
    Ok((count, oldest.map(from_micros)))
}

/// Events of a book that are ignored or failed, by state.
///
/// # Errors
/// The database's.
pub async fn unrecorded(tx: &mut Tx, book: (WorkspaceId, Mode)) -> Result<States, StoreError> {
    let text = "SELECT COUNT(*), MIN(received_at) FROM
                (SELECT received_at FROM unrecorded WHERE workspace_id = $1 AND mode = $2 AND status = $3
                 ORDER BY received_at LIMIT $4) q";
    let mut states = Vec::new();
    for (status, name) in [(2_i64, "ignored"), (3, "failed")] {
        states.push(in_state(tx, text, book, status, name).await?);
    }
    Ok(states)
}

/// Mails of a book by what became of them: those that wait, and those that were refused.
///
/// # Errors
/// The database's.
pub async fn mails(tx: &mut Tx, book: (WorkspaceId, Mode)) -> Result<States, StoreError> {
    let text = "SELECT COUNT(*), MIN(created_at) FROM
                (SELECT created_at FROM mails WHERE workspace_id = $1 AND mode = $2 AND status = $3
                 ORDER BY mail_id LIMIT $4) q";
    let mut states = Vec::new();
    for status in ["queued", "sending", "refused"] {
        states.push(in_state(tx, text, book, status, status).await?);
    }
    Ok(states)
}

async fn in_state<S>(
    tx: &mut Tx,
    text: &'static str,
    (workspace, mode): (WorkspaceId, Mode),
    status: S,
    name: &str,
) -> Result<(String, i64, Option<Time>), StoreError>
where
    S: Send + Type<Sqlite> + Type<Postgres> + Encode<'static, Sqlite> + Encode<'static, Postgres> + 'static,
{
    let (count, oldest): (i64, Option<i64>) = on!(tx, conn => {
        sqlx::query_as(text)
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(status)
            .bind(MOST)
            .fetch_one(conn)
            .await?
    });
    Ok((name.to_owned(), count, oldest.map(from_micros)))
}

/// Payouts of a book's newest batch, by state.
///
/// # Errors
/// The database's.
pub async fn payouts(tx: &mut Tx, (workspace, mode): (WorkspaceId, Mode)) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT p.status, COUNT(*)
             FROM payouts p
             WHERE p.workspace_id = $1
               AND p.batch_id = (SELECT b.batch_id FROM batches b
                                 WHERE b.workspace_id = $1 AND b.mode = $2
                                 ORDER BY b.month DESC LIMIT 1)
             GROUP BY p.status",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .fetch_all(conn)
        .await?
    }))
}
