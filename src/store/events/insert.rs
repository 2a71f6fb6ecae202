//! New events: what makes them known, their bodies, and the queue.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use super::NewEvent;
use crate::store::months::Minute;
use crate::store::rows::Column::{Bytes, Int, Text};
use crate::store::rows::Rows;
use crate::store::{Engine, StoreError, Tx, micros};

/// Stores events that are not known yet; tells for each whether it was new. Of one that is there twice, the first is.
pub async fn insert(tx: &mut Tx, events: &[NewEvent]) -> Result<Vec<bool>, StoreError> {
    let known = tx.known.clone();
    known.make_room(events.iter().map(|event| micros(event.received))).await?;
    let is_new = make_known(tx, events).await?;
    let new: Vec<&NewEvent> = events.iter().zip(&is_new).filter_map(|(event, new)| new.then_some(event)).collect();
    if !new.is_empty() {
        store(tx, &new).await.inspect_err(|error| {
            if error.is_refusal() {
                known.forget();
            }
        })?;
        queue(tx, &new).await?;
        note_minutes(tx, &new).await?;
    }
    Ok(is_new)
}

/// The part that decides: an event is new when its row here is.
async fn make_known(tx: &mut Tx, events: &[NewEvent]) -> Result<Vec<bool>, StoreError> {
    // Everybody goes through them in the same order, so that no two wait for each other.
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by(|a, b| by_key(&events[*a], &events[*b]));
    order.dedup_by(|later, first| by_key(&events[*first], &events[*later]) == Ordering::Equal);
    let fresh: Vec<usize> = match tx.engine() {
        Engine::Sqlite => {
            // Whoever writes is alone. Most events are new: asking for the others brings next to nothing back.
            let known = known_of(tx, order.iter().map(|index| &events[*index])).await?;
            let fresh: Vec<usize> =
                order.into_iter().filter(|index| !known.contains(&key_of(&events[*index]))).collect();
            ids(fresh.iter().map(|index| &events[*index])).execute(tx, MAKE_KNOWN, &[]).await?;
            fresh
        }
        Engine::Postgres => {
            let text = format!("{MAKE_KNOWN} RETURNING workspace_id, event_id, shape");
            let fresh = ids(order.iter().map(|index| &events[*index])).fetch(tx, &text, &[]).await?;
            let fresh: HashSet<EventKey> = fresh.into_iter().collect();
            order.into_iter().filter(|index| fresh.contains(&key_of(&events[*index]))).collect()
        }
    };
    let mut is_new = vec![false; events.len()];
    for index in fresh {
        is_new[index] = true;
    }
    Ok(is_new)
}

/// Workspace, id and shape.
type EventKey = (i64, String, i64);

const MAKE_KNOWN: &str = "INSERT INTO event_ids (workspace_id, event_id, shape, mode, received_at)
     SELECT workspace_id, event_id, shape, mode, received_at
     FROM v
     WHERE TRUE
     ON CONFLICT (workspace_id, event_id, shape) DO NOTHING";

fn key_of(event: &NewEvent) -> EventKey {
    (event.workspace.0, event.id.clone(), event.shape)
}

fn ids<'a>(events: impl IntoIterator<Item = &'a NewEvent>) -> Rows<'a> {
    let mut rows =
        Rows::new(&[("workspace_id", Int), ("event_id", Text), ("shape", Int), ("mode", Int), ("received_at", Int)]);
    for event in events {
        rows.push([
            event.workspace.0.into(),
            (&event.id).into(),
            event.shape.into(),
            event.mode.as_i64().into(),
            micros(event.received).into(),
        ]);
    }
    rows
}

/// Those of some events that are known.
async fn known_of(tx: &mut Tx, events: impl IntoIterator<Item = &NewEvent>) -> Result<HashSet<EventKey>, StoreError> {
    let text = "SELECT e.workspace_id, e.event_id, e.shape
                FROM v CROSS JOIN event_ids e
                WHERE e.workspace_id = v.workspace_id AND e.event_id = v.event_id AND e.shape = v.shape";
    Ok(ids(events).fetch(tx, text, &[]).await?.into_iter().collect())
}

fn by_key(a: &NewEvent, b: &NewEvent) -> Ordering {
    (a.workspace.0, &a.id, a.shape).cmp(&(b.workspace.0, &b.id, b.shape))
}

async fn store(tx: &mut Tx, new: &[&NewEvent]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[
        ("workspace_id", Int),
        ("mode", Int),
        ("received_at", Int),
        ("event_id", Text),
        ("shape", Int),
        ("type", Text),
        ("created_at", Int),
        ("source", Text),
        ("payload_codec", Int),
        ("payload", Bytes),
    ]);
    for event in new {
        rows.push([
            event.workspace.0.into(),
            event.mode.as_i64().into(),
            micros(event.received).into(),
            (&event.id).into(),
            event.shape.into(),
            (&event.kind).into(),
            micros(event.created).into(),
            event.source.as_str().into(),
            event.codec.into(),
            event.payload.as_slice().into(),
        ]);
    }
    let text = "INSERT INTO events (workspace_id, mode, received_at, event_id, shape, type, created_at, source,
                                    payload_codec, payload)
                SELECT workspace_id, mode, received_at, event_id, shape, type, created_at, source, payload_codec, payload
                FROM v";
    rows.execute(tx, text, &[]).await?;
    Ok(())
}

/// Queues new events for reading, but for those that are ignored.
async fn queue(tx: &mut Tx, new: &[&NewEvent]) -> Result<(), StoreError> {
    let mut unread =
        Rows::new(&[("workspace_id", Int), ("received_at", Int), ("event_id", Text), ("shape", Int), ("mode", Int)]);
    let mut ignored = Rows::new(&[
        ("workspace_id", Int),
        ("received_at", Int),
        ("event_id", Text),
        ("shape", Int),
        ("mode", Int),
        ("reason", Text),
    ]);
    for event in new {
        let (workspace, received) = (event.workspace.0.into(), micros(event.received).into());
        let (id, shape, mode) = ((&event.id).into(), event.shape.into(), event.mode.as_i64().into());
        match &event.ignored {
            Some(reason) => ignored.push([workspace, received, id, shape, mode, reason.into()]),
            None => unread.push([workspace, received, id, shape, mode]),
        }
    }
    let text = "INSERT INTO unread (workspace_id, received_at, event_id, shape, mode)
                SELECT workspace_id, received_at, event_id, shape, mode
                FROM v";
    unread.execute(tx, text, &[]).await?;
    let text = "INSERT INTO unrecorded (workspace_id, event_id, shape, mode, received_at, status, reason)
                SELECT workspace_id, event_id, shape, mode, received_at, 2, reason
                FROM v";
    ignored.execute(tx, text, &[]).await?;
    Ok(())
}

/// The minute of the unix epoch, of a moment in microseconds.
pub(super) fn minute_of(received_at: i64) -> i64 {
    received_at.div_euclid(MINUTE)
}

/// In microseconds.
pub(super) const MINUTE: i64 = 60_000_000;

/// Says in which minute events of which types came, where that is not known yet.
async fn note_minutes(tx: &mut Tx, new: &[&NewEvent]) -> Result<(), StoreError> {
    let mut minutes: BTreeSet<Minute> = BTreeSet::new();
    for event in new {
        let (workspace, mode) = (event.workspace.0, event.mode.as_i64());
        let minute = minute_of(micros(event.received));
        if !tx.known.has_minute(workspace, mode, minute, &event.kind) {
            minutes.insert(Minute { workspace, mode, minute, kind: event.kind.clone() });
        }
    }
    let mut rows = Rows::new(&[("workspace_id", Int), ("mode", Int), ("type", Text), ("minute", Int)]);
    for minute in &minutes {
        rows.push([minute.workspace.into(), minute.mode.into(), (&minute.kind).into(), minute.minute.into()]);
    }
    let text = "INSERT INTO event_minutes (workspace_id, mode, type, minute)
                SELECT workspace_id, mode, type, minute
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, type, minute) DO NOTHING";
    rows.execute(tx, text, &[]).await?;
    tx.minutes.extend(minutes);
    Ok(())
}
