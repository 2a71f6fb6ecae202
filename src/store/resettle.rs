//! Changes that concern many customers: one row with a cursor each, worked off in pages behind fresh work.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::{Cell, Rows};
use super::{Mode, StoreError, Tx, WorkspaceId, customers, from_micros, micros, refs};
use crate::domain::Time;
use crate::domain::terms::{PartnerKey, ProgramKey};
use crate::ids::Ids;
use crate::on;

/// So many customers are woken at once, without a job.
pub const FEW: usize = 256;

/// Whom a change concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// All customers of both books.
    Everyone,
    /// All of them, and their shared keys and clues are read anew: what metadata means has changed.
    EveryoneAnew,
    /// Those that a clue finds, in one book or both.
    Clue(Option<Mode>, String),
    /// Those with payments of these months in a partner's program, in one book: its tiers may have changed.
    Tiers(Mode, TierWhom),
}

/// Whose payments of which months.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TierWhom {
    /// The partner who won them.
    pub partner: PartnerKey,
    /// Under which program.
    pub program: ProgramKey,
    /// The first month, `2026-10`.
    pub first: String,
    /// The last.
    pub last: String,
}

/// How a job about tiers is told from one about a clue.
const TIERS: &str = "tiers:";

/// A job that is not done yet.
#[derive(Debug, Clone, FromRow)]
pub struct Job {
    /// `job_…`
    pub job_id: String,
    mode: Option<i64>,
    /// The clue whose customers it concerns; everyone when `None`.
    pub clue: Option<String>,
    /// The last customer done.
    pub cursor: Option<String>,
    relink: i64,
    /// Customers done so far.
    pub done: i64,
}

impl Job {
    /// Whether shared keys and clues are read anew.
    pub fn relinks(&self) -> bool {
        self.relink != 0
    }
}

/// Adds jobs.
pub async fn add(tx: &mut Tx, workspace: WorkspaceId, whom: &[Whom], ids: &Ids, now: Time) -> Result<(), StoreError> {
    let text = "INSERT INTO resettle (workspace_id, job_id, mode, clue, relink, created_at, done)
                SELECT $1, job_id, mode, clue, relink, $2, 0
                FROM v";
    rows_of(whom, ids).execute(tx, text, &[workspace.0.into(), micros(now).into()]).await?;
    Ok(())
}

/// Adds jobs, except where one waits untouched that wakes the same customers. Only under the lock without which no job
/// is touched.
pub async fn add_once(
    tx: &mut Tx,
    workspace: WorkspaceId,
    whom: &[Whom],
    ids: &Ids,
    now: Time,
) -> Result<(), StoreError> {
    let text = "INSERT INTO resettle (workspace_id, job_id, mode, clue, relink, created_at, done)
                SELECT $1, job_id, mode, clue, relink, $2, 0
                FROM v
                WHERE NOT EXISTS (
                    SELECT 1 FROM resettle r
                    WHERE r.workspace_id = $1 AND r.cursor IS NULL AND r.relink >= v.relink
                      AND COALESCE(r.clue, '') = COALESCE(v.clue, '') AND COALESCE(r.mode, -1) = COALESCE(v.mode, -1)
                )";
    rows_of(whom, ids).execute(tx, text, &[workspace.0.into(), micros(now).into()]).await?;
    Ok(())
}

/// Wakes the customers that some clues find: at once where they are few, by jobs where they are many. Tells whether there
/// were any. The caller sees to it that nobody records meanwhile.
pub async fn wake_found(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clues: Vec<(Mode, &str)>,
    ids: &Ids,
    now: Time,
) -> Result<bool, StoreError> {
    if let Some(waiting) = refs::few_found_by(tx, workspace, clues.iter().copied(), FEW).await? {
        let waiting: Vec<&str> = waiting.iter().map(String::as_str).collect();
        customers::lock(tx, workspace, &waiting).await?;
        customers::touch(tx, workspace, &waiting, now).await?;
        return Ok(!waiting.is_empty());
    }
    // Of a million leads, most find nobody: they need no job.
    let found = refs::finding(tx, workspace, clues).await?;
    let whom: Vec<Whom> = found.into_iter().map(|(mode, clue)| Whom::Clue(Some(mode), clue)).collect();
    add(tx, workspace, &whom, ids, now).await?;
    Ok(!whom.is_empty())
}

fn rows_of<'a>(whom: &'a [Whom], ids: &Ids) -> Rows<'a> {
    let mut rows = Rows::new(&[("job_id", Text), ("mode", Int), ("clue", Text), ("relink", Int)]);
    for whom in whom {
        let (mode, clue, relink) = match whom {
            Whom::Everyone => (None, None, 0),
            Whom::EveryoneAnew => (None, None, 1),
            Whom::Clue(mode, clue) => (*mode, Some(clue.clone()), 0),
            Whom::Tiers(mode, whom) => {
                let whom = serde_json::to_string(whom).unwrap_or_default();
                (Some(*mode), Some(format!("{TIERS}{whom}")), 0)
            }
        };
        let clue = clue.map_or(Cell::Text(None), Cell::from);
        rows.push([ids.next("job").into(), mode.map(Mode::as_i64).into(), clue, relink.into()]);
    }
    rows
}

/// The jobs that are not done, oldest first.
pub async fn open(tx: &mut Tx, workspace: WorkspaceId, limit: i64) -> Result<Vec<Job>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT job_id, mode, clue, cursor, relink, done FROM resettle
             WHERE workspace_id = $1
             ORDER BY job_id
             LIMIT $2",
        )
        .bind(workspace.0)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// The next customers that a job concerns.
pub async fn next_page(tx: &mut Tx, workspace: WorkspaceId, job: &Job, limit: i64) -> Result<Vec<String>, StoreError> {
    let after = job.cursor.as_deref().unwrap_or_default();
    let Some(clue) = &job.clue else {
        return Ok(on!(tx, conn => {
            sqlx::query_scalar(
                "SELECT customer_id FROM customers
                 WHERE workspace_id = $1 AND customer_id > $2
                 ORDER BY customer_id
                 LIMIT $3",
            )
            .bind(workspace.0)
            .bind(after)
            .bind(limit)
            .fetch_all(conn)
            .await?
        }));
    };
    if let Some(whom) = clue.strip_prefix(TIERS) {
        return of_months(tx, workspace, job, whom, after, limit).await;
    }
    // The book is part of the key, so that a clue of both books is looked up in each.
    let (low, high) = job.mode.map_or((0, 1), |mode| (mode, mode));
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT customer_id FROM clues
             WHERE workspace_id = $1 AND mode IN ($2, $3) AND clue = $4 AND customer_id > $5
             ORDER BY customer_id
             LIMIT $6",
        )
        .bind(workspace.0)
        .bind(low)
        .bind(high)
        .bind(clue)
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// The customers who paid in some months what a partner won.
async fn of_months(
    tx: &mut Tx,
    workspace: WorkspaceId,
    job: &Job,
    whom: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let whom: TierWhom = serde_json::from_str(whom).map_err(|error| StoreError::Unreadable {
        what: "the job",
        key: job.job_id.clone(),
        why: error.to_string(),
    })?;
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT DISTINCT customer_id FROM contributions
             WHERE workspace_id = $1 AND mode = $2 AND partner_key = $3 AND program_key = $4
               AND month >= $5 AND month <= $6 AND customer_id > $7
             ORDER BY customer_id
             LIMIT $8",
        )
        .bind(workspace.0)
        .bind(job.mode)
        .bind(&whom.partner)
        .bind(&whom.program)
        .bind(&whom.first)
        .bind(&whom.last)
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?
    }))
}

/// Moves a job on, or ends it. [`StoreError::Conflict`] if somebody else moved it.
pub async fn advance(
    tx: &mut Tx,
    workspace: WorkspaceId,
    job: &Job,
    page: &[String],
    is_last: bool,
) -> Result<(), StoreError> {
    let before = job.cursor.as_deref().unwrap_or_default();
    let last = page.last().map_or(before, String::as_str);
    let done = i64::try_from(page.len()).unwrap_or(i64::MAX);
    let changed = if is_last {
        on!(tx, conn => {
            sqlx::query("DELETE FROM resettle WHERE workspace_id = $1 AND job_id = $2 AND COALESCE(cursor, '') = $3")
                .bind(workspace.0)
                .bind(&job.job_id)
                .bind(before)
                .execute(conn)
                .await?
                .rows_affected()
        })
    } else {
        on!(tx, conn => {
            sqlx::query(
                "UPDATE resettle SET cursor = $3, done = done + $4
                 WHERE workspace_id = $1 AND job_id = $2 AND COALESCE(cursor, '') = $5",
            )
            .bind(workspace.0)
            .bind(&job.job_id)
            .bind(last)
            .bind(done)
            .bind(before)
            .execute(conn)
            .await?
            .rows_affected()
        })
    };
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// When the newest of the jobs that are not done was added.
pub async fn newest(tx: &mut Tx, workspace: WorkspaceId) -> Result<Option<Time>, StoreError> {
    let at: Option<i64> = on!(tx, conn => {
        sqlx::query_scalar("SELECT MAX(created_at) FROM resettle WHERE workspace_id = $1")
            .bind(workspace.0)
            .fetch_one(conn)
            .await?
    });
    Ok(at.map(from_micros))
}
