//! `GET /v1/entries`: the ledger, line by line.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::query::{self, List, Page, Query};
use super::super::{App, Problem};
use crate::domain::entry::EntryKind;
use crate::store::entries::{self, Booked};
use crate::store::{Span, payments};

/// One line of the ledger. Nothing in it ever changes: it is corrected by further lines.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Entry {
    /// `ent_…`
    entry_id: String,
    /// The moment of the fact.
    occurred_at: DateTime<Utc>,
    /// The moment of the append.
    booked_at: DateTime<Utc>,
    /// From when it can be paid out.
    available_at: DateTime<Utc>,
    /// Whose money.
    partner_key: String,
    /// Under which program.
    program: Option<String>,
    /// Which part of a payment's commission.
    #[schema(example = "direct")]
    component: &'static str,
    /// `accrual`, `reversal`, `adjustment`, `bonus`, `payout`, `payout_return` or `carry`.
    #[schema(example = "accrual")]
    kind: &'static str,
    /// Signed, in minor units.
    amount: i64,
    /// Of what.
    #[schema(example = "usd")]
    currency: String,
    /// The payment it is about, by its main reference.
    payment_ref: Option<String>,
    /// The event that said so.
    event_id: Option<String>,
    /// The payout it is about.
    payout_id: Option<String>,
    /// Why, in a word.
    reason: Option<String>,
}

impl Entry {
    fn of(entry: &entries::Entry, payment_ref: Option<&String>) -> Self {
        Self {
            entry_id: entry.entry_id.clone(),
            occurred_at: entry.occurred_at,
            booked_at: entry.booked_at,
            available_at: entry.available_at,
            partner_key: entry.partner.clone(),
            program: entry.program.clone(),
            component: entry.component.as_str(),
            kind: entry.kind.as_str(),
            amount: entry.amount,
            currency: entry.currency.to_string(),
            payment_ref: payment_ref.cloned(),
            event_id: entry.event_id.clone(),
            payout_id: entry.payout_id.clone(),
            reason: entry.reason.clone(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `entry_id` of the last entry of the page before.
    #[param(pattern = "^ent_")]
    starting_after: Option<String>,
    /// Those of this partner.
    partner: Option<String>,
    /// Those of this program.
    program: Option<String>,
    /// Those of this kind.
    #[param(value_type = Option<String>, example = "accrual")]
    kind: Option<EntryKind>,
    /// Those about this payment, by any of its references.
    payment: Option<String>,
    /// Those booked at this moment or later.
    since: Option<DateTime<Utc>>,
    /// Those booked before this moment.
    until: Option<DateTime<Utc>>,
    /// The key's own book, `live` or `test`; there is no need to say it.
    mode: Option<String>,
}

/// The ledger, line by line
///
/// Those booked last first.
#[utoipa::path(
    get, path = "/v1/entries", tag = "ledger", operation_id = "list_entries", params(Wanted),
    responses((status = 200, description = "A page of entries", body = List<Entry>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Entry>>, Problem> {
    let mode = caller.book(query::mode(wanted.mode.as_deref())?)?;
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "ent_")?;
    let (workspace, mut tx) = (caller.workspace(), app.db.read().await?);
    let behind = match &page.starting_after {
        None => None,
        Some(id) => {
            let found = entries::by_id(&mut tx, workspace, mode, id).await?;
            Some(found.ok_or_else(|| page.unknown())?.entry)
        }
    };
    let filter = entries::Wanted {
        partner: wanted.partner.as_deref(),
        program: wanted.program.as_deref(),
        kind: wanted.kind,
        booked: Span { since: wanted.since, until: wanted.until },
        behind: behind.as_ref(),
    };
    let found = match &wanted.payment {
        None => entries::newest(&mut tx, workspace, mode, &filter, page.and_one()).await?,
        Some(reference) => {
            // A payment has a handful.
            let payment = payments::find(&mut tx, workspace, mode, reference).await?;
            let ids = payment.iter().map(|payment| payment.payment_id.as_str());
            let mut found = entries::of_payments(&mut tx, workspace, ids).await?;
            found.retain(|booked| filter.has(&booked.entry));
            found.reverse();
            found
        }
    };
    let ids = found.iter().filter_map(|booked| booked.entry.payment_id.as_deref());
    let references = payments::main_refs(&mut tx, workspace, ids).await?;
    tx.rollback().await?;
    let entry =
        |Booked { entry, .. }: &Booked| Entry::of(entry, entry.payment_id.as_ref().and_then(|id| references.get(id)));
    Ok(Json(page.list(found.iter().map(entry).collect())))
}
