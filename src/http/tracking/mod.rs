//! What visitors meet, none of whom has a key: links to follow, and the script on the merchant's pages.

mod address;
mod browser;
mod redirect;
mod script;
mod ways;

use axum::routing::options;
use tower_http::cors::{Any, CorsLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use ways::{By, Ways};

use super::App;

/// Every route.
pub(super) fn routes() -> OpenApiRouter<App> {
    // The script runs on pages of any origin. It sends no cookies, so that nothing is told of whoever has an account.
    let any = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any);
    OpenApiRouter::new()
        .routes(routes!(browser::click))
        // Answered by the layer below; what has no handler never comes to it.
        .route("/c", options(|| async {}))
        .routes(routes!(script::get))
        .layer(any)
        .routes(routes!(redirect::follow))
        .routes(routes!(redirect::follow_in))
}
