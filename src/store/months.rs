//! The months of raw events: on `PostgreSQL` each calendar month (UTC) is a table of its own, made by whoever stores the
//! first event of it; on `SQLite` there is one table.
//!
//! A new table is first made, then attached: that lets everybody read and write meanwhile, which making it in its place
//! would not. It happens in a short transaction on a connection of its own, a month ahead where time runs as it should.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, RwLock};

use chrono_tz::UTC;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool};

use super::{StoreError, from_micros, micros};
use crate::domain::calendar::Month;

/// Held by whoever changes which months have a table; any number that nobody else uses.
pub(super) const CHANGING: i64 = 0x00c0_117b_41d6_e001;

/// So many minutes are remembered; one after the other comes, so that the latest few are enough.
const REMEMBERED: usize = 256;

/// The last microsecond of the year 9999.
const LATEST: i64 = 253_402_300_799_999_999;

/// The month of a moment in microseconds; what is no time of ours belongs to the first or last month there is.
pub(super) fn month_of(received_at: i64) -> Month {
    Month::containing(from_micros(received_at.clamp(0, LATEST)), UTC)
}

/// The first microsecond of a month, and the first one after it.
pub(super) fn bounds(month: Month) -> (i64, i64) {
    (micros(month.start(UTC)), micros(month.end(UTC)))
}

/// The table of a month.
pub(super) fn table(month: Month) -> String {
    format!("events_{}", month.to_string().replace('-', "_"))
}

/// A minute of the unix epoch in which events of a type came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minute {
    pub(super) workspace: i64,
    pub(super) mode: i64,
    pub(super) minute: i64,
    pub(super) kind: String,
}

type Kinds = HashMap<(i64, i64, i64), HashSet<String>>;

/// What this process knows to be there already: shared by all its transactions.
#[derive(Debug)]
pub(super) struct Known {
    /// Nothing where there is one table.
    tables: Option<Tables>,
    minutes: RwLock<Kinds>,
}

#[derive(Debug)]
struct Tables {
    pool: PgPool,
    known: RwLock<BTreeSet<Month>>,
    making: tokio::sync::Mutex<()>,
}

impl Known {
    pub(super) fn new(pool: Option<PgPool>) -> Arc<Self> {
        let tables = pool.map(|pool| Tables { pool, known: RwLock::default(), making: tokio::sync::Mutex::default() });
        Arc::new(Self { tables, minutes: RwLock::default() })
    }

    /// Sees to it that events that were received at these moments have a place.
    pub(super) async fn make_room(&self, received: impl Iterator<Item = i64>) -> Result<(), StoreError> {
        let Some(tables) = &self.tables else { return Ok(()) };
        let mut last = (0, 0);
        for received_at in received {
            if (last.0..last.1).contains(&received_at) {
                continue;
            }
            let month = month_of(received_at);
            last = bounds(month);
            if !tables.knows(month) {
                tables.make(month).await?;
            }
        }
        Ok(())
    }

    /// The months with a table that this process has stored events in.
    pub(super) fn tables(&self) -> Vec<String> {
        let known = self.tables.as_ref().and_then(|tables| tables.known.read().ok());
        known.map(|known| known.iter().map(|month| table(*month)).collect()).unwrap_or_default()
    }

    /// A month's table was not there after all: it was removed meanwhile.
    pub(super) fn forget(&self) {
        if let Some(mut known) = self.tables.as_ref().and_then(|tables| tables.known.write().ok()) {
            known.clear();
        }
    }

    /// See [`super::Db::remove_month`].
    pub(super) async fn remove(&self, month: Month) -> Result<RemovedMonth, StoreError> {
        let Some(tables) = &self.tables else { return Ok(RemovedMonth::Shared) };
        let removed = remove_table(&mut *tables.pool.acquire().await?, month).await?;
        self.forget();
        Ok(removed)
    }

    /// Whether a minute is known to be on disk.
    pub(super) fn has_minute(&self, workspace: i64, mode: i64, minute: i64, kind: &str) -> bool {
        let Ok(minutes) = self.minutes.read() else { return false };
        minutes.get(&(workspace, mode, minute)).is_some_and(|kinds| kinds.contains(kind))
    }

    /// These minutes are on disk.
    pub(super) fn remember(&self, new: Vec<Minute>) {
        let Ok(mut minutes) = self.minutes.write() else { return };
        if minutes.len() > REMEMBERED {
            minutes.clear();
        }
        for Minute { workspace, mode, minute, kind } in new {
            minutes.entry((workspace, mode, minute)).or_default().insert(kind);
        }
    }
}

impl Tables {
    fn knows(&self, month: Month) -> bool {
        self.known.read().is_ok_and(|known| known.contains(&month))
    }

    /// Makes a month's table and the next one's, so that nobody waits when that month begins.
    async fn make(&self, month: Month) -> Result<(), StoreError> {
        let _alone = self.making.lock().await;
        if self.knows(month) {
            return Ok(());
        }
        let mut connection = self.pool.acquire().await?;
        for month in [month, month.next()] {
            make_table(&mut connection, month).await?;
        }
        if let Ok(mut known) = self.known.write() {
            known.insert(month);
        }
        Ok(())
    }
}

/// Makes a month's table, where there is none.
async fn make_table(connection: &mut PgConnection, month: Month) -> Result<(), StoreError> {
    let name = table(month);
    let is_there = "SELECT EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = 'events'::regclass
                                   AND inhrelid = to_regclass($1) AND NOT inhdetachpending)";
    let is_attached: bool = sqlx::query_scalar(is_there).bind(&name).fetch_one(&mut *connection).await?;
    if is_attached {
        return Ok(());
    }
    let (from, until) = bounds(month);
    let mut tx = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(CHANGING).execute(&mut *tx).await?;
    // Another process may have been faster.
    let is_attached: bool = sqlx::query_scalar(is_there).bind(&name).fetch_one(&mut *tx).await?;
    if !is_attached {
        // Of `payload`, no statistics are of use, and gathering them means reading it.
        let text = format!(
            "CREATE TABLE IF NOT EXISTS {name} (LIKE events INCLUDING ALL);
             ALTER TABLE {name} ALTER COLUMN workspace_id SET (n_distinct = 1);
             ALTER TABLE {name} ALTER COLUMN payload SET STATISTICS 0;
             ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({until})"
        );
        (&mut *tx).execute(sqlx::raw_sql(AssertSqlSafe(text))).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// What became of a month's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovedMonth {
    /// It is gone.
    Whole,
    /// It holds what is in no file yet, or there are no such tables.
    Shared,
}

/// Removes a month's table, where all that is in it was put into files. It is taken out of `events` first, while everybody
/// reads and writes, and looked at once more when nobody can reach it any more.
async fn remove_table(connection: &mut PgConnection, month: Month) -> Result<RemovedMonth, StoreError> {
    let name = table(month);
    let stands = "SELECT c.oid IS NOT NULL, COALESCE(i.inhparent = 'events'::regclass, FALSE), COALESCE(i.inhdetachpending, FALSE)
                  FROM (SELECT to_regclass($1) AS oid) c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid";
    let (is_there, is_attached, is_leaving): (bool, bool, bool) =
        sqlx::query_as(stands).bind(&name).fetch_one(&mut *connection).await?;
    if !is_there {
        return Ok(RemovedMonth::Whole);
    }
    if !holds_nothing_else(connection, month).await? {
        return Ok(RemovedMonth::Shared);
    }
    // Whoever was killed here left it on its way out.
    let how = match (is_attached, is_leaving) {
        (true, true) => Some("FINALIZE"),
        (true, false) => Some("CONCURRENTLY"),
        (false, _) => None,
    };
    if let Some(how) = how {
        let text = format!("ALTER TABLE events DETACH PARTITION {name} {how}");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await?;
    }
    if !holds_nothing_else(connection, month).await? {
        // Something came in the last moment.
        make_table(connection, month).await?;
        return Ok(RemovedMonth::Shared);
    }
    connection.execute(sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {name}")))).await?;
    Ok(RemovedMonth::Whole)
}

/// Whether every book's events in a month's table are in a file that is proven.
async fn holds_nothing_else(connection: &mut PgConnection, month: Month) -> Result<bool, StoreError> {
    let text = format!(
        "SELECT NOT EXISTS (
             SELECT 1 FROM (SELECT workspace_id, mode, COUNT(*) AS events FROM {} GROUP BY workspace_id, mode) e
             LEFT JOIN archives a ON a.workspace_id = e.workspace_id AND a.mode = e.mode AND a.month = $1
                                 AND a.state IN (1, 2)
             WHERE a.events IS NULL OR a.events < e.events
         )",
        table(month)
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(text)).bind(month.to_string()).fetch_one(&mut *connection).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_a_table_from_its_first_microsecond_to_its_last() {
        let at = |text: &str| micros(text.parse().unwrap());
        let month = month_of(at("2026-12-31T23:59:59.999999Z"));
        assert_eq!(table(month), "events_2026_12");
        assert_eq!(bounds(month), (at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z")));
        assert_eq!(month_of(bounds(month).1), month.next());
    }

    #[test]
    fn few_minutes_are_remembered() {
        let known = Known::new(None);
        let minute = |minute| Minute { workspace: 1, mode: 1, minute, kind: "invoice.paid".to_owned() };
        known.remember(vec![minute(1)]);
        assert!(known.has_minute(1, 1, 1, "invoice.paid"));
        assert!(!known.has_minute(1, 1, 1, "invoice.voided") && !known.has_minute(1, 0, 1, "invoice.paid"));
        for number in 2..1000 {
            known.remember(vec![minute(number)]);
        }
        assert!(known.has_minute(1, 1, 999, "invoice.paid") && !known.has_minute(1, 1, 1, "invoice.paid"));
        assert!(known.minutes.read().unwrap().len() <= REMEMBERED + 1);
    }
}
