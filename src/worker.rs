//! The loops: record what came in, settle what is due, wake whom a change concerns.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;
use crate::store::{StoreError, WorkspaceId, workspaces};

/// How long a worker sleeps when nothing wakes it: what another process enters takes effect that soon.
const NAP: Duration = Duration::from_secs(1);
/// How long it waits after the database failed.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Does the work of every workspace.
#[derive(Debug, Clone)]
pub struct Worker {
    ledger: Ledger,
    wake: Arc<Notify>,
    recorded: Arc<Notify>,
    settled: Arc<Notify>,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worked {
    /// Events recorded, ignored or failed.
    pub events: usize,
    /// Customers settled.
    pub settled: usize,
    /// Customers set aside.
    pub parked: usize,
}

impl Worker {
    /// `wake` is what the inbox notifies.
    pub fn new(ledger: Ledger, wake: Arc<Notify>) -> Self {
        Self { ledger, wake, recorded: Arc::default(), settled: Arc::default() }
    }

    /// Notified whenever customers were settled: the ledger may have grown.
    pub fn settled(&self) -> Arc<Notify> {
        self.settled.clone()
    }

    /// Works until nothing is due now. For imports, commands and tests.
    pub async fn run_until_idle(&self) -> Result<Worked, StoreError> {
        let mut worked = Worked::default();
        loop {
            let mut idle = true;
            for workspace in self.workspaces().await? {
                match self.step(workspace, &mut worked).await {
                    Ok(did_something) => idle &= !did_something,
                    Err(error) if error.is_collision() => idle = false,
                    Err(error) => return Err(error),
                }
            }
            if idle {
                return Ok(worked);
            }
        }
    }

    /// Does the most urgent thing there is; tells whether there was one.
    async fn step(&self, workspace: WorkspaceId, worked: &mut Worked) -> Result<bool, StoreError> {
        let recorded = self.ledger.record(workspace).await?;
        worked.events += recorded;
        if recorded > 0 {
            return Ok(true);
        }
        let done = self.ledger.settle(workspace).await?;
        worked.settled += done.settled;
        worked.parked += done.parked;
        Ok(done.due > 0 || self.ledger.resettle(workspace).await?)
    }

    /// Works until told to stop: one loop records, one settles.
    pub async fn run(&self, shutdown: CancellationToken) {
        tokio::join!(self.keep_recording(&shutdown), self.keep_settling(&shutdown));
    }

    async fn keep_recording(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let round = self.record_round(shutdown).await;
            rest(&self.wake, shutdown, round, "recording").await;
        }
    }

    async fn keep_settling(&self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let round = self.settle_round(shutdown).await;
            rest(&self.recorded, shutdown, round, "settling").await;
        }
    }

    /// Records all that is pending.
    async fn record_round(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        for workspace in self.workspaces().await? {
            while !shutdown.is_cancelled() && self.ledger.record(workspace).await? > 0 {
                self.recorded.notify_one();
            }
        }
        Ok(())
    }

    /// Settles all that is due. A page of customers that a change woke comes behind fresh work, and no later than after
    /// a few batches of it.
    async fn settle_round(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        const BATCHES_BEFORE_A_PAGE: usize = 8;
        for workspace in self.workspaces().await? {
            let mut idle = false;
            while !idle && !shutdown.is_cancelled() {
                let mut batches = 0;
                while batches < BATCHES_BEFORE_A_PAGE && self.ledger.settle(workspace).await?.due > 0 {
                    batches += 1;
                    self.settled.notify_one();
                }
                idle = !self.ledger.resettle(workspace).await? && batches == 0;
            }
        }
        Ok(())
    }

    async fn workspaces(&self) -> Result<Vec<WorkspaceId>, StoreError> {
        let mut tx = self.ledger.db.read().await?;
        let all = workspaces::all(&mut tx).await?;
        tx.rollback().await?;
        Ok(all.into_iter().map(|(id, _)| id).collect())
    }
}

/// Waits for something to do. An error is logged once here, and tried again.
async fn rest(wake: &Notify, shutdown: &CancellationToken, round: Result<(), StoreError>, doing: &str) {
    let nap = match round {
        Ok(()) => NAP,
        // Somebody else was quicker; what is left is tried at once.
        Err(error) if error.is_collision() => Duration::ZERO,
        Err(error) => {
            tracing::error!(%error, "{doing} failed; trying again soon");
            AFTER_FAILURE
        }
    };
    tokio::select! {
        () = wake.notified() => {}
        () = tokio::time::sleep(nap) => {}
        () = shutdown.cancelled() => {}
    }
}
