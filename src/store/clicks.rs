//! Clicks as they are entered and listed; deciding looks them up in [`lookups`].

use std::collections::HashMap;

use super::workspaces::{RECORDER, lock};
use super::{Mode, StoreError, Tx, WorkspaceId, leads, lookups, micros, resettle};
use crate::domain::Time;
use crate::domain::decision::Click;
use crate::ids::Ids;
use crate::on;

/// What became of clicks that were entered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entered {
    /// The ids that were not known before.
    pub new: Vec<String>,
    /// Whether a customer was waiting for one of them, who is due now.
    pub wakes: bool,
}

/// Enters clicks, whose ids may have been seen before they were, and has the customers settled again who were waiting for
/// one of them. A click whose id is known already is left as it is.
///
/// Takes the recorder's lock until the transaction ends: nobody records meanwhile, or a customer who just shows a click
/// that is just becoming known would be missed.
pub async fn enter(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clicks: &[(String, Click)],
    ids: &Ids,
    now: Time,
) -> Result<Entered, StoreError> {
    lock(tx, workspace, RECORDER).await?;
    let new = lookups::add_clicks(tx, workspace, clicks).await?;
    if new.is_empty() {
        return Ok(Entered::default());
    }
    let mut clues = leads::clues_waiting_for_clicks(tx, workspace, &new).await?;
    clues.extend(new.iter().map(|id| format!("click:{id}")));
    let asked = clues.iter().flat_map(|clue| Mode::ALL.map(|mode| (mode, clue.as_str()))).collect();
    let wakes = resettle::wake_found(tx, workspace, asked, ids, now).await?;
    Ok(Entered { new, wakes })
}

/// Enters clicks whose ids were made this moment, so that nobody can have seen one: nobody is to be woken, and no lock is
/// needed.
pub async fn enter_fresh(tx: &mut Tx, workspace: WorkspaceId, clicks: &[(String, Click)]) -> Result<(), StoreError> {
    lookups::add_clicks(tx, workspace, clicks).await.map(drop)
}

/// One click.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, click_id: &str) -> Result<Option<Click>, StoreError> {
    let found: HashMap<String, Click> = lookups::clicks(tx, workspace, [click_id]).await?;
    Ok(found.into_values().next())
}

/// A page of a partner's clicks, the newest first, behind the click `before`.
pub async fn of_partner(
    tx: &mut Tx,
    workspace: WorkspaceId,
    partner: &str,
    before: Option<(Time, &str)>,
    limit: i64,
) -> Result<Vec<(String, Click)>, StoreError> {
    let (clicked_at, click_id) = before.map_or((i64::MAX, ""), |(at, id)| (micros(at), id));
    let rows: Vec<lookups::ClickRow> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT click_id, partner_key, program_key, link_id, clicked_at, entered_at FROM clicks
             WHERE workspace_id = $1 AND partner_key = $2 AND (clicked_at, click_id) < ($3, $4)
             ORDER BY clicked_at DESC, click_id DESC
             LIMIT $5",
        )
        .bind(workspace.0)
        .bind(partner)
        .bind(clicked_at)
        .bind(click_id)
        .bind(limit)
        .fetch_all(conn)
        .await?
    });
    Ok(rows.into_iter().map(lookups::ClickRow::read).collect())
}
