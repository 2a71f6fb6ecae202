//! `/v1/enrollments`: which partner is in which program.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::Post;
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::{begin, status_word};
use crate::admin::partners;
use crate::domain::terms::{Status, Terms};
use crate::program::valid;

/// A partner in a program.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Enrollment {
    /// Always `enrollment`.
    #[schema(example = "enrollment")]
    object: &'static str,
    /// Partner and program.
    #[schema(example = "acme/saas")]
    id: String,
    partner_key: String,
    program: String,
    /// `active`, or `inactive` since they left.
    #[schema(example = "active")]
    status: &'static str,
}

/// A partner to let in or out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEnrollment {
    #[schema(example = "acme")]
    partner_key: String,
    #[schema(example = "saas")]
    program: String,
    /// `active` (where left out) or `inactive`.
    status: Option<String>,
    /// For payments from then on. Where left out, the first enrollment reaches back to the beginning, and a change counts
    /// from now on.
    from: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `id` of the last enrollment of the page before.
    starting_after: Option<String>,
    /// Those of this partner.
    partner: Option<String>,
    /// Those in this program.
    program: Option<String>,
    /// `active` or `inactive`.
    status: Option<String>,
}

fn all<'a>(terms: &'a Terms, partner: Option<&'a str>) -> impl Iterator<Item = Enrollment> + 'a {
    let partners = terms.partners.iter().filter(move |(key, _)| partner.is_none_or(|partner| partner == *key));
    partners.flat_map(|(key, partner)| {
        let mut programs: Vec<(&String, Status)> =
            partner.enrollments.iter().filter_map(|(program, status)| Some((program, *status.latest()?))).collect();
        programs.sort_by_key(|(program, _)| *program);
        programs.into_iter().map(move |(program, status)| Enrollment {
            object: "enrollment",
            id: format!("{key}/{program}"),
            partner_key: key.clone(),
            program: program.clone(),
            status: status_word(status),
        })
    })
}

/// The enrollments
///
/// In order of partner and program, those who left included.
#[utoipa::path(
    get, path = "/v1/enrollments", tag = "partners", operation_id = "list_enrollments", params(Filter),
    responses((status = 200, description = "A page of enrollments", body = List<Enrollment>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<List<Enrollment>>, Problem> {
    let page = Page::of(filter.limit, filter.starting_after)?;
    let status = filter.status.as_deref().map(valid::status).transpose();
    let status = status.map_err(|error| Problem::invalid("status", error))?.map(status_word);
    let terms = app.terms(&caller).await?;
    let fitting = all(&terms, filter.partner.as_deref())
        .filter(|one| filter.program.as_ref().is_none_or(|program| *program == one.program))
        .filter(|one| status.is_none_or(|status| status == one.status));
    Ok(Json(page.of_all(fitting, |one| &one.id)?))
}

/// Let a partner into a program, or out of it
#[utoipa::path(
    post, path = "/v1/enrollments", tag = "partners", operation_id = "enroll_partner", request_body = NewEnrollment,
    responses((status = 200, description = "The enrollment", body = Enrollment))
)]
pub(super) async fn enroll(
    State(app): State<App>,
    caller: Caller,
    post: Post<NewEnrollment>,
) -> Result<Response, Problem> {
    app.may_change_terms(&caller).await?;
    let NewEnrollment { partner_key, program, status, from } = &post.body;
    let status = status.as_deref().map_or(Ok(Status::Active), valid::status);
    let status = status.map_err(|error| Problem::invalid("status", error))?;
    let mut doing = begin!(post, app, caller);
    let mut desk = doing.session.desk().await?;
    partners::enroll(&mut desk, partner_key, program, status, *from).await?;
    let found = all(&desk.terms, Some(partner_key)).find(|one| one.program == *program);
    let answer = doing.answer(StatusCode::OK, &found.ok_or_else(Problem::internal)?).await?;
    app.wake();
    Ok(answer)
}
