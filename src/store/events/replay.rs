//! Events that are to be read again.

use super::EventLine;
use crate::store::rows::Column::{Int, Text};
use crate::store::rows::Rows;
use crate::store::{StoreError, Tx, WorkspaceId, micros};

/// Makes events pending again, whatever became of them.
pub async fn requeue(tx: &mut Tx, workspace: WorkspaceId, events: &[EventLine]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("received_at", Int), ("event_id", Text), ("shape", Int), ("mode", Int)]);
    for event in events {
        rows.push([
            micros(event.received()).into(),
            (&event.event_id).into(),
            event.shape.into(),
            event.mode().as_i64().into(),
        ]);
    }
    let text = "INSERT INTO unread (workspace_id, received_at, event_id, shape, mode)
                SELECT $1, received_at, event_id, shape, mode
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, received_at, event_id, shape) DO NOTHING";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    let text = "DELETE FROM unrecorded
                WHERE workspace_id = $1 AND event_id $in(event_id)
                  AND (event_id, shape) IN (SELECT event_id, shape FROM v)";
    rows.execute(tx, text, &[workspace.0.into()]).await?;
    Ok(())
}
