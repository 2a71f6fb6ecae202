//! What other terms would move of what is booked, without writing anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Ledger;
use super::settle::{Case, load_cases, load_lookups};
use super::think;
use crate::domain::Time;
use crate::domain::currency::Currency;
use crate::domain::decision::{Decisions, Lookups, decide};
use crate::domain::history::fold;
use crate::domain::terms::{PartnerKey, Terms};
use crate::store::{Mode, StoreError, WorkspaceId, customers};

/// How many customers are decided at a time.
const PAGE: i64 = 256;

/// What a partner has under some terms, and would have under others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Who.
    pub partner: PartnerKey,
    /// In what.
    pub currency: Currency,
    /// Minor units under the terms before.
    pub before: i64,
    /// Minor units under the terms after.
    pub after: i64,
}

impl Compared {
    /// Minor units, signed.
    pub fn difference(&self) -> i64 {
        self.after.saturating_sub(self.before)
    }
}

/// Which terms are compared, over what.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Whose history.
    pub workspace: WorkspaceId,
    /// Of which book.
    pub mode: Mode,
    /// The terms as they are.
    pub before: Arc<Terms>,
    /// As they might be.
    pub after: Arc<Terms>,
    /// Only payments paid since then; all where there is none.
    pub since: Option<Time>,
}

type Sums = BTreeMap<(PartnerKey, Currency), (i64, i64)>;

/// Decides every customer of a book under both terms and tells what each partner earns by currency, where it is anything.
/// Nothing is written. Customers that cannot be decided are left out.
///
/// # Errors
/// The database's.
pub async fn compare(ledger: &Ledger, comparison: &Comparison) -> Result<Vec<Compared>, StoreError> {
    let now = ledger.clock.now();
    let mut sums = Sums::new();
    let mut cursor = String::new();
    loop {
        let mut tx = ledger.db.read().await?;
        let mut page = customers::page(&mut tx, comparison.workspace, Some(&cursor), PAGE).await?;
        let Some(last) = page.last() else { break };
        cursor.clone_from(&last.customer_id);
        page.retain(|customer| customer.mode() == comparison.mode);
        let cases = load_cases(&mut tx, comparison.workspace, page).await?;
        let lookups = load_lookups(&mut tx, comparison.workspace, &cases, &comparison.after).await?;
        tx.rollback().await?;
        let (comparison, moved) = (comparison.clone(), sums);
        sums = think(move || add_all(moved, &comparison, &cases, &lookups, now)).await?;
    }
    let compared = sums.into_iter().filter(|(_, (before, after))| *before != 0 || *after != 0);
    Ok(compared.map(|((partner, currency), (before, after))| Compared { partner, currency, before, after }).collect())
}

fn add_all(mut sums: Sums, comparison: &Comparison, cases: &[Case], lookups: &Lookups, now: Time) -> Sums {
    for case in cases {
        let Ok(events) = &case.events else { continue };
        let history = fold(events);
        let decided = |terms| decide(&history, terms, lookups, now);
        if let (Ok(old), Ok(new)) = (decided(&comparison.before), decided(&comparison.after)) {
            add(&mut sums, &old, comparison.since, |sum, amount| sum.0 = sum.0.saturating_add(amount));
            add(&mut sums, &new, comparison.since, |sum, amount| sum.1 = sum.1.saturating_add(amount));
        }
    }
    sums
}

fn add(sums: &mut Sums, decisions: &Decisions, since: Option<Time>, to: impl Fn(&mut (i64, i64), i64)) {
    let counted = decisions.payments.iter().filter(|payment| since.is_none_or(|since| payment.paid_at >= since));
    for payment in counted {
        if let Some(partner) = &payment.partner {
            to(sums.entry((partner.clone(), payment.currency)).or_default(), payment.amount);
        }
        for share in &payment.shares {
            to(sums.entry((share.partner.clone(), payment.currency)).or_default(), share.amount);
        }
    }
}
