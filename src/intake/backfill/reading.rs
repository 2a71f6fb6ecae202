//! One kind of objects, read to the end of its list.

use serde_json::value::RawValue;

use super::{Backfiller, Stopped, Told, complete, is_dated};
use crate::domain::Time;
use crate::intake::asking::{AskError, Asking, PAGE, last_place, name};
use crate::intake::{Incoming, Ready};
use crate::store::backfills::{self, Backfill, KindRow};
use crate::store::events::Source;
use crate::store::parked_objects::{self, Parked};
use crate::store::{StoreError, Urgency, WorkspaceId};
use crate::stripe::fetched::{Kind, wrap};
use crate::stripe_api::Page;

/// So often a page is written once more where two writers got into each other's way.
const COLLISIONS: usize = 5;

/// A place in a list: all before it was read.
type Place = (String, Time);

/// One kind of a backfill.
pub(super) struct Reading {
    pub backfiller: Backfiller,
    pub asking: Asking,
    pub workspace: WorkspaceId,
    pub backfill: Backfill,
    /// Who has the lease.
    pub holder: String,
    pub kind: Kind,
    /// How far it has come.
    pub row: KindRow,
    /// Whether some of what is read may be on the list of what could not be.
    pub may_be_parked: bool,
    pub told: Told,
}

/// Objects of a page, as events, and those that cannot be.
struct Wrapped {
    /// Their ids and bodies.
    events: Vec<(String, Vec<u8>)>,
    parked: Vec<Parked>,
}

impl Reading {
    /// Reads on until the list's end.
    pub async fn run(mut self) -> Result<(), Stopped> {
        let read = self.read().await;
        if let Err(error @ (Stopped::Ask(_) | Stopped::NoPlace)) = &read {
            let mut row = self.row.clone();
            row.error = Some(error.to_string());
            self.write(&Wrapped { events: Vec::new(), parked: Vec::new() }, row).await?;
        }
        read
    }

    async fn read(&mut self) -> Result<(), Stopped> {
        let place = self.row.cursor.clone().zip(self.row.cursor_created_at());
        let mut read_to = place.clone();
        let mut page = self.page(place.as_ref()).await?;
        loop {
            let place = last_place(&page.data);
            if !page.has_more {
                return self.keep(page.data, place, true).await;
            }
            // The same place again would be asked for again, for ever.
            if place.is_none() || place == read_to {
                return Err(Stopped::NoPlace);
            }
            let (objects, next) = (page.data, place.clone());
            let lister = self.lister();
            let (kept, fetched) = tokio::join!(self.keep(objects, place, false), lister.page(next.as_ref()));
            kept?;
            page = fetched?;
            read_to = next;
        }
    }

    fn lister(&self) -> Lister {
        Lister {
            asking: self.asking.clone(),
            kind: self.kind,
            since: self.backfill.since(),
            until: self.backfill.until(),
        }
    }

    async fn page(&self, place: Option<&Place>) -> Result<Page, AskError> {
        self.lister().page(place).await
    }

    /// Stores a page's objects together with the place that the list was read to.
    async fn keep(&mut self, page: Vec<Box<RawValue>>, place: Option<Place>, is_last: bool) -> Result<(), Stopped> {
        let count = page.len();
        let wrapped = self.wrap_all(page).await?;
        let mut row = self.row.clone();
        row.objects = row.objects.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        row.parked = row.parked.saturating_add(i64::try_from(wrapped.parked.len()).unwrap_or(i64::MAX));
        row.error = None;
        row.read_to(place, is_last);
        self.write(&wrapped, row).await?;
        (self.told)(&self.row);
        Ok(())
    }

    async fn wrap_all(&self, page: Vec<Box<RawValue>>) -> Result<Wrapped, Stopped> {
        let now = self.backfiller.clock.now();
        let livemode = self.backfill.mode() == crate::store::Mode::Live;
        let (mut events, mut parked) = (Vec::with_capacity(page.len()), Vec::new());
        for object in page {
            let object_name = name(&object);
            let reason = match complete(&self.asking, self.kind, object).await {
                Ok(whole) => match wrap(self.kind, &whole, now, livemode) {
                    Ok(fetched) if fetched.facts.stamp.event_id.contains('\0') => {
                        "its id holds the character U+0000".to_owned()
                    }
                    Ok(fetched) => {
                        events.push((object_name, fetched.body));
                        continue;
                    }
                    Err(error) => error.to_string(),
                },
                // Gone since the list was made, or Stripe will not show all of it.
                Err(AskError::Refused(refusal)) => refusal.to_string(),
                Err(error) => return Err(error.into()),
            };
            parked.push(Parked { kind: self.kind.as_str().to_owned(), object: object_name, reason });
        }
        Ok(Wrapped { events, parked })
    }

    /// Writes a page; where somebody else wrote the same at the same time, once more.
    async fn write(&mut self, wrapped: &Wrapped, row: KindRow) -> Result<(), StoreError> {
        let calls = self.asking.take_calls();
        for _ in 0..COLLISIONS {
            match self.try_to_write(wrapped, row.clone(), calls).await {
                Err(error) if error.is_collision() && !matches!(error, StoreError::Conflict) => {}
                other => return other,
            }
        }
        self.try_to_write(wrapped, row, calls).await
    }

    async fn try_to_write(&mut self, wrapped: &Wrapped, mut row: KindRow, calls: i64) -> Result<(), StoreError> {
        let Backfiller { db, inbox, clock, .. } = &self.backfiller;
        let book = (self.workspace, self.backfill.mode());
        let incoming = |body| Incoming { workspace: self.workspace, source: Source::Backfill, body };
        // What was wrapped has an envelope that can be read.
        let ready: Vec<Ready> =
            wrapped.events.iter().filter_map(|(_, body)| inbox.ready(&incoming(body)).ok()).collect();
        let id = self.backfill.backfill_id.as_str();
        let mut tx = db.write(Urgency::Background).await?;
        let fresh = inbox.store(&mut tx, ready).await?;
        let fresh = fresh.into_iter().filter(|fresh| *fresh).count();
        row.new = row.new.saturating_add(i64::try_from(fresh).unwrap_or(i64::MAX));
        parked_objects::park(&mut tx, book, &wrapped.parked, id, clock.now()).await?;
        if self.may_be_parked {
            let read = wrapped.events.iter().map(|(object, _)| object.as_str());
            parked_objects::read_after_all(&mut tx, book, self.kind.as_str(), read).await?;
        }
        let lease = (self.holder.as_str(), self.backfiller.lease(&self.asking));
        backfills::put_kind(&mut tx, (self.workspace, id), lease, &row, calls).await?;
        tx.commit().await?;
        inbox.again();
        self.row = row;
        Ok(())
    }
}

/// Asks for a list's pages.
struct Lister {
    asking: Asking,
    kind: Kind,
    since: Time,
    until: Time,
}

impl Lister {
    /// The page behind a place. Where the object that was there is gone, those that were made when it was, or before.
    async fn page(&self, place: Option<&Place>) -> Result<Page, AskError> {
        match (self.ask(self.until, place.map(|(id, _)| id.as_str())).await, place) {
            (Err(error), Some((_, made))) if error.is_missing() => self.ask(*made, None).await,
            (asked, _) => asked,
        }
    }

    async fn ask(&self, until: Time, behind: Option<&str>) -> Result<Page, AskError> {
        let (since, until) = (self.since.timestamp().to_string(), until.timestamp().to_string());
        let expanded: Vec<String> = self.kind.expanded().iter().map(|name| format!("data.{name}")).collect();
        let mut query = vec![("limit", PAGE), ("created[lte]", until.as_str())];
        if is_dated(self.kind) {
            query.push(("created[gte]", &since));
        }
        if self.kind == Kind::Subscription {
            query.push(("status", "all"));
        }
        query.extend(behind.map(|id| ("starting_after", id)));
        query.extend(expanded.iter().map(|name| ("expand[]", name.as_str())));
        self.asking.page(self.kind.path(), &query).await
    }
}
