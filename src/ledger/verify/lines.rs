//! Line by line: every entry is what was appended, none is missing, none is there for nothing.

use std::collections::BTreeMap;

use super::{Verifying, book};
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
        self.orphans().await
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
        tx.rollback().await
    }

    /// Every payout entry is about a payout, and takes what that payout pays; every approved payout has one, and is
    /// made of entries that add up to it.
    pub(super) async fn all_payouts(&mut self) -> Result<(), StoreError> {
        let mut tx = self.ledger.db.read().await?;
        let mut seen: BTreeMap<String, i64> = BTreeMap::new();
        for line in entries::of_payouts(&mut tx, self.workspace).await? {
            *seen.entry(line.payout_id.clone()).or_default() += 1;
            if line.amount.checked_neg() != line.payout_amount {
                let id = &line.payout_id;
                self.report.differs(format!("Payout {id}: its entry takes another amount than the payout pays."));
            }
        }
        for (id, count) in seen.into_iter().filter(|(_, count)| *count > 1) {
            self.report.differs(format!("Payout {id} was booked {count} times."));
        }
        for fault in entries::misbooked_payouts(&mut tx, self.workspace).await? {
            let id = fault.payout_id;
            match (fault.due, fault.found) {
                (0, _) => self.report.differs(format!("Payout {id} is booked, but was never approved.")),
                (_, 0) => self.report.differs(format!("Payout {id} was approved, but its entry is gone.")),
                // Told above.
                _ => {}
            }
        }
        for fault in entries::misreserved_payouts(&mut tx, self.workspace).await? {
            let (id, due, found) = (fault.payout_id, fault.due, fault.found);
            self.report.differs(format!(
                "Payout {id} pays and carries {due} minor units, but the entries it is made of add up to {found}."
            ));
        }
        tx.rollback().await
    }
}
