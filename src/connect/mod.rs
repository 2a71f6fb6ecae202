//! How a workspace is connected to its Stripe account: by which key, in whose name, whose events are whose, and the
//! webhook endpoint that brings them.
//!
//! ```text
//! look (whose key, its permissions, the endpoints that are there) ─► begin (kept, committed) ─► endpoint::carry_out
//! ```

mod account;
mod error;
mod keeper;

pub mod endpoint;
pub mod permissions;

use std::sync::Arc;

pub use error::ConnectError;
pub use keeper::Keeper;

use crate::admin::Session;
use crate::domain::Time;
use crate::store::stripe_endpoints::{self as stored, Endpoint};
use crate::store::{Db, Mode, StoreError, WorkspaceId, webhook_secrets, workspaces};
use crate::stripe_api::{self, Api, Keys, NoKey};
use endpoint::{Carrier, Intended, Standing, Wish};
use permissions::Permission;

/// A book that can be reached at Stripe.
#[derive(Debug, Clone)]
pub struct Way {
    /// Whose.
    pub workspace: WorkspaceId,
    /// The workspace's key.
    pub key: String,
    /// Which book.
    pub mode: Mode,
    /// How.
    pub api: Arc<Api>,
}

/// The way to Stripe for a book: by the workspace's own key, else by the first workspace's in the name of the account that
/// its settings name. The same way is the same object.
///
/// # Errors
/// The database's; within, that there is no key.
pub async fn way(
    db: &Db,
    keys: &Keys,
    (workspace, mode): (WorkspaceId, Mode),
) -> Result<Result<Arc<Api>, NoKey>, StoreError> {
    let mut tx = db.read().await?;
    let key = workspaces::key(&mut tx, workspace).await?;
    let account = db.terms(&mut tx, workspace).await?.current_settings().account;
    tx.rollback().await?;
    Ok(keys.of(&key, account.as_deref(), mode == Mode::Live))
}

/// Every book that can be reached, in order of the workspaces.
///
/// # Errors
/// The database's.
pub async fn ways(db: &Db, keys: &Keys) -> Result<Vec<Way>, StoreError> {
    let mut found = Vec::new();
    if keys.is_empty() {
        return Ok(found);
    }
    let mut tx = db.read().await?;
    for (workspace, key) in workspaces::all(&mut tx).await? {
        let account = db.terms(&mut tx, workspace).await?.current_settings().account;
        for mode in Mode::ALL {
            if let Ok(api) = keys.of(&key, account.as_deref(), mode == Mode::Live) {
                found.push(Way { workspace, key: key.clone(), mode, api });
            }
        }
    }
    tx.rollback().await?;
    Ok(found)
}

/// What Stripe says of a key.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Whose it is; none where it may not say.
    pub account: Option<String>,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// The endpoints that are there; none where it may not see them.
    pub endpoints: Option<Vec<stripe_api::Endpoint>>,
}

/// Asks Stripe what a key is and may do, and which endpoints there are.
///
/// # Errors
/// [`ConnectError::Key`] where the key is not accepted, [`ConnectError::Unclear`].
pub async fn look(api: &Api) -> Result<Seen, ConnectError> {
    let account = account::of_key(api).await?;
    let permissions = permissions::check(api).await?;
    let endpoints = if permissions::has(&permissions, "webhook_endpoints") && api.account_name().is_none() {
        Some(endpoint::settled(api.webhook_endpoints().await)?)
    } else {
        None
    };
    Ok(Seen { account, permissions, endpoints })
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The workspace's key.
    pub workspace: &'a str,
    /// Where this service is reached from outside.
    pub public_url: &'a str,
    /// Whether there is to be an endpoint for connected accounts' events, too.
    pub connected: bool,
    /// Whether endpoints whose secret is not known are replaced.
    pub replace: bool,
    /// Whether a key of another account than before is taken.
    pub force: bool,
}

/// Keeps whose key it is, and writes down what is to be done about the endpoints: `(whether it is for connected accounts,
/// what)`. None where the key may not make endpoints: events are then fetched. The caller commits, then calls [`finish`].
///
/// # Errors
/// [`ConnectError`].
pub async fn begin(
    session: &mut Session,
    seen: &Seen,
    asked: Asked<'_>,
) -> Result<Option<Vec<(bool, Intended)>>, ConnectError> {
    if let Some(account) = &seen.account {
        account::keep(session, account, asked.force).await?;
    }
    let Some(at_stripe) = &seen.endpoints else { return Ok(None) };
    let url = endpoint::address(asked.public_url, asked.workspace);
    endpoint::check_address(&url, session.mode)?;
    let mut intended = Vec::new();
    let wishes: &[bool] = if asked.connected { &[false, true] } else { &[false] };
    for connect in wishes.iter().copied() {
        let wish = Wish { workspace: asked.workspace, url: &url, connect, replace: asked.replace };
        intended.push((connect, endpoint::intend(session, at_stripe, wish).await?));
    }
    Ok(Some(intended))
}

/// Writes down that every endpoint of the session's book gets a new secret: each is made anew, then the one before is
/// removed, and its secret counts for another 24 hours.
///
/// # Errors
/// [`ConnectError::NotConnected`] where the bridge made none, or as [`begin`].
pub async fn begin_rotation(
    session: &mut Session,
    at_stripe: &[stripe_api::Endpoint],
    workspace: &str,
) -> Result<Vec<(bool, Intended)>, ConnectError> {
    let rows = stored::all(&mut session.tx, session.workspace).await?;
    let (mut intended, mode) = (Vec::new(), session.mode);
    for row in rows.iter().filter(|row| row.mode() == mode) {
        let wish = Wish { workspace, url: &row.url, connect: row.connect(), replace: true };
        intended.push((row.connect(), endpoint::intend(session, at_stripe, wish).await?));
    }
    if intended.is_empty() { Err(ConnectError::NotConnected) } else { Ok(intended) }
}

/// How the endpoints of a book stand: with what is kept of each, if it is the bridge's own.
///
/// # Errors
/// The database's.
pub async fn standing(
    db: &Db,
    (workspace, key, mode): (WorkspaceId, &str, Mode),
    at_stripe: &[stripe_api::Endpoint],
    now: Time,
) -> Result<Vec<(Endpoint, Standing)>, StoreError> {
    let mut tx = db.read().await?;
    let mut rows = stored::all(&mut tx, workspace).await?;
    rows.retain(|row| row.mode() == mode);
    let secrets = webhook_secrets::all(&mut tx, workspace, now).await?;
    let secrets: Vec<String> = secrets.into_iter().map(|secret| secret.secret_id).collect();
    let mut found = Vec::new();
    for row in rows {
        let wanted = endpoint::wanted_events(&mut tx, row.connect()).await?;
        let whose = endpoint::whose(key, mode, row.connect());
        let standing = endpoint::standing(Some(&row), at_stripe, (&row.url, &wanted), &secrets, &whose);
        found.push((row, standing));
    }
    tx.rollback().await?;
    Ok(found)
}

/// Does what was written down.
///
/// # Errors
/// [`ConnectError`]. What is not done is gone on with by whoever comes next.
pub async fn finish(carrier: Carrier<'_>, intended: &[(bool, Intended)]) -> Result<(), ConnectError> {
    for (connect, what) in intended {
        match what {
            Intended::Nothing => {}
            Intended::Begun(endpoint) => drop(carrier.carry_out(endpoint.clone()).await?),
            Intended::Update(id) => carrier.update(id, *connect).await?,
        }
    }
    Ok(())
}
