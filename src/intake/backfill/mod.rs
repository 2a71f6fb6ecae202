//! History from Stripe's lists: objects, as events of the same inbox ([`crate::stripe::fetched`]).
//!
//! Each kind of objects is read by itself, newest first, up to four at once; a page, what it became and its place are
//! stored in one transaction, while the next page is fetched. Whoever comes after a crash goes on from there.

mod complete;
mod reading;

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::reading::Reading;
use super::Inbox;
use super::asking::{AskError, Asking};
use crate::clock::Clock;
use crate::domain::Time;
use crate::ids::Ids;
use crate::store::backfills::{self, Backfill, End, KindRow};
use crate::store::{Db, Mode, StoreError, Urgency, WorkspaceId, parked_objects, sync_gaps};
use crate::stripe::fetched::Kind;

pub use complete::complete;

/// The kinds that are fetched where nobody chooses, in the order in which they are begun.
pub const KINDS: [Kind; 10] = [
    Kind::Customer,
    Kind::Subscription,
    Kind::Invoice,
    Kind::Charge,
    Kind::CheckoutSession,
    Kind::Refund,
    Kind::Dispute,
    Kind::CreditNote,
    Kind::PromotionCode,
    Kind::Price,
];

/// So many kinds are read at once.
const AT_ONCE: usize = 4;

/// Whether only those are fetched that were made since the day asked for; the others are what these refer to, and may be
/// older.
pub fn is_dated(kind: Kind) -> bool {
    !matches!(kind, Kind::Subscription | Kind::Customer | Kind::PromotionCode | Kind::Price)
}

/// What people call a kind: `invoices`.
pub fn plural(kind: Kind) -> String {
    format!("{}s", kind.as_str())
}

/// Reads the name of a kind, one or many: `invoices`, `checkout_session`, `credit-notes`.
///
/// # Errors
/// In words.
pub fn parse_kind(text: &str) -> Result<Kind, String> {
    let name = text.trim().to_ascii_lowercase().replace('-', "_");
    let is = |kind: &&Kind| kind.as_str() == name || plural(**kind) == name;
    KINDS.iter().find(is).copied().ok_or_else(|| {
        let known: Vec<String> = KINDS.iter().map(|kind| plural(*kind)).collect();
        format!("{text:?} is no kind of objects: expected any of {}", known.join(", "))
    })
}

/// What a backfill needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Backfiller {
    /// Where all is.
    pub db: Db,
    /// The way in.
    pub inbox: Inbox,
    /// The time.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
}

/// Told whenever a kind has come further.
pub type Told = Arc<dyn Fn(&KindRow) + Send + Sync>;

/// What a run of a backfill came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// As it stands now.
    pub backfill: Backfill,
    /// How far each kind has come.
    pub kinds: Vec<KindRow>,
}

/// Why a backfill did not run.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// Another process works on it.
    #[error("another process is working on this backfill")]
    Taken,
    /// There is none.
    #[error("there is no backfill {0}")]
    Missing(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a kind was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("Stripe's list shows no object that can be told from others: nothing of this page is claimed")]
    NoPlace,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Backfiller {
    /// Works on a backfill until it is done or Stripe does not answer any more; where it stands is in its rows.
    ///
    /// # Errors
    /// [`BackfillError`]. What Stripe said is in the outcome.
    pub async fn run(
        &self,
        asking: &Asking,
        workspace: WorkspaceId,
        id: &str,
        told: Told,
    ) -> Result<Outcome, BackfillError> {
        let holder = self.ids.next("run");
        let now = self.clock.now();
        let mut tx = self.db.write(Urgency::Background).await?;
        if !backfills::take(&mut tx, workspace, id, &holder, (now, self.lease(asking))).await? {
            let known = backfills::find(&mut tx, workspace, id).await?;
            return Err(known.map_or_else(|| BackfillError::Missing(id.to_owned()), |_| BackfillError::Taken));
        }
        let backfill = backfills::find(&mut tx, workspace, id).await?;
        let backfill = backfill.ok_or_else(|| BackfillError::Missing(id.to_owned()))?;
        let rows = backfills::kinds(&mut tx, workspace, id).await?;
        let may_be_parked = parked_objects::any(&mut tx, workspace, backfill.mode()).await?;
        tx.commit().await?;
        let reading = |kind, row| Reading {
            backfiller: self.clone(),
            asking: asking.clone(),
            workspace,
            backfill: backfill.clone(),
            holder: holder.clone(),
            kind,
            row,
            may_be_parked,
            told: told.clone(),
        };
        let stopped = self.read_all(rows, reading).await?;
        self.end(workspace, &backfill, &stopped).await
    }

    /// Reads all kinds that are not done; tells which could not be read to their end.
    async fn read_all(
        &self,
        rows: Vec<KindRow>,
        reading: impl Fn(Kind, KindRow) -> Reading,
    ) -> Result<Vec<String>, BackfillError> {
        let (mut under_way, places) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
        for kind in KINDS {
            let Some(row) = rows.iter().find(|row| row.kind == kind.as_str() && !row.is_done()) else { continue };
            let (reading, places) = (reading(kind, row.clone()), places.clone());
            under_way.spawn(async move {
                // Nobody closes it.
                let _place = places.acquire_owned().await;
                (kind, reading.run().await)
            });
        }
        let mut stopped = Vec::new();
        while let Some(ended) = under_way.join_next().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((_, Err(Stopped::Store(StoreError::Conflict)))) => return Err(BackfillError::Taken),
                Ok((_, Err(Stopped::Store(error)))) => return Err(error.into()),
                Ok((kind, Err(error))) => stopped.push(format!("{}: {error}", plural(kind))),
                Err(error) => stopped.push(format!("a fault of the bridge itself: {error}")),
            }
        }
        stopped.sort();
        Ok(stopped)
    }

    async fn end(
        &self,
        workspace: WorkspaceId,
        backfill: &Backfill,
        stopped: &[String],
    ) -> Result<Outcome, BackfillError> {
        let (id, now) = (backfill.backfill_id.as_str(), self.clock.now());
        let mut tx = self.db.write(Urgency::Background).await?;
        let kinds = backfills::kinds(&mut tx, workspace, id).await?;
        let why = stopped.join("; ");
        let is_done = stopped.is_empty() && kinds.iter().all(KindRow::is_done);
        let end = if is_done { End::Done } else { End::Stopped(&why) };
        backfills::end(&mut tx, workspace, id, end, now).await?;
        let is_whole = KINDS.iter().all(|kind| kinds.iter().any(|row| row.kind == kind.as_str()));
        if is_done && is_whole {
            let span = (backfill.since(), backfill.until());
            sync_gaps::close(&mut tx, workspace, backfill.mode(), span, id, now).await?;
        }
        let backfill = backfills::find(&mut tx, workspace, id).await?;
        tx.commit().await?;
        let backfill = backfill.ok_or_else(|| BackfillError::Missing(id.to_owned()))?;
        Ok(Outcome { backfill, kinds })
    }

    /// For longer than a page takes, with the waits between two tries and the look-ups that its objects need.
    fn lease(&self, asking: &Asking) -> Time {
        let call = TimeDelta::from_std(asking.timeout()).unwrap_or(TimeDelta::minutes(10));
        self.clock.now() + call + TimeDelta::minutes(5)
    }
}

/// How far a kind has come, in thousandths: by how far the objects' creation has come from the end of the time that was
/// asked for to its beginning. Of kinds that are fetched whole nobody knows.
pub fn thousandths(backfill: &Backfill, row: &KindRow) -> Option<u64> {
    if row.is_done() {
        return Some(1000);
    }
    parse_kind(&row.kind).ok().filter(|kind| is_dated(*kind))?;
    let whole = (backfill.until() - backfill.since()).num_seconds().max(1);
    let behind = row.cursor_created_at().map_or(0, |at| (backfill.until() - at).num_seconds().clamp(0, whole));
    u64::try_from(behind.saturating_mul(1000) / whole).ok()
}

/// The books that a backfill waits for somebody to work on: open, and nobody has the lease.
///
/// # Errors
/// The database's.
pub async fn waiting(db: &Db, workspace: WorkspaceId, mode: Mode, now: Time) -> Result<Option<Backfill>, StoreError> {
    let mut tx = db.read().await?;
    Ok(backfills::open(&mut tx, workspace, mode).await?.filter(|backfill| !backfill.is_leased(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_many_names() {
        assert_eq!(parse_kind("invoices"), Ok(Kind::Invoice));
        assert_eq!(parse_kind(" Credit-Notes"), Ok(Kind::CreditNote));
        assert_eq!(parse_kind("checkout_session"), Ok(Kind::CheckoutSession));
        let error = parse_kind("payouts").unwrap_err();
        assert!(error.contains("promotion_codes"), "{error}");
    }
}
