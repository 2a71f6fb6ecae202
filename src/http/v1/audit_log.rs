//! `GET /v1/audit-log`: who changed what.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use crate::store::api_keys::Role;
use crate::store::audit::{self, Audited};

/// One change, whichever door it came through.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct AuditLine {
    /// Always `audit_line`.
    #[schema(example = "audit_line")]
    object: &'static str,
    /// `aud_…`
    audit_id: String,
    at: DateTime<Utc>,
    /// Who: `cli`, or `api:` and how the key begins.
    #[schema(example = "api:cb_live_3f2a")]
    author: String,
    /// What was done.
    #[schema(example = "partner.entered")]
    action: String,
    /// What kind of thing it is about.
    #[schema(example = "partner")]
    subject: String,
    /// Which one.
    #[schema(example = "acme")]
    subject_id: String,
    /// What it was; null where it was not there.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What it is since; null where it is gone.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl From<Audited> for AuditLine {
    fn from(line: Audited) -> Self {
        Self {
            object: "audit_line",
            audit_id: line.audit_id,
            at: line.at,
            author: line.author,
            action: line.action,
            subject: line.object,
            subject_id: line.object_id,
            before: line.before,
            after: line.after,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `audit_id` of the last line of the page before.
    #[param(pattern = "^aud_")]
    starting_after: Option<String>,
    /// About this kind of thing.
    #[param(example = "partner")]
    subject: Option<String>,
    /// About this one; together with `subject`.
    #[param(example = "acme")]
    subject_id: Option<String>,
    /// By this author.
    author: Option<String>,
}

/// Who changed what, before and after
///
/// Every write, whichever door it came through; the newest first.
#[utoipa::path(
    get, path = "/v1/audit-log", tag = "administration", operation_id = "list_audit_log", params(Wanted),
    responses((status = 200, description = "A page of the log", body = List<AuditLine>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<AuditLine>>, Problem> {
    caller.must_be(Role::Admin)?;
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "aud_")?;
    if wanted.subject_id.is_some() && wanted.subject.is_none() {
        return Err(Problem::invalid("subject", "say which kind of thing `subject_id` is"));
    }
    let filter = audit::Wanted {
        object: wanted.subject.as_deref(),
        object_id: wanted.subject_id.as_deref(),
        author: wanted.author.as_deref(),
        before: page.starting_after.as_deref(),
    };
    let mut tx = app.db.read().await?;
    let found = audit::newest(&mut tx, caller.workspace(), &filter, page.and_one()).await?;
    Ok(Json(page.list(found.into_iter().map(AuditLine::from).collect())))
}
