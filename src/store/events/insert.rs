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
    let fresh = find_new(tx, events).await?;
    let mut is_new = vec![false; events.len()];
    for index in &fresh {
        is_new[*index] = true;
    }
    if !fresh.is_empty() {
        // By their ids, as the index has them.
        let by_id = fresh.iter().map(|index| &events[*index]);
        let new = || events.iter().zip(&is_new).filter_map(|(event, new)| new.then_some(event));
        let (known_now, stored, (unread, ignored)) = (ids(by_id), rows_of(new()), queued(new()));
        let parts: &[(&Rows<'_>, &str)] =
            &[(&known_now, MAKE_KNOWN), (&stored, STORE), (&unread, QUEUE), (&ignored, IGNORE)];
        // PostgreSQL had to make them known to find out which are new.
        let parts = if tx.engine() == Engine::Postgres { &parts[1..] } else { parts };
        Rows::execute_all(tx, parts).await.inspect_err(|error| {
            if error.is_refusal() {
                known.forget();
            }
        })?;
        note_minutes(tx, new()).await?;
    }
    Ok(is_new)
}

/// The part that decides: an event is new when there is no row of its own in `event_ids`. On `PostgreSQL`, where others
/// may bring the same one at this moment, there is one afterwards. Tells which are new, in the order of their ids.
async fn find_new(tx: &mut Tx, events: &[NewEvent]) -> Result<Vec<usize>, StoreError> {
    // Everybody goes through them in the same order, so that no two wait for each other.
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by(|a, b| by_key(&events[*a], &events[*b]));
    order.dedup_by(|later, first| by_key(&events[*first], &events[*later]) == Ordering::Equal);
    let in_order = order.iter().map(|index| &events[*index]);
    match tx.engine() {
        Engine::Sqlite => {
            // Whoever writes is alone. Most events are new: asking for the others brings next to nothing back.
            let known = known_of(tx, in_order).await?;
            Ok(order.into_iter().filter(|index| !known.contains(&key_of(&events[*index]))).collect())
        }
        Engine::Postgres => {
            let text = format!("{MAKE_KNOWN} RETURNING workspace_id, event_id, shape");
            let fresh: HashSet<EventKey> = ids(in_order).fetch(tx, &text, &[]).await?.into_iter().collect();
            Ok(order.into_iter().filter(|index| fresh.contains(&key_of(&events[*index]))).collect())
        }
    }
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

const STORE: &str = "INSERT INTO events (workspace_id, mode, received_at, event_id, shape, type, created_at, source,
                         payload_codec, payload)
     SELECT workspace_id, mode, received_at, event_id, shape, type, created_at, source, payload_codec, payload
     FROM v";

fn rows_of<'a>(new: impl Iterator<Item = &'a NewEvent>) -> Rows<'a> {
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
    rows
}

const QUEUE: &str = "INSERT INTO unread (workspace_id, received_at, event_id, shape, mode)
     SELECT workspace_id, received_at, event_id, shape, mode
     FROM v";

const IGNORE: &str = "INSERT INTO unrecorded (workspace_id, event_id, shape, mode, received_at, status, reason)
     SELECT workspace_id, event_id, shape, mode, received_at, 2, reason
     FROM v";

/// Those that are to be read, and those that are ignored.
fn queued<'a>(new: impl Iterator<Item = &'a NewEvent>) -> (Rows<'a>, Rows<'a>) {
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
    (unread, ignored)
}

/// The minute of the unix epoch, of a moment in microseconds.
pub(super) fn minute_of(received_at: i64) -> i64 {
    received_at.div_euclid(MINUTE)
}

/// In microseconds.
pub(super) const MINUTE: i64 = 60_000_000;

/// Says in which minute events of which types came, where that is not known yet.
async fn note_minutes(tx: &mut Tx, new: impl Iterator<Item = &NewEvent>) -> Result<(), StoreError> {
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
