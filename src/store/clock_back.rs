//! The machine's clock went back. What was put off until a moment of the time before would wait until that comes again:
//! a customer that is to be settled, a lease of somebody who is gone, a mail, a poll.

use chrono::TimeDelta;

use super::{StoreError, Tx, WorkspaceId, micros};
use crate::domain::Time;
use crate::on;

/// Every lease ends, and everything that is tried again is, within these; what lies further ahead is of another time.
const LONGEST_LEASE: TimeDelta = TimeDelta::hours(1);
const LONGEST_WAIT: TimeDelta = TimeDelta::days(2);
/// How far back Stripe is asked again: nobody knows how much time went by in truth.
const AGAIN: TimeDelta = TimeDelta::days(1);

/// Brings back what waits for a moment that it was never meant to wait for; tells how much that was.
pub async fn come_back(tx: &mut Tx, workspace: WorkspaceId, now: Time) -> Result<u64, StoreError> {
    let (lease, wait, again) = (now + LONGEST_LEASE, now + LONGEST_WAIT, now - AGAIN);
    // `$2` is what becomes of a moment behind `$3`.
    let statements = [
        // One that has nothing new and is due later has a reason in its facts; this one was due when it was touched.
        (
            "UPDATE customers SET settle_due_at = $2
             WHERE workspace_id = $1 AND settle_due_at > $3 AND dirty_version <> settled_version",
            [now, now],
        ),
        ("UPDATE sync_books SET leased_until = $2 WHERE workspace_id = $1 AND leased_until > $3", [now, lease]),
        ("UPDATE sync_books SET started_at = $2 WHERE workspace_id = $1 AND started_at > $3", [again, now]),
        (
            "UPDATE sync_windows
             SET known_until = $2, window_from = NULL, window_until = NULL, cursor = NULL, cursor_created_at = NULL
             WHERE workspace_id = $1 AND (known_until > $3 OR window_until > $3)",
            [again, now],
        ),
        (
            "UPDATE backfills SET leased_until = $2
             WHERE workspace_id = $1 AND finished_at IS NULL AND leased_until > $3",
            [now, lease],
        ),
        ("UPDATE lookups SET due_at = $2 WHERE workspace_id = $1 AND due_at > $3", [now, wait]),
        ("UPDATE mails SET next_try_at = $2 WHERE workspace_id = $1 AND next_try_at > $3", [now, wait]),
        ("UPDATE payouts SET leased_until = $2 WHERE workspace_id = $1 AND leased_until > $3", [now, wait]),
    ];
    let mut changed = 0;
    for (text, [to, behind]) in statements {
        changed += on!(tx, conn => {
            sqlx::query(text)
                .bind(workspace.0)
                .bind(micros(to))
                .bind(micros(behind))
                .execute(conn)
                .await?
                .rows_affected()
        });
    }
    Ok(changed)
}
