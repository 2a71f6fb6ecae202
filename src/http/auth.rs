//! Bearer keys: who asks, which book their key opens, and what their role lets them do.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::TimeDelta;

use super::{App, Problem};
use crate::admin::keys;
use crate::store::api_keys::{self, ApiKey, Role};
use crate::store::{Mode, StoreError, Urgency, WorkspaceId};

/// How exact `last_used_at` is: a key that is used all the time does not write all the time.
const USE_IS_NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Whoever shows a valid key.
#[derive(Debug, Clone)]
pub struct Caller(pub ApiKey);

impl Caller {
    /// Whose key it is.
    pub fn workspace(&self) -> WorkspaceId {
        self.0.workspace
    }

    /// The key's book.
    pub fn mode(&self) -> Mode {
        self.0.mode
    }

    /// What the audit log calls its holder.
    pub fn author(&self) -> String {
        format!("api:{}", self.0.prefix)
    }

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

    /// Refuses a test key that wants what belongs to the live book.
    ///
    /// # Errors
    /// 403.
    pub fn may_open(&self, mode: Mode) -> Result<(), Problem> {
        match (self.0.mode, mode) {
            (Mode::Test, Mode::Live) => {
                Err(Problem::forbidden("live_key_needed", "this concerns the live book: use a live key"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses whoever has a lesser role.
    ///
    /// # Errors
    /// 403.
    pub fn must_be(&self, role: Role) -> Result<(), Problem> {
        if self.0.role >= role {
            return Ok(());
        }
        let (has, wants) = (self.0.role.as_str(), role.as_str());
        Err(Problem::forbidden("wrong_role", format!("this takes a key with role {wants}; this one has role {has}")))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match parts.extensions.get::<Self>() {
            Some(caller) => Ok(caller.clone()),
            None => identify(app, &parts.headers).await.map(Self),
        }
    }
}

/// The key that a request shows.
///
/// # Errors
/// 401 where it shows none that is valid.
pub(super) async fn identify(app: &App, headers: &HeaderMap) -> Result<ApiKey, Problem> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
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
    found.filter(|key| key.revoked_at.is_none()).ok_or_else(revoked_or_unknown)
}

async fn find(app: &App, key: &str) -> Result<Option<ApiKey>, StoreError> {
    let hash = keys::hash(key);
    if let Some(known) = app.known_keys.get(&hash) {
        return Ok(Some(known));
    }
    let mut tx = app.db.read().await?;
    let found = api_keys::by_hash(&mut tx, &hash).await?;
    tx.rollback().await?;
    let now = app.clock.now();
    let Some(key) = found.filter(|key| key.revoked_at.is_none()) else { return Ok(None) };
    app.known_keys.put(&key);
    if key.last_used_at.is_none_or(|last| last + USE_IS_NOTED_EVERY <= now) {
        let noted = async {
            let mut tx = app.db.write(Urgency::Background).await?;
            api_keys::used(&mut tx, &key, now).await?;
            tx.commit().await
        };
        // Who only looks is answered even where nothing can be written.
        if let Err(error) = noted.await {
            tracing::warn!(%error, key = key.id, "the use of an API key could not be noted");
        }
    }
    Ok(Some(key))
}
