//! What deciding looks up: clicks, and the texts of promotion codes.

use std::collections::HashMap;

use sqlx::FromRow;

use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros};
use crate::domain::Time;
use crate::domain::decision::Click;
use crate::domain::facts::PromotionCodeFact;
use crate::domain::terms::PartnerKey;
use crate::on;

/// A click as the table has it.
#[derive(FromRow)]
pub(super) struct ClickRow {
    click_id: String,
    partner_key: String,
    program_key: Option<String>,
    link_id: Option<String>,
    clicked_at: i64,
    entered_at: i64,
}

impl ClickRow {
    /// Its id, and the click.
    pub(super) fn read(self) -> (String, Click) {
        let click = Click {
            partner: self.partner_key,
            program: self.program_key,
            link: self.link_id,
            clicked_at: from_micros(self.clicked_at),
            entered_at: from_micros(self.entered_at),
        };
        (self.click_id, click)
    }
}

/// Enters clicks; one whose id is known already is left as it is. Returns the ids that were new.
pub async fn add_clicks(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clicks: &[(String, Click)],
) -> Result<Vec<String>, StoreError> {
    let mut rows = Rows::new(&[
        ("click_id", Text),
        ("partner_key", Text),
        ("program_key", Text),
        ("link_id", Text),
        ("clicked_at", Int),
        ("entered_at", Int),
    ]);
    for (id, click) in clicks {
        rows.push([
            id.into(),
            (&click.partner).into(),
            click.program.as_deref().into(),
            click.link.as_deref().into(),
            micros(click.clicked_at).into(),
            micros(click.entered_at).into(),
        ]);
    }
    let text = "INSERT INTO clicks (workspace_id, click_id, partner_key, program_key, link_id, clicked_at, entered_at)
                SELECT $1, click_id, partner_key, program_key, link_id, clicked_at, entered_at
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, click_id) DO NOTHING
                RETURNING click_id";
    let new: Vec<(String,)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(new.into_iter().map(|(id,)| id).collect())
}

/// Clicks by id; unknown ones are left out.
pub async fn clicks(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, Click>, StoreError> {
    let text = "SELECT c.click_id, c.partner_key, c.program_key, c.link_id, c.clicked_at, c.entered_at
                FROM clicks c
                WHERE c.workspace_id = $1 AND c.click_id $in(click_id)";
    let rows: Vec<ClickRow> = Rows::texts(&[("click_id", Text)], ids).fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(rows.into_iter().map(ClickRow::read).collect())
}

/// Ids of a partner's clicks, at most `limit`.
pub async fn click_ids(
    tx: &mut Tx,
    workspace: WorkspaceId,
    partner: &PartnerKey,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar("SELECT click_id FROM clicks WHERE workspace_id = $1 AND partner_key = $2 LIMIT $3")
            .bind(workspace.0)
            .bind(partner)
            .bind(limit)
            .fetch_all(conn)
            .await?
    }))
}

/// Learns the texts of promotion codes; the newest event's text counts. Returns the ids whose text is new.
pub async fn learn_promotion_codes(
    tx: &mut Tx,
    workspace: WorkspaceId,
    codes: &[(Mode, PromotionCodeFact, Time)],
) -> Result<Vec<(Mode, String)>, StoreError> {
    let mut rows = Rows::new(&[("mode", Int), ("id", Text), ("code", Text), ("created_at", Int)]);
    // One statement may name a row once: the newest of a batch stands for all.
    let mut newest: HashMap<(Mode, &str), (&str, Time)> = HashMap::new();
    for (mode, fact, created) in codes {
        let known = newest.entry((*mode, &fact.id)).or_insert((&fact.code, *created));
        if known.1 <= *created {
            *known = (&fact.code, *created);
        }
    }
    let mut ordered: Vec<_> = newest.into_iter().collect();
    ordered.sort_unstable_by_key(|(key, _)| *key);
    for ((mode, id), (code, created)) in ordered {
        rows.push([mode.as_i64().into(), id.into(), code.into(), micros(created).into()]);
    }
    let text = "INSERT INTO promotion_codes (workspace_id, mode, promotion_code_id, code, event_created_at)
                SELECT $1, mode, id, code, created_at
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, mode, promotion_code_id) DO UPDATE SET
                    code = excluded.code, event_created_at = excluded.event_created_at
                    WHERE excluded.event_created_at >= promotion_codes.event_created_at
                      AND excluded.code <> promotion_codes.code
                RETURNING mode, promotion_code_id";
    let new: Vec<(i64, String)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(new.into_iter().map(|(mode, id)| (Mode::from_i64(mode), id)).collect())
}

/// All promotion codes with their texts: `(mode, id, text)`.
pub async fn promotion_codes(tx: &mut Tx, workspace: WorkspaceId) -> Result<Vec<(Mode, String, String)>, StoreError> {
    let rows: Vec<(i64, String, String)> = on!(tx, conn => {
        sqlx::query_as("SELECT mode, promotion_code_id, code FROM promotion_codes WHERE workspace_id = $1")
            .bind(workspace.0)
            .fetch_all(conn)
            .await?
    });
    Ok(rows.into_iter().map(|(mode, id, code)| (Mode::from_i64(mode), id, code)).collect())
}

/// Texts of promotion codes by id; unknown ones are left out. An id is of one book only.
pub async fn promotion_texts(
    tx: &mut Tx,
    workspace: WorkspaceId,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, String>, StoreError> {
    let rows = Rows::texts(&[("id", Text)], ids);
    let text = "SELECT promotion_code_id, code
                FROM promotion_codes
                WHERE workspace_id = $1 AND promotion_code_id $in(id)";
    let found: Vec<(String, String)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(found.into_iter().collect())
}
