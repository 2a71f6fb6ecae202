//! A month's batch: close it, approve it, mark it as paid. Every step belongs into one transaction, which its caller
//! commits; doing it twice changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;

use crate::domain::Time;
use crate::domain::calendar::Month;
use crate::domain::currency::Currency;
use crate::domain::entry::{Component, EntryKind};
use crate::domain::money::Overflow;
use crate::domain::netting::{Netted, Outcome, PayableEntry, Period, ToNet, net};
use crate::domain::terms::{Profile, Settings, Terms};
use crate::store::audit::{self, Act, By};
use crate::store::entries::{self, Booked, Entry};
use crate::store::payouts::{self, Batch, NewPayout, Payout};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, changes, tiers};

/// Partners that are netted at a time.
const PAGE: i64 = 200;

/// Why a batch could not be closed, approved or paid; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// The month is not over.
    #[error("{month} is not over: in {zone} it ends at {end}. Close it after that")]
    NotOver {
        /// Which.
        month: Month,
        /// The workspace's zone.
        zone: chrono_tz::Tz,
        /// When it ends, local time.
        end: String,
    },
    /// A later month is closed already, with everything that was payable.
    #[error("{later} is closed already and has everything that was payable before: {month} cannot be closed any more")]
    OutOfOrder {
        /// Which.
        month: Month,
        /// The latest closed one.
        later: String,
    },
    /// There is no such batch.
    #[error("there is no batch {0:?}: `commission-bridge payouts list` shows them, by id or month")]
    NoBatch(String),
    /// The batch must be approved first.
    #[error("the payouts of {0} are not approved yet: `commission-bridge payouts approve {0}`")]
    NotApproved(String),
    /// The batch has nothing to pay of what was named.
    #[error("the batch of {month} pays nothing to {whom}: `commission-bridge payouts list {month}` shows what it pays")]
    NoPayout {
        /// Which batch.
        month: String,
        /// Who, in what.
        whom: String,
    },
    /// One external id can name one payout only.
    #[error(
        "the batch of {0} has several such payouts: say which one the external id belongs to, by partner and currency"
    )]
    WhichPayout(String),
    /// The payout has another external id.
    #[error(
        "the payout of {partner} in {month} was marked as paid before, with external id {known}; nothing was changed"
    )]
    PaidAs {
        /// Which batch.
        month: String,
        /// Who.
        partner: String,
        /// What it was paid as.
        known: String,
    },
    /// Sums too large for minor units.
    #[error("partner {partner}, {currency}: {source}")]
    Overflow {
        /// Who.
        partner: String,
        /// In what.
        currency: Currency,
        /// What happened.
        source: Overflow,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a step did something or found it done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Just now.
    Now,
    /// It was done before; nothing was changed.
    Before,
}

/// Closes a month: nets every partner's payable entries, freezes the payouts, reserves their entries, and carries on
/// what a currency cannot pay out.
///
/// # Errors
/// [`PayoutError::NotOver`], [`PayoutError::OutOfOrder`], or the database's.
pub async fn close(tx: &mut Tx, by: By<'_>, mode: Mode, month: Month) -> Result<(Batch, Done), PayoutError> {
    let (workspace, now) = (by.workspace, by.now);
    // Holding the log's lock, two closes of one workspace never run side by side.
    let terms = changes::terms_for_change(tx, workspace).await?;
    if let Some(batch) = payouts::of_month(tx, workspace, mode, &month.to_string()).await? {
        return Ok((batch, Done::Before));
    }
    let settings = terms.current_settings();
    let period = Period::of(month, settings.time_zone);
    if period.end > now {
        let end = period.end.with_timezone(&settings.time_zone).format("%Y-%m-%d %H:%M").to_string();
        return Err(PayoutError::NotOver { month, zone: settings.time_zone, end });
    }
    let latest = payouts::batches(tx, workspace, mode).await?.into_iter().next();
    if let Some(latest) = latest.as_ref().filter(|latest| latest.month > month.to_string()) {
        return Err(PayoutError::OutOfOrder { month, later: latest.month.clone() });
    }
    // What was booked up to and including this moment is in.
    let cut_off = now + chrono::TimeDelta::microseconds(1);
    let batch_id = by.ids.next("bat");
    let batch = Batch::closed(batch_id, mode, month.to_string(), (period.start, period.end), cut_off, now);
    payouts::insert_batch(tx, workspace, &batch).await?;
    tiers::freeze(tx, workspace, mode, month).await?;
    let closing = Closing { by, mode, terms: &terms, settings: &settings, period, cut_off, batch: &batch };
    closing.all_partners(tx, latest.as_ref()).await?;
    audited(tx, by, "batch.closed", None, &batch).await?;
    Ok((batch, Done::Now))
}

struct Closing<'a> {
    by: By<'a>,
    mode: Mode,
    terms: &'a Terms,
    settings: &'a Settings,
    period: Period,
    cut_off: Time,
    batch: &'a Batch,
}

impl Closing<'_> {
    async fn all_partners(&self, tx: &mut Tx, latest: Option<&Batch>) -> Result<(), PayoutError> {
        let before = latest.map(|latest| latest.batch_id.as_str());
        let closings = match before {
            Some(before) => payouts::closings(tx, self.by.workspace, before).await?,
            None => HashMap::default(),
        };
        let mut after = String::new();
        loop {
            let partners = payouts::partners(tx, self.by.workspace, self.mode, &after, PAGE).await?;
            let Some(last) = partners.last() else { return Ok(()) };
            after.clone_from(last);
            let (end, cut_off) = (self.period.end, self.cut_off);
            let free = payouts::free_entries(tx, self.by.workspace, self.mode, &partners, end, cut_off).await?;
            let left = match before {
                Some(before) => payouts::left_by(tx, self.by.workspace, before, &partners).await?,
                None => HashSet::default(),
            };
            let mut new = Vec::new();
            for ((partner, currency), entries) in by_partner(&free, &left) {
                let opening = closings.get(&(partner.clone(), currency.to_string())).copied().unwrap_or(0);
                new.extend(self.payout(&partner, currency, &entries, opening)?);
            }
            payouts::insert(tx, self.by.workspace, self.mode, &new).await?;
            self.carry_on(tx, &new).await?;
        }
    }

    /// Books what currencies cannot pay out: one half belongs to the payout, the other is the next month's. It could be
    /// paid in this month, if only it were more: the next month has it, however late this one is closed.
    async fn carry_on(&self, tx: &mut Tx, new: &[NewPayout]) -> Result<(), PayoutError> {
        let mut pairs = Vec::new();
        for NewPayout { payout, .. } in new.iter().filter(|new| new.payout.pays() && new.payout.closing != 0) {
            for (revision, amount) in [(1, -payout.closing), (2, payout.closing)] {
                let kind = EntryKind::Carry;
                let entry = entry_of(self.by, self.batch, payout, kind, amount, self.batch.closed_at())?;
                let available_at = self.period.end - chrono::TimeDelta::microseconds(1);
                pairs.push(Entry { revision, available_at, ..entry });
            }
        }
        book(tx, self.by.workspace, &pairs).await
    }

    fn payout(
        &self,
        partner: &str,
        currency: Currency,
        entries: &[PayableEntry],
        opening: i64,
    ) -> Result<Option<NewPayout>, PayoutError> {
        let unknown = Profile::default();
        let profile = self.terms.partners.get(partner).map_or(&unknown, |partner| &partner.profile);
        let (period, cut_off, settings) = (self.period, self.cut_off, self.settings);
        let netted = net(&ToNet { entries, currency, profile, settings, period, cut_off, opening })
            .map_err(|source| PayoutError::Overflow { partner: partner.to_owned(), currency, source })?;
        if netted.entry_ids.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.frozen(partner, currency, profile, netted)))
    }

    fn frozen(&self, partner: &str, currency: Currency, profile: &Profile, netted: Netted) -> NewPayout {
        let payout_id = self.by.ids.next("po");
        let mut payout = Payout::empty(payout_id, &self.batch.batch_id, partner, currency);
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
        payout.reference = reference(partner, &self.batch.month);
        payout.profile = serde_json::to_string(profile).unwrap_or_else(|_| "{}".to_owned());
        NewPayout { payout, entry_ids: netted.entry_ids }
    }
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

/// Finds a batch by its id or month.
///
/// # Errors
/// [`PayoutError::NoBatch`], or the database's.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, mode: Mode, name: &str) -> Result<Batch, PayoutError> {
    let found = if name.parse::<Month>().is_ok() {
        payouts::of_month(tx, workspace, mode, name).await?
    } else {
        payouts::batch(tx, workspace, name).await?
    };
    found.ok_or_else(|| PayoutError::NoBatch(name.to_owned()))
}

/// Approves a batch: books each payout's amount, negative, as an entry of its own.
///
/// # Errors
/// [`PayoutError::NoBatch`], or the database's.
pub async fn approve(tx: &mut Tx, by: By<'_>, mode: Mode, name: &str) -> Result<(Batch, Done), PayoutError> {
    let (workspace, now) = (by.workspace, by.now);
    let batch = find(tx, workspace, mode, name).await?;
    if !payouts::advance_batch(tx, workspace, &batch.batch_id, "closed", "approved", now).await? {
        // Somebody else may have been approving it while this one waited: show it as it is now.
        return Ok((find(tx, workspace, mode, &batch.batch_id).await?, Done::Before));
    }
    let mut new = Vec::new();
    for payout in payouts::of_batch(tx, workspace, &batch.batch_id).await? {
        if payout.pays() {
            new.push(entry_of(by, &batch, &payout, EntryKind::Payout, -payout.amount, now)?);
        }
    }
    book(tx, workspace, &new).await?;
    payouts::approve(tx, workspace, &batch.batch_id).await?;
    let after = find(tx, workspace, batch.mode(), &batch.batch_id).await?;
    audited(tx, by, "batch.approved", Some(&batch), &after).await?;
    Ok((after, Done::Now))
}

/// Appends entries about payouts. What they take belongs to the payout; what they give is free.
async fn book(tx: &mut Tx, workspace: WorkspaceId, new: &[Entry]) -> Result<(), PayoutError> {
    entries::append(tx, workspace, new).await?;
    let taking = new.iter().filter(|entry| entry.amount < 0);
    let reserved = taking.map(|entry| (entry.payout_id.as_deref().unwrap_or_default(), entry.entry_id.as_str()));
    payouts::reserve(tx, workspace, reserved).await?;
    Ok(())
}

fn entry_of(
    by: By<'_>,
    batch: &Batch,
    payout: &Payout,
    kind: EntryKind,
    amount: i64,
    now: Time,
) -> Result<Entry, StoreError> {
    Ok(Entry {
        entry_id: by.ids.next("ent"),
        mode: batch.mode(),
        kind,
        partner: payout.partner_key.clone(),
        program: None,
        component: Component::Direct,
        revision: 1,
        payment_id: None,
        amount,
        currency: payout.currency()?,
        occurred_at: now,
        booked_at: now,
        available_at: now,
        event_id: None,
        payout_id: Some(payout.payout_id.clone()),
        reason: Some(batch.month.clone()),
    })
}

/// Which payouts of a batch were paid, and as what.
#[derive(Debug, Clone, Copy, Default)]
pub struct Paid<'a> {
    /// To this partner alone.
    pub partner: Option<&'a str>,
    /// In this currency alone.
    pub currency: Option<Currency>,
    /// What the bank or service calls it; for one payout.
    pub external_id: Option<&'a str>,
}

impl Paid<'_> {
    fn means(&self, payout: &Payout) -> bool {
        self.partner.is_none_or(|partner| payout.partner_key == partner)
            && self.currency.is_none_or(|currency| payout.currency().is_ok_and(|of| of == currency))
    }

    /// Who was named, in words.
    fn whom(&self) -> Option<String> {
        match (self.partner, self.currency) {
            (None, None) => None,
            (Some(partner), None) => Some(partner.to_owned()),
            (None, Some(currency)) => Some(format!("anybody in {currency}")),
            (Some(partner), Some(currency)) => Some(format!("{partner} in {currency}")),
        }
    }
}

/// Marks the approved payouts of a batch, or one partner's, as paid. The ledger has their entries since the approval.
///
/// # Errors
/// [`PayoutError::NotApproved`], [`PayoutError::NoPayout`], [`PayoutError::WhichPayout`], [`PayoutError::PaidAs`], or
/// the database's.
pub async fn mark_paid(
    tx: &mut Tx,
    by: By<'_>,
    mode: Mode,
    name: &str,
    paid: &Paid<'_>,
) -> Result<(Batch, usize), PayoutError> {
    let (workspace, now) = (by.workspace, by.now);
    let batch = find(tx, workspace, mode, name).await?;
    if batch.status == "closed" {
        return Err(PayoutError::NotApproved(batch.month));
    }
    let all = payouts::of_batch(tx, workspace, &batch.batch_id).await?;
    let wanted: Vec<&Payout> = all.iter().filter(|payout| payout.pays() && paid.means(payout)).collect();
    if wanted.is_empty() && paid.whom().is_some() {
        return Err(PayoutError::NoPayout { month: batch.month, whom: paid.whom().unwrap_or_default() });
    }
    if let Some(external_id) = paid.external_id {
        let [payout] = wanted[..] else { return Err(PayoutError::WhichPayout(batch.month)) };
        if let Some(known) = payout.external_id.clone().filter(|known| known != external_id) {
            return Err(PayoutError::PaidAs { month: batch.month, partner: payout.partner_key.clone(), known });
        }
    }
    let mut marked = 0;
    for payout in wanted {
        let is_new = payouts::mark_paid(tx, workspace, &payout.payout_id, paid.external_id, now).await?;
        marked += usize::from(is_new);
        if is_new {
            let after = json!({ "status": "paid", "external_id": paid.external_id });
            let before = Some(json!({ "status": payout.status, "external_id": payout.external_id }));
            let (action, object, object_id) = ("payout.marked_paid", "payout", payout.payout_id.clone());
            audit::append(tx, by, &[Act { action, object, object_id, before, after: Some(after) }]).await?;
        }
    }
    let left = payouts::of_batch(tx, workspace, &batch.batch_id).await?;
    if left.iter().all(|payout| payout.status != "approved") {
        payouts::advance_batch(tx, workspace, &batch.batch_id, "approved", "paid", now).await?;
    }
    let batch = find(tx, workspace, batch.mode(), &batch.batch_id).await?;
    Ok((batch, marked))
}

/// Writes what became of a batch into the audit log.
async fn audited(
    tx: &mut Tx,
    by: By<'_>,
    action: &'static str,
    before: Option<&Batch>,
    after: &Batch,
) -> Result<(), StoreError> {
    let state = |batch: &Batch| json!({ "month": batch.month, "status": batch.status, "mode": batch.mode().as_str() });
    let (before, after_state) = (before.map(state), Some(state(after)));
    let act = Act { action, object: "batch", object_id: after.batch_id.clone(), before, after: after_state };
    audit::append(tx, by, &[act]).await
}
