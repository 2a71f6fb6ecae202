//! Whole months of raw events, on their way into files and back.

use sqlx::{AssertSqlSafe, FromRow};

use super::found::at_places;
use super::{EventStatus, Located, Received};
use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::on;
use crate::store::months::{bounds, month_of};
use crate::store::rows::Column::{Bytes, Int, Text};
use crate::store::rows::Rows;
use crate::store::{Mode, StoreError, Tx, WorkspaceId};

/// An event as the table has it, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Row {
    /// `evt_…`
    pub event_id: String,
    /// Which shape.
    pub shape: i64,
    /// `invoice.paid` and so on.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// Stripe's `created`, in unix microseconds.
    pub created_at: i64,
    /// When the bridge got it, in unix microseconds.
    pub received_at: i64,
    /// By which way it came.
    pub source: String,
    /// How the body is written: see [`crate::intake::payload`].
    pub payload_codec: i64,
    /// The body.
    pub payload: Vec<u8>,
}

impl Row {
    /// Its place in the list of its book.
    pub fn place(&self) -> Received {
        Received { received_at: self.received_at, event_id: self.event_id.clone(), shape: self.shape }
    }

    /// Where it lies.
    pub fn located(&self, mode: Mode) -> Located {
        Located::new(mode, self.received_at, self.event_id.clone(), self.shape)
    }
}

const COLUMNS: &str =
    "SELECT e.event_id, e.shape, e.type, e.created_at, e.received_at, e.source, e.payload_codec, e.payload";

/// Whether a type of events belongs to no customer, so that its facts are kept elsewhere.
pub fn is_about_nobody(kind: &str) -> bool {
    ["promotion_code.", "transfer.", "account."].iter().any(|family| kind.starts_with(family))
}

/// The calendar month (UTC) of a moment.
pub fn month_at(received: Time) -> Month {
    month_of(crate::store::micros(received))
}

/// The months before one in which a book has events in the database, in order.
pub async fn months(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    before: Month,
) -> Result<Vec<Month>, StoreError> {
    let (mut from, until) = (i64::MIN, bounds(before).0);
    let mut found = Vec::new();
    loop {
        let next: Option<i64> = on!(tx, conn => {
            sqlx::query_scalar(
                "SELECT received_at FROM events
                 WHERE workspace_id = $1 AND mode = $2 AND received_at >= $3 AND received_at < $4
                 ORDER BY received_at
                 LIMIT 1",
            )
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(from)
            .bind(until)
            .fetch_optional(conn)
            .await?
        });
        let Some(next) = next else { return Ok(found) };
        found.push(month_of(next));
        from = bounds(month_of(next)).1;
    }
}

/// How many events of a month are in the database.
pub async fn count(tx: &mut Tx, (workspace, mode): (WorkspaceId, Mode), month: Month) -> Result<i64, StoreError> {
    let (from, until) = bounds(month);
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT COUNT(*) FROM events
             WHERE workspace_id = $1 AND mode = $2 AND received_at >= $3 AND received_at < $4",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(from)
        .bind(until)
        .fetch_one(conn)
        .await?
    }))
}

/// How many events of a month nobody has read yet, and how many could not be read.
pub async fn open(tx: &mut Tx, (workspace, mode): (WorkspaceId, Mode), month: Month) -> Result<(i64, i64), StoreError> {
    let (from, until) = bounds(month);
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM unread
                     WHERE workspace_id = $1 AND mode = $2 AND received_at >= $3 AND received_at < $4),
                    (SELECT COUNT(*) FROM unrecorded
                     WHERE workspace_id = $1 AND mode = $2 AND status = $5 AND received_at >= $3 AND received_at < $4)",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(from)
        .bind(until)
        .bind(EventStatus::Failed.as_i64())
        .fetch_one(conn)
        .await?
    }))
}

/// A page of a month's events in the order in which they came, after a place.
pub async fn page(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    month: Month,
    after: Option<&Received>,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    let (from, until) = bounds(month);
    let (received_at, id, shape) =
        after.map_or((from, "", i64::MIN), |place| (place.received_at, place.event_id.as_str(), place.shape));
    let text = format!(
        "{COLUMNS}
         FROM events e
         WHERE e.workspace_id = $1 AND e.mode = $2 AND e.received_at >= $3 AND e.received_at < $4
           AND (e.received_at, e.event_id, e.shape) > ($3, $5, $6)
         ORDER BY e.received_at, e.event_id, e.shape
         LIMIT $7"
    );
    Ok(on!(tx, conn => {
        sqlx::query_as(AssertSqlSafe(text))
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(received_at)
            .bind(until)
            .bind(id)
            .bind(shape)
            .bind(limit)
            .fetch_all(conn)
            .await?
    }))
}

/// Events at some places, whole, in no order.
pub async fn rows_at(tx: &mut Tx, workspace: WorkspaceId, places: &[Located]) -> Result<Vec<Row>, StoreError> {
    at_places(tx, workspace, places, COLUMNS, "").await
}

/// How many of a page's events were recorded and belong to no customer.
pub async fn recorded_about_nobody(tx: &mut Tx, workspace: WorkspaceId, page: &[Row]) -> Result<i64, StoreError> {
    let about_nobody: Vec<&Row> = page.iter().filter(|row| is_about_nobody(&row.kind)).collect();
    let ids = about_nobody.iter().map(|row| row.event_id.as_str());
    let unrecorded = super::listed_as_unrecorded(tx, workspace, ids).await?;
    let is_recorded = |row: &&&Row| !unrecorded.iter().any(|(id, shape)| (id, shape) == (&row.event_id, &row.shape));
    Ok(i64::try_from(about_nobody.iter().filter(is_recorded).count()).unwrap_or(i64::MAX))
}

/// Removes the first events of a month, about `limit` of them; tells how many.
pub async fn remove(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    month: Month,
    limit: i64,
) -> Result<u64, StoreError> {
    let (from, until) = bounds(month);
    let last: Option<Received> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT received_at, event_id, shape FROM events
             WHERE workspace_id = $1 AND mode = $2 AND received_at >= $3 AND received_at < $4
             ORDER BY received_at, event_id, shape
             LIMIT 1 OFFSET $5",
        )
        .bind(workspace.0)
        .bind(mode.as_i64())
        .bind(from)
        .bind(until)
        .bind(limit)
        .fetch_optional(conn)
        .await?
    });
    let until = until.saturating_sub(1);
    let (received_at, event_id, shape) =
        last.map_or((until, None, 0), |last| (last.received_at, Some(last.event_id), last.shape));
    // Where these are all, whatever the last is called.
    let text = match &event_id {
        Some(_) => {
            "DELETE FROM events
             WHERE workspace_id = $1 AND mode = $2 AND received_at >= $3 AND received_at <= $4
               AND (received_at, event_id, shape) <= ($4, $5, $6)"
        }
        None => {
            "DELETE FROM events
             WHERE workspace_id = $1 AND mode = $2 AND received_at >= $3 AND received_at <= $4"
        }
    };
    Ok(on!(tx, conn => {
        let mut query = sqlx::query(text).bind(workspace.0).bind(mode.as_i64()).bind(from).bind(received_at);
        if let Some(event_id) = event_id {
            query = query.bind(event_id).bind(shape);
        }
        query.execute(conn).await?.rows_affected()
    }))
}

/// Puts events back that were removed; those that are there stay as they are.
pub async fn put_back(tx: &mut Tx, (workspace, mode): (WorkspaceId, Mode), events: &[Row]) -> Result<(), StoreError> {
    tx.known.clone().make_room(events.iter().map(|event| event.received_at)).await?;
    let mut rows = Rows::new(&[
        ("received_at", Int),
        ("event_id", Text),
        ("shape", Int),
        ("type", Text),
        ("created_at", Int),
        ("source", Text),
        ("payload_codec", Int),
        ("payload", Bytes),
    ]);
    for event in events {
        rows.push([
            event.received_at.into(),
            (&event.event_id).into(),
            event.shape.into(),
            (&event.kind).into(),
            event.created_at.into(),
            (&event.source).into(),
            event.payload_codec.into(),
            event.payload.as_slice().into(),
        ]);
    }
    let text = "INSERT INTO events (workspace_id, mode, received_at, event_id, shape, type, created_at, source,
                                    payload_codec, payload)
                SELECT $1, $2, received_at, event_id, shape, type, created_at, source, payload_codec, payload
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, received_at, event_id, shape) DO NOTHING";
    let put = rows.execute(tx, text, &[workspace.0.into(), mode.as_i64().into()]).await;
    if put.is_err() {
        tx.known.forget();
    }
    put.map(drop)
}
