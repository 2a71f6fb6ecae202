//! `/healthz`, `/readyz` and `/metrics`.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::{App, Problem};
use crate::store::{Mode, syncs, workspaces};

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
    polled(&app, &mut text).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// What polls came to, of all books; nothing where the database does not answer.
async fn polled(app: &App, text: &mut String) {
    let asked = async {
        let mut tx = app.db.read().await?;
        syncs::books(&mut tx).await
    };
    let Ok(books) = asked.await else { return };
    text.push_str(
        "# HELP commission_bridge_missed_webhooks_total Events that a poll brought although a webhook should have.\n\
         # TYPE commission_bridge_missed_webhooks_total counter\n",
    );
    for mode in Mode::ALL {
        let missed: i64 = books.iter().filter(|book| book.mode() == mode).map(|book| book.missed).sum();
        let _ = writeln!(text, "commission_bridge_missed_webhooks_total{{mode=\"{mode}\"}} {missed}");
    }
    text.push_str(
        "# HELP commission_bridge_polled_timestamp_seconds When events were last polled to the end, of the book for which \
         that is longest ago.\n\
         # TYPE commission_bridge_polled_timestamp_seconds gauge\n",
    );
    for mode in Mode::ALL {
        let polled = books.iter().filter(|book| book.mode() == mode).map(|book| book.succeeded_at());
        if let Some(Some(oldest)) = polled.min() {
            let _ = writeln!(text, "commission_bridge_polled_timestamp_seconds{{mode=\"{mode}\"}} {}", oldest.timestamp());
        }
    }
}
