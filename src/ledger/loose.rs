//! Loose ends: facts that wait for an event which has not come.

use super::Ledger;
use super::settle::load_cases;
use crate::domain::history::fold;
use crate::store::{Mode, StoreError, WorkspaceId, customers, payments};

const PAGE: i64 = 256;

/// What waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LooseEnds {
    /// Ids of refunds, disputes and credit notes that match no payment yet.
    pub unmatched: Vec<String>,
    /// Direct payments of which it is not known whether an invoice or session claims them.
    pub awaiting_link: i64,
}

impl Ledger {
    /// Looks through a book for loose ends, page by page.
    ///
    /// # Errors
    /// The database's.
    pub async fn loose_ends(&self, workspace: WorkspaceId, mode: Mode) -> Result<LooseEnds, StoreError> {
        let mut loose = LooseEnds::default();
        let mut tx = self.db.read().await?;
        loose.awaiting_link = payments::count_of_code(&mut tx, workspace, mode, "awaiting_link").await?;
        tx.rollback().await?;
        let mut cursor = String::new();
        loop {
            let mut tx = self.db.read().await?;
            let mut page = customers::page(&mut tx, workspace, Some(&cursor), PAGE).await?;
            let Some(last) = page.last() else { return Ok(loose) };
            cursor.clone_from(&last.customer_id);
            page.retain(|customer| customer.mode() == mode);
            let cases = load_cases(&mut tx, workspace, page).await?;
            tx.rollback().await?;
            for events in cases.iter().filter_map(|case| case.events.as_ref().ok()) {
                loose.unmatched.extend(fold(events).unmatched);
            }
        }
    }
}
