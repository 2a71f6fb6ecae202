//! Erases customers once more who were joined to others after they were erased.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;
use crate::store::{Mode, StoreError, Urgency, WorkspaceId, customers, erasures, workspaces};

/// How often it looks.
const PAUSE: Duration = Duration::from_mins(1);

/// Looks after what was erased.
pub struct Keeper {
    /// What it works on.
    pub ledger: Ledger,
}

impl Keeper {
    /// Goes on until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "customers who were joined to erased ones are erased later");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Erases whoever is to be erased once more; tells how many.
    ///
    /// # Errors
    /// The database's.
    pub async fn round(&self) -> Result<usize, StoreError> {
        let mut tx = self.ledger.db.read().await?;
        let all = workspaces::all(&mut tx).await?;
        tx.rollback().await?;
        let mut done = 0;
        for (workspace, _) in all {
            while self.one(workspace).await? {
                done += 1;
            }
        }
        Ok(done)
    }

    async fn one(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let mut tx = self.ledger.db.read().await?;
        let waiting = erasures::again(&mut tx, workspace).await?;
        tx.rollback().await?;
        let Some((customer, erasure)) = waiting else { return Ok(false) };
        let mut tx = self.ledger.db.write(Urgency::Background).await?;
        let terms = self.ledger.db.terms(&mut tx, workspace).await?;
        let mode = customers::by_id(&mut tx, workspace, &customer).await?.map_or(Mode::Live, |found| found.mode());
        let whom = BTreeSet::from([customer.clone()]);
        match self.ledger.erase_customers(&mut tx, (workspace, mode), &whom, BTreeSet::new(), &terms).await {
            Ok(_) => {}
            Err(crate::ledger::erase::EraseError::Store(error)) => return Err(error),
            Err(error) => {
                tx.rollback().await?;
                tracing::error!(customer, %error, "a customer cannot be erased once more");
                tx = self.ledger.db.write(Urgency::Background).await?;
            }
        }
        erasures::mark(&mut tx, workspace, &erasure, [customer.as_str()]).await?;
        tx.commit().await?;
        Ok(true)
    }
}
