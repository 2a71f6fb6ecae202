//! Facts: what each event says, kept with the customer it is about.

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{StoreError, Tx, WorkspaceId};
use crate::domain::facts::EventFacts;

/// The facts of one event on their way in.
#[derive(Debug)]
pub struct NewFacts<'a> {
    /// Whose.
    pub customer_id: &'a str,
    /// `evt_…`
    pub event_id: &'a str,
    /// Which shape.
    pub shape: i64,
    /// The facts as JSON.
    pub body: &'a str,
}

/// Facts as the table has them.
#[derive(Debug, Clone, sqlx::FromRow, serde::Deserialize)]
pub struct StoredFacts {
    /// Whose.
    pub customer_id: String,
    /// `evt_…`
    pub event_id: String,
    /// Which shape.
    pub shape: i64,
    /// The facts as JSON.
    pub body: String,
}

impl StoredFacts {
    /// The facts.
    pub fn read(&self) -> Result<EventFacts, StoreError> {
        serde_json::from_str(&self.body).map_err(|error| StoreError::Unreadable {
            what: "the facts of event",
            key: self.event_id.clone(),
            why: error.to_string(),
        })
    }
}

/// Keeps facts. Facts of an event that is read again replace the earlier ones.
pub async fn insert(tx: &mut Tx, workspace: WorkspaceId, facts: &[NewFacts<'_>]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("customer_id", Text), ("event_id", Text), ("shape", Int), ("body", Text)]);
    for fact in facts {
        rows.push([fact.customer_id.into(), fact.event_id.into(), fact.shape.into(), fact.body.into()]);
    }
    let text = "INSERT INTO facts (workspace_id, customer_id, event_id, shape, body)
                SELECT $1, customer_id, event_id, shape, body
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, customer_id, event_id, shape) DO UPDATE SET body = excluded.body";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// All facts of some customers.
pub async fn of_customers(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = &str>,
) -> Result<Vec<StoredFacts>, StoreError> {
    let text = "SELECT $row(f.customer_id, f.event_id, f.shape, f.body)
                FROM facts f
                WHERE f.workspace_id = $1 AND f.customer_id $in(customer_id)";
    Rows::texts(&[("customer_id", Text)], customers).gather(tx, text, &[workspace.0.into()]).await
}

/// The facts of some events of some customers: `(customer, event, shape)`.
pub async fn of_events(
    tx: &mut Tx,
    workspace: WorkspaceId,
    keys: impl IntoIterator<Item = (&str, &str, i64)>,
) -> Result<Vec<StoredFacts>, StoreError> {
    let mut rows = Rows::new(&[("customer_id", Text), ("event_id", Text), ("shape", Int)]);
    for (customer_id, event_id, shape) in keys {
        rows.push([customer_id.into(), event_id.into(), shape.into()]);
    }
    let text = "SELECT f.customer_id, f.event_id, f.shape, f.body
                FROM v CROSS JOIN facts f
                WHERE f.workspace_id = $1 AND f.customer_id = v.customer_id AND f.event_id = v.event_id
                  AND f.shape = v.shape";
    rows.fetch(tx, text, &[workspace.0.into()]).await
}

/// Gives the facts of customers that were joined to those they were joined to: `(from, into)`.
pub async fn give(tx: &mut Tx, workspace: WorkspaceId, joined: &[(String, String)]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("loser", Text), ("winner", Text)]);
    for (loser, winner) in joined {
        rows.push([loser.into(), winner.into()]);
    }
    let text = "UPDATE facts SET customer_id = v.winner
                FROM v
                WHERE facts.workspace_id = $1 AND facts.customer_id = v.loser";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// How many events have facts.
pub async fn count(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64, StoreError> {
    Ok(crate::on!(tx, conn => {
        sqlx::query_scalar("SELECT COUNT(*) FROM facts WHERE workspace_id = $1")
            .bind(workspace.0)
            .fetch_one(conn)
            .await?
    }))
}

/// Which events, by id and shape, some customers have facts of.
pub async fn events_of_customers(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: impl IntoIterator<Item = &str>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let text = "SELECT event_id, shape
                FROM facts
                WHERE workspace_id = $1 AND customer_id $in(customer_id)";
    Rows::texts(&[("customer_id", Text)], customers).fetch(tx, text, &[workspace.0.into()]).await
}
