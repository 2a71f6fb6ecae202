//! Raw events that are in files: what is kept of them against what the files say, and that none is nowhere.

use std::collections::{HashMap, HashSet};

use super::super::think;
use super::customers::{FactsKey, Reread, reread};
use super::{Verifying, book};
use crate::archive::format::Event;
use crate::archive::{self, Opened};
use crate::domain::pseudonym::Eraser;
use crate::store::archives::{Archive, State};
use crate::store::events::{self, Located};
use crate::store::{Mode, StoreError, Tx, erasures, facts, refs};

/// Ids that are looked at in one transaction.
const PAGE: i64 = 1000;

impl Verifying<'_> {
    /// Reads every archive, where a directory of them is given.
    pub(super) async fn all_archives(&mut self) -> Result<(), StoreError> {
        let archives: Vec<Archive> =
            self.archives.iter().filter(|archive| archive.state() != State::Back).cloned().collect();
        let Some(directory) = self.directory.filter(|_| !archives.is_empty()) else {
            self.report.archived += archives.iter().map(|archive| archive.events.unsigned_abs()).sum::<u64>();
            return Ok(());
        };
        match archive::loose(directory, &archives).await {
            Ok(loose) => loose.into_iter().for_each(|loose| self.report.differs(format!("{loose}."))),
            Err(archive::Error::Store(error)) => return Err(error),
            Err(error) => self.report.differs(format!("The archives cannot be read: {error}.")),
        }
        for archive in archives {
            let read = match archive::open(directory, &archive).await {
                Ok(opened) => self.read_archive(&archive, opened).await,
                Err(error) => Err(error),
            };
            match read {
                Ok(()) => {}
                Err(archive::Error::Store(error)) => return Err(error),
                Err(error) => {
                    self.report.archived += archive.events.unsigned_abs();
                    let (month, mode) = (&archive.month, book(archive.mode()));
                    self.report.differs(format!("The archive of {month}{mode} does not prove its events: {error}."));
                }
            }
        }
        Ok(())
    }

    async fn read_archive(&mut self, archive: &Archive, mut opened: Opened) -> Result<(), archive::Error> {
        loop {
            let (next, page) = opened.page().await?;
            opened = next;
            if page.is_empty() {
                return Ok(());
            }
            let mut tx = self.ledger.db.read().await?;
            self.archived_events(&mut tx, archive.mode(), page).await?;
            tx.rollback().await?;
        }
    }

    async fn archived_events(&mut self, tx: &mut Tx, mode: Mode, page: Vec<Event>) -> Result<(), StoreError> {
        let places: HashSet<Located> =
            page.iter().map(|event| Located::new(mode, event.received_at, event.id.clone(), event.shape)).collect();
        let known: HashSet<Located> =
            events::locate(tx, self.workspace, page.iter().map(|event| event.id.as_str())).await?.into_iter().collect();
        for stranger in places.difference(&known) {
            self.report.differs(format!("Event {} is in an archive, but was never received.", stranger.event_id));
        }
        let ids = page.iter().map(|event| event.id.as_str());
        let unrecorded: HashSet<FactsKey> =
            events::listed_as_unrecorded(tx, self.workspace, ids).await?.into_iter().collect();
        let read = think(move || {
            let read = page.into_iter().map(|event| Reread {
                facts: reread(&event.body),
                event_id: event.id,
                shape: event.shape,
            });
            read.filter(|event| !unrecorded.contains(&(event.event_id.clone(), event.shape))).collect::<Vec<Reread>>()
        })
        .await?;
        self.report.events += read.len() as u64;
        let mut about = Vec::new();
        for event in &read {
            match &event.facts {
                Err(error) => self
                    .report
                    .differs(format!("Event {} was recorded, but cannot be read any more: {error}.", event.event_id)),
                Ok(None) => {}
                Ok(Some(facts)) => {
                    about.extend(facts.references().first().map(|reference| (event, facts, (*reference).to_owned())));
                }
            }
        }
        let asked = about.iter().map(|(_, _, reference)| (mode, reference.as_str()));
        let owners: HashMap<(Mode, String), String> =
            refs::owners(tx, self.workspace, asked).await?.into_iter().collect();
        let owner = |reference: &String| owners.get(&(mode, reference.clone())).map_or("", String::as_str);
        // A file keeps what was erased in the database since.
        let terms = self.ledger.db.terms(tx, self.workspace).await?;
        let erased = if terms.has_erasures {
            erasures::among(tx, self.workspace, owners.values().map(String::as_str)).await?
        } else {
            HashSet::new()
        };
        let eraser = terms.pseudonyms.as_ref().map(|pseudonyms| Eraser { pseudonyms, terms: &terms });
        let keys = about.iter().map(|(event, _, reference)| (owner(reference), event.event_id.as_str(), event.shape));
        let kept = facts::of_events(tx, self.workspace, keys).await?;
        let kept: HashMap<(&str, i64), _> =
            kept.iter().map(|stored| ((stored.event_id.as_str(), stored.shape), stored)).collect();
        for (event, said, _) in &about {
            match kept.get(&(event.event_id.as_str(), event.shape)) {
                None => {
                    self.report.differs(format!("Event {} was recorded, but its facts are gone.", event.event_id));
                }
                Some(stored) => {
                    self.proven += 1;
                    match eraser.as_ref().filter(|_| erased.contains(&stored.customer_id)) {
                        Some(eraser) => self.must_be(stored, &eraser.facts(said)),
                        None => self.must_be(stored, said),
                    }
                }
            }
        }
        Ok(())
    }

    /// Which of some events that are not in the database are in files.
    pub(super) async fn archived(
        &self,
        tx: &mut Tx,
        absent: impl Iterator<Item = (&str, i64)>,
    ) -> Result<HashSet<FactsKey>, StoreError> {
        if self.archives.is_empty() {
            return Ok(HashSet::new());
        }
        let absent: HashSet<(&str, i64)> = absent.collect();
        let ids: HashSet<&str> = absent.iter().map(|(id, _)| *id).collect();
        let places = events::locate(tx, self.workspace, ids).await?;
        let archived = places.into_iter().filter(|place| self.archives.iter().any(|archive| archive.holds(place)));
        let archived = archived.filter(|place| absent.contains(&(place.event_id.as_str(), place.shape)));
        Ok(archived.map(|place| (place.event_id, place.shape)).collect())
    }

    /// Recorded events in files whose facts are kept elsewhere.
    pub(super) fn archived_about_nobody(&self) -> i64 {
        let removed = self.archives.iter().filter(|archive| archive.state() == State::Removed);
        removed.map(|archive| archive.about_nobody).sum()
    }

    /// Every event that is known is in the database or in a file. They are counted first: only where the counts differ is
    /// each looked for.
    pub(super) async fn all_known(&mut self) -> Result<(), StoreError> {
        // While a month is on its way, some of its events are in both.
        if self.archives.iter().any(|archive| matches!(archive.state(), State::Removing | State::Restoring)) {
            return Ok(());
        }
        if self.directory.is_some() && self.trusted != self.proven && self.report.is_clean() {
            self.report.differs(format!(
                "The facts of {} archived events are kept, but the archives speak of {}.",
                self.trusted, self.proven
            ));
        }
        let removed = self.archives.iter().filter(|archive| archive.state() == State::Removed);
        let archived: i64 = removed.map(|archive| archive.events).sum();
        let mut tx = self.ledger.db.read().await?;
        let known: i64 = events::counts(&mut tx, self.workspace).await?.iter().map(|(_, _, count)| count).sum();
        let present = events::present(&mut tx, self.workspace).await?;
        tx.rollback().await?;
        if known == present + archived {
            return Ok(());
        }
        let (mut after, mut found) = (None, self.gone.len());
        loop {
            let mut tx = self.ledger.db.read().await?;
            let (page, absent) = events::absent_page(&mut tx, self.workspace, after.as_ref(), PAGE).await?;
            tx.rollback().await?;
            let Some(last) = page.into_iter().last() else { break };
            after = Some(last);
            for place in absent {
                let is_missed = self.gone.contains(&(place.event_id.clone(), place.shape));
                if !is_missed && !self.archives.iter().any(|archive| archive.holds(&place)) {
                    found += 1;
                    self.report.differs(format!("Event {} was received, but is gone.", place.event_id));
                }
            }
        }
        if found == 0 {
            self.report.differs(format!(
                "{known} events were received, but {present} are in the database and {archived} in archives."
            ));
        }
        Ok(())
    }
}
