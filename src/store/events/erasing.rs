//! Raw events whose personal data is erased: the only place where a stored body is written again.

use super::found::{BODY, Located, at_places};
use super::{Engine, StoredEvent};
use crate::on;
use crate::store::months::{bounds, month_of};
use crate::store::rows::Column::{Bytes, Int, Text};
use crate::store::rows::Rows;
use crate::store::{Mode, StoreError, Tx, WorkspaceId, archives};

/// A body in the place of the stored one.
#[derive(Debug)]
pub struct Rewritten {
    mode: i64,
    received_at: i64,
    event_id: String,
    shape: i64,
    codec: i64,
    payload: Vec<u8>,
}

impl Rewritten {
    /// In the place of this one; the shape stays, whatever the body.
    pub fn of(event: &StoredEvent, (payload, codec): (Vec<u8>, i64)) -> Self {
        let StoredEvent { mode, received_at, event_id, shape, .. } = event;
        Self { mode: *mode, received_at: *received_at, event_id: event_id.clone(), shape: *shape, codec, payload }
    }
}

/// Puts bodies in the place of stored ones.
pub async fn rewrite(tx: &mut Tx, workspace: WorkspaceId, events: &[Rewritten]) -> Result<(), StoreError> {
    // Each month by itself, so that PostgreSQL opens the tables of those months alone.
    let mut months: std::collections::BTreeMap<(i64, i64), Vec<&Rewritten>> = std::collections::BTreeMap::new();
    for event in events {
        let month = match tx.engine() {
            Engine::Sqlite => (i64::MIN, i64::MAX),
            Engine::Postgres => bounds(month_of(event.received_at)),
        };
        months.entry(month).or_default().push(event);
    }
    let books: std::collections::BTreeMap<_, _> =
        events.iter().map(|event| ((event.mode, month_of(event.received_at)), event.received_at)).collect();
    for ((mode, _), received_at) in books {
        archives::rewritten(tx, (workspace.0, mode), received_at).await?;
    }
    let text = "UPDATE events SET payload = v.payload, payload_codec = v.payload_codec
                FROM v
                WHERE events.workspace_id = $1 AND events.mode = v.mode AND events.received_at = v.received_at
                  AND events.event_id = v.event_id AND events.shape = v.shape
                  AND events.received_at >= $known(2) AND events.received_at < $known(3)";
    for ((from, until), events) in months {
        let mut rows = Rows::new(&[
            ("mode", Int),
            ("received_at", Int),
            ("event_id", Text),
            ("shape", Int),
            ("payload_codec", Int),
            ("payload", Bytes),
        ]);
        for event in events {
            rows.push([
                event.mode.into(),
                event.received_at.into(),
                (&event.event_id).into(),
                event.shape.into(),
                event.codec.into(),
                event.payload.as_slice().into(),
            ]);
        }
        rows.execute(tx, text, &[workspace.0.into(), from.into(), until.into()]).await?;
    }
    Ok(())
}

/// A page of a workspace's events that are ignored or failed, in order of id and shape, after `after`, with their bodies;
/// and the place of the last, none at the end. Those whose bodies lie in files are left out.
pub async fn unrecorded_page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: Option<(&str, i64)>,
    limit: i64,
) -> Result<(Vec<StoredEvent>, Option<(String, i64)>), StoreError> {
    let (id, shape) = after.unwrap_or(("", i64::MIN));
    let places: Vec<Located> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, received_at, event_id, shape FROM unrecorded
             WHERE workspace_id = $1 AND (event_id, shape) > ($2, $3)
             ORDER BY event_id, shape
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(id)
        .bind(shape)
        .bind(limit)
        .fetch_all(conn)
        .await?
    });
    let events = at_places(tx, workspace, &places, BODY, "").await?;
    Ok((events, places.into_iter().last().map(|last| (last.event_id, last.shape))))
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
