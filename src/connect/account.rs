//! Whose key it is. A book stays with the account that it was connected to: a key that was mixed up is refused.

use serde_json::json;

use super::ConnectError;
use crate::admin::Session;
use crate::store::stripe_endpoints;
use crate::stripe_api::{Answer, Api};

/// The account of a key: none where the key may not say. In the name of a connected account it is that one.
///
/// # Errors
/// [`ConnectError::Key`] where the key is not accepted, [`ConnectError::Unclear`].
pub async fn of_key(api: &Api) -> Result<Option<String>, ConnectError> {
    match api.own_account().await {
        Answer::Done(account) => Ok(Some(account.id)),
        Answer::KeyProblem(problem) if problem.code == "key_lacks_permission" => Ok(None),
        Answer::KeyProblem(problem) => Err(ConnectError::Key(problem)),
        other => Err(ConnectError::Unclear(other.map(drop).done().err().unwrap_or_default())),
    }
}

/// Keeps whose key reaches the session's book, or compares it with the one that is known: that of the settings, else the
/// one that was seen first. `force` takes the new one.
///
/// # Errors
/// [`ConnectError::OtherAccount`], or the database's.
pub async fn keep(session: &mut Session, account: &str, force: bool) -> Result<(), ConnectError> {
    let (workspace, mode) = (session.workspace, session.mode);
    let named = session.terms().await?.current_settings().account;
    let seen = stripe_endpoints::account(&mut session.tx, workspace, mode).await?;
    // A sandbox is an account of its own: the settings speak of the live one.
    let named = named.filter(|_| mode == crate::store::Mode::Live);
    if let Some(known) = seen.as_ref().or(named.as_ref()).filter(|known| *known != account && !force) {
        return Err(ConnectError::OtherAccount { known: known.clone(), found: account.to_owned() });
    }
    if seen.as_deref() != Some(account) {
        stripe_endpoints::set_account(&mut session.tx, (workspace, mode), account, session.now).await?;
        let told = |account: &str| json!({ "account": account, "mode": mode.as_str() });
        session
            .audit(("stripe.account", "stripe"), mode.as_str(), seen.as_deref().map(told), Some(told(account)))
            .await?;
    }
    Ok(())
}
