//! What other terms would move of what is booked, without writing anything.

use std::collections::{BTreeMap, BTreeSet};

use super::Ledger;
use super::asking::look_up;
use super::settle::{load_cases, load_lookups};
use crate::domain::currency::Currency;
use crate::domain::decision::{Decisions, decide};
use crate::domain::history::fold;
use crate::domain::terms::{PartnerKey, Terms};
use crate::store::{Mode, StoreError, WorkspaceId, customers};

/// How many customers are decided at a time.
const PAGE: i64 = 256;

/// What a partner would have more or less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Who.
    pub partner: PartnerKey,
    /// In what.
    pub currency: Currency,
    /// Minor units, signed; never zero.
    pub difference: i64,
}

/// Decides every customer of a book under both terms and tells the difference per partner and currency. Customers that
/// cannot be decided are left out.
///
/// # Errors
/// The database's.
pub async fn compare(
    ledger: &Ledger,
    workspace: WorkspaceId,
    mode: Mode,
    before: &Terms,
    after: &Terms,
) -> Result<Vec<Moved>, StoreError> {
    let now = ledger.clock.now();
    let mut sums: BTreeMap<(PartnerKey, Currency), i64> = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let mut tx = ledger.db.read().await?;
        let mut page = customers::page(&mut tx, workspace, Some(&cursor), PAGE).await?;
        let Some(last) = page.last() else { break };
        cursor.clone_from(&last.customer_id);
        page.retain(|customer| customer.mode() == mode);
        let cases = load_cases(&mut tx, workspace, page).await?;
        let mut lookups = load_lookups(&mut tx, workspace, &cases, after).await?;
        for case in &cases {
            let Ok(events) = &case.events else { continue };
            let history = fold(events);
            // What partners brought is what is known now: tiers that nobody had so far begin at their first step.
            let both = loop {
                let both = (decide(&history, before, &lookups, now), decide(&history, after, &lookups, now));
                let asked = [&both.0, &both.1].into_iter().flatten();
                let needs: BTreeSet<_> = asked.flat_map(|decisions| decisions.needs.iter().cloned()).collect();
                if needs.is_empty() {
                    break both;
                }
                look_up(&mut tx, workspace, mode, &needs, &mut lookups.aggregates).await?;
            };
            if let (Ok(old), Ok(new)) = both {
                add(&mut sums, &old, -1);
                add(&mut sums, &new, 1);
            }
        }
        tx.rollback().await?;
    }
    let moved = sums.into_iter().filter(|(_, difference)| *difference != 0);
    Ok(moved.map(|((partner, currency), difference)| Moved { partner, currency, difference }).collect())
}

fn add(sums: &mut BTreeMap<(PartnerKey, Currency), i64>, decisions: &Decisions, sign: i64) {
    for payment in &decisions.payments {
        if let Some(partner) = &payment.partner {
            let sum = sums.entry((partner.clone(), payment.currency)).or_default();
            *sum = sum.saturating_add(sign * payment.amount);
        }
        for share in &payment.shares {
            let sum = sums.entry((share.partner.clone(), payment.currency)).or_default();
            *sum = sum.saturating_add(sign * share.amount);
        }
    }
}
