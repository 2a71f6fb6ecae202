//! What the decisions about some customers lack, as of now: before Stripe is asked, it may have said so by itself.

use std::collections::BTreeSet;

use super::Ledger;
use super::asking::{AsOf, decide_cases};
use super::settle::load_cases;
use crate::domain::missing::Missing;
use crate::store::{StoreError, WorkspaceId, customers};

impl Ledger {
    /// What the decisions about these customers lack. Customers that are no more, or cannot be decided, lack nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn lacking(
        &self,
        workspace: WorkspaceId,
        customer_ids: &[String],
    ) -> Result<BTreeSet<Missing>, StoreError> {
        let mut tx = self.db.read().await?;
        let terms = self.db.terms(&mut tx, workspace).await?;
        let mut known = Vec::new();
        for id in customer_ids {
            known.extend(customers::by_id(&mut tx, workspace, id).await?);
        }
        let cases = load_cases(&mut tx, workspace, known).await?;
        let decided = decide_cases(&mut tx, workspace, cases, &terms, AsOf::Moment(self.clock.now())).await?;
        tx.rollback().await?;
        Ok(decided.into_iter().filter_map(|decided| decided.answer.ok()).flat_map(|answer| answer.missing).collect())
    }
}
