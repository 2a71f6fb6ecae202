//! The poll: Stripe's list of events, into the same inbox as the webhooks.
//!
//! Of each group of event types a row says up to which moment all is known. A poll reads the window from there (and an
//! hour before: Stripe's list may be a little behind) until now, newest first, a page at a time; a page and its place are
//! stored in one transaction. A window counts as known only once it was read to its end, so that whoever comes after a
//! crash goes on in the middle of it.

use chrono::TimeDelta;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::asking::{AskError, Asking, PAGE, last_place, name};
use super::{Inbox, Incoming, Ready};
use crate::clock::Clock;
use crate::domain::Time;
use crate::ids::Ids;
use crate::store::events::{self, Source};
use crate::store::parked_objects::{self, Parked};
use crate::store::sync_gaps::{self, Gap};
use crate::store::syncs::{self, Counts, Open, Window};
use crate::store::{Db, Mode, StoreError, Tx, Urgency, WorkspaceId};
use crate::stripe::event::{OF_CONNECTED_ACCOUNTS, UNDERSTOOD};

/// So long Stripe keeps events.
pub const KEPT: TimeDelta = TimeDelta::days(30);
/// So far before the last known moment a poll begins.
const OVERLAP: TimeDelta = TimeDelta::hours(1);
/// An event that is older when a poll brings it first should have come by webhook.
const LATE: TimeDelta = TimeDelta::minutes(10);
/// So many types a list can be asked for.
const TYPES: usize = 20;
/// So often a page is written once more where two writers got into each other's way.
const COLLISIONS: usize = 5;

/// What polling needs.
#[derive(Debug, Clone)]
pub struct Poller {
    /// Where all is.
    pub db: Db,
    /// The way in.
    pub inbox: Inbox,
    /// The time.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
}

/// What a poll did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// `sync_…`
    pub sync_id: String,
    /// What it brought.
    pub counts: Counts,
    /// The first items that could not be read.
    pub parked: Vec<Parked>,
    /// Stretches of time whose events nobody asked for in time.
    pub gaps: Vec<Gap>,
    /// Whether the book gets webhooks at all.
    pub has_webhooks: bool,
    /// Why not everything was read, in words.
    pub error: Option<String>,
}

/// Why there was no poll.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// Another process polls this book.
    #[error("another process is polling this book; its events come all the same")]
    Taken,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a poll ended early.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("Stripe's list of events shows no event that can be told from others: nothing of this page is claimed")]
    NoPlace,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Types of events that are asked for together.
struct Group {
    /// Another cut of the types is another group, which knows nothing yet.
    key: String,
    types: Vec<&'static str>,
}

/// The merchant's own event types that are read, in groups that a list can be asked for.
fn groups() -> Vec<Group> {
    let own: Vec<&str> = UNDERSTOOD.iter().copied().filter(|kind| !OF_CONNECTED_ACCOUNTS.contains(kind)).collect();
    let group = |types: &[&'static str]| Group {
        key: hex::encode(&Sha256::digest(types.join(","))[..8]),
        types: types.to_vec(),
    };
    own.chunks(TYPES).map(group).collect()
}

/// A poll that is under way.
struct Run<'a> {
    poller: &'a Poller,
    asking: &'a Asking,
    workspace: WorkspaceId,
    mode: Mode,
    sync_id: String,
    webhooks_since: Option<Time>,
    /// Whether some of what is read may be on the list of what could not be.
    may_be_parked: bool,
    counts: Counts,
    parked: Vec<Parked>,
}

impl Poller {
    /// Polls a book's events: from the last known moment, or since an earlier one. The first poll of a book reads all that
    /// Stripe has.
    ///
    /// # Errors
    /// [`PollError`]. What Stripe did not answer is in the report.
    pub async fn poll(
        &self,
        asking: &Asking,
        (workspace, mode): (WorkspaceId, Mode),
        since: Option<Time>,
    ) -> Result<Report, PollError> {
        let sync_id = self.ids.next("sync");
        let started = self.clock.now();
        let until = self.lease(asking);
        let mut tx = self.db.write(Urgency::Background).await?;
        if !syncs::take(&mut tx, (workspace, mode), &sync_id, started, until).await? {
            return Err(PollError::Taken);
        }
        syncs::begin(&mut tx, workspace, mode, &sync_id, started).await?;
        let webhooks_since = webhooks_since(&mut tx, workspace, mode, started).await?;
        let may_be_parked = parked_objects::any(&mut tx, workspace, mode).await?;
        tx.commit().await?;
        let (counts, parked) = (Counts::default(), Vec::new());
        let mut run =
            Run { poller: self, asking, workspace, mode, sync_id, webhooks_since, may_be_parked, counts, parked };
        let error = match run.all(started, since).await {
            Ok(()) => None,
            Err(Stopped::Store(error)) => return Err(error.into()),
            Err(stopped) => Some(stopped.to_string()),
        };
        let mut tx = self.db.write(Urgency::Background).await?;
        syncs::finish(&mut tx, (workspace, mode), &run.sync_id, error.as_deref(), self.clock.now()).await?;
        let gaps = sync_gaps::open(&mut tx, workspace, mode).await?;
        tx.commit().await?;
        let Run { sync_id, counts, parked, .. } = run;
        Ok(Report { sync_id, counts, parked, gaps, has_webhooks: webhooks_since.is_some(), error })
    }

    /// For longer than a page takes, with the waits between two tries.
    fn lease(&self, asking: &Asking) -> Time {
        let call = TimeDelta::from_std(asking.timeout()).unwrap_or(TimeDelta::minutes(10));
        self.clock.now() + call + TimeDelta::minutes(3)
    }
}

/// Since when the book gets webhooks. Only what came since somebody looked last is looked through.
async fn webhooks_since(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mode: Mode,
    now: Time,
) -> Result<Option<Time>, StoreError> {
    let book = syncs::book(tx, workspace, mode).await?;
    if let Some(since) = book.as_ref().and_then(syncs::Book::webhooks_since) {
        return Ok(Some(since));
    }
    // Another process's clock may be a little behind.
    let from = book.and_then(|book| book.webhooks_looked_until()).map(|until| until - LATE);
    let since = syncs::first_webhook(tx, workspace, mode, from).await?;
    syncs::note_webhooks(tx, workspace, mode, since, now).await?;
    Ok(since)
}

impl Run<'_> {
    async fn all(&mut self, started: Time, since: Option<Time>) -> Result<(), Stopped> {
        let mut first = Ok(());
        for group in groups() {
            match self.group(&group, started, since).await {
                // The other group may be read all the same.
                Err(stopped @ Stopped::NoPlace) if first.is_ok() => first = Err(stopped),
                Err(Stopped::NoPlace) | Ok(()) => {}
                Err(stopped) => return Err(stopped),
            }
        }
        first
    }

    async fn group(&mut self, group: &Group, started: Time, since: Option<Time>) -> Result<(), Stopped> {
        let (workspace, mode) = (self.workspace, self.mode);
        let oldest = started - KEPT;
        let mut tx = self.poller.db.write(Urgency::Background).await?;
        let known = syncs::window(&mut tx, workspace, mode, &group.key).await?;
        let known_by_any = syncs::known_by_any(&mut tx, workspace, mode).await?;
        let known_until = known.as_ref().and_then(|window| window.known_until);
        if let Some(gap_from) = known_until.or(known_by_any).filter(|known| *known < oldest) {
            sync_gaps::find(&mut tx, workspace, mode, (gap_from, oldest), started).await?;
        }
        tx.commit().await?;
        let mut window = known.unwrap_or_default();
        if window.open.is_some() {
            self.read(group, &mut window).await?;
        }
        let usual = window.known_until.map_or(oldest, |known| known - OVERLAP);
        let from = since.map_or(usual, |since| usual.min(since)).max(oldest);
        window.open = Some(Open { from, until: started, cursor: None });
        self.read(group, &mut window).await
    }

    /// Reads an open window to its end.
    async fn read(&mut self, group: &Group, window: &mut Window) -> Result<(), Stopped> {
        while let Some(open) = window.open.clone() {
            let page = match self.page(group, &open, open.cursor.is_some()).await {
                // The event that the list was read to is gone: go on by when it was made.
                Err(error) if error.is_missing() && open.cursor.is_some() => self.page(group, &open, false).await?,
                other => other?,
            };
            let place = last_place(&page.data);
            window.open = match place {
                _ if !page.has_more => None,
                // The same place again would be asked for again, for ever.
                Some(place) if open.cursor.as_ref() != Some(&place) => {
                    Some(Open { cursor: Some(place), ..open.clone() })
                }
                _ => return Err(Stopped::NoPlace),
            };
            if window.open.is_none() {
                window.known_until = window.known_until.max(Some(open.until));
            }
            self.store(&page.data, group, window).await?;
        }
        Ok(())
    }

    /// Stores a page; where somebody else wrote the same events at the same time, once more.
    async fn store(&mut self, page: &[Box<RawValue>], group: &Group, window: &Window) -> Result<(), Stopped> {
        let calls = self.asking.take_calls();
        for _ in 0..COLLISIONS {
            match self.try_to_store(page, calls, group, window).await {
                Err(error) if error.is_collision() && !matches!(error, StoreError::Conflict) => {}
                other => return Ok(other?),
            }
        }
        Ok(self.try_to_store(page, calls, group, window).await?)
    }

    async fn page(&self, group: &Group, open: &Open, behind_cursor: bool) -> Result<crate::stripe_api::Page, AskError> {
        let cursor = open.cursor.as_ref();
        let until = cursor.filter(|_| !behind_cursor).map_or(open.until, |(_, created)| *created);
        let (from, until) = (open.from.timestamp().to_string(), until.timestamp().to_string());
        let mut query = vec![("limit", PAGE), ("created[gte]", from.as_str()), ("created[lte]", until.as_str())];
        if let Some((id, _)) = cursor.filter(|_| behind_cursor) {
            query.push(("starting_after", id));
        }
        query.extend(group.types.iter().map(|kind| ("types[]", *kind)));
        self.asking.page("/events", &query).await
    }

    /// Stores a page and its place.
    async fn try_to_store(
        &mut self,
        page: &[Box<RawValue>],
        calls: i64,
        group: &Group,
        window: &Window,
    ) -> Result<(), StoreError> {
        let (ready, parked) = self.ready(page);
        let (book, now) = ((self.workspace, self.mode), self.poller.clock.now());
        let mut counts = Counts { calls, fetched: count(page.len()), parked: count(parked.len()), ..Counts::default() };
        let late = |event: &Ready| {
            let since = self.webhooks_since;
            event.created() <= now - LATE && since.is_some_and(|since| event.created() >= since)
        };
        let about: Vec<(String, bool)> = ready.iter().map(|event| (event.id().to_owned(), late(event))).collect();
        let mut tx = self.poller.db.write(Urgency::Background).await?;
        let known = events::known(&mut tx, self.workspace, about.iter().map(|(id, _)| id.as_str())).await?;
        let fresh = self.poller.inbox.store(&mut tx, ready).await?;
        for ((id, is_late), _) in about.iter().zip(fresh).filter(|((id, _), fresh)| *fresh && !known.contains(id)) {
            tracing::debug!(event = %id, "a poll brought it first");
            counts.new += 1;
            counts.missed += i64::from(*is_late);
        }
        parked_objects::park(&mut tx, book, &parked, &self.sync_id, now).await?;
        if self.may_be_parked {
            let read = about.iter().map(|(id, _)| id.as_str());
            parked_objects::read_after_all(&mut tx, book, "event", read).await?;
        }
        syncs::put_window(&mut tx, self.workspace, self.mode, &group.key, window).await?;
        let until = self.poller.lease(self.asking);
        syncs::count(&mut tx, book, (&self.sync_id, until), &counts).await?;
        tx.commit().await?;
        self.poller.inbox.again();
        self.counts.add(&counts);
        self.parked.extend(parked);
        self.parked.truncate(100);
        Ok(())
    }

    /// Those that are events of this book, and those that are not.
    fn ready(&self, page: &[Box<RawValue>]) -> (Vec<Ready>, Vec<Parked>) {
        let (mut ready, mut parked) = (Vec::with_capacity(page.len()), Vec::new());
        for item in page {
            let incoming = Incoming { workspace: self.workspace, source: Source::Poll, body: item.get().as_bytes() };
            let reason = match self.poller.inbox.ready(&incoming) {
                Ok(event) if event.has_nul() => "its id or type holds the character U+0000".to_owned(),
                Ok(event) if event.mode() == self.mode => {
                    ready.push(event);
                    continue;
                }
                Ok(_) => format!("it is no event of the {} book", self.mode),
                Err(error) => error.to_string(),
            };
            parked.push(Parked { kind: "event".to_owned(), object: name(item), reason });
        }
        (ready, parked)
    }
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_merchants_own_is_asked_for_once() {
        let groups = groups();
        let all: Vec<&str> = groups.iter().flat_map(|group| group.types.iter().copied()).collect();
        assert_eq!(all.len(), UNDERSTOOD.len() - OF_CONNECTED_ACCOUNTS.len());
        assert!(groups.iter().all(|group| group.types.len() <= 20 && group.key.len() == 16));
        assert!(!all.contains(&"account.updated") && !all.contains(&"invoice.created"));
    }
}
