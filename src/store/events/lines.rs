//! Looking at events: lists, counts and pages.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, FromRow};

use super::{EventStatus, StoredEvent};
use crate::domain::Time;
use crate::on;
use crate::store::listing::{Listing, Span};
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

    /// What tells it from every other line: an event may be there in several shapes.
    pub fn id(&self) -> String {
        format!("{}:{}", self.event_id, self.shape)
    }

    /// Its place in the list.
    pub fn place(&self) -> Received {
        Received { received_at: self.received_at, event_id: self.event_id.clone(), shape: self.shape }
    }
}

/// Every event beside the queue and the list of those without facts, in which its status is to be found.
const WITH_STATUS: &str = "FROM events e
     LEFT JOIN unread u
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
    received_at: i64,
    event_id: String,
    shape: i64,
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
    let (mut listing, at) = match status {
        None | Some(EventStatus::Recorded) => {
            (Listing::of(format!("{LINE} {STATUS} {WITH_STATUS} WHERE e.workspace_id ="), workspace), "e")
        }
        Some(EventStatus::Pending) => {
            let text = format!(
                "{LINE} CAST(0 AS BIGINT) AS status, NULL AS reason, NULL AS error
                 FROM unread u CROSS JOIN events e
                 WHERE e.workspace_id = u.workspace_id AND e.event_id = u.event_id AND e.shape = u.shape
                   AND u.workspace_id ="
            );
            (Listing::of(text, workspace), "u")
        }
        Some(EventStatus::Ignored | EventStatus::Failed) => {
            let text = format!(
                "{LINE} x.status, x.reason, x.error
                 FROM unrecorded x CROSS JOIN events e
                 WHERE e.workspace_id = x.workspace_id AND e.event_id = x.event_id AND e.shape = x.shape
                   AND x.workspace_id ="
            );
            (Listing::of(text, workspace), "x")
        }
    };
    listing.and_cell(&format!("{at}.mode ="), mode.as_i64());
    match status {
        None | Some(EventStatus::Pending) => {}
        Some(EventStatus::Recorded) => listing.and("u.event_id IS NULL AND x.event_id IS NULL"),
        Some(status) => listing.and_cell("x.status =", status.as_i64()),
    }
    listing.and_some("x.reason =", wanted.reason);
    listing.and_some("e.type =", wanted.kind);
    listing.within(&format!("{at}.received_at"), wanted.received);
    if let Some(Received { received_at, event_id, shape }) = wanted.behind {
        let columns = format!("({at}.received_at, {at}.event_id, {at}.shape)");
        listing.before(&columns, [(*received_at).into(), event_id.into(), (*shape).into()]);
    }
    listing.fetch(tx, &format!("{at}.received_at DESC, {at}.event_id DESC, {at}.shape DESC"), limit).await
}

/// Every shape of one event, without bodies.
pub async fn of_id(tx: &mut Tx, workspace: WorkspaceId, event_id: &str) -> Result<Vec<EventLine>, StoreError> {
    let mut listing = Listing::of(format!("{LINE} {STATUS} {WITH_STATUS} WHERE e.workspace_id ="), workspace);
    listing.and_cell("e.event_id =", event_id);
    listing.fetch(tx, "e.shape", i64::MAX).await
}

/// The place of an event in the list of a book, by [`EventLine::id`]; by its own id, that of the shape received first.
pub async fn place(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, id: &str) -> Result<Option<Received>, StoreError> {
    let (event_id, shape) = match id.rsplit_once(':').map(|(event, shape)| (event, shape.parse::<i64>())) {
        Some((event_id, Ok(shape))) => (event_id, Some(shape)),
        _ => (id, None),
    };
    let mut shapes = of_id(tx, workspace, event_id).await?;
    shapes.retain(|line| line.mode() == mode && shape.is_none_or(|shape| line.shape == shape));
    shapes.sort_by_key(EventLine::received);
    Ok(shapes.first().map(EventLine::place))
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
    let text = format!(
        "SELECT e.event_id, e.shape, e.mode, e.received_at, e.payload_codec, e.payload
         {WITH_STATUS}
         WHERE e.workspace_id = $1 AND (e.event_id, e.shape) > ($2, $3)
           AND u.event_id IS NULL AND x.event_id IS NULL
         ORDER BY e.event_id, e.shape
         LIMIT $4"
    );
    Ok(on!(tx, conn => {
        sqlx::query_as(AssertSqlSafe(text))
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
    let text = format!(
        "SELECT COUNT(*)
         {WITH_STATUS}
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
