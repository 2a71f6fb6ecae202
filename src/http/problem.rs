//! Answers that say what went wrong: RFC 9457 problem documents with a stable `code`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::Refused;
use crate::program::json::Fault;
use crate::store::StoreError;

/// So many things that are wrong are told at once.
const MOST_ERRORS: usize = 100;

/// A problem, as JSON of type `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` says which problem it is.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable, for programs.
    code: &'static str,
    /// What was wrong and what to do, for people.
    #[schema(value_type = String)]
    detail: Box<str>,
    /// Which part of the request it is about: a field's path, such as `rules[1].percent`, or a parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    field: Option<Box<str>>,
    /// All that is wrong, where it is more than one thing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// One of several things that are wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// The field's path, such as `rules[1].percent`.
    field: String,
    /// What is wrong with it, and what was expected.
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            code,
            detail: detail.into().into_boxed_str(),
            field: None,
            errors: Vec::new(),
        }
    }

    /// Which problem it is; stable.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// 404
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405
    pub fn method_not_allowed() -> Self {
        let detail = "this address does not answer that method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// 400, with a code of its own.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: no key, or none that opens anything.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 403: a good key that does not open this.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 422: a field that cannot be meant.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let field = Some(field.into().into_boxed_str());
        Self { field, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    /// 422: several fields that cannot be meant.
    fn several(faults: Vec<Fault>) -> Self {
        let errors: Vec<FieldError> =
            faults.into_iter().take(MOST_ERRORS).map(|Fault { field, detail }| FieldError { field, detail }).collect();
        let first = errors.first().cloned().unwrap_or(FieldError { field: String::new(), detail: String::new() });
        let errors = if errors.len() > 1 { errors } else { Vec::new() };
        Self { errors, ..Self::invalid(first.field, first.detail) }
    }

    /// 422: a file with rows that cannot be meant; each is named by its place.
    pub fn rows(rows: Vec<(String, String)>) -> Self {
        Self::several(rows.into_iter().map(|(field, detail)| Fault { field, detail }).collect())
    }

    /// 413
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    }

    /// 408
    pub fn too_slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail)
    }

    /// 415
    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 412: what was to be changed is no longer as it was read.
    pub fn precondition(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// 429
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
    }

    /// 500: a fault of the bridge itself. What happened goes to the log.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a fault of the bridge itself; its log says more")
    }

    /// 409: what is asked for and what is there do not go together.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 503: the database failed. What it said goes to the log.
    pub fn database(error: &StoreError) -> Self {
        if error.is_collision() {
            return Self::unavailable("busy", "somebody else changed the same at this moment; try again");
        }
        tracing::error!(%error, "a request could not be answered");
        Self::unavailable("database_unavailable", "the database does not answer; try again")
    }

    /// 503: whoever asked should ask again. The cause stays in the log.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::database(&error)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing(detail) => Self::not_found(detail),
            Refused::Invalid { field, detail } => Self::invalid(field, detail),
            Refused::Faults(faults) => Self::several(faults),
            Refused::Conflict { code, detail } => Self::conflict(code, detail),
            Refused::Store(error) => Self::database(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
