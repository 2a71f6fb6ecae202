//! Headers that every answer has which a browser may show, unless a handler said otherwise.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::App;

/// The page of the API's reference runs its own script and style, and sends requests to this service alone.
const OF_DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                       font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Data is no page: whatever is in it, nothing of it runs.
const OF_DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// A year, as browsers ask for.
const ENCRYPTED: &str = "max-age=31536000";

/// Adds what is missing.
pub(super) async fn harden(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let (is_docs, is_data) = (path.starts_with("/docs"), path.starts_with("/v1/") || path.starts_with("/setup/"));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, header::CONTENT_SECURITY_POLICY, if is_docs { OF_DOCS } else { OF_DATA });
    put(headers, header::X_FRAME_OPTIONS, "DENY");
    put(headers, header::REFERRER_POLICY, "no-referrer");
    put(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    if is_data {
        put(headers, header::CACHE_CONTROL, "no-store");
    }
    if app.public_url.starts_with("https:") {
        put(headers, header::STRICT_TRANSPORT_SECURITY, ENCRYPTED);
    }
    response
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
