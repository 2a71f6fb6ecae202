//! API keys: made, shown once, revoked.

use sha2::{Digest, Sha256};

use super::{Refused, Session};
use crate::ids::{Ids, NoChance};
use crate::store::Mode;
use crate::store::api_keys::{self, ApiKey, Role};

/// How much of a key people see afterwards.
const SHOWN: usize = 12;
/// How long a key's name may be, in characters.
const LONGEST_NAME: usize = 200;

/// A fresh key of a book: `cb_live_…` or `cb_test_…`.
///
/// # Errors
/// Where the machine gives no randomness.
pub fn fresh(ids: &Ids, mode: Mode) -> Result<String, NoChance> {
    Ok(format!("cb_{mode}_{}", ids.secret()?))
}

/// What is kept of a key.
pub fn hash(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

/// How a key begins.
pub fn shown(key: &str) -> &str {
    key.get(..SHOWN).unwrap_or(key)
}

/// Makes a key; the second part is the key itself, which is kept nowhere.
///
/// # Errors
/// [`Refused::Invalid`] for a name that says nothing, or the database's.
pub async fn create(session: &mut Session, name: &str, role: Role, mode: Mode) -> Result<(ApiKey, String), Refused> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Refused::invalid("name", "is empty: say what the key is for"));
    }
    if name.chars().count() > LONGEST_NAME {
        return Err(Refused::invalid("name", format!("is longer than {LONGEST_NAME} characters")));
    }
    let secret = fresh(&session.ids, mode).map_err(|error| Refused::conflict("no_randomness", error.to_string()))?;
    let key = ApiKey {
        workspace: session.workspace,
        id: session.ids.next("key"),
        name: name.to_owned(),
        role,
        mode,
        prefix: shown(&secret).to_owned(),
        hash: hash(&secret),
        created_at: session.now,
        last_used_at: None,
        revoked_at: None,
    };
    api_keys::insert(&mut session.tx, &key).await?;
    session.audit(("api_key.created", "api_key"), &key.id, None, Some(key.json())).await?;
    Ok((key, secret))
}

/// Revokes a key: from now on it opens nothing. Tells whether it was valid until now.
///
/// # Errors
/// [`Refused::Missing`], or the database's.
pub async fn revoke(session: &mut Session, id: &str) -> Result<(ApiKey, bool), Refused> {
    let missing = || Refused::Missing(format!("there is no API key {id:?}"));
    let before = api_keys::by_id(&mut session.tx, session.workspace, id).await?.ok_or_else(missing)?;
    if !api_keys::revoke(&mut session.tx, session.workspace, id, session.now).await? {
        return Ok((before, false));
    }
    let after = ApiKey { revoked_at: Some(session.now), ..before.clone() };
    session.audit(("api_key.revoked", "api_key"), id, Some(before.json()), Some(after.json())).await?;
    Ok((after, true))
}
