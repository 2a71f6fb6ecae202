//! The JSON API, one file per resource.

mod adjustments;
mod api_keys;
mod audit_log;
mod backfills;
mod balances;
mod batches;
mod clicks;
mod codes;
mod customers;
mod enrollments;
mod entries;
mod events;
mod files;
mod fx_rates;
mod groups;
mod imports;
mod leads;
mod links;
mod mails;
mod onboarding;
mod partners;
mod payments;
mod payouts;
mod privacy;
mod programs;
mod reconciliations;
mod reports;
mod reviews;
mod shapes;
mod simulate;
mod statements;
mod stripe;
mod syncs;
mod workspaces;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use serde::Deserialize;
use utoipa::IntoParams;

use super::{App, Problem, webhook};
use crate::domain::terms::Status;
use crate::store::Mode;

/// Begins the transaction of a POST, or answers as it was answered before.
macro_rules! begin {
    ($post:expr, $app:expr, $caller:expr) => {
        match $post.begin(&$app, &$caller).await? {
            $crate::http::body::Begun::Before(response) => return Ok(response),
            $crate::http::body::Begun::Now(doing) => doing,
        }
    };
}
use begin;

/// Which page of a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The key or id of the last object of the page before.
    starting_after: Option<String>,
}

/// `If-Match`
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code)] // for the reference; the body's extractor reads it
struct IfMatchHeader {
    /// The `ETag` that the object had when it was read: if somebody changed it meanwhile, this change is refused.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// As in files and SQL.
fn status_word(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Inactive => "inactive",
    }
}

/// Every route that takes a key.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(adjustments::get))
        .routes(routes!(adjustments::list, adjustments::create))
        .routes(routes!(api_keys::get, api_keys::revoke))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(audit_log::list))
        .routes(routes!(backfills::get))
        .routes(routes!(backfills::list, backfills::begin_one))
        .routes(routes!(balances::list))
        .routes(routes!(batches::approve))
        .routes(routes!(batches::export))
        .routes(routes!(batches::get))
        .routes(routes!(batches::list, batches::close))
        .routes(routes!(batches::mark_paid))
        .routes(routes!(batches::pay))
        .routes(routes!(batches::payouts_of))
        .routes(routes!(clicks::get))
        .routes(routes!(clicks::list, clicks::create))
        .routes(routes!(codes::get, codes::take))
        .routes(routes!(codes::list, codes::give))
        .routes(routes!(customers::get))
        .routes(routes!(customers::list))
        .routes(routes!(customers::timeline))
        .routes(routes!(enrollments::list, enrollments::enroll))
        .routes(routes!(entries::list))
        .routes(routes!(events::get))
        .routes(routes!(events::list))
        .routes(routes!(events::replay))
        .routes(routes!(events::replay_failed))
        .routes(routes!(files::content))
        .routes(routes!(files::get))
        .routes(routes!(files::list, files::make))
        .routes(routes!(files::results))
        .routes(routes!(fx_rates::list, fx_rates::import))
        .routes(routes!(groups::get))
        .routes(routes!(groups::list, groups::enter))
        .routes(routes!(imports::import))
        .routes(routes!(leads::get))
        .routes(routes!(leads::list, leads::create))
        .routes(routes!(links::get, links::update))
        .routes(routes!(links::list, links::create))
        .routes(routes!(mails::cancel))
        .routes(routes!(mails::get))
        .routes(routes!(mails::list))
        .routes(routes!(mails::retry))
        .routes(routes!(mails::send_statements))
        .routes(routes!(onboarding::invite))
        .routes(routes!(partners::get, partners::update))
        .routes(routes!(partners::list, partners::create))
        .routes(routes!(payments::explain))
        .routes(routes!(payments::get))
        .routes(routes!(payments::list))
        .routes(routes!(payouts::cancel))
        .routes(routes!(payouts::get))
        .routes(routes!(privacy::export))
        .routes(routes!(privacy::list, privacy::erase))
        .routes(routes!(programs::archive))
        .routes(routes!(programs::get, programs::update))
        .routes(routes!(programs::list, programs::create))
        .routes(routes!(programs::version))
        .routes(routes!(programs::versions, programs::publish))
        .routes(routes!(reconciliations::list, reconciliations::compare))
        .routes(routes!(reports::links))
        .routes(routes!(reports::partners))
        .routes(routes!(reports::products))
        .routes(routes!(reviews::attribute_customer))
        .routes(routes!(reviews::attribute_payment))
        .routes(routes!(reviews::reject))
        .routes(routes!(reviews::restore))
        .routes(routes!(simulate::simulate))
        .routes(routes!(statements::csv))
        .routes(routes!(statements::document))
        .routes(routes!(statements::get))
        .routes(routes!(statements::list))
        .routes(routes!(statements::page_of))
        .routes(routes!(stripe::get))
        .routes(routes!(stripe::join))
        .routes(routes!(stripe::leave))
        .routes(routes!(stripe::rotate))
        .routes(routes!(syncs::list))
        .routes(routes!(workspaces::get, workspaces::update))
        .routes(routes!(workspaces::list, workspaces::create))
        .routes(routes!(workspaces::remove_secret))
        .routes(routes!(workspaces::secrets, workspaces::add_secret))
}

/// Where Stripe's events come in.
pub(super) fn webhooks() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(webhook::receive))
}

/// Reads a mode out of a body.
///
/// # Errors
/// 422 where it is none.
fn live_or_test(field: &str, text: Option<&str>) -> Result<Option<Mode>, Problem> {
    text.map(|mode| mode.parse().map_err(|error: String| Problem::invalid(field, error))).transpose()
}
