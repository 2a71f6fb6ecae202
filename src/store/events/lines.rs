//! Looking at events: lists, counts and pages.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::{EventStatus, StoredEvent};
use crate::domain::Time;
use crate::on;
use crate::store::rows::Column::Text;
use crate::store::rows::Rows;
use crate::store::{Mode, StoreError, Tx, WorkspaceId, from_micros};

/// An event without its body, for lists.
#[derive(Debug, FromRow)]
pub struct EventLine {
    /// `evt_…`
    pub event_id: String,
    /// Which shape.
    pub shape: i64,
    mode: i64,
    /// `invoice.paid` and so on.
    #[sqlx(rename = "type")]
    pub kind: String,
    created_at: i64,
    received_at: i64,
    /// By which way it came.
    pub source: String,
    status: i64,
    /// Why it is ignored.
    pub reason: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl EventLine {
    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// What became of it.
    pub fn status(&self) -> EventStatus {
        EventStatus::from_i64(self.status)
    }

    /// Stripe's `created`.
    pub fn created(&self) -> Time {
        from_micros(self.created_at)
    }

    /// When the bridge got it.
    pub fn received(&self) -> Time {
        from_micros(self.received_at)
    }
}

/// A page of events of one status (or all) in order of id, after `after`.
pub async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    status: Option<EventStatus>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<EventLine>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT e.event_id, e.shape, e.mode, e.type, e.created_at, e.received_at, e.source,
                    CASE WHEN u.event_id IS NOT NULL THEN 0 ELSE COALESCE(x.status, 1) END AS status,
                    x.reason, x.error
             FROM events e
             LEFT JOIN unread u
                 ON u.workspace_id = e.workspace_id AND u.received_at = e.received_at AND u.event_id = e.event_id
                AND u.shape = e.shape
             LEFT JOIN unrecorded x
                 ON x.workspace_id = e.workspace_id AND x.event_id = e.event_id AND x.shape = e.shape
             WHERE e.workspace_id = $1 AND e.event_id > $2 AND e.mode = $3
               AND ($4 < 0 OR CASE WHEN u.event_id IS NOT NULL THEN 0 ELSE COALESCE(x.status, 1) END = $4)
             ORDER BY e.event_id, e.shape
             LIMIT $5",
        )
        .bind(workspace.0)
        .bind(after.unwrap_or_default())
        .bind(mode.as_i64())
        .bind(status.map_or(-1, EventStatus::as_i64))
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// Every shape of one event, without bodies.
pub async fn of_id(tx: &mut Tx, workspace: WorkspaceId, event_id: &str) -> Result<Vec<EventLine>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT e.event_id, e.shape, e.mode, e.type, e.created_at, e.received_at, e.source,
                    CASE WHEN u.event_id IS NOT NULL THEN 0 ELSE COALESCE(x.status, 1) END AS status,
                    x.reason, x.error
             FROM events e
             LEFT JOIN unread u
                 ON u.workspace_id = e.workspace_id AND u.received_at = e.received_at AND u.event_id = e.event_id
                AND u.shape = e.shape
             LEFT JOIN unrecorded x
                 ON x.workspace_id = e.workspace_id AND x.event_id = e.event_id AND x.shape = e.shape
             WHERE e.workspace_id = $1 AND e.event_id = $2
             ORDER BY e.shape",
        )
        .bind(workspace.0)
        .bind(event_id)
        .fetch_all(conn)
        .await?
    }))
}

/// How many events of each mode and status there are.
pub async fn counts(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<(Mode, EventStatus, i64)>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, CAST(0 AS BIGINT), COUNT(*) FROM unread WHERE workspace_id = $1 GROUP BY mode
             UNION ALL
             SELECT mode, status, COUNT(*) FROM unrecorded WHERE workspace_id = $1 GROUP BY mode, status
             UNION ALL
             SELECT mode, CAST(1 AS BIGINT), COUNT(*) FROM events WHERE workspace_id = $1 GROUP BY mode",
        )
        .bind(workspace.0)
        .fetch_all(conn)
        .await?
    });
    let mut counts: BTreeMap<(Mode, EventStatus), i64> = BTreeMap::new();
    for (mode, status, count) in rows {
        let (mode, status) = (Mode::from_i64(mode), EventStatus::from_i64(status));
        *counts.entry((mode, status)).or_default() += count;
        // Those that are neither pending nor without facts are recorded.
        if status != EventStatus::Recorded {
            *counts.entry((mode, EventStatus::Recorded)).or_default() -= count;
        }
    }
    Ok(counts
        .into_iter()
        .filter(|(_, count)| *count != 0)
        .map(|((mode, status), count)| (mode, status, count))
        .collect())
}

/// A page of recorded events in order of id and shape, after `after`, with their bodies.
pub async fn recorded_page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: Option<(&str, i64)>,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let (id, shape) = after.unwrap_or(("", i64::MIN));
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT e.event_id, e.shape, e.mode, e.received_at, e.payload_codec, e.payload
             FROM events e
             LEFT JOIN unread u
                 ON u.workspace_id = e.workspace_id AND u.received_at = e.received_at AND u.event_id = e.event_id
                AND u.shape = e.shape
             LEFT JOIN unrecorded x
                 ON x.workspace_id = e.workspace_id AND x.event_id = e.event_id AND x.shape = e.shape
             WHERE e.workspace_id = $1 AND (e.event_id, e.shape) > ($2, $3)
               AND u.event_id IS NULL AND x.event_id IS NULL
             ORDER BY e.event_id, e.shape
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(shape)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// How many events are of a type that belongs to no customer.
pub async fn about_nobody(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT COUNT(*)
             FROM events e
             LEFT JOIN unread u
                 ON u.workspace_id = e.workspace_id AND u.received_at = e.received_at AND u.event_id = e.event_id
                AND u.shape = e.shape
             LEFT JOIN unrecorded x
                 ON x.workspace_id = e.workspace_id AND x.event_id = e.event_id AND x.shape = e.shape
             WHERE e.workspace_id = $1 AND e.type LIKE 'promotion_code.%'
               AND u.event_id IS NULL AND x.event_id IS NULL",
        )
        .bind(workspace.0)
        .fetch_one(conn)
        .await?
    }))
}

/// Which of some events are listed as ignored or failed.
pub async fn listed_as_unrecorded(
    tx: &mut Tx,
    workspace: WorkspaceId,
    events: impl IntoIterator<Item = &str>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let text = "SELECT x.event_id, x.shape
                FROM unrecorded x
                WHERE x.workspace_id = $1 AND x.event_id $in(event_id)";
    Rows::texts(&[("event_id", Text)], events).fetch(tx, text, &[workspace.0.into()]).await
}
