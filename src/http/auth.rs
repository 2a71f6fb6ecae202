//! Bearer keys: who asks, which book their key opens, and how a key is made.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use super::{App, Problem};
use crate::ids::{Ids, NoChance};
use crate::store::api_keys::{self, ApiKey};
use crate::store::{Mode, StoreError, Urgency};

/// How exact `last_used_at` is: a key that is used all the time does not write all the time.
const USE_IS_NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);
/// How much of a key people see afterwards.
const SHOWN: usize = 12;

/// A fresh key of a book: `cb_live_…` or `cb_test_…`.
///
/// # Errors
/// Where the machine gives no randomness.
pub fn fresh_key(ids: &Ids, mode: Mode) -> Result<String, NoChance> {
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

/// Whoever shows a valid key.
#[derive(Debug, Clone)]
pub struct Caller(pub ApiKey);

impl Caller {
    /// The key's book. A request that names the other one is refused.
    ///
    /// # Errors
    /// 403.
    pub fn book(&self, wished: Option<Mode>) -> Result<Mode, Problem> {
        match wished {
            Some(wished) if wished != self.0.mode => Err(Problem::forbidden(
                "wrong_mode",
                format!("this key opens the {} book; use a {wished} key for the other", self.0.mode),
            )),
            _ => Ok(self.0.mode),
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, key) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("bearer") || key.trim().is_empty() {
            return Err(Problem::unauthorized(
                "api_key_missing",
                "send a key: `Authorization: Bearer cb_…`; `commission-bridge api-key create` makes one",
            ));
        }
        let found = find(app, key.trim()).await.map_err(|error| Problem::database(&error))?;
        let revoked_or_unknown = || {
            Problem::unauthorized(
                "api_key_invalid",
                "this key is unknown or revoked: `commission-bridge api-key list` shows those that are valid",
            )
        };
        found.filter(|key| key.revoked_at.is_none()).map(Self).ok_or_else(revoked_or_unknown)
    }
}

async fn find(app: &App, key: &str) -> Result<Option<ApiKey>, StoreError> {
    let mut tx = app.db.read().await?;
    let found = api_keys::by_hash(&mut tx, &hash(key)).await?;
    tx.rollback().await?;
    let now = app.clock.now();
    if let Some(key) = &found
        && key.revoked_at.is_none()
        && key.last_used_at.is_none_or(|last| last + USE_IS_NOTED_EVERY <= now)
    {
        let noted = async {
            let mut tx = app.db.write(Urgency::Background).await?;
            api_keys::used(&mut tx, key, now).await?;
            tx.commit().await
        };
        // Who only looks is answered even where nothing can be written.
        if let Err(error) = noted.await {
            tracing::warn!(%error, key = key.id, "the use of an API key could not be noted");
        }
    }
    Ok(found)
}
