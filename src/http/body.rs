//! What requests carry: JSON of which every field is known, ids in addresses, and the promise of a request that may be
//! sent twice.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::auth::Caller;
use super::{App, BODY_LIMIT, BODY_PATIENCE, Problem};
use crate::admin::Session;
use crate::store::idempotency::{self, Answered, Keyed};

/// How long an `Idempotency-Key` may be, in characters.
const LONGEST_KEY: usize = 255;

/// A request that changes something: its body, and the key under which it may be repeated.
pub(super) struct Post<T> {
    /// What is asked for.
    pub body: T,
    /// The value of `If-Match`.
    pub if_match: IfMatch,
    key: Option<String>,
    /// SHA-256 of method, path and body.
    hash: String,
}

/// A body that says nothing.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl<T: DeserializeOwned> FromRequest<App> for Post<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, BODY_LIMIT).await?;
        // A POST that needs no body may have none.
        let bytes = if bytes.is_empty() { Bytes::from_static(b"{}") } else { json_only(&parts.headers, bytes)? };
        let hash = hash(&parts.method, parts.uri.path(), &value(&bytes)?);
        Ok(Self { body: typed(&bytes)?, if_match: IfMatch::read(&parts.headers), key: key(&parts.headers)?, hash })
    }
}

/// A request whose body is no JSON (a file), under which it may be repeated, too.
pub(super) struct PostFile {
    /// What was sent.
    pub bytes: Bytes,
    /// The part of the address behind the `?`.
    pub query: Option<String>,
    key: Option<String>,
    hash: String,
}

/// The largest file that is read: 16 MiB.
pub(super) const FILE_LIMIT: usize = 16 * 1024 * 1024;

impl FromRequest<App> for PostFile {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, FILE_LIMIT).await?;
        let query = parts.uri.query().map(ToOwned::to_owned);
        let mut hash = Sha256::new();
        hash.update(parts.uri.path_and_query().map_or("", |path| path.as_str()));
        hash.update(b"\n");
        hash.update(&bytes);
        Ok(Self { bytes, query, key: key(&parts.headers)?, hash: hex::encode(hash.finalize()) })
    }
}

/// The whole body, within its limits.
///
/// # Errors
/// 413 for one beyond `limit` bytes, 408 for one that takes too long, 400 for one that ends too early.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    read_counting(body, limit, |_| Ok(())).await
}

/// The same; `arrived` is told how many bytes there are by now, and may put an end to it.
pub(super) async fn read_counting(
    mut body: Body,
    limit: usize,
    mut arrived: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let reading = async {
        let (mut parts, mut size) = (Vec::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::bad_request("body_unreadable", "the body ended too early"))?;
            let Ok(part) = frame.into_data() else { continue };
            size = size.saturating_add(part.len());
            if size > limit {
                return Err(Problem::too_large(format!("the body is larger than {limit} bytes")));
            }
            arrived(size)?;
            parts.push(part);
        }
        // Most bodies come in one piece.
        Ok(if parts.len() == 1 { parts.remove(0) } else { Bytes::from(parts.concat()) })
    };
    tokio::time::timeout(BODY_PATIENCE, reading).await.unwrap_or_else(|_| {
        Err(Problem::too_slow(format!("the body took more than {} seconds to arrive", BODY_PATIENCE.as_secs())))
    })
}

fn json_only(headers: &HeaderMap, bytes: Bytes) -> Result<Bytes, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        Ok(bytes)
    } else {
        Err(Problem::unsupported("send JSON, with `Content-Type: application/json`"))
    }
}

/// Reads JSON of which every field is known.
///
/// # Errors
/// 400 for what is no JSON, 422 for a field that cannot be meant.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    value(bytes)?;
    typed(bytes)
}

fn value(bytes: &[u8]) -> Result<Value, Problem> {
    let value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request("not_json", format!("the body is no JSON: {error}")))?;
    // PostgreSQL cannot keep it, and nobody means it.
    match with_nul(&value, String::new()) {
        Some(field) => Err(Problem::invalid(field, "holds the character U+0000")),
        None => Ok(value),
    }
}

/// Where a text holds U+0000.
fn with_nul(value: &Value, path: String) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then_some(path),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| with_nul(item, format!("{path}[{index}]")))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            if name.contains('\0') {
                return Some(path.clone());
            }
            with_nul(value, if path.is_empty() { name.clone() } else { format!("{path}.{name}") })
        }),
        _ => None,
    }
}

fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(bytes)).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let said = error.into_inner().to_string();
        // Where in the text it was says less than which field it was.
        let said = said.rfind(" at line ").map_or(said.as_str(), |end| &said[..end]);
        Problem::invalid(named(path, said), said)
    })
}

/// The path of the field that a message is about; serde's own ends before an unknown or missing one.
pub(super) fn named(path: String, said: &str) -> String {
    let quoted = || said.split('`').nth(1).unwrap_or_default();
    let is_about_another =
        ["unknown field", "missing field", "duplicate field"].iter().any(|word| said.starts_with(word));
    let ends_with_it = is_about_another && (path == quoted() || path.ends_with(&format!(".{}", quoted())));
    match (is_about_another && !ends_with_it, path.is_empty()) {
        (false, _) => path,
        (true, true) => quoted().to_owned(),
        (true, false) => format!("{path}.{}", quoted()),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let refused = || {
        let expected = format!("expected 1 to {LONGEST_KEY} printable ASCII characters, such as a random UUID");
        Problem::invalid("Idempotency-Key", expected)
    };
    let text = value.to_str().map_err(|_| refused())?.trim();
    if text.is_empty() || text.len() > LONGEST_KEY { Err(refused()) } else { Ok(Some(text.to_owned())) }
}

/// The same for bodies that say the same.
fn hash(method: &Method, path: &str, body: &Value) -> String {
    hex::encode(Sha256::digest(format!("{method}\n{path}\n{body}")))
}

/// What became of a request so far.
pub(super) enum Begun {
    /// It was answered before: this is what it was answered.
    Before(Response),
    /// It is to be done now.
    Now(Box<Doing>),
}

/// A request that is being done, in one transaction with its answer.
pub(super) struct Doing {
    /// The transaction.
    pub session: Session,
    held: Option<(String, String)>,
}

impl<T> Post<T> {
    /// Whether its sender gave it a key.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Begins the transaction, unless the request was answered before.
    ///
    /// # Errors
    /// 409 where its key was used for another request; 503.
    pub(super) async fn begin(&self, app: &App, caller: &Caller) -> Result<Begun, Problem> {
        begin(app, caller, self.key.as_deref(), &self.hash).await
    }
}

impl PostFile {
    /// See [`Post::begin`].
    pub(super) async fn begin(&self, app: &App, caller: &Caller) -> Result<Begun, Problem> {
        begin(app, caller, self.key.as_deref(), &self.hash).await
    }
}

async fn begin(app: &App, caller: &Caller, key: Option<&str>, hash: &str) -> Result<Begun, Problem> {
    let book = (caller.workspace(), caller.mode());
    let session = app.session(caller).await;
    let mut session = session?;
    let Some(key) = key else { return Ok(Begun::Now(Box::new(Doing { session, held: None }))) };
    let keyed = Keyed { workspace: book.0, mode: book.1, key, hash };
    let now = session.now;
    match idempotency::take(&mut session.tx, &keyed, now).await.map_err(|error| Problem::database(&error))? {
        None => Ok(Begun::Now(Box::new(Doing { session, held: Some((key.to_owned(), hash.to_owned())) }))),
        Some(Answered { request_hash, status, body }) if request_hash == hash => {
            let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            let mut response = json(status.unwrap_or(StatusCode::OK), body);
            response.headers_mut().insert("idempotent-replayed", header::HeaderValue::from_static("true"));
            Ok(Begun::Before(response))
        }
        Some(_) => Err(Problem::conflict(
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request: a new request takes a new key",
        )),
    }
}

impl Doing {
    /// Keeps the answer and makes everything durable.
    ///
    /// # Errors
    /// 503.
    pub(super) async fn answer<T: Serialize>(self, status: StatusCode, object: &T) -> Result<Response, Problem> {
        self.answer_without(status, object, &[]).await
    }

    /// The same; of the answer's fields, `secrets` are shown this once and not kept.
    ///
    /// # Errors
    /// 503.
    pub(super) async fn answer_without<T: Serialize>(
        mut self,
        status: StatusCode,
        object: &T,
        secrets: &[&str],
    ) -> Result<Response, Problem> {
        let text = written(object)?;
        if let Some((key, hash)) = &self.held {
            let mut kept = serde_json::to_value(object).unwrap_or_default();
            for secret in secrets {
                if let Some(field) = kept.pointer_mut(secret) {
                    *field = Value::Null;
                }
            }
            let kept = if secrets.is_empty() { text.clone() } else { kept.to_string() };
            let keyed = Keyed { workspace: self.session.workspace, mode: self.session.mode, key, hash };
            let keeping = idempotency::keep(&mut self.session.tx, &keyed, status.as_u16(), &kept);
            keeping.await.map_err(|error| Problem::database(&error))?;
        }
        self.session.commit().await.map_err(|error| Problem::database(&error))?;
        Ok(json(status, text))
    }
}

/// The value of `If-Match`, if there is one.
#[derive(Debug, Clone)]
pub(super) struct IfMatch(Option<String>);

impl IfMatch {
    fn read(headers: &HeaderMap) -> Self {
        Self(headers.get(header::IF_MATCH).map(|value| value.to_str().unwrap_or_default().to_owned()))
    }

    /// Refuses to change an object that is no longer as its reader knows it.
    ///
    /// # Errors
    /// 412.
    pub(super) fn check<T: Serialize>(&self, current: &T) -> Result<(), Problem> {
        let Some(wanted) = &self.0 else { return Ok(()) };
        let tag = etag(&written(current)?);
        let matches = wanted.split(',').any(|one| one.trim() == "*" || one.trim() == tag);
        if matches {
            return Ok(());
        }
        Err(Problem::precondition(format!(
            "somebody changed this meanwhile: it is {tag} now. Read it again and decide anew"
        )))
    }
}

/// One object, with its tag.
///
/// # Errors
/// 500 for what is no JSON, which nothing here is.
pub(super) fn object<T: Serialize>(status: StatusCode, object: &T) -> Result<Response, Problem> {
    Ok(json(status, written(object)?))
}

fn written<T: Serialize>(object: &T) -> Result<String, Problem> {
    serde_json::to_string(object).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Problem::internal()
    })
}

fn json(status: StatusCode, body: String) -> Response {
    let tag = etag(&body);
    (status, [(header::CONTENT_TYPE, "application/json".to_owned()), (header::ETAG, tag)], body).into_response()
}

fn etag(body: &str) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(body)[..16]))
}

/// The ids in an address.
pub(super) struct At<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("there is nothing at this address");
        if parts.uri.path().contains("%00") {
            return Err(unknown());
        }
        Path::from_request_parts(parts, app).await.map(|Path(ids)| Self(ids)).map_err(|_| unknown())
    }
}
