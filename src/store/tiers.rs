//! What partners brought, month by month: what tiers are chosen by.
//!
//! Contributions are appended, never changed, each under the version that the lock [`TIERS`] had when it was: what a
//! closed month saw is what had been appended by the version at its close, whatever comes later.

use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::workspaces::{TIERS, TIERS_WOKEN, lock};
use super::{Mode, StoreError, Tx, WorkspaceId};
use crate::domain::calendar::Month;
use crate::domain::tiers::{Aggregate, AggregateKey, Contribution};
use crate::on;

/// What a payment of a customer contributes, or (appended) what changes about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contributed {
    /// Which book.
    pub mode: Mode,
    /// `pay_…`
    pub payment_id: String,
    /// `cust_…`
    pub customer_id: String,
    /// Whose, when, how much. Signed where it is a change.
    pub contribution: Contribution,
}

#[derive(FromRow)]
struct Row {
    mode: i64,
    payment_id: String,
    customer_id: String,
    partner_key: String,
    program_key: String,
    month: String,
    currency: String,
    volume: i64,
}

fn unreadable(key: &str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what: "what counts for tiers of", key: key.to_owned(), why: why.to_string() }
}

/// What some payments contribute by now.
pub async fn of_payments(
    tx: &mut Tx,
    workspace: WorkspaceId,
    payments: impl IntoIterator<Item = &str>,
) -> Result<Vec<Contributed>, StoreError> {
    let text = "SELECT c.mode, c.payment_id, c.customer_id, c.partner_key, c.program_key, c.month, c.currency,
                       CAST(SUM(c.volume) AS BIGINT) AS volume
                FROM contributions c
                WHERE c.workspace_id = $1 AND c.payment_id $in(payment_id)
                GROUP BY c.mode, c.payment_id, c.customer_id, c.partner_key, c.program_key, c.month, c.currency";
    let rows: Vec<Row> = Rows::texts(&[("payment_id", Text)], payments).fetch(tx, text, &[workspace.0.into()]).await?;
    rows.into_iter()
        .map(|row| {
            let contribution = Contribution {
                partner: row.partner_key,
                program: row.program_key,
                month: row.month.parse().map_err(|error| unreadable(&row.payment_id, &error))?,
                currency: row.currency.parse().map_err(|error| unreadable(&row.payment_id, &error))?,
                volume: row.volume,
            };
            let (payment_id, customer_id) = (row.payment_id, row.customer_id);
            Ok(Contributed { mode: Mode::from_i64(row.mode), payment_id, customer_id, contribution })
        })
        .collect()
}

/// Appends what changed, under a version of its own. Hold the lock [`TIERS`] and use it.
pub async fn append(
    tx: &mut Tx,
    workspace: WorkspaceId,
    version: i64,
    changes: impl IntoIterator<Item = &Contributed>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[
        ("mode", Int),
        ("partner_key", Text),
        ("program_key", Text),
        ("month", Text),
        ("customer_id", Text),
        ("payment_id", Text),
        ("currency", Text),
        ("volume", Int),
    ]);
    for Contributed { mode, payment_id, customer_id, contribution } in changes {
        rows.push([
            mode.as_i64().into(),
            (&contribution.partner).into(),
            (&contribution.program).into(),
            contribution.month.to_string().into(),
            customer_id.into(),
            payment_id.into(),
            contribution.currency.to_string().into(),
            contribution.volume.into(),
        ]);
    }
    let text = "INSERT INTO contributions (workspace_id, mode, partner_key, program_key, month, customer_id,
                                           payment_id, currency, version, volume)
                SELECT $1, mode, partner_key, program_key, month, customer_id, payment_id, currency, $2, volume
                FROM v";
    rows.execute(tx, text, &[workspace.0.into(), version.into()]).await?;
    Ok(())
}

/// How often contributions changed so far, without the lock.
pub async fn version(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64, StoreError> {
    read_version(tx, workspace, TIERS).await
}

async fn read_version(tx: &mut Tx, workspace: WorkspaceId, name: &str) -> Result<i64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar("SELECT version FROM locks WHERE workspace_id = $1 AND name = $2")
            .bind(workspace.0)
            .bind(name)
            .fetch_one(conn)
            .await?
    }))
}

/// The closed months of a book in order, each with the version that contributions had at its close.
pub async fn closes(tx: &mut Tx, workspace: WorkspaceId, mode: Mode) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT month, version FROM tier_closes WHERE workspace_id = $1 AND mode = $2 ORDER BY month")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .fetch_all(conn)
            .await?
    }))
}

/// What a partner brought in the months that a key names: as of the close of the key's month (or of the first later one
/// that is closed: no earlier one is closed after it), or by now where it is open.
pub async fn aggregate(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    key: &AggregateKey,
    closes: &[(String, i64)],
) -> Result<Aggregate, StoreError> {
    let month = key.month.to_string();
    let version = closes.iter().find(|(closed, _)| *closed >= month).map_or(i64::MAX, |(_, version)| *version);
    let customers: i64 = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT COUNT(DISTINCT customer_id) FROM (
                 SELECT customer_id FROM contributions
                 WHERE workspace_id = $1 AND mode = $2 AND partner_key = $3 AND program_key = $4
                   AND month >= $5 AND month <= $6 AND version <= $7
                 GROUP BY customer_id, currency
                 HAVING SUM(volume) > 0
             ) paying",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(&key.partner)
        .bind(&key.program)
        .bind(key.first().to_string())
        .bind(key.last().to_string())
        .bind(version)
        .fetch_one(conn)
        .await?
    });
    let sums: Vec<(String, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT currency, CAST(SUM(volume) AS BIGINT) FROM contributions
             WHERE workspace_id = $1 AND mode = $2 AND partner_key = $3 AND program_key = $4
               AND month >= $5 AND month <= $6 AND version <= $7
             GROUP BY currency",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(&key.partner)
        .bind(&key.program)
        .bind(key.first().to_string())
        .bind(key.last().to_string())
        .bind(version)
        .fetch_all(conn)
        .await?
    });
    let mut aggregate = Aggregate { customers, ..Aggregate::default() };
    for (currency, volume) in sums {
        let currency = currency.parse().map_err(|error| unreadable(&key.partner, &error))?;
        aggregate.volume.insert(currency, volume);
    }
    Ok(aggregate)
}

/// Keeps for ever what a month that is being closed was priced by.
pub async fn freeze(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, month: Month) -> Result<(), StoreError> {
    let version = lock(tx, workspace, TIERS).await?;
    on!(tx, conn => {
        sqlx::query("INSERT INTO tier_closes (workspace_id, mode, month, version) VALUES ($1, $2, $3, $4)")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(month.to_string())
            .bind(version)
            .execute(conn)
            .await?;
    });
    Ok(())
}

/// A partner's months in a program that changed, where there are later ones.
#[derive(Debug, Clone, FromRow)]
pub struct Changed {
    /// The book.
    pub mode: i64,
    /// Whose.
    pub partner_key: String,
    /// In which program.
    pub program_key: String,
    /// The first month that changed.
    pub first: String,
    /// The last.
    pub last: String,
}

/// Whether something changed since customers were last woken for it.
pub async fn is_pending(tx: &mut Tx, workspace: WorkspaceId) -> Result<bool, StoreError> {
    let versions: Vec<i64> = on!(tx, conn => {
        sqlx::query_scalar("SELECT version FROM locks WHERE workspace_id = $1 AND name IN ($2, $3) ORDER BY name")
            .bind(workspace.0)
            .bind(TIERS)
            .bind(TIERS_WOKEN)
            .fetch_all(conn)
            .await?
    });
    Ok(versions.windows(2).any(|pair| pair[0] != pair[1]))
}

/// What changed since this was last asked, and is marked as dealt with. Hold the lock without which nobody asks.
pub async fn take_changed(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<Changed>, StoreError> {
    let woken = read_version(tx, workspace, TIERS_WOKEN).await?;
    let version = read_version(tx, workspace, TIERS).await?;
    let changed = on!(tx, conn => {
        sqlx::query_as(
            "SELECT c.mode, c.partner_key, c.program_key, MIN(c.month) AS first, MAX(c.month) AS last
             FROM contributions c
             WHERE c.workspace_id = $1 AND c.version > $2 AND c.version <= $3
               AND EXISTS (
                   SELECT 1 FROM contributions d
                   WHERE d.workspace_id = c.workspace_id AND d.mode = c.mode AND d.partner_key = c.partner_key
                     AND d.program_key = c.program_key AND d.month > c.month
               )
             GROUP BY c.mode, c.partner_key, c.program_key",
        )
        .bind(workspace.0)
        .bind(woken)
        .bind(version)
        .fetch_all(conn)
        .await?
    });
    on!(tx, conn => {
        sqlx::query("UPDATE locks SET version = $3 WHERE workspace_id = $1 AND name = $2")
            .bind(workspace.0)
            .bind(TIERS_WOKEN)
            .bind(version)
            .execute(conn)
            .await?;
    });
    Ok(changed)
}
