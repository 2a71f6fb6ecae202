//! Workspaces: one merchant each, with settings and the secrets of its webhook endpoint.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::apply::{merged, section};
use super::{Desk, Refused, Session};
use crate::program::{self, RepriceClosed};
use crate::store::webhook_secrets::{self, WebhookSecret};
use crate::store::{WorkspaceId, workspaces};

/// How long a workspace's key may be, in characters.
const LONGEST_KEY: usize = 64;

/// Checks the key of a workspace: it is part of addresses.
///
/// # Errors
/// What is wrong with it.
pub fn valid_key(key: &str) -> Result<(), String> {
    let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(is_good) {
        return Err(format!(
            "{key:?} is no key: expected 1 to {LONGEST_KEY} of a-z, 0-9, - and _, such as \"shop-eu\""
        ));
    }
    Ok(())
}

/// Makes a workspace.
///
/// # Errors
/// [`Refused`].
pub async fn create(session: &mut Session, key: &str) -> Result<WorkspaceId, Refused> {
    valid_key(key).map_err(|error| Refused::invalid("key", error))?;
    if workspaces::find(&mut session.tx, key).await?.is_some() {
        return Err(Refused::conflict("already_exists", format!("there is a workspace {key:?} already")));
    }
    let made = workspaces::ensure(&mut session.tx, key, session.now).await?;
    session.audit(("workspace.created", "workspace"), key, None, Some(json!({ "key": key }))).await?;
    Ok(made)
}

/// Makes a workspace for a Stripe account.
///
/// # Errors
/// [`Refused`].
pub async fn create_for(session: &mut Session, key: &str, account: Option<&str>) -> Result<WorkspaceId, Refused> {
    let made = create(session, key).await?;
    if let Some(account) = account {
        let author = std::mem::replace(&mut session.workspace, made);
        let settings = Map::from_iter([("account".to_owned(), Value::from(account))]);
        update(&mut session.desk().await?, &settings).await?;
        session.workspace = author;
    }
    Ok(made)
}

/// Changes settings; those that are left out stay as they are, those that are null go.
///
/// # Errors
/// [`Refused`].
pub async fn update(desk: &mut Desk<'_>, changes: &Map<String, Value>) -> Result<(), Refused> {
    let current = program::json::settings(&desk.terms.current_settings());
    section(desk, "workspace", &merged(current, changes), RepriceClosed::No).await?;
    Ok(())
}

/// Enters a signing secret; the others end after `others_end_in`, or stay. Tells its id.
///
/// # Errors
/// [`Refused`].
pub async fn add_secret(
    session: &mut Session,
    secret: &str,
    others_end_in: Option<TimeDelta>,
) -> Result<String, Refused> {
    let secret = secret.trim();
    let is_one = secret.starts_with("whsec_") && secret.len() > "whsec_".len() && secret.len() <= 255;
    if !is_one || secret.chars().any(|character| character.is_whitespace() || character == ',') {
        return Err(Refused::invalid("secret", "expected an endpoint's signing secret, which begins with whsec_"));
    }
    let id = session.ids.next("whs");
    let id = webhook_secrets::add(&mut session.tx, session.workspace, &id, secret, session.now).await?;
    if let Some(after) = others_end_in {
        webhook_secrets::let_others_end(&mut session.tx, session.workspace, &id, session.now + after).await?;
    }
    let kept = json!({ "others_end_in_seconds": others_end_in.map(|after| after.num_seconds()) });
    session.audit(("webhook_secret.added", "webhook_secret"), &id, None, Some(kept)).await?;
    Ok(id)
}

/// Removes a signing secret.
///
/// # Errors
/// [`Refused`].
pub async fn remove_secret(session: &mut Session, id: &str) -> Result<WebhookSecret, Refused> {
    let all = webhook_secrets::all(&mut session.tx, session.workspace, session.now).await?;
    let missing = || Refused::Missing(format!("there is no webhook secret {id:?}"));
    let found = all.into_iter().find(|secret| secret.secret_id == id).ok_or_else(missing)?;
    webhook_secrets::remove(&mut session.tx, session.workspace, id).await?;
    session.audit(("webhook_secret.removed", "webhook_secret"), id, Some(json!({})), None).await?;
    Ok(found)
}
