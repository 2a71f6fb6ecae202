//! How a workspace is connected to its Stripe account: by which key, in whose name.

use std::sync::Arc;

use crate::store::{Db, Mode, StoreError, WorkspaceId, workspaces};
use crate::stripe_api::{Api, Keys, NoKey};

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
