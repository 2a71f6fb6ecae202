//! The loop that pays by Stripe what somebody asked to pay.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::connect;
use crate::ids::Ids;
use crate::payouts::batch::PayoutError;
use crate::payouts::transfers::{self, Payer};
use crate::store::audit::By;
use crate::store::{Db, Mode, Urgency, WorkspaceId, transfers as stored, workspaces};
use crate::stripe_api::Keys;

/// How long it sleeps between looks: what is asked through another door is begun that soon.
const NAP: Duration = Duration::from_secs(1);
/// How long it waits after the database failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Whoever pays a book.
type Payers = HashMap<(WorkspaceId, Mode), Payer>;

/// Pays what was asked for, as long as there is a key.
#[derive(Debug)]
pub struct Paying {
    db: Db,
    clock: Clock,
    ids: Ids,
    keys: Keys,
}

impl Paying {
    /// With the keys of every workspace.
    pub fn new(db: Db, clock: Clock, ids: Ids, keys: Keys) -> Self {
        Self { db, clock, ids, keys }
    }

    /// Works until told to stop; what is under way then is finished, or resumed by whoever comes next.
    pub async fn run(self, stop: CancellationToken) {
        if self.keys.is_empty() {
            return;
        }
        let mut payers = Payers::new();
        while !stop.is_cancelled() {
            let nap = match self.round(&mut payers, &stop).await {
                Ok(()) => NAP,
                Err(PayoutError::Store(error)) if error.is_collision() => Duration::from_millis(50),
                Err(error) => {
                    tracing::error!(%error, "paying failed; trying again soon");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn round(&self, payers: &mut Payers, stop: &CancellationToken) -> Result<(), PayoutError> {
        let mut tx = self.db.read().await?;
        let mut asked = Vec::new();
        for (workspace, _) in workspaces::all(&mut tx).await? {
            let of_workspace = stored::asked(&mut tx, workspace).await?;
            asked.extend(of_workspace.into_iter().map(|(batch, mode)| (workspace, mode, batch)));
        }
        tx.rollback().await?;
        for (workspace, mode, batch) in asked {
            let book = (workspace, mode);
            let api = match connect::way(&self.db, &self.keys, book).await? {
                Ok(api) => api,
                Err(problem) => {
                    let mut tx = self.db.write(Urgency::Background).await?;
                    let by = By { workspace, author: "stripe", now: self.clock.now(), ids: &self.ids };
                    transfers::pause_for_key(&mut tx, by, &batch, &problem).await?;
                    tx.commit().await?;
                    continue;
                }
            };
            // The settings may name another account than before.
            if payers.get(&book).is_none_or(|payer| !payer.is_by(&api)) {
                let payer = Payer::new(self.db.clone(), self.clock.clone(), self.ids.clone(), book, api);
                payers.insert(book, payer);
            }
            if let Some(payer) = payers.get(&book)
                && self.is_due(workspace, &batch).await?
            {
                payer.round(&batch, stop).await?;
            }
        }
        Ok(())
    }

    /// Whether anything of a batch can be tried now; to look costs less than to claim.
    async fn is_due(&self, workspace: WorkspaceId, batch: &str) -> Result<bool, PayoutError> {
        let mut tx = self.db.read().await?;
        let due = stored::next_due(&mut tx, workspace, batch).await?;
        Ok(due.is_some_and(|due| due <= self.clock.now()))
    }
}
