//! `GET /v1/entries`: the ledger, line by line.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::Value;

use super::auth::Caller;
use super::query::{Params, list};
use super::{App, Problem};
use crate::store::entries::{self, Booked};
use crate::store::{Mode, StoreError, WorkspaceId, payments};

/// The entries of a book, the newest first: `limit`, `starting_after`, and `partner` for those of one partner.
pub(super) async fn newest(
    State(app): State<App>,
    caller: Caller,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Problem> {
    let mut params = Params::read(asked.as_deref())?;
    let mode = caller.book(params.mode()?)?;
    let page = params.page("ent_")?;
    let partner = params.text("partner");
    params.end(&["limit", "mode", "partner", "starting_after"])?;
    let which = Which { workspace: caller.0.workspace, mode, partner: partner.as_deref() };
    let found = look_up(&app, &which, page.starting_after.as_deref(), page.limit + 1).await;
    Ok(Json(list(page.limit, found.map_err(|error| Problem::database(&error))?)))
}

struct Which<'a> {
    workspace: WorkspaceId,
    mode: Mode,
    partner: Option<&'a str>,
}

async fn look_up(app: &App, which: &Which<'_>, before: Option<&str>, limit: i64) -> Result<Vec<Value>, StoreError> {
    let Which { workspace, mode, partner } = *which;
    let mut tx = app.db.read().await?;
    let found = entries::newest(&mut tx, workspace, mode, partner, before, limit).await?;
    let ids = found.iter().filter_map(|booked| booked.entry.payment_id.as_deref());
    let references = payments::main_refs(&mut tx, workspace, ids).await?;
    tx.rollback().await?;
    let json = |Booked { entry, .. }: &Booked| {
        let reference = entry.payment_id.as_ref().and_then(|id| references.get(id));
        entry.json(reference.map(String::as_str))
    };
    Ok(found.iter().map(json).collect())
}
