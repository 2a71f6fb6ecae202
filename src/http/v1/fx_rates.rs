//! `/v1/fx_rates`: what a euro was worth in other currencies.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::PostFile;
use super::super::query::{List, Page, Query, parse};
use super::super::{App, Problem};
use super::begin;
use crate::admin::fx;
use crate::fx::{ECB, ecb};
use crate::store::api_keys::Role;
use crate::store::fx_rates::{self, KnownRate};

/// Units of a currency for one euro, as published for a day.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct FxRate {
    /// Always `fx_rate`.
    #[schema(example = "fx_rate")]
    object: &'static str,
    #[schema(example = "2026-10-30")]
    day: NaiveDate,
    #[schema(example = "usd")]
    currency: String,
    /// A decimal.
    #[schema(example = "1.1572")]
    per_euro: String,
    /// Who published it: `ecb` for the European Central Bank.
    #[schema(example = "ecb")]
    source: String,
    entered_at: DateTime<Utc>,
}

impl From<KnownRate> for FxRate {
    fn from(rate: KnownRate) -> Self {
        Self {
            object: "fx_rate",
            day: rate.day,
            currency: rate.currency.to_string(),
            per_euro: rate.per_euro.to_string(),
            source: rate.source,
            entered_at: rate.entered_at,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfDay {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `currency` of the last rate of the page before.
    starting_after: Option<String>,
    /// The day; the last one known where nobody says.
    #[param(example = "2026-10-30")]
    day: Option<NaiveDate>,
}

/// The exchange rates of a day
///
/// In order of their currencies. On weekends and holidays none are published: the last ones before count.
#[utoipa::path(
    get, path = "/v1/fx_rates", tag = "payouts", operation_id = "list_fx_rates", params(OfDay),
    responses((status = 200, description = "A page of rates", body = List<FxRate>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<OfDay>,
) -> Result<Json<List<FxRate>>, Problem> {
    let page = Page::of(wanted.limit, wanted.starting_after)?;
    let mut tx = app.db.read().await?;
    let day = match wanted.day {
        Some(day) => Some(day),
        None => fx_rates::last_day(&mut tx, caller.workspace()).await?,
    };
    let rates = match day {
        Some(day) => fx_rates::of_day(&mut tx, caller.workspace(), day).await?,
        None => Vec::new(),
    };
    Ok(Json(page.of_all(rates.into_iter().map(FxRate::from), |rate| &rate.currency)?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Published {
    /// Who published the rates; `ecb` where nobody says.
    source: Option<String>,
}

/// What an import of rates did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FxImport {
    /// Always `fx_import`.
    #[schema(example = "fx_import")]
    object: &'static str,
    /// How many rates are new.
    new: u64,
    /// How many were known.
    known: u64,
    first_day: NaiveDate,
    last_day: NaiveDate,
    source: String,
}

/// Import exchange rates
///
/// A file of the European Central Bank: XML or CSV, of a day or of many. All or nothing; a rate that is known is never
/// changed. The same file twice changes nothing.
#[utoipa::path(
    post, path = "/v1/fx_rates", tag = "payouts", operation_id = "import_fx_rates", params(Published),
    request_body(
        content((String = "application/xml"), (String = "text/csv")),
        description = "The file, UTF-8, at most 16 MiB"
    ),
    responses((status = 200, description = "What was entered", body = FxImport))
)]
pub(super) async fn import(State(app): State<App>, caller: Caller, post: PostFile) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let from: Published = parse(post.query.as_deref().unwrap_or_default())?;
    let source = from.source.unwrap_or_else(|| ECB.to_owned());
    let rates = ecb::read(&post.bytes).map_err(|error| {
        Problem::invalid(error.line.map_or_else(|| "file".to_owned(), |line| format!("line {line}")), error.message)
    })?;
    let mut doing = begin!(post, app, caller);
    let fx::Imported { new, known, days: (first_day, last_day) } =
        fx::import(&mut doing.session, &rates, &source).await?;
    let answer = FxImport { object: "fx_import", new, known, first_day, last_day, source };
    doing.answer(StatusCode::OK, &answer).await
}
