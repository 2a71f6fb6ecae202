//! From events to entries: [`record`] turns events into facts and says whose they are, [`settle`] decides and appends
//! what differs, [`resettle`] wakes the customers that a change concerns, [`verify`] proves that it was all done right.

mod asking;
pub mod erase;
pub mod lacking;
mod link;
pub mod loose;
mod plan;

pub mod explain;
pub mod questions;
pub mod record;
pub mod resettle;
pub mod settle;
pub mod simulate;
pub mod timeline;
pub mod verify;

use crate::clock::Clock;
use crate::ids::Ids;
use crate::store::{Db, StoreError, Urgency, WorkspaceId, balances};

/// What recording and settling need.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Where everything is.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Where new ids come from.
    pub ids: Ids,
}

impl Ledger {
    /// Adds up a piece of what became available in the days before; tells whether there may be more of it.
    ///
    /// # Errors
    /// The database's.
    pub async fn fold_balances(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        const PIECE: i64 = 1000;
        let mut tx = self.db.write(Urgency::Background).await?;
        let folded = balances::fold(&mut tx, workspace, self.clock.now(), PIECE).await?;
        tx.commit().await?;
        Ok(folded > 0)
    }
}

/// Thinks off the threads that answer webhooks. A panic becomes an error of this piece of work.
async fn think<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Unreadable {
        what: "a batch",
        key: "of work".to_owned(),
        why: error.to_string(),
    })
}

/// What a panic said.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a fault of the bridge itself: {}", said.unwrap_or("no more is known"))
}
