//! The loop that pays by Stripe what somebody asked to pay.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::http::DEFAULT_WORKSPACE;
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

/// Pays what was asked for, as long as there is a key.
#[derive(Debug)]
pub struct Paying {
    db: Db,
    clock: Clock,
    ids: Ids,
    keys: Keys,
}

impl Paying {
    /// With the keys of the workspace `default`.
    pub fn new(db: Db, clock: Clock, ids: Ids, keys: Keys) -> Self {
        Self { db, clock, ids, keys }
    }

    /// Works until told to stop; what is under way then is finished, or resumed by whoever comes next.
    pub async fn run(self, stop: CancellationToken) {
        if self.keys.is_empty() {
            return;
        }
        let mut payers = HashMap::new();
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

    async fn round(&self, payers: &mut HashMap<Mode, Payer>, stop: &CancellationToken) -> Result<(), PayoutError> {
        let mut tx = self.db.read().await?;
        let Some(workspace) = workspaces::find(&mut tx, DEFAULT_WORKSPACE).await? else { return Ok(()) };
        let asked = stored::asked(&mut tx, workspace).await?;
        tx.rollback().await?;
        for (batch, mode) in asked {
            let payer = match (payers.get(&mode), self.keys.of(mode == Mode::Live)) {
                (Some(payer), _) => payer,
                (None, Ok(api)) => {
                    let book = (workspace, mode);
                    let payer = Payer::new(self.db.clone(), self.clock.clone(), self.ids.clone(), book, api.clone());
                    payers.entry(mode).or_insert(payer)
                }
                (None, Err(problem)) => {
                    let mut tx = self.db.write(Urgency::Background).await?;
                    let by = By { workspace, author: "stripe", now: self.clock.now(), ids: &self.ids };
                    transfers::pause_for_key(&mut tx, by, &batch, problem).await?;
                    tx.commit().await?;
                    continue;
                }
            };
            if self.is_due(workspace, &batch).await? {
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
