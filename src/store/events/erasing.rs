//! Raw events whose personal data is erased: the only place where a stored body is written again.

use super::StoredEvent;
use crate::on;
use crate::store::rows::Column::{Bytes, Int, Text};
use crate::store::rows::Rows;
use crate::store::{Mode, StoreError, Tx, WorkspaceId};

/// A body in the place of the stored one.
#[derive(Debug)]
pub struct Rewritten {
    /// `evt_…`
    pub event_id: String,
    /// Which shape: it stays, whatever the body.
    pub shape: i64,
    /// How the body is written.
    pub codec: i64,
    /// The body.
    pub payload: Vec<u8>,
}

/// Puts bodies in the place of stored ones.
pub async fn rewrite(tx: &mut Tx, workspace: WorkspaceId, events: &[Rewritten]) -> Result<(), StoreError> {
    let mut rows =
        Rows::new(&[("event_id", Text), ("shape", Int), ("payload_codec", Int), ("payload", Bytes)]);
    for event in events {
        let codec = event.codec.into();
        rows.push([(&event.event_id).into(), event.shape.into(), codec, event.payload.as_slice().into()]);
    }
    let text = "UPDATE events SET payload = v.payload, payload_codec = v.payload_codec
                FROM v
                WHERE events.workspace_id = $1 AND events.event_id = v.event_id AND events.shape = v.shape";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}

/// A page of a workspace's events that are ignored or failed, in order of id and shape, after `after`, with their bodies.
pub async fn unrecorded_page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: Option<(&str, i64)>,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let (id, shape) = after.unwrap_or(("", i64::MIN));
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT e.event_id, e.shape, e.mode, e.received_at, e.payload_codec, e.payload
             FROM (SELECT event_id, shape FROM unrecorded
                   WHERE workspace_id = $1 AND (event_id, shape) > ($2, $3)
                   ORDER BY event_id, shape
                   LIMIT $4) x
             CROSS JOIN events e
             WHERE e.workspace_id = $1 AND e.event_id = x.event_id AND e.shape = x.shape
             ORDER BY e.event_id, e.shape",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(shape)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// The events of a type in a book, by id and shape.
pub async fn of_type(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    kind: &str,
) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT event_id, shape FROM events WHERE workspace_id = $1 AND mode = $2 AND type = $3")
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(kind)
            .fetch_all(conn)
            .await?
    }))
}
