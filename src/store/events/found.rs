//! Finding raw events: by what makes them known to their place, and by their place in the month that holds it.

use std::collections::{BTreeMap, HashSet};

use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::StoredEvent;
use crate::domain::Time;
use crate::on;
use crate::store::months::{bounds, month_of};
use crate::store::rows::Column::{Int, Text};
use crate::store::rows::{Cell, Rows};
use crate::store::{Engine, Mode, StoreError, Tx, WorkspaceId, from_micros};

/// Where an event lies, or lay before it was put into a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, FromRow)]
pub struct Located {
    pub(super) mode: i64,
    pub(in crate::store) received_at: i64,
    /// `evt_…`
    pub event_id: String,
    /// Which shape.
    pub shape: i64,
}

impl Located {
    /// A place.
    pub fn new(mode: Mode, received_at: i64, event_id: String, shape: i64) -> Self {
        Self { mode: mode.as_i64(), received_at, event_id, shape }
    }

    /// Which book.
    pub fn mode(&self) -> Mode {
        Mode::from_i64(self.mode)
    }

    /// When the bridge got it.
    pub fn received(&self) -> Time {
        from_micros(self.received_at)
    }
}

/// An event's own columns, for [`StoredEvent`].
pub(super) const BODY: &str = "SELECT e.event_id, e.shape, e.mode, e.received_at, e.payload_codec, e.payload";

/// Asks about the events at some places: `select` names columns of `e`, `more` joins further tables. Each month is asked
/// by itself, so that `PostgreSQL` opens the tables of those months alone. There is no order across events.
pub(super) async fn at_places<T>(
    tx: &mut Tx,
    workspace: WorkspaceId,
    places: &[Located],
    select: &str,
    more: &str,
) -> Result<Vec<T>, StoreError>
where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let from = match tx.engine() {
        Engine::Sqlite => {
            "FROM v CROSS JOIN events e
             ON e.workspace_id = $1 AND e.mode = v.mode AND e.received_at = v.received_at AND e.event_id = v.event_id
                AND e.shape = v.shape"
        }
        // However many rows it believes there are, each is looked up by the key: OFFSET keeps the two apart.
        Engine::Postgres => {
            "FROM v CROSS JOIN LATERAL (
                 SELECT * FROM events m
                 WHERE m.workspace_id = $1 AND m.mode = v.mode AND m.received_at = v.received_at
                   AND m.event_id = v.event_id AND m.shape = v.shape
                   AND m.received_at >= $known(2) AND m.received_at < $known(3)
                 OFFSET 0
             ) e"
        }
    };
    let text = format!("{select} {from} {more}");
    let mut months: BTreeMap<(i64, i64), Vec<&Located>> = BTreeMap::new();
    for place in places {
        let month = match tx.engine() {
            Engine::Sqlite => (i64::MIN, i64::MAX),
            Engine::Postgres => bounds(month_of(place.received_at)),
        };
        months.entry(month).or_default().push(place);
    }
    let mut found = Vec::with_capacity(places.len());
    for ((from, until), places) in months {
        let mut rows = Rows::new(&[("mode", Int), ("received_at", Int), ("event_id", Text), ("shape", Int)]);
        for place in places {
            rows.push([place.mode.into(), place.received_at.into(), (&place.event_id).into(), place.shape.into()]);
        }
        let args: [Cell<'_>; 3] = [workspace.0.into(), from.into(), until.into()];
        found.extend(rows.fetch::<T>(tx, &text, &args).await?);
    }
    Ok(found)
}

/// Where events lie, by their ids, in every shape.
pub async fn locate(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = &str>,
) -> Result<Vec<Located>, StoreError> {
    let text = "SELECT mode, received_at, event_id, shape
                FROM event_ids
                WHERE workspace_id = $1 AND event_id $in(event_id)";
    Rows::texts(&[("event_id", Text)], ids).fetch(tx, text, &[workspace.0.into()]).await
}

/// How many events are in the database, with their bodies.
pub async fn present(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar("SELECT COUNT(*) FROM events WHERE workspace_id = $1")
            .bind(workspace.0)
            .fetch_one(conn)
            .await?
    }))
}

/// A page of all events that are known, by id and shape, behind one of them; and those of them whose bodies are not in the
/// database.
pub async fn absent_page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: Option<&Located>,
    limit: i64,
) -> Result<(Vec<Located>, Vec<Located>), StoreError> {
    let (event_id, shape) = after.map_or(("", i64::MIN), |place| (place.event_id.as_str(), place.shape));
    let page: Vec<Located> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, received_at, event_id, shape
             FROM event_ids
             WHERE workspace_id = $1 AND (event_id, shape) > ($2, $3)
             ORDER BY event_id, shape
             LIMIT $4",
        )
        .bind(workspace.0)
        .bind(event_id)
        .bind(shape)
        .bind(limit)
        .fetch_all(conn)
        .await?
    });
    let select = "SELECT e.mode, e.received_at, e.event_id, e.shape";
    let there: Vec<Located> = at_places(tx, workspace, &page, select, "").await?;
    let there: HashSet<Located> = there.into_iter().collect();
    let absent = page.iter().filter(|place| !there.contains(place)).cloned().collect();
    Ok((page, absent))
}

/// Events by id and shape, with their bodies.
pub async fn by_keys(
    tx: &mut Tx,
    workspace: WorkspaceId,
    keys: impl IntoIterator<Item = (&str, i64)>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let asked: HashSet<(&str, i64)> = keys.into_iter().collect();
    let ids: HashSet<&str> = asked.iter().map(|(id, _)| *id).collect();
    let mut places = locate(tx, workspace, ids).await?;
    places.retain(|place| asked.contains(&(place.event_id.as_str(), place.shape)));
    at_places(tx, workspace, &places, BODY, "").await
}

/// Which of some events are known, in whatever shape.
pub async fn known(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashSet<String>, StoreError> {
    Ok(locate(tx, workspace, ids).await?.into_iter().map(|place| place.event_id).collect())
}

/// What was fetched of an object, each time that it was otherwise, with bodies.
pub async fn fetched_of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    object: &str,
) -> Result<Vec<StoredEvent>, StoreError> {
    // Its events are called by it and `@`, which is the character before `A`.
    let (from, until) = (format!("{object}@"), format!("{object}A"));
    let places: Vec<Located> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, received_at, event_id, shape
             FROM event_ids
             WHERE workspace_id = $1 AND event_id >= $2 AND event_id < $3 AND mode = $4",
        )
        .bind(workspace.0)
        .bind(from)
        .bind(until)
        .bind(mode.as_i64())
        .fetch_all(conn)
        .await?
    });
    at_places(tx, workspace, &places, BODY, "").await
}
