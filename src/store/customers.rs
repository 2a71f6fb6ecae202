//! Customers: when each was last settled, and when it is due again.

use std::collections::HashMap;

use sqlx::FromRow;

use super::listing::Listing;
use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{Engine, Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::on;

/// A customer.
#[derive(Debug, Clone, FromRow)]
pub struct Customer {
    /// `cust_…`
    pub customer_id: String,
    mode: i64,
    /// Raised whenever something about the customer changes.
    pub dirty_version: i64,
    /// What `dirty_version` was when last settled.
    pub settled_version: i64,
    settle_due_at: Option<i64>,
    settled_at: Option<i64>,
    /// How often in a row settling failed.
    pub failures: i64,
    /// Why it failed last.
    pub error: Option<String>,
    created_at: i64,
    /// Stands for what is kept of the customer's subscriptions; zero where there are none.
    pub states_digest: i64,
}

impl Customer {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// When it is to be settled.
    pub fn settle_due_at(&self) -> Option<Time> {
        self.settle_due_at.map(from_micros)
    }

    /// When the bridge came to know it.
    pub fn created_at(&self) -> Time {
        from_micros(self.created_at)
    }

    /// When it was settled.
    pub fn settled_at(&self) -> Option<Time> {
        self.settled_at.map(from_micros)
    }
}

/// Enters new customers.
pub async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = (Mode, &str)>,
    now: Time,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("customer_id", Text)]);
    for (mode, id) in customers {
        rows.push([mode.as_i64().into(), id.into()]);
    }
    let text = "INSERT INTO customers (workspace_id, customer_id, mode, dirty_version, settled_version, settle_due_at,
                                       failures, created_at)
                SELECT $1, customer_id, mode, 1, 0, $2, 0, $2
                FROM v";
    rows.execute(tx, text, &[workspace.0.into(), micros(now).into()]).await?;
    Ok(())
}

/// Locks customers in order of their ids until the transaction ends, so that two who lock several never wait for each
/// other. On `SQLite` whoever writes is alone anyway.
pub async fn lock(tx: &mut Tx, workspace: WorkspaceId, ids: &[&str]) -> Result<(), StoreError> {
    if tx.engine() == Engine::Sqlite {
        return Ok(());
    }
    let text = "SELECT c.customer_id
                FROM customers c
                WHERE c.workspace_id = $1 AND c.customer_id $in(customer_id)
                ORDER BY c.customer_id
                FOR UPDATE";
    let rows = Rows::texts(&[("customer_id", Text)], ids.iter().copied());
    rows.fetch::<(String,)>(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Says that something about these customers changed: they are due, or stay due since they were. Lock them first.
pub async fn touch(tx: &mut Tx, workspace: WorkspaceId, ids: &[&str], now: Time) -> Result<(), StoreError> {
    let text = "UPDATE customers
                SET dirty_version = dirty_version + 1,
                    settle_due_at = CASE WHEN settle_due_at < $2 THEN settle_due_at ELSE $2 END
                WHERE workspace_id = $1 AND customer_id $in(customer_id)";
    let rows = Rows::texts(&[("customer_id", Text)], ids.iter().copied());
    rows.execute(tx, text, &[workspace.0.into(), micros(now).into()]).await?;
    Ok(())
}

/// Removes customers that were joined to others.
pub async fn remove(tx: &mut Tx, workspace: WorkspaceId, ids: &[&str]) -> Result<(), StoreError> {
    let text = "DELETE FROM customers
                WHERE workspace_id = $1 AND customer_id $in(customer_id)";
    Rows::texts(&[("customer_id", Text)], ids.iter().copied()).execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// The customers that have been due longest. On `PostgreSQL` they are locked, and those that others hold are skipped.
pub async fn due(tx: &mut Tx, workspace: WorkspaceId, now: Time, limit: i64) -> Result<Vec<Customer>, StoreError> {
    let text = match tx.engine() {
        Engine::Sqlite => {
            "SELECT customer_id, mode, dirty_version, settled_version, settle_due_at, settled_at, failures, error,
                    created_at, states_digest
             FROM customers
             WHERE workspace_id = $1 AND settle_due_at <= $2
             ORDER BY settle_due_at, customer_id
             LIMIT $3"
        }
        Engine::Postgres => {
            "SELECT customer_id, mode, dirty_version, settled_version, settle_due_at, settled_at, failures, error,
                    created_at, states_digest
             FROM customers
             WHERE workspace_id = $1 AND settle_due_at <= $2
             ORDER BY settle_due_at, customer_id
             LIMIT $3
             FOR UPDATE SKIP LOCKED"
        }
    };
    Ok(on!(tx, conn => {
        sqlx::query_as(text).bind(workspace.0).bind(micros(now)).bind(limit).fetch_all(conn).await?
    }))
}

/// Leaves out those who rest since they were settled last: they stay due.
pub fn awake(tx: &Tx, workspace: WorkspaceId, due: Vec<Customer>, now: Time) -> Vec<Customer> {
    due.into_iter().filter(|customer| !tx.resting.has(workspace, &customer.customer_id, now)).collect()
}

/// Says that a customer with so many events is settled now: a very long history rests for a while.
pub fn note_length(tx: &Tx, workspace: WorkspaceId, customer_id: &str, events: usize, now: Time) {
    tx.resting.note(workspace, customer_id, events, now);
}

/// One customer, if it is due and nobody else holds it.
pub async fn due_one(tx: &mut Tx, workspace: WorkspaceId, id: &str, now: Time) -> Result<Vec<Customer>, StoreError> {
    let text = match tx.engine() {
        Engine::Sqlite => {
            "SELECT customer_id, mode, dirty_version, settled_version, settle_due_at, settled_at, failures, error,
                    created_at, states_digest
             FROM customers
             WHERE workspace_id = $1 AND customer_id = $2 AND settle_due_at <= $3"
        }
        Engine::Postgres => {
            "SELECT customer_id, mode, dirty_version, settled_version, settle_due_at, settled_at, failures, error,
                    created_at, states_digest
             FROM customers
             WHERE workspace_id = $1 AND customer_id = $2 AND settle_due_at <= $3
             FOR UPDATE SKIP LOCKED"
        }
    };
    Ok(on!(tx, conn => {
        sqlx::query_as(text).bind(workspace.0).bind(id).bind(micros(now)).fetch_all(conn).await?
    }))
}

/// When the next customer is due.
pub async fn next_due(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<Time>, StoreError> {
    let at: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT MIN(settle_due_at) FROM customers WHERE workspace_id = $1 AND settle_due_at IS NOT NULL",
        )
        .bind(workspace.0)
        .fetch_one(conn)
        .await?
    });
    Ok(at.map(from_micros))
}

/// Which of these due customers are as they were when loaded: nobody touched, joined or settled them since.
pub async fn unchanged(
    tx: &mut Tx,
    workspace: WorkspaceId,
    loaded: impl IntoIterator<Item = &Customer>,
) -> Result<Vec<String>, StoreError> {
    let mut rows = Rows::new(&[("customer_id", Text), ("dirty_version", Int), ("due_at", Int)]);
    for customer in loaded {
        rows.push([(&customer.customer_id).into(), customer.dirty_version.into(), customer.settle_due_at.into()]);
    }
    let text = "SELECT c.customer_id
                FROM v CROSS JOIN customers c
                WHERE c.workspace_id = $1 AND c.customer_id = v.customer_id AND c.dirty_version = v.dirty_version
                  AND c.settle_due_at = v.due_at";
    let same: Vec<(String,)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(same.into_iter().map(|(id,)| id).collect())
}

/// A customer that was settled.
#[derive(Debug)]
pub struct Settled<'a> {
    /// Which.
    pub customer_id: &'a str,
    /// The version that was settled.
    pub version: i64,
    /// When time alone makes it due again.
    pub due_at: Option<Time>,
    /// What stands for the states of its subscriptions.
    pub states_digest: i64,
}

/// Says that customers were settled. One that changed in between stays due.
pub async fn settled(
    tx: &mut Tx,
    workspace: WorkspaceId,
    settled: &[Settled<'_>],
    now: Time,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("customer_id", Text), ("version", Int), ("due_at", Int), ("digest", Int)]);
    for customer in settled {
        let due_at = customer.due_at.map(micros);
        rows.push([customer.customer_id.into(), customer.version.into(), due_at.into(), customer.states_digest.into()]);
    }
    let text = "UPDATE customers
                SET settled_version = v.version,
                    settled_at = $2,
                    settle_due_at = CASE WHEN dirty_version = v.version THEN v.due_at ELSE settle_due_at END,
                    failures = 0,
                    error = NULL,
                    states_digest = v.digest
                FROM v
                WHERE customers.workspace_id = $1 AND customers.customer_id = v.customer_id";
    rows.execute(tx, text, &[workspace.0.into(), micros(now).into()]).await?;
    Ok(())
}

/// Sets a customer aside that could not be settled, until something about it changes.
pub async fn park(tx: &mut Tx, workspace: WorkspaceId, parked: &[(&str, i64, String)]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("customer_id", Text), ("version", Int), ("error", Text)]);
    for (id, version, error) in parked {
        rows.push([(*id).into(), (*version).into(), error.into()]);
    }
    let text = "UPDATE customers
                SET failures = failures + 1,
                    error = v.error,
                    settle_due_at = CASE WHEN dirty_version = v.version THEN NULL ELSE settle_due_at END
                FROM v
                WHERE customers.workspace_id = $1 AND customers.customer_id = v.customer_id";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// Customers in order of id, after `after`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Customer>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT customer_id, mode, dirty_version, settled_version, settle_due_at, settled_at, failures, error,
                    created_at, states_digest
             FROM customers
             WHERE workspace_id = $1 AND customer_id > $2
             ORDER BY customer_id
             LIMIT $3",
        )
        .bind(workspace.0)
        .bind(after.unwrap_or_default())
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// A customer.
pub async fn by_id(tx: &mut Tx, workspace: WorkspaceId, id: &str) -> Result<Option<Customer>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT customer_id, mode, dirty_version, settled_version, settle_due_at, settled_at, failures, error,
                    created_at, states_digest
             FROM customers
             WHERE workspace_id = $1 AND customer_id = $2",
        )
        .bind(workspace.0)
        .bind(id)
        .fetch_optional(conn)
        .await?
    }))
}

/// The customers that are set aside.
pub async fn parked(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Customer>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT customer_id, mode, dirty_version, settled_version, settle_due_at, settled_at, failures, error,
                    created_at, states_digest
             FROM customers
             WHERE workspace_id = $1 AND failures > 0
             ORDER BY customer_id",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    }))
}

/// The book that each of some customers is in.
pub async fn modes(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, Mode>, StoreError> {
    let text = "SELECT c.customer_id, c.mode
                FROM customers c
                WHERE c.workspace_id = $1 AND c.customer_id $in(customer_id)";
    let rows: Vec<(String, i64)> =
        Rows::texts(&[("customer_id", Text)], ids).fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(rows.into_iter().map(|(id, mode)| (id, Mode::from_i64(mode))).collect())
}

/// A page of a book's customers, those whom the bridge came to know last first, behind `before`.
pub async fn newest(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<Customer>, StoreError> {
    let mut listing = Listing::of(
        "SELECT customer_id, mode, dirty_version, settled_version, settle_due_at, settled_at, failures, error, created_at,
                states_digest
         FROM customers
         WHERE workspace_id =",
        workspace,
    );
    listing.and_cell("mode =", mode.as_i64());
    listing.and_some("customer_id <", before);
    listing.fetch(tx, "customer_id DESC", limit).await
}
