//! `/v1/mails`: the outbox, and what became of each mail.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Caller;
use super::super::body::{At, Nothing, Post, object};
use super::super::query::{List, Page, Query};
use super::super::{App, Problem};
use super::begin;
use crate::admin::mails as desk;
use crate::mail::queue::Again;
use crate::payouts::batch;
use crate::store::api_keys::Role;
use crate::store::mails::{self, Status};

/// A mail: written into the outbox once, sent once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Mail {
    /// Always `mail`.
    #[schema(example = "mail")]
    object: &'static str,
    /// `mail_…`
    mail_id: String,
    /// `live` or `test`: what is tried out in the test book goes to the owner.
    mode: &'static str,
    /// `statement`, `payout_sent`, `action_needed` or `month_end`.
    #[schema(example = "statement")]
    kind: &'static str,
    /// The statement, payout or batch that it speaks of.
    object_id: String,
    batch_id: Option<String>,
    /// None for the owner's.
    partner_key: Option<String>,
    /// The address that it goes to.
    recipient: String,
    /// Its `Message-ID`: the same at each try.
    message_id: String,
    /// `queued`, `sending`, `sent`, `refused` or `canceled`.
    #[schema(example = "sent")]
    status: &'static str,
    /// How often it was tried.
    tries: i64,
    /// When it is tried next.
    next_try_at: Option<DateTime<Utc>>,
    /// Why it was not taken, in the mail server's words.
    error: Option<String>,
    created_at: DateTime<Utc>,
    /// When the mail server took it.
    sent_at: Option<DateTime<Utc>>,
}

impl From<&mails::Mail> for Mail {
    fn from(mail: &mails::Mail) -> Self {
        Self {
            object: "mail",
            mail_id: mail.mail_id.clone(),
            mode: mail.mode.as_str(),
            kind: mail.kind.as_str(),
            object_id: mail.object_id.clone(),
            batch_id: mail.batch_id.clone(),
            partner_key: mail.partner_key.clone(),
            recipient: mail.recipient.clone(),
            message_id: mail.message_id.clone(),
            status: mail.status.as_str(),
            tries: mail.tries,
            next_try_at: mail.next_try_at,
            error: mail.error.clone(),
            created_at: mail.created_at,
            sent_at: mail.sent_at,
        }
    }
}

/// Statements to send.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SendStatements {
    /// Only this partner's.
    partner_key: Option<String>,
    /// Send those once more that were sent before.
    #[serde(default)]
    again: bool,
}

/// What was put into the outbox.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct QueuedStatements {
    /// Always `queued_statements`.
    #[schema(example = "queued_statements")]
    object: &'static str,
    batch_id: String,
    /// How many mails are new; `GET /v1/mails` says what becomes of them.
    queued: usize,
    /// How many had been queued before.
    queued_before: usize,
    /// Partners without an address that mail can be sent to.
    without_address: Vec<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many at most, 1 to 100; 10 where nobody says.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `mail_id` of the last mail of the page before.
    #[param(pattern = "^mail_")]
    starting_after: Option<String>,
    /// `queued`, `sending`, `sent`, `refused` or `canceled`.
    #[param(example = "refused")]
    status: Option<String>,
    /// Those of this batch: `bat_…`, or the month.
    #[param(example = "2026-10")]
    batch: Option<String>,
}

/// Send a batch's statements
///
/// Puts them into the outbox, which is sent in the background. Each statement is sent once, however often this is asked,
/// unless `again` is set. The batch must be approved.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/statements/send", tag = "payouts", operation_id = "send_statements",
    request_body = SendStatements,
    params(("batch" = String, Path, description = "`bat_…`, or the month", example = "2026-10")),
    responses((status = 200, description = "What was put into the outbox", body = QueuedStatements))
)]
pub(super) async fn send_statements(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    post: Post<SendStatements>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let again = if post.body.again { Again::Yes } else { Again::No };
    let mut doing = begin!(post, app, caller);
    let found = batch::find(&mut doing.session.tx, caller.workspace(), caller.mode(), &name).await?;
    let queued = desk::queue_statements(&mut doing.session, &found, post.body.partner_key.as_deref(), again).await?;
    let answer = QueuedStatements {
        object: "queued_statements",
        batch_id: found.batch_id,
        queued: queued.queued.len(),
        queued_before: queued.before.len(),
        without_address: queued.without_address,
    };
    doing.answer(StatusCode::OK, &answer).await
}

/// Mails
///
/// The newest first.
#[utoipa::path(
    get, path = "/v1/mails", tag = "payouts", operation_id = "list_mails", params(Wanted),
    responses((status = 200, description = "A page of mails", body = List<Mail>))
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> Result<Json<List<Mail>>, Problem> {
    let page = Page::of_ids(wanted.limit, wanted.starting_after, "mail_")?;
    let status: Option<Status> =
        wanted.status.as_deref().map(str::parse).transpose().map_err(|why: String| Problem::invalid("status", why))?;
    let (workspace, mode) = (caller.workspace(), caller.mode());
    let mut tx = app.db.read().await?;
    let batch_id = match &wanted.batch {
        None => None,
        Some(name) => Some(batch::find(&mut tx, workspace, mode, name).await?.batch_id),
    };
    let asked = mails::Wanted { status, batch_id: batch_id.as_deref(), before: page.starting_after.as_deref() };
    let found = mails::page(&mut tx, workspace, mode, &asked, page.and_one()).await?;
    Ok(Json(page.list(found.iter().map(Mail::from).collect())))
}

/// A mail
#[utoipa::path(
    get, path = "/v1/mails/{mail_id}", tag = "payouts", operation_id = "get_mail",
    params(("mail_id" = String, Path, description = "`mail_…`")),
    responses((status = 200, description = "The mail", body = Mail))
)]
pub(super) async fn get(State(app): State<App>, caller: Caller, At(mail_id): At<String>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let found = mails::find(&mut tx, caller.workspace(), &mail_id).await?;
    let found = found.filter(|mail| mail.mode == caller.mode());
    object(StatusCode::OK, &Mail::from(&found.ok_or_else(|| Problem::not_found("there is no such mail"))?))
}

/// Try a mail again
///
/// Makes a mail due at once that waits, was refused, or was called off.
#[utoipa::path(
    post, path = "/v1/mails/{mail_id}/retry", tag = "payouts", operation_id = "retry_mail",
    request_body = Option<Nothing>,
    params(("mail_id" = String, Path, description = "`mail_…`")),
    responses((status = 200, description = "The mail", body = Mail))
)]
pub(super) async fn retry(
    State(app): State<App>,
    caller: Caller,
    At(mail_id): At<String>,
    post: Post<Nothing>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let mut doing = begin!(post, app, caller);
    let mail = desk::retry(&mut doing.session, &mail_id).await?;
    doing.answer(StatusCode::OK, &Mail::from(&mail)).await
}

/// Call a mail off
///
/// One that waits is not sent. Calling it off again changes nothing.
#[utoipa::path(
    post, path = "/v1/mails/{mail_id}/cancel", tag = "payouts", operation_id = "cancel_mail",
    request_body = Option<Nothing>,
    params(("mail_id" = String, Path, description = "`mail_…`")),
    responses((status = 200, description = "The mail", body = Mail))
)]
pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    At(mail_id): At<String>,
    post: Post<Nothing>,
) -> Result<Response, Problem> {
    caller.must_be(Role::Finance)?;
    let mut doing = begin!(post, app, caller);
    let mail = desk::cancel(&mut doing.session, &mail_id).await?;
    doing.answer(StatusCode::OK, &Mail::from(&mail)).await
}
