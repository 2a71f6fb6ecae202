//! `/healthz` and `/readyz`.

use axum::extract::State;

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
