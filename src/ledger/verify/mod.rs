//! The proof: every decision is made anew from the raw events and what people entered, and compared with the ledger.
//!
//! It pages by customer, event and entry, each page in a transaction of its own, so that it can run beside the service
//! for as long as it takes.

mod archived;
mod customers;
mod lines;
mod payouts;
mod statements;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::Ledger;
use crate::domain::Time;
use crate::domain::terms::Terms;
use crate::store::archives::{self, Archive};
use crate::store::customers::Customer;
use crate::store::events::{self, EventStatus};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, resettle, tiers};

/// What was looked at, and what differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Customers decided anew.
    pub customers: u64,
    /// Payments among their decisions.
    pub payments: u64,
    /// Entries whose digests were computed anew.
    pub entries: u64,
    /// Statements held against the ledger.
    pub statements: u64,
    /// Raw events read anew.
    pub events: u64,
    /// Customers that are due and were not compared: what they are owed may still change.
    pub waiting: u64,
    /// Customers that are set aside with an error and were not compared.
    pub parked: u64,
    /// Events nobody has read yet.
    pub pending: u64,
    /// Events that could not be read.
    pub failed: u64,
    /// Events that are none of the bridge's business.
    pub ignored: u64,
    /// Events whose bodies are in archives that were not read: what is kept of them was taken at its word.
    pub archived: u64,
    /// What differs, a sentence each, up to [`MOST_DIFFERENCES`] of them.
    pub differences: Vec<String>,
    /// How many differ.
    pub different: u64,
}

/// So many differences are told; all are counted.
pub const MOST_DIFFERENCES: usize = 1000;

impl Report {
    /// Whether nothing differs.
    pub fn is_clean(&self) -> bool {
        self.different == 0
    }

    fn differs(&mut self, difference: String) {
        self.different += 1;
        if self.differences.len() < MOST_DIFFERENCES {
            self.differences.push(difference);
        }
    }
}

/// What every page is checked against.
struct Verifying<'a> {
    ledger: &'a Ledger,
    workspace: WorkspaceId,
    now: Time,
    /// Who was settled before this may not have been woken yet by a change that concerns them.
    woken_since: Option<Time>,
    /// Months whose raw events are in files, and where these are.
    archives: Vec<Archive>,
    directory: Option<&'a Path>,
    /// Facts that were held against archived events, and facts whose events are in archives.
    proven: u64,
    trusted: u64,
    /// Events that were missed already.
    gone: HashSet<(String, i64)>,
    /// The terms to go by, where they are not those that are kept.
    terms: Option<Arc<Terms>>,
    report: Report,
}

impl Ledger {
    /// Verifies a workspace, both books; `progress` is told how many customers are done.
    pub async fn verify(&self, workspace: WorkspaceId, progress: impl Fn(u64)) -> Result<Report, StoreError> {
        self.verify_with(workspace, None, progress).await
    }

    /// The same; events that were archived are read from their files in a directory.
    pub async fn verify_with(
        &self,
        workspace: WorkspaceId,
        directory: Option<&Path>,
        progress: impl Fn(u64),
    ) -> Result<Report, StoreError> {
        let mut tx = self.db.read().await?;
        let now = self.clock.now();
        let newest = resettle::newest(&mut tx, workspace).await?;
        // Nobody knows yet whom what changed about tiers concerns.
        let woken_since = if tiers::is_pending(&mut tx, workspace).await? { Some(now) } else { newest };
        let archives = archives::all(&mut tx, workspace).await?;
        tx.rollback().await?;
        let mut verifying = Verifying { archives, directory, ..Verifying::new(self, workspace, now, woken_since) };
        verifying.count_events().await?;
        verifying.all_archives().await?;
        verifying.all_customers(&progress).await?;
        verifying.all_known().await?;
        verifying.all_entries().await?;
        verifying.all_payouts().await?;
        verifying.all_statements().await?;
        Ok(verifying.report)
    }
}

impl Ledger {
    /// Verifies some customers as a transaction sees them.
    pub(super) async fn verify_customers(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        customers: Vec<Customer>,
        terms: &Arc<Terms>,
    ) -> Result<Report, StoreError> {
        let (now, woken_since) = (self.clock.now(), resettle::newest(tx, workspace).await?);
        let (terms, archives) = (Some(terms.clone()), archives::all(tx, workspace).await?);
        let mut verifying = Verifying { archives, terms, ..Verifying::new(self, workspace, now, woken_since) };
        verifying.customers(tx, customers).await?;
        Ok(verifying.report)
    }
}

impl<'a> Verifying<'a> {
    fn new(ledger: &'a Ledger, workspace: WorkspaceId, now: Time, woken_since: Option<Time>) -> Self {
        Self {
            ledger,
            workspace,
            now,
            woken_since,
            terms: None,
            archives: Vec::new(),
            directory: None,
            proven: 0,
            trusted: 0,
            gone: HashSet::new(),
            report: Report::default(),
        }
    }

    async fn count_events(&mut self) -> Result<(), StoreError> {
        let mut tx = self.ledger.db.read().await?;
        for (_, status, count) in events::counts(&mut tx, self.workspace).await? {
            let count = count.unsigned_abs();
            match status {
                EventStatus::Pending => self.report.pending += count,
                EventStatus::Recorded => {}
                EventStatus::Ignored => self.report.ignored += count,
                EventStatus::Failed => self.report.failed += count,
            }
        }
        tx.rollback().await
    }
}

/// How a book is called in a sentence.
fn book(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "",
        Mode::Test => " (test)",
    }
}
