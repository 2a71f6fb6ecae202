//! `GET /v1/balances`: what each partner has.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::query::{self, List, Page, Query};
use super::super::{App, Problem};
use crate::store::balances;

/// What a partner has in one currency, in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Balance {
    /// Always `balance`.
    #[schema(example = "balance")]
    object: &'static str,
    /// Partner and currency.
    #[schema(example = "acme:usd")]
    id: String,
    /// Who.
    #[schema(example = "acme")]
    partner_key: String,
    /// In what.
    #[schema(example = "usd")]
    currency: String,
    /// In all.
    balance: i64,
    /// The part of it that can be paid out now.
    available: i64,
    /// The part of it that cannot be paid out yet.
    on_hold: i64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `id` of the last balance of the page before.
    starting_after: Option<String>,
    /// The key's own book, `live` or `test`; there is no need to say it.
    mode: Option<String>,
}

impl From<&balances::Balance> for Balance {
    fn from(balance: &balances::Balance) -> Self {
        Self {
            object: "balance",
            id: format!("{}:{}", balance.partner, balance.currency),
            partner_key: balance.partner.clone(),
            currency: balance.currency.to_string(),
            balance: balance.balance,
            available: balance.available,
            on_hold: balance.balance - balance.available,
        }
    }
}

/// What each partner has by currency
///
/// In order of partner and currency; those who have nothing are left out.
#[utoipa::path(
    get, path = "/v1/balances", tag = "ledger", operation_id = "list_balances", params(Wanted),
    responses((status = 200, description = "A page of balances", body = List<Balance>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Balance>>, Problem> {
    let mode = caller.book(query::mode(wanted.mode.as_deref())?)?;
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let after = page.starting_after.as_deref().map(partner_and_currency).transpose()?;
    let limit = usize::try_from(page.and_one()).unwrap_or_default();
    let mut tx = app.db.read().await?;
    let found = balances::page(&mut tx, (caller.workspace(), mode), app.clock.now(), after, limit).await?;
    Ok(Json(page.list(found.iter().map(Balance::from).collect())))
}

/// The parts of a balance's id. A partner's key may hold colons, a currency never does.
fn partner_and_currency(id: &str) -> Result<(&str, &str), Problem> {
    let invalid = || Problem::invalid("starting_after", "expected the id of an object of this list, partner:currency");
    id.rsplit_once(':').ok_or_else(invalid)
}
