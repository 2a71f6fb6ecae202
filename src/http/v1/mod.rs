//! The JSON API, one file per resource.

mod api_keys;
mod audit_log;
mod balances;
mod customers;
mod entries;
mod events;
mod payments;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, Problem, webhook};
use crate::store::Mode;

/// Every route that takes a key.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::get, api_keys::revoke))
        .routes(routes!(audit_log::list))
        .routes(routes!(balances::list))
        .routes(routes!(customers::list))
        .routes(routes!(customers::get))
        .routes(routes!(entries::list))
        .routes(routes!(events::list))
        .routes(routes!(events::get))
        .routes(routes!(events::replay))
        .routes(routes!(events::replay_failed))
        .routes(routes!(payments::list))
        .routes(routes!(payments::get))
        .routes(routes!(payments::explain))
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
