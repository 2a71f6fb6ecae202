//! Looking at events: lists, counts and pages.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, FromRow};

use super::found::{BODY, at_places, locate};
use super::insert::{MINUTE, minute_of};
use super::{EventStatus, StoredEvent};
use crate::domain::Time;
use crate::on;
use crate::store::listing::{Listing, Span};
use crate::store::rows::Column::Text;
use crate::store::rows::Rows;
use crate::store::{Engine, Mode, StoreError, Tx, WorkspaceId, from_micros, micros};

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

    /// What tells it from every other line: an event may be there in several shapes.
    pub fn id(&self) -> String {
        format!("{}:{}", self.event_id, self.shape)
    }

    /// Its place in the list.
    pub fn place(&self) -> Received {
        Received { received_at: self.received_at, event_id: self.event_id.clone(), shape: self.shape }
    }
}

/// The queue and the list of those without facts, in which an event's status is to be found.
const BESIDE: &str = "LEFT JOIN unread u
         ON u.workspace_id = e.workspace_id AND u.received_at = e.received_at AND u.event_id = e.event_id
        AND u.shape = e.shape
     LEFT JOIN unrecorded x
         ON x.workspace_id = e.workspace_id AND x.event_id = e.event_id AND x.shape = e.shape";

/// An event's own columns, for [`EventLine`].
const LINE: &str = "SELECT e.event_id, e.shape, e.mode, e.type, e.created_at, e.received_at, e.source,";

/// Those of the other two tables, wherever it is.
const STATUS: &str =
    "CASE WHEN u.event_id IS NOT NULL THEN 0 ELSE COALESCE(x.status, 1) END AS status, x.reason, x.error";

/// A place in the list of events: all behind it were received before, or at the same moment.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Received {
    pub(super) received_at: i64,
    pub(super) event_id: String,
    pub(super) shape: i64,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// Of which this became.
    pub status: Option<EventStatus>,
    /// Of this type.
    pub kind: Option<&'a str>,
    /// Ignored for this reason.
    pub reason: Option<&'a str>,
    /// When they were received.
    pub received: Span,
    /// Behind this place.
    pub behind: Option<&'a Received>,
}

/// A page of a book's events, those received last first.
pub async fn list(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    wanted: &Wanted<'_>,
    limit: i64,
) -> Result<Vec<EventLine>, StoreError> {
    // Only what is ignored has a reason.
    let status = wanted.reason.map_or(wanted.status, |_| Some(EventStatus::Ignored));
    // The table in whose order the list is read.
    let (select, at) = match status {
        None | Some(EventStatus::Recorded) => {
            return match wanted.kind {
                Some(kind) => of_kind(tx, (workspace, mode), wanted, kind, limit).await,
                None => by_time(tx, (workspace, mode), wanted, Span::default(), limit).await,
            };
        }
        Some(EventStatus::Pending) => (
            format!(
                "{LINE} CAST(0 AS BIGINT) AS status, NULL AS reason, NULL AS error FROM unread u {}",
                events_of(tx.engine(), "u")
            ),
            "u",
        ),
        Some(EventStatus::Ignored | EventStatus::Failed) => {
            (format!("{LINE} x.status, x.reason, x.error FROM unrecorded x {}", events_of(tx.engine(), "x")), "x")
        }
    };
    let mut listing = Listing::of(format!("{select} WHERE {at}.workspace_id ="), workspace);
    listing.and_cell(&format!("{at}.mode ="), mode.as_i64());
    if let Some(status) = status.filter(|status| *status != EventStatus::Pending) {
        listing.and_cell("x.status =", status.as_i64());
    }
    listing.and_some("x.reason =", wanted.reason);
    listing.and_some("e.type =", wanted.kind);
    in_order(listing, tx, at, wanted, Span::default(), limit).await
}

/// The event of each row of another table.
fn events_of(engine: Engine, of: &str) -> String {
    let key = |e: &str| {
        ["workspace_id", "mode", "received_at", "event_id", "shape"]
            .map(|column| format!("{e}.{column} = {of}.{column}"))
            .join(" AND ")
    };
    match engine {
        Engine::Sqlite => format!("CROSS JOIN events e ON {}", key("e")),
        // Looked up by its key, in its month alone: OFFSET keeps the two apart.
        Engine::Postgres => format!("CROSS JOIN LATERAL (SELECT * FROM events m WHERE {} OFFSET 0) e", key("m")),
    }
}

/// Recorded events, or all, of a span of time beside that which is wanted.
async fn by_time(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    wanted: &Wanted<'_>,
    within: Span,
    limit: i64,
) -> Result<Vec<EventLine>, StoreError> {
    let mut listing = Listing::of(format!("{LINE} {STATUS} FROM events e {BESIDE} WHERE e.workspace_id ="), workspace);
    listing.and_cell("e.mode =", mode.as_i64());
    if wanted.status == Some(EventStatus::Recorded) {
        listing.and("u.event_id IS NULL AND x.event_id IS NULL");
    }
    listing.and_some("e.type =", wanted.kind);
    in_order(listing, tx, "e", wanted, within, limit).await
}

async fn in_order(
    mut listing: Listing<'_>,
    tx: &mut Tx,
    at: &str,
    wanted: &Wanted<'_>,
    within: Span,
    limit: i64,
) -> Result<Vec<EventLine>, StoreError> {
    let (received, behind) = (format!("{at}.received_at"), wanted.behind.cloned());
    listing.within(&received, wanted.received);
    listing.within(&received, within);
    if let Some(Received { received_at, event_id, shape }) = behind {
        // The one column tells which months may be left out.
        listing.and_cell(&format!("{received} <="), received_at);
        let columns = format!("({at}.received_at, {at}.event_id, {at}.shape)");
        listing.before(&columns, [received_at.into(), event_id.into(), shape.into()]);
    }
    listing.fetch(tx, &format!("{at}.received_at DESC, {at}.event_id DESC, {at}.shape DESC"), limit).await
}

/// So many minutes are asked for at once.
const MINUTES: i64 = 256;

/// Recorded events, or all, of a type: looked for in the minutes in which some came.
async fn of_kind(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    wanted: &Wanted<'_>,
    kind: &str,
    limit: i64,
) -> Result<Vec<EventLine>, StoreError> {
    let until = wanted.received.until.map(|until| micros(until).saturating_sub(1));
    let behind = wanted.behind.map(|place| place.received_at);
    let latest = until.into_iter().chain(behind).min().unwrap_or(i64::MAX);
    let earliest = wanted.received.since.map_or(i64::MIN, micros);
    let mut below = minute_of(latest);
    let mut lines: Vec<EventLine> = Vec::new();
    loop {
        let minutes: Vec<i64> = on!(tx, conn => {
            sqlx::query_scalar(
                "SELECT minute FROM event_minutes
                 WHERE workspace_id = $1 AND mode = $2 AND type = $3 AND minute >= $4 AND minute <= $5
                 ORDER BY minute DESC
                 LIMIT $6",
            )
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(kind)
            .bind(minute_of(earliest))
            .bind(below)
            .bind(MINUTES)
            .fetch_all(conn)
            .await?
        });
        for within in stretches(&minutes) {
            let missing = limit.saturating_sub(i64::try_from(lines.len()).unwrap_or(i64::MAX));
            lines.extend(by_time(tx, (workspace, mode), wanted, within, missing).await?);
            if i64::try_from(lines.len()).is_ok_and(|found| found >= limit) {
                return Ok(lines);
            }
        }
        match minutes.last() {
            Some(last) => below = last.saturating_sub(1),
            None => return Ok(lines),
        }
    }
}

/// Minutes, the last first, as spans of time: those that follow each other are one.
fn stretches(minutes: &[i64]) -> Vec<Span> {
    let mut found: Vec<(i64, i64)> = Vec::new();
    for minute in minutes {
        match found.last_mut() {
            Some((first, _)) if *minute == first.saturating_sub(1) => *first = *minute,
            _ => found.push((*minute, minute.saturating_add(1))),
        }
    }
    let moment = |minute: i64| Some(from_micros(minute.saturating_mul(MINUTE)));
    found.into_iter().map(|(first, until)| Span { since: moment(first), until: moment(until) }).collect()
}

/// Every shape of one event that is in the database, without bodies.
pub async fn of_id(tx: &mut Tx, workspace: WorkspaceId, event_id: &str) -> Result<Vec<EventLine>, StoreError> {
    let places = locate(tx, workspace, [event_id]).await?;
    let mut lines: Vec<EventLine> = at_places(tx, workspace, &places, &format!("{LINE} {STATUS}"), BESIDE).await?;
    lines.sort_unstable_by_key(|line| line.shape);
    Ok(lines)
}

/// The place of an event in the list of a book, by [`EventLine::id`]; by its own id, that of the shape received first.
pub async fn place(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, id: &str) -> Result<Option<Received>, StoreError> {
    let (event_id, shape) = match id.rsplit_once(':').map(|(event, shape)| (event, shape.parse::<i64>())) {
        Some((event_id, Ok(shape))) => (event_id, Some(shape)),
        _ => (id, None),
    };
    let mut shapes = locate(tx, workspace, [event_id]).await?;
    shapes.retain(|place| place.mode == mode.as_i64() && shape.is_none_or(|shape| place.shape == shape));
    let first = shapes.into_iter().min_by_key(|place| (place.received_at, place.shape));
    Ok(first.map(|place| Received { received_at: place.received_at, event_id: place.event_id, shape: place.shape }))
}

/// How many events of each mode and status there are, those included whose bodies were put into a file.
pub async fn counts(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<(Mode, EventStatus, i64)>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT mode, CAST(0 AS BIGINT), COUNT(*) FROM unread WHERE workspace_id = $1 GROUP BY mode
             UNION ALL
             SELECT mode, status, COUNT(*) FROM unrecorded WHERE workspace_id = $1 GROUP BY mode, status
             UNION ALL
             SELECT mode, CAST(1 AS BIGINT), COUNT(*) FROM event_ids WHERE workspace_id = $1 GROUP BY mode",
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

/// A page of a book's recorded events in the order in which they came, after a place, with their bodies; and the place
/// of the last of them.
pub async fn recorded_page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    after: Option<&Received>,
    limit: i64,
) -> Result<(Vec<StoredEvent>, Option<Received>), StoreError> {
    let (received_at, id, shape) =
        after.map_or((i64::MIN, "", i64::MIN), |place| (place.received_at, place.event_id.as_str(), place.shape));
    let text = format!(
        "{BODY}
         FROM events e {BESIDE}
         WHERE e.workspace_id = $1 AND e.mode = $2 AND e.received_at >= $3
           AND (e.received_at, e.event_id, e.shape) > ($3, $4, $5)
           AND u.event_id IS NULL AND x.event_id IS NULL
         ORDER BY e.received_at, e.event_id, e.shape
         LIMIT $6"
    );
    let page: Vec<StoredEvent> = on!(tx, conn => {
        sqlx::query_as(AssertSqlSafe(text))
            .bind(workspace.0)
            .bind(mode.as_i64())
            .bind(received_at)
            .bind(id)
            .bind(shape)
            .bind(limit)
            .fetch_all(conn)
            .await?
    });
    let last = page.last().map(|event| Received {
        received_at: event.received_at,
        event_id: event.event_id.clone(),
        shape: event.shape,
    });
    Ok((page, last))
}

/// How many events in the database are of a type that belongs to no customer.
pub async fn about_nobody(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64, StoreError> {
    let text = format!(
        "SELECT COUNT(*)
         FROM events e {BESIDE}
         WHERE e.workspace_id = $1
           AND (e.type LIKE 'promotion_code.%' OR e.type LIKE 'transfer.%' OR e.type LIKE 'account.%')
           AND u.event_id IS NULL AND x.event_id IS NULL"
    );
    Ok(on!(tx, conn => {
        sqlx::query_scalar(AssertSqlSafe(text))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_that_follow_each_other_are_one_stretch() {
        let spans: Vec<(i64, i64)> = stretches(&[9, 8, 7, 4, 2, 1])
            .into_iter()
            .map(|span| (minute_of(micros(span.since.unwrap())), minute_of(micros(span.until.unwrap()))))
            .collect();
        assert_eq!(spans, [(7, 10), (4, 5), (1, 3)]);
        assert!(stretches(&[]).is_empty());
    }
}
