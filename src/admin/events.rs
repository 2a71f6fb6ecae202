//! Events that people look at, or have read again.

use serde_json::{Value, json};

use super::{Refused, Session};
use crate::intake::payload;
use crate::store::archives::{self, Archive};
use crate::store::events::{self, EventLine, EventStatus, Located, Received, StoredEvent, Wanted};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, workspaces};

/// How many failed events are replayed at once at most.
pub const MOST: i64 = 1000;

/// What is shown of an event: its shapes in this session's book, without bodies.
///
/// # Errors
/// [`Refused::Missing`], or the database's.
pub async fn find(session: &mut Session, event_id: &str, books: &[Mode]) -> Result<Vec<EventLine>, Refused> {
    let mut shapes = events::of_id(&mut session.tx, session.workspace, event_id).await?;
    shapes.retain(|shape| books.contains(&shape.mode()));
    if shapes.is_empty() {
        return Err(Refused::Missing(format!("there is no event {event_id:?}")));
    }
    Ok(shapes)
}

/// The bodies of events, in their order; none for what cannot be read back.
///
/// # Errors
/// The database's.
pub async fn payloads(
    tx: &mut Tx,
    workspace: WorkspaceId,
    shapes: &[EventLine],
) -> Result<Vec<Option<Value>>, StoreError> {
    let keys = shapes.iter().map(|shape| (shape.event_id.as_str(), shape.shape));
    let stored = events::by_keys(tx, workspace, keys).await?;
    let body = |shape: &EventLine| {
        let of_shape = |event: &&StoredEvent| (&event.event_id, event.shape) == (&shape.event_id, shape.shape);
        let event = stored.iter().find(of_shape)?;
        let body = payload::unpack(&event.payload, event.payload_codec).ok()?;
        serde_json::from_slice(&body).ok()
    };
    Ok(shapes.iter().map(body).collect())
}

/// The shapes of an event that are in archives, or on their way there or back, and those archives.
///
/// # Errors
/// The database's.
pub async fn archived(
    tx: &mut Tx,
    workspace: WorkspaceId,
    event_id: &str,
    books: &[Mode],
) -> Result<Vec<(Located, Archive)>, StoreError> {
    let all = archives::all(tx, workspace).await?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let places = events::locate(tx, workspace, [event_id]).await?;
    let places = places.into_iter().filter(|place| books.contains(&place.mode()));
    let found = places.filter_map(|place| {
        let archive = all.iter().find(|archive| archive.holds(&place))?.clone();
        Some((place, archive))
    });
    Ok(found.collect())
}

/// Where an archived event is, and what brings it back, as a sentence.
pub fn where_archived(event_id: &str, archive: &Archive) -> String {
    format!(
        "event {event_id:?} is in the archive {}: `commission-bridge events restore DIRECTORY/{}` brings its month back",
        archive.file, archive.file
    )
}

/// Has an event of some books read again, in all its shapes, whatever became of it; what it was is returned.
///
/// # Errors
/// [`Refused::Missing`]; [`Refused::Conflict`] where it is in an archive; or the database's.
pub async fn replay(session: &mut Session, event_id: &str, books: &[Mode]) -> Result<Vec<EventLine>, Refused> {
    // Whoever puts a month into a file holds this while looking whether something of it is to be read again.
    workspaces::lock(&mut session.tx, session.workspace, workspaces::RECORDER).await?;
    if let Some((_, archive)) = archived(&mut session.tx, session.workspace, event_id, books).await?.first() {
        return Err(Refused::conflict("archived", where_archived(event_id, archive)));
    }
    let shapes = find(session, event_id, books).await?;
    events::requeue(&mut session.tx, session.workspace, &shapes).await?;
    let statuses: Vec<&str> = shapes.iter().map(|shape| shape.status().as_str()).collect();
    let (before, after) = (json!({ "status": statuses }), json!({ "status": vec!["pending"; shapes.len()] }));
    session.audit(("event.replayed", "event"), event_id, Some(before), Some(after)).await?;
    Ok(shapes)
}

/// Has failed events of a book read again, those behind a place in the list, at most [`MOST`]; what they were is
/// returned.
///
/// # Errors
/// The database's.
pub async fn replay_failed(
    session: &mut Session,
    mode: Mode,
    behind: Option<&Received>,
) -> Result<Vec<EventLine>, StoreError> {
    let wanted = Wanted { status: Some(EventStatus::Failed), behind, ..Wanted::default() };
    let failed = events::list(&mut session.tx, session.workspace, mode, &wanted, MOST).await?;
    if !failed.is_empty() {
        events::requeue(&mut session.tx, session.workspace, &failed).await?;
        let after = json!({ "status": "pending", "mode": mode.as_str(), "events": failed.len() });
        session.audit(("events.replayed", "event"), "failed", None, Some(after)).await?;
    }
    Ok(failed)
}
