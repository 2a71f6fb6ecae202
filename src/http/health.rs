//! `/healthz`, `/readyz` and `/metrics`.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::{App, Problem};
use crate::store::workspaces;

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The database answers, too.
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    let asked = async {
        let mut tx = app.db.read().await?;
        workspaces::all(&mut tx).await
    };
    asked.await.map(|_| "ready\n").map_err(|error| {
        tracing::warn!(%error, "not ready: the database does not answer");
        Problem::unavailable("database_unavailable", "the database does not answer")
    })
}

/// Counts since the start, in Prometheus' text format.
pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let counters = &app.counters;
    let mut text = String::from(
        "# HELP commission_bridge_webhooks_total Webhooks since the start, by what became of them.\n\
         # TYPE commission_bridge_webhooks_total counter\n",
    );
    for (result, counter) in [
        ("stored", &counters.stored),
        ("duplicate", &counters.duplicate),
        ("ignored", &counters.ignored),
        ("bad_signature", &counters.bad_signature),
        ("refused", &counters.refused),
        ("unavailable", &counters.unavailable),
    ] {
        let count = counter.load(Ordering::Relaxed);
        let _ = writeln!(text, "commission_bridge_webhooks_total{{result=\"{result}\"}} {count}");
    }
    text.push_str(
        "# HELP commission_bridge_clicks_total Clicks since the start; those that could not be stored in time are lost.\n\
         # TYPE commission_bridge_clicks_total counter\n",
    );
    for (result, counter) in [("stored", &counters.clicks_stored), ("lost", &counters.clicks_lost)] {
        let count = counter.load(Ordering::Relaxed);
        let _ = writeln!(text, "commission_bridge_clicks_total{{result=\"{result}\"}} {count}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}
