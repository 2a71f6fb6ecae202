//! `/healthz`, `/readyz` and `/metrics`.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::{App, Problem};
use crate::store::{Mode, StoreError, reconciliations, syncs, workspaces};

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
        ("overloaded", &counters.overloaded),
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
    if let Err(error) = unreconciled(&app, &mut text).await {
        tracing::warn!(%error, "what comparing with Stripe came to is not among the metrics");
    }
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
        let polled = books.iter().filter(|book| book.mode() == mode).map(syncs::Book::succeeded_at);
        if let Some(Some(oldest)) = polled.min() {
            let _ =
                writeln!(text, "commission_bridge_polled_timestamp_seconds{{mode=\"{mode}\"}} {}", oldest.timestamp());
        }
    }
}

/// What comparing each book's newest month with Stripe came to.
async fn unreconciled(app: &App, text: &mut String) -> Result<(), StoreError> {
    let (mut objects, mut amounts, mut ages) = (String::new(), String::new(), String::new());
    let mut tx = app.db.read().await?;
    for (workspace, key) in workspaces::all(&mut tx).await? {
        for mode in Mode::ALL {
            let Some(newest) = reconciliations::newest(&mut tx, (workspace, mode)).await? else { continue };
            let of = format!("workspace=\"{key}\",mode=\"{mode}\"");
            let age = (app.clock.now() - newest.checked_at()).num_seconds();
            let _ = writeln!(objects, "commission_bridge_unreconciled_objects{{{of}}} {}", newest.differing);
            let _ = writeln!(ages, "commission_bridge_reconciled_age_seconds{{{of}}} {age}");
            for (currency, gap) in newest.report()?.gaps() {
                let _ = writeln!(
                    amounts,
                    "commission_bridge_unreconciled_minor_units{{{of},currency=\"{currency}\"}} {gap}"
                );
            }
        }
    }
    tx.rollback().await?;
    for (name, help, lines) in [
        ("unreconciled_objects", "Objects of the newest month that differ from Stripe's.", objects),
        ("unreconciled_minor_units", "By how much their amounts differ, minor units.", amounts),
        ("reconciled_age_seconds", "How long ago that was compared.", ages),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(text, "# HELP commission_bridge_{name} {help}\n# TYPE commission_bridge_{name} gauge");
            text.push_str(&lines);
        }
    }
    Ok(())
}
