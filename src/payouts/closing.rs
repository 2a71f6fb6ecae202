//! Closing a month, a few partners at a time: what is payable becomes payouts, what is not rolls over with the reason.
//!
//! Each page is a transaction of its own, so that nobody else waits long. A close that was interrupted goes on where it
//! stood, under the terms and the cut-off with which it began.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use serde_json::json;

use super::batch::{Done, audited, book, entry_of};
use super::error::PayoutError;
use crate::clock::Clock;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::entry::EntryKind;
use crate::domain::fx::Rates;
use crate::domain::netting::{Netted, Outcome, PayableEntry, Period, Readiness, ToNet, net};
use crate::domain::terms::{Method, Profile, Settings, Terms};
use crate::ids::Ids;
use crate::mail::note;
use crate::statements::freeze::{FreezeContext, freeze};
use crate::store::audit::By;
use crate::store::batches::{self, Batch, NewBatch};
use crate::store::entries::{Booked, Entry};
use crate::store::payouts::{self, NewPayout, Payout};
use crate::store::{
    Db, Mode, StoreError, Tx, Urgency, WorkspaceId, changes, fx_rates, stripe_accounts, tiers, workspaces,
};

/// Partners that are netted in one transaction.
const PAGE: i64 = 50;

/// Opens the batch of a month and nets its first partners; a batch with more of them is left as `closing`, for
/// [`finish`].
///
/// # Errors
/// [`PayoutError::NotOver`], [`PayoutError::OutOfOrder`], [`PayoutError::StillClosing`], or the database's.
pub async fn begin(tx: &mut Tx, by: By<'_>, mode: Mode, month: Month) -> Result<(Batch, Done), PayoutError> {
    let (workspace, now) = (by.workspace, by.now);
    // Holding the log's lock, two closes of one workspace never begin side by side.
    let terms = changes::terms_for_change(tx, workspace).await?;
    if let Some(batch) = batches::of_month(tx, workspace, mode, &month.to_string()).await? {
        return Ok((batch, Done::Before));
    }
    let settings = terms.current_settings();
    let period = Period::of(month, settings.time_zone);
    if period.end > now {
        let end = period.end.with_timezone(&settings.time_zone).format("%Y-%m-%d %H:%M").to_string();
        return Err(PayoutError::NotOver { month, zone: settings.time_zone, end });
    }
    let latest = batches::all(tx, workspace, mode).await?.into_iter().next();
    if let Some(latest) = latest.as_ref().filter(|latest| latest.month > month.to_string()) {
        return Err(PayoutError::OutOfOrder { month, later: latest.month.clone() });
    }
    if let Some(latest) = latest.as_ref().filter(|latest| latest.is_closing()) {
        return Err(PayoutError::StillClosing(latest.month.clone()));
    }
    let batch = NewBatch {
        batch_id: by.ids.next("bat"),
        mode,
        month: month.to_string(),
        period: (period.start, period.end),
        // What was booked up to and including this moment is in.
        cut_off: now + chrono::TimeDelta::microseconds(1),
        terms_seq: terms.seq,
        before_id: latest.map(|latest| latest.batch_id),
        closed_at: now,
        closed_by: by.author,
    };
    batches::insert(tx, workspace, &batch).await?;
    tiers::freeze(tx, workspace, mode, month).await?;
    let batch_id = batch.batch_id;
    let batch = found(tx, workspace, &batch_id).await?;
    let closing = Closing::with(tx, workspace, terms, batch).await?;
    // Small businesses are done in one go.
    if closing.page(tx, by).await? == Page::More {
        closing.page(tx, by).await?;
    }
    Ok((found(tx, workspace, &batch_id).await?, Done::Now))
}

/// Goes on with a batch that is being closed, page by page, until it is a draft. Several may do so at once.
///
/// # Errors
/// The database's.
pub async fn finish(
    db: &Db,
    clock: &Clock,
    ids: &Ids,
    workspace: WorkspaceId,
    batch_id: &str,
) -> Result<Batch, PayoutError> {
    let mut tx = db.read().await?;
    let batch = found(&mut tx, workspace, batch_id).await?;
    if !batch.is_closing() {
        return Ok(batch);
    }
    let terms = terms_of(&mut tx, db, workspace, &batch).await?;
    tx.rollback().await?;
    let author = batch.closed_by.clone();
    let mut context: Option<Closing> = None;
    loop {
        let mut tx = db.write(Urgency::Background).await?;
        let by = By { workspace, author: &author, now: clock.now(), ids };
        let batch = found(&mut tx, workspace, batch_id).await?;
        if !batch.is_closing() {
            return Ok(batch);
        }
        let closing = match context.take() {
            Some(known) => Closing { batch, ..known },
            None => Closing::with(&mut tx, workspace, terms.clone(), batch).await?,
        };
        match closing.page(&mut tx, by).await {
            Ok(Page::Lost) => tx.rollback().await?,
            Ok(Page::More | Page::Last) => {
                tx.commit().await?;
                db.grown_by_payouts(usize::try_from(PAGE).unwrap_or_default()).await;
            }
            Err(PayoutError::Store(error)) if error.is_collision() => tx.rollback().await?,
            Err(error) => return Err(error),
        }
        context = Some(closing);
    }
}

/// The terms with which a batch was begun.
async fn terms_of(tx: &mut Tx, db: &Db, workspace: WorkspaceId, batch: &Batch) -> Result<Terms, StoreError> {
    let known = db.terms(tx, workspace).await?;
    if known.seq == batch.terms_seq {
        return Ok(Terms::clone(&known));
    }
    let log = changes::since(tx, workspace, 0).await?;
    Ok(Terms::from_log(log.into_iter().take_while(|entered| entered.seq <= batch.terms_seq)))
}

async fn found(tx: &mut Tx, workspace: WorkspaceId, batch_id: &str) -> Result<Batch, PayoutError> {
    let batch = batches::by_id(tx, workspace, batch_id).await?;
    batch.ok_or_else(|| PayoutError::NoBatch(batch_id.to_owned()))
}

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    /// There are more partners.
    More,
    /// That was all: the batch is a draft.
    Last,
    /// Somebody else did it: nothing may be kept of this transaction.
    Lost,
}

struct Closing {
    mode: Mode,
    workspace_key: String,
    month: Month,
    terms: Terms,
    settings: Settings,
    rates: Rates,
    /// The day of the close on the workspace's calendar.
    day: NaiveDate,
    period: Period,
    batch: Batch,
}

impl Closing {
    async fn with(tx: &mut Tx, workspace: WorkspaceId, terms: Terms, batch: Batch) -> Result<Self, PayoutError> {
        let settings = terms.current_settings();
        let day = batch.closed_at().with_timezone(&settings.time_zone).date_naive();
        let rates = fx_rates::known_by(tx, workspace, day, batch.closed_at()).await?;
        let period = Period { start: batch.period_start(), end: batch.period_end() };
        let workspace_key = workspaces::key(tx, workspace).await?;
        let month = Month::containing(batch.period_start(), settings.time_zone);
        Ok(Self { mode: batch.mode(), workspace_key, month, terms, settings, rates, day, period, batch })
    }

    /// Nets the next partners. Nobody does it beside us: the batch's own row says how far it has come, and is held.
    async fn page(&self, tx: &mut Tx, by: By<'_>) -> Result<Page, PayoutError> {
        let (workspace, batch_id) = (by.workspace, self.batch.batch_id.as_str());
        let held = found(tx, workspace, batch_id).await?;
        let Some(from) = held.closed_up_to else { return Ok(Page::Lost) };
        let partners = payouts::partners(tx, workspace, self.mode, &from, PAGE).await?;
        let Some(last) = partners.last() else {
            if !batches::end_close(tx, workspace, batch_id, &from).await? {
                return Ok(Page::Lost);
            }
            let batch = found(tx, workspace, batch_id).await?;
            audited(tx, by, "batch.closed", None, &batch).await?;
            note::batch_closed(tx, by, batch.mode(), &batch.batch_id).await?;
            return Ok(Page::Last);
        };
        if !batches::close_up_to(tx, workspace, batch_id, &from, last).await? {
            return Ok(Page::Lost);
        }
        self.partners(tx, by, &partners).await?;
        Ok(Page::More)
    }

    async fn partners(&self, tx: &mut Tx, by: By<'_>, partners: &[String]) -> Result<(), PayoutError> {
        let workspace = by.workspace;
        let (end, cut_off) = (self.period.end, self.batch.cut_off());
        let free = payouts::free_entries(tx, workspace, self.mode, partners, end, cut_off).await?;
        let (left, closings) = match self.batch.before_id.as_deref() {
            Some(before) => (
                payouts::left_by(tx, workspace, before, partners).await?,
                payouts::closings(tx, workspace, before, partners).await?,
            ),
            None => (HashSet::default(), HashMap::default()),
        };
        let accounts = self.readiness(tx, workspace, partners).await?;
        let mut new = Vec::new();
        for ((partner, currency), entries) in by_partner(&free, &left) {
            let opening = closings.get(&(partner.clone(), currency.to_string())).copied().unwrap_or(0);
            new.extend(self.payout(by, &partner, currency, &entries, opening, &accounts)?);
        }
        payouts::insert(tx, workspace, self.mode, &new).await?;
        self.carry_on(tx, by, &new).await?;
        let context = FreezeContext {
            workspace,
            workspace_key: &self.workspace_key,
            mode: self.mode,
            batch_id: &self.batch.batch_id,
            month: self.month,
            period: self.period,
            cut_off,
            terms: &self.terms,
            ids: by.ids,
            now: self.batch.closed_at(),
        };
        freeze(tx, &context, partners).await?;
        Ok(())
    }

    /// What Stripe said of the accounts of some partners who are paid by it.
    async fn readiness(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        partners: &[String],
    ) -> Result<HashMap<String, Readiness>, StoreError> {
        let profiles = partners.iter().filter_map(|partner| Some(&self.terms.partners.get(partner)?.profile));
        let accounts: Vec<&str> = profiles.filter_map(stripe_account).collect();
        if accounts.is_empty() {
            return Ok(HashMap::default());
        }
        let known = stripe_accounts::of(tx, workspace, self.mode, accounts).await?;
        let readiness = |ready: bool| if ready { Readiness::Ready } else { Readiness::NotReady };
        Ok(known.into_iter().map(|(account, said)| (account, readiness(said.is_ready()))).collect())
    }

    /// Books what currencies cannot pay out: one half belongs to the payout, the other is the next month's. It could be
    /// paid in this month, if only it were more: the next month has it, however late this one is closed.
    async fn carry_on(&self, tx: &mut Tx, by: By<'_>, new: &[NewPayout]) -> Result<(), PayoutError> {
        let mut pairs = Vec::new();
        for NewPayout { payout, .. } in new.iter().filter(|new| new.payout.pays() && new.payout.closing != 0) {
            for (revision, amount) in [(1, -payout.closing), (2, payout.closing)] {
                let entry = entry_of(by, &self.batch, payout, EntryKind::Carry, amount, self.batch.closed_at())?;
                let available_at = self.period.end - chrono::TimeDelta::microseconds(1);
                pairs.push(Entry { revision, available_at, ..entry });
            }
        }
        book(tx, by.workspace, &pairs).await?;
        Ok(())
    }

    fn payout(
        &self,
        by: By<'_>,
        partner: &str,
        currency: Currency,
        entries: &[PayableEntry],
        opening: i64,
        accounts: &HashMap<String, Readiness>,
    ) -> Result<Option<NewPayout>, PayoutError> {
        let unknown = Profile::default();
        let profile = self.terms.partners.get(partner).map_or(&unknown, |partner| &partner.profile);
        let account = stripe_account(profile).and_then(|account| accounts.get(account));
        let netted = net(&ToNet {
            entries,
            currency,
            profile,
            settings: &self.settings,
            period: self.period,
            cut_off: self.batch.cut_off(),
            opening,
            account: account.copied().unwrap_or_default(),
            rates: &self.rates,
            day: self.day,
        })
        .map_err(|source| PayoutError::Overflow { partner: partner.to_owned(), currency, source })?;
        if netted.entry_ids.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.frozen(by, partner, currency, profile, netted)))
    }

    fn frozen(&self, by: By<'_>, partner: &str, currency: Currency, profile: &Profile, netted: Netted) -> NewPayout {
        let payout_id = by.ids.next("po");
        let mut payout = Payout::empty(payout_id, &self.batch, partner, currency);
        if let Some(method) = &profile.payout {
            method.method.as_str().clone_into(&mut payout.method);
            payout.destination.clone_from(&method.account);
        }
        match netted.outcome {
            Outcome::Pay => "ready".clone_into(&mut payout.status),
            Outcome::RollOver(reason) => payout.reason = Some(reason.as_str().to_owned()),
        }
        payout.amount = netted.amount;
        payout.opening = netted.opening;
        payout.earned = netted.earned;
        payout.reversed = netted.reversed;
        payout.adjustments = netted.adjustments;
        payout.closing = netted.closing + netted.carry;
        payout.minimum = netted.minimum;
        payout.entry_count = i64::try_from(netted.entry_ids.len()).unwrap_or(i64::MAX);
        payout.commission_count = i64::try_from(netted.commission_count).unwrap_or(i64::MAX);
        payout.leaves_as(netted.paid_amount, netted.paid_currency);
        if let Some(rate) = &netted.rate {
            payout.fx_rate = Some(rate.rate.to_string());
            payout.fx_day = Some(rate.day.to_string());
            payout.fx_source = Some(rate.source.clone());
        }
        payout.reference = reference(partner, &self.batch.month);
        payout.profile = serde_json::to_string(profile).unwrap_or_else(|_| json!({}).to_string());
        NewPayout { payout, entry_ids: netted.entry_ids }
    }
}

/// The connected account to which a partner is paid.
fn stripe_account(profile: &Profile) -> Option<&str> {
    let payout = profile.payout.as_ref().filter(|payout| payout.method == Method::Stripe);
    payout.and_then(|payout| payout.account.as_deref())
}

/// What the partner sees on their account, at most 35 characters.
fn reference(partner: &str, month: &str) -> String {
    let room = 35 - month.len() - 1;
    let partner: String = partner.chars().filter(char::is_ascii_graphic).take(room).collect();
    format!("{partner}-{month}")
}

fn by_partner(free: &[Booked], left: &HashSet<String>) -> BTreeMap<(String, Currency), Vec<PayableEntry>> {
    let mut groups: BTreeMap<(String, Currency), Vec<PayableEntry>> = BTreeMap::new();
    for Booked { entry, .. } in free {
        groups.entry((entry.partner.clone(), entry.currency)).or_default().push(PayableEntry {
            entry_id: entry.entry_id.clone(),
            kind: entry.kind,
            amount: entry.amount,
            available_at: entry.available_at,
            booked_at: entry.booked_at,
            left: left.contains(&entry.entry_id),
        });
    }
    groups
}
