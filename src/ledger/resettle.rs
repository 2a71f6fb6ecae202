//! A change that concerns many customers is worked off in pages, behind fresh work.

use std::collections::BTreeSet;

use super::Ledger;
use super::link::{Item, link};
use super::record::{Found, find};
use crate::domain::calendar::Month;
use crate::domain::decision::Click;
use crate::store::resettle::{Job, TierWhom, Whom};
use crate::store::workspaces::{CHANGES, RECORDER, lock, used};
use crate::store::{Mode, StoreError, Tx, Urgency, WorkspaceId, clicks, customers, facts, refs, resettle, tiers};

/// How many customers are woken at once.
pub const PAGE: i64 = 256;

impl Ledger {
    /// Wakes the next page of customers that the oldest change concerns; tells whether there was one.
    pub async fn resettle(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let mut look = self.db.read().await?;
        let has_job = !resettle::open(&mut look, workspace, 1).await?.is_empty();
        let has_changes = !has_job && tiers::is_pending(&mut look, workspace).await?;
        look.rollback().await?;
        if has_changes {
            return self.resettle_tiers(workspace).await;
        }
        if !has_job {
            return Ok(false);
        }
        let mut tx = self.db.write(Urgency::Background).await?;
        // Whoever enters a change relies on untouched jobs to wake everybody: none is touched while they do.
        lock(&mut tx, workspace, CHANGES).await?;
        let Some(job) = resettle::open(&mut tx, workspace, 1).await?.pop() else { return Ok(false) };
        let page = resettle::next_page(&mut tx, workspace, &job, PAGE).await?;
        if job.relinks() {
            self.relink(&mut tx, workspace, &page).await?;
        } else {
            let ids: Vec<&str> = page.iter().map(String::as_str).collect();
            customers::lock(&mut tx, workspace, &ids).await?;
            customers::touch(&mut tx, workspace, &ids, self.clock.now()).await?;
        }
        self.advance(&mut tx, workspace, &job, &page).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Makes jobs of what changed in months that tiers look back at: whoever was paid for in the months after may earn
    /// otherwise. Only once no job is open, so that what changes many times in a row is dealt with once.
    async fn resettle_tiers(&self, workspace: WorkspaceId) -> Result<bool, StoreError> {
        let mut tx = self.db.write(Urgency::Background).await?;
        lock(&mut tx, workspace, CHANGES).await?;
        let terms = self.db.terms(&mut tx, workspace).await?;
        let mut whom = Vec::new();
        for changed in tiers::take_changed(&mut tx, workspace).await? {
            let Some(months) = terms.tiered.get(&changed.program_key) else { continue };
            let (Ok(first), Ok(last)) = (changed.first.parse::<Month>(), changed.last.parse::<Month>()) else {
                continue;
            };
            let last = (0..*months).fold(last, |month, _| month.next());
            let (first, last) = (first.next().to_string(), last.to_string());
            let concerned = TierWhom { partner: changed.partner_key, program: changed.program_key, first, last };
            whom.push(Whom::Tiers(Mode::from_i64(changed.mode), concerned));
        }
        resettle::add(&mut tx, workspace, &whom, &self.ids, self.clock.now()).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Enters clicks and has the customers settled again who were waiting for one of them; tells how many were new.
    pub async fn enter_clicks(&self, workspace: WorkspaceId, new: &[(String, Click)]) -> Result<usize, StoreError> {
        let mut tx = self.db.write(Urgency::Now).await?;
        let entered = clicks::enter(&mut tx, workspace, new, &self.ids, self.clock.now()).await?;
        tx.commit().await?;
        Ok(entered.new.len())
    }

    async fn advance(&self, tx: &mut Tx, workspace: WorkspaceId, job: &Job, page: &[String]) -> Result<(), StoreError> {
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        resettle::advance(tx, workspace, job, page, is_last).await
    }

    /// Reads the shared keys and clues of customers anew, as the terms now say: what metadata means has changed.
    async fn relink(&self, tx: &mut Tx, workspace: WorkspaceId, page: &[String]) -> Result<(), StoreError> {
        let version = lock(tx, workspace, RECORDER).await?;
        let terms = self.db.terms(tx, workspace).await?;
        let mut found: Vec<(Mode, String, Found)> = Vec::new();
        let modes = customers::modes(tx, workspace, page.iter().map(String::as_str)).await?;
        for stored in facts::of_customers(tx, workspace, page.iter().map(String::as_str)).await? {
            let Some(mode) = modes.get(&stored.customer_id) else { continue };
            found.push((*mode, stored.customer_id.clone(), find(stored.read()?, stored.body.clone(), &terms)));
        }
        let items: Vec<Item<'_>> = found.iter().map(|(mode, _, found)| found.item(*mode)).collect();
        let asked: BTreeSet<(Mode, &str)> =
            items.iter().flat_map(|item| item.refs.iter().map(|text| (item.mode, *text))).collect();
        let owners = refs::owners(tx, workspace, asked).await?;
        let links = link(&items, &owners, &self.ids);
        self.keep_links(tx, workspace, &links, self.clock.now()).await?;
        let clues: BTreeSet<(Mode, &str, &str)> = found
            .iter()
            .zip(&links.of_item)
            .filter_map(|((mode, _, found), customer)| Some((*mode, found, (*customer)?)))
            .flat_map(|(mode, found, customer)| {
                let customer_id = links.customers[customer].customer_id.as_str();
                found.clues.iter().map(move |clue| (mode, clue.as_str(), customer_id))
            })
            .collect();
        refs::note_clues(tx, workspace, clues).await?;
        used(tx, workspace, RECORDER, version).await
    }
}
