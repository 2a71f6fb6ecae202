//! `/onboard/{token}`: a partner opens the Stripe account that they are paid on. Looking changes nothing, the button does.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::body::At;
use super::{App, Problem};
use crate::admin::{Session, onboarding};
use crate::store::onboardings::Onboarding;
use crate::store::stripe_accounts;

/// What the page says.
#[derive(Template)]
#[template(path = "page/onboarding.html")]
struct Page<'a> {
    title: String,
    text: &'a str,
    missing: Vec<String>,
    button: Option<&'a str>,
    small: &'a str,
    is_test: bool,
}

const ON_STRIPE: &str =
    "You enter your details on Stripe's own pages. We see whether you can be paid, not your bank account.";

pub(super) fn routes() -> Router<App> {
    Router::new().route("/onboard/{token}", get(look).post(begin)).route("/onboard/{token}/back", get(come_back))
}

fn gone() -> Response {
    let page = Page {
        title: "This link has expired".to_owned(),
        text: "Ask whoever sent it to you for a new one.",
        missing: Vec::new(),
        button: None,
        small: "Links work for fourteen days.",
        is_test: false,
    };
    (StatusCode::NOT_FOUND, shown(&page)).into_response()
}

async fn find(app: &App, token: &str) -> Result<Option<Onboarding>, Problem> {
    let mut tx = app.db.read().await?;
    Ok(onboarding::find(&mut tx, token, app.clock.now()).await?)
}

/// How it stands, as far as it is known here.
async fn look(State(app): State<App>, At(token): At<String>) -> Result<Response, Problem> {
    let Some(link) = find(&app, &token).await? else { return Ok(gone()) };
    let mut tx = app.db.read().await?;
    let terms = app.db.terms(&mut tx, link.workspace_id).await?;
    let account = onboarding::known_account(&link, &terms);
    let known = stripe_accounts::of(&mut tx, link.workspace_id, link.mode(), account.as_deref()).await?;
    tx.rollback().await?;
    let known = account.and_then(|account| known.get(&account).cloned());
    let is_test = link.mode() == crate::store::Mode::Test;
    let page = match known {
        Some(known) if known.is_ready() => Page {
            title: "You are ready to be paid".to_owned(),
            text: "Your account at Stripe is complete. Payouts arrive on it from now on.",
            missing: Vec::new(),
            button: None,
            small: "You can close this page.",
            is_test,
        },
        Some(known) if known.missing.is_empty() && known.transfers == "pending" => Page {
            title: "Stripe is checking your details".to_owned(),
            text: "There is nothing to do. This usually takes a few minutes, sometimes a day or two.",
            missing: Vec::new(),
            button: None,
            small: "You can close this page.",
            is_test,
        },
        Some(known) => Page {
            title: "Something is still missing".to_owned(),
            text: "Stripe needs a little more from you before you can be paid.",
            missing: known.missing.iter().map(|item| words(item)).collect(),
            button: Some("Continue on Stripe"),
            small: ON_STRIPE,
            is_test,
        },
        None => Page {
            title: "Set up your payouts".to_owned(),
            text: "Your commissions are paid to you by Stripe. It takes about five minutes; have your bank details at hand.",
            missing: Vec::new(),
            button: Some("Set up payouts on Stripe"),
            small: ON_STRIPE,
            is_test,
        },
    };
    Ok(shown(&page))
}

/// `individual.verification.document`, for people.
fn words(requirement: &str) -> String {
    requirement.replace(['.', '_'], " ")
}

/// Makes the account where there is none, and leads to Stripe's form.
async fn begin(State(app): State<App>, At(token): At<String>) -> Result<Response, Problem> {
    let Some(link) = find(&app, &token).await? else { return Ok(gone()) };
    let api = app.stripe_of(link.workspace_id, link.mode()).await?;
    let mut tx = app.db.read().await?;
    let terms = app.db.terms(&mut tx, link.workspace_id).await?;
    tx.rollback().await?;
    let account = if let Some(account) = onboarding::known_account(&link, &terms) {
        account
    } else {
        let Some(partner) = terms.partners.get(&link.partner_key) else { return Ok(gone()) };
        let (new, key) = onboarding::new_account(&link, &partner.profile);
        let made = api.create_account(&new, &key).await.done().map_err(|why| no_answer(&link, &why))?;
        let mut session = session(&app, &link).await?;
        onboarding::enter_account(&mut session, &link, &made.id).await?;
        onboarding::note_readiness(&mut session, &link, &made.id, &made.readiness()).await?;
        session.commit().await?;
        made.id
    };
    let here = format!("{}/onboard/{token}", app.public_url);
    let back = format!("{here}/back");
    let key = app.ids.next("link");
    let form = api.create_account_link(&account, (&back, &here), &key).await;
    let form = form.done().map_err(|why| no_answer(&link, &why))?;
    Ok(to(&form.url))
}

/// The partner comes back from Stripe: asks it how the account stands, and shows that.
async fn come_back(State(app): State<App>, At(token): At<String>) -> Result<Response, Problem> {
    let Some(link) = find(&app, &token).await? else { return Ok(gone()) };
    let api = app.stripe_of(link.workspace_id, link.mode()).await?;
    let mut tx = app.db.read().await?;
    let terms = app.db.terms(&mut tx, link.workspace_id).await?;
    tx.rollback().await?;
    if let Some(account) = onboarding::known_account(&link, &terms) {
        match api.account(&account).await.done() {
            Ok(found) => {
                let mut session = session(&app, &link).await?;
                onboarding::note_readiness(&mut session, &link, &account, &found.readiness()).await?;
                session.commit().await?;
            }
            // Its webhook will tell.
            Err(why) => tracing::warn!(partner = %link.partner_key, %why, "a partner's account could not be looked up"),
        }
    }
    Ok(to(&format!("{}/onboard/{token}", app.public_url)))
}

async fn session(app: &App, link: &Onboarding) -> Result<Session, Problem> {
    let book = (link.workspace_id, link.mode());
    Ok(Session::begin(&app.db, &app.clock, &app.ids, book, onboarding::AUTHOR.to_owned()).await?)
}

/// What Stripe said is the merchant's business; the partner may try again.
fn no_answer(link: &Onboarding, why: &str) -> Problem {
    tracing::error!(partner = %link.partner_key, %why, "a partner's account could not be opened");
    Problem::unavailable(
        "stripe_unavailable",
        "Stripe could not open your account just now. Please try again in a minute",
    )
}

/// See other, by GET.
fn to(url: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, url), (header::CACHE_CONTROL, "no-store")]).into_response()
}

fn shown(page: &Page<'_>) -> Response {
    let Ok(html) = page.render() else { return Problem::internal().into_response() };
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        // The button leads on to Stripe's site.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' https:"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (headers, Html(html)).into_response()
}
