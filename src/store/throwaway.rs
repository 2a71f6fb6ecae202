//! Databases that a benchmark makes, counts in, and drops.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{StoreError, Tx};
use crate::on;

/// Has a `PostgreSQL` server make or drop a database; `statement` says which.
///
/// # Errors
/// The server's.
pub async fn on_server(server: &str, statement: &str) -> Result<(), StoreError> {
    let mut admin = PgConnection::connect(server).await?;
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut admin).await?;
    admin.close().await?;
    Ok(())
}

/// Of all workspaces: events there are, events that nobody has read, and events of customers who were never settled.
///
/// # Errors
/// The database's.
pub async fn progress(tx: &mut Tx) -> Result<(i64, i64, i64), StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM event_ids), (SELECT COUNT(*) FROM unread),
                    (SELECT COUNT(*) FROM facts f JOIN customers c ON c.workspace_id = f.workspace_id
                         AND c.customer_id = f.customer_id
                     WHERE c.settled_at IS NULL)",
        )
        .fetch_one(conn)
        .await?
    }))
}

/// Bytes on a `PostgreSQL` server: of the raw events with what belongs to them, and of the whole database.
///
/// # Errors
/// The server's.
pub async fn sizes(url: &str) -> Result<(i64, i64), StoreError> {
    let mut connection = PgConnection::connect(url).await?;
    let sizes = sqlx::query_as(
        "SELECT (SELECT SUM(pg_total_relation_size(relid))::BIGINT FROM pg_partition_tree('events'))
                    + pg_total_relation_size('event_ids'),
                pg_database_size(current_database())",
    )
    .fetch_one(&mut connection)
    .await?;
    Ok(sizes)
}
