//! Payout by payout: each pays what its entries are worth, and is booked once it is approved, not before.

use std::collections::HashMap;

use super::Verifying;
use crate::domain::entry::EntryKind;
use crate::store::entries::{self, PayoutLine};
use crate::store::payouts::{self, Made};
use crate::store::{StoreError, Tx};

const PAGE: i64 = 200;

impl Verifying<'_> {
    pub(super) async fn all_payouts(&mut self) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let mut tx = self.ledger.db.read().await?;
            let page = payouts::made_of(&mut tx, self.workspace, &after, PAGE).await?;
            let Some(last) = page.last() else { return tx.rollback().await };
            after.clone_from(&last.payout_id);
            self.payouts(&mut tx, &page).await?;
            tx.rollback().await?;
        }
    }

    async fn payouts(&mut self, tx: &mut Tx, page: &[Made]) -> Result<(), StoreError> {
        let ids = page.iter().map(|made| made.payout_id.as_str());
        let mut booked: HashMap<String, Vec<PayoutLine>> = HashMap::new();
        for line in entries::of_payouts(tx, self.workspace, ids).await? {
            booked.entry(line.payout_id.clone()).or_default().push(line);
        }
        for made in page {
            let booked = booked.remove(&made.payout_id).unwrap_or_default();
            self.payout(made, &booked);
        }
        Ok(())
    }

    fn payout(&mut self, made: &Made, booked: &[PayoutLine]) {
        let (id, out) = (&made.payout_id, made.amount.saturating_add(made.closing));
        if made.stated != out {
            self.report.differs(format!("Payout {id} does not add up: {} came in, {out} went out.", made.stated));
        }
        let pays = made.status != "blocked";
        let is_booked = pays && (made.approved == 1 || made.status == "canceled");
        let carry = if pays { made.closing } else { 0 };
        let mut expected = Vec::new();
        if is_booked {
            expected.push(line(EntryKind::Payout, -made.amount));
        }
        if carry != 0 {
            expected.extend([carry, -carry].map(|amount| line(EntryKind::Carry, amount)));
        }
        let (returns, booked): (Vec<&PayoutLine>, Vec<&PayoutLine>) =
            booked.iter().partition(|line| line.kind == EntryKind::PayoutReturn.as_str());
        let returned: i128 = returns.iter().map(|line| i128::from(line.amount)).sum();
        if returned != i128::from(made.returned) {
            let said = made.returned;
            self.report.differs(format!("Payout {id} says that {said} came back; the ledger says {returned}."));
        }
        let mut found: Vec<String> = booked.iter().map(|line| format!("{} of {}", line.kind, line.amount)).collect();
        expected.sort_unstable();
        found.sort_unstable();
        if found != expected {
            let (found, expected) = (listed(&found), listed(&expected));
            self.report.differs(format!("Payout {id} is booked as {found}; it should be {expected}."));
        }
        // Its own booking, and what is carried on, take away from what its entries are worth.
        let own = i64::from(is_booked) + i64::from(carry != 0);
        let count = made.entry_count.saturating_add(own);
        let left = out - carry - if is_booked { made.amount } else { 0 };
        if (made.entries, made.sum) != (count, left) {
            let Made { entries, sum, .. } = made;
            self.report.differs(format!(
                "Payout {id} has {entries} entries, which come to {sum}; it should have {count}, which come to {left}."
            ));
        }
    }
}

fn line(kind: EntryKind, amount: i64) -> String {
    format!("{kind} of {amount}")
}

fn listed(lines: &[String]) -> String {
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }
}
