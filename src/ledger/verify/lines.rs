//! Line by line: every entry is what was appended, none is missing, none is there for nothing.

use super::{Verifying, book};
use crate::store::balances::{self, Off};
use crate::store::entries::{self, Booked};
use crate::store::{Mode, StoreError};

const PAGE: i64 = 500;

impl Verifying<'_> {
    /// Every entry has its digest, and the revisions of each series are without gaps.
    pub(super) async fn all_entries(&mut self) -> Result<(), StoreError> {
        for mode in Mode::ALL {
            let mut after: Option<String> = None;
            loop {
                let mut tx = self.ledger.db.read().await?;
                let page = entries::page(&mut tx, self.workspace, mode, after.as_deref(), PAGE).await?;
                tx.rollback().await?;
                let Some(last) = page.last() else { break };
                after = Some(last.entry.entry_id.clone());
                for booked in &page {
                    self.digest(booked);
                }
            }
        }
        self.gaps().await?;
        self.orphans().await?;
        self.balances().await
    }

    fn digest(&mut self, booked: &Booked) {
        self.report.entries += 1;
        if booked.entry.digest(self.workspace) != booked.digest {
            let id = &booked.entry.entry_id;
            self.report.differs(format!("Entry {id}{} was changed after it was appended.", book(booked.entry.mode)));
        }
    }

    async fn gaps(&mut self) -> Result<(), StoreError> {
        let mut tx = self.ledger.db.read().await?;
        for gap in entries::series_with_gaps(&mut tx, self.workspace).await? {
            self.report.differs(format!(
                "Payment {}: an entry of {} is gone; there should be {}, there are {}.",
                gap.payment_id,
                gap.partner_key,
                gap.last + 1,
                gap.count
            ));
        }
        tx.rollback().await
    }

    async fn orphans(&mut self) -> Result<(), StoreError> {
        let mut tx = self.ledger.db.read().await?;
        for id in entries::of_unknown_payments(&mut tx, self.workspace).await? {
            self.report.differs(format!("Entry {id} is about a payment that nobody knows."));
        }
        for id in entries::without_cause(&mut tx, self.workspace).await? {
            self.report
                .differs(format!("Entry {id} is there for nothing: no payment, payout or decision accounts for it."));
        }
        tx.rollback().await
    }

    /// What is kept of each partner's balance is what the entries come to.
    async fn balances(&mut self) -> Result<(), StoreError> {
        let mut tx = self.ledger.db.read().await?;
        for off in balances::off(&mut tx, self.workspace, self.now).await? {
            let Off { mode, partner, currency, kept, booked } = off;
            self.report.differs(format!(
                "The balance of {partner} in {currency}{} is kept as {kept}; the entries come to {booked}.",
                book(mode)
            ));
        }
        tx.rollback().await
    }
}
