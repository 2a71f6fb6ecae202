//! A customer's personal data is erased from all that is kept of them, and every decision stays as it is.
//!
//! Raw events are written again without it ([`crate::stripe::redact`]); addresses become pseudonyms, by which leads and
//! partners' own addresses are still recognised ([`crate::domain::pseudonym`]). In the same transaction the customers are
//! verified before and after: an erasure that would move a cent is refused. What comes of them later is erased when it is
//! recorded.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::link::link;
use super::record::{Read, find};
use super::{Ledger, think};
use crate::domain::email::plain;
use crate::domain::evidence::{clues, customer_keys};
use crate::domain::facts::EventFacts;
use crate::domain::lead::LeadBy;
use crate::domain::pseudonym::{Eraser, Pseudonyms, is_pseudonym};
use crate::domain::terms::Terms;
use crate::ids::Ids;
use crate::intake::payload;
use crate::store::events::{self, Rewritten, StoredEvent};
use crate::store::facts::{NewFacts, StoredFacts};
use crate::store::workspaces::{RECORDER, lock, used};
use crate::store::{Mode, StoreError, Tx, WorkspaceId, customers, erasures, facts, leads, refs};
use crate::stripe::redact::{RedactError, redact};
use crate::stripe::{Reading, read};

/// So many events are in memory at a time.
const PAGE: usize = 256;

/// What was erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Raw events that were written again.
    pub events: usize,
    /// Leads whose address became a pseudonym.
    pub leads: usize,
}

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// An event cannot be erased.
    #[error("nothing was erased, because of event {0}: {1}")]
    Event(String, RedactError),
    /// A decision would change.
    #[error("nothing was erased: a decision would change. {0} Please report this")]
    Differs(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the facts of some customers say that finds them.
#[derive(Default)]
struct Traces {
    /// Stripe's ids.
    ids: HashSet<String>,
    clues: BTreeSet<(String, String)>,
    keys: BTreeSet<(String, String)>,
}

impl Traces {
    fn add(&mut self, customer: &str, facts: &EventFacts, terms: &Terms) {
        self.ids.extend(facts.references().into_iter().map(ToOwned::to_owned));
        self.clues.extend(clues(facts, terms).into_iter().map(|clue| (customer.to_owned(), clue)));
        self.keys
            .extend(customer_keys(facts, terms).into_iter().map(|key| (customer.to_owned(), format!("key:{key}"))));
    }

    /// The addresses among the clues.
    fn addresses(&self) -> BTreeSet<(LeadBy, String)> {
        let known = self.clues.iter().filter_map(|(_, clue)| LeadBy::of_clue(clue));
        let addresses = known.filter(|(by, value)| match by {
            LeadBy::Email => !is_pseudonym(value),
            LeadBy::CustomerKey => value.contains('@'),
        });
        addresses.map(|(by, value)| (by, value.to_owned())).collect()
    }
}

impl Ledger {
    /// Erases customers, and leads that are known by `addresses` (plain e-mails, customer keys) or by theirs, in a
    /// transaction of the caller, who commits. `terms` are those that the transaction will leave, with pseudonyms.
    ///
    /// # Errors
    /// [`EraseError`]; the caller rolls back.
    pub async fn erase_customers(
        &self,
        tx: &mut Tx,
        (workspace, mode): (WorkspaceId, Mode),
        whom: &BTreeSet<String>,
        addresses: BTreeSet<(LeadBy, String)>,
        terms: &Arc<Terms>,
    ) -> Result<Erased, EraseError> {
        // Nobody records meanwhile.
        let version = lock(tx, workspace, RECORDER).await?;
        used(tx, workspace, RECORDER, version).await?;
        let ids: Vec<&str> = whom.iter().map(String::as_str).collect();
        customers::lock(tx, workspace, &ids).await?;
        let before = self.differences(tx, workspace, whom, terms).await?;
        let mut erased = Erased::default();
        let (mut old, mut new) = (Traces::default(), Traces::default());
        let stored = facts::of_customers(tx, workspace, ids.iter().copied()).await?;
        for page in stored.chunks(PAGE) {
            erased.events += erase_page(tx, workspace, page, terms, (&mut old, &mut new)).await?;
        }
        retrace(tx, (workspace, mode), &old, &new).await?;
        let mut addresses = addresses;
        addresses.extend(old.addresses());
        erased.leads = self.rename_leads(tx, workspace, &addresses, terms).await?;
        erased.events += erase_unrecorded(tx, (workspace, mode), &old.ids, &addresses, terms).await?;
        let after = self.differences(tx, workspace, whom, terms).await?;
        if let Some(difference) = after.iter().find(|difference| !before.contains(difference)) {
            return Err(EraseError::Differs(difference.clone()));
        }
        customers::touch(tx, workspace, &ids, self.clock.now()).await?;
        Ok(erased)
    }

    async fn differences(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        whom: &BTreeSet<String>,
        terms: &Arc<Terms>,
    ) -> Result<Vec<String>, StoreError> {
        let mut page = Vec::new();
        for id in whom {
            page.extend(customers::by_id(tx, workspace, id).await?);
        }
        Ok(self.verify_customers(tx, workspace, page, terms).await?.differences)
    }

    async fn rename_leads(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        addresses: &BTreeSet<(LeadBy, String)>,
        terms: &Terms,
    ) -> Result<usize, StoreError> {
        let Some(pseudonyms) = &terms.pseudonyms else { return Ok(0) };
        let mut renamed = 0;
        for (by, value) in addresses {
            let clue = by.clue(value);
            // Somebody else with the same address keeps their lead.
            let others = refs::finding(tx, workspace, Mode::ALL.map(|mode| (mode, clue.as_str()))).await?;
            let pseudonym = match by {
                LeadBy::Email => pseudonyms.of(value),
                LeadBy::CustomerKey => pseudonyms.of_key(value),
            };
            let names = (value.as_str(), pseudonym.as_str());
            renamed += leads::rename(tx, (workspace, &self.ids), *by, names, !others.is_empty()).await?;
        }
        Ok(renamed)
    }

    /// Erases events that came back, where they are of customers who were erased meanwhile.
    pub(crate) async fn erase_again(
        &self,
        tx: &mut Tx,
        (workspace, mode): (WorkspaceId, Mode),
        keys: impl Iterator<Item = (&str, i64)>,
    ) -> Result<(), EraseError> {
        let terms = self.db.terms(tx, workspace).await?;
        if !terms.has_erasures {
            return Ok(());
        }
        let mut raw = events::by_keys(tx, workspace, keys).await?;
        let mut references: Vec<Option<String>> = Vec::with_capacity(raw.len());
        for event in &raw {
            let body = payload::unpack(&event.payload, event.payload_codec).unwrap_or_default();
            let first = match read(&body) {
                Ok(Reading::Facts(facts)) => facts.references().first().map(|first| (*first).to_owned()),
                _ => None,
            };
            references.push(first);
        }
        let asked: BTreeSet<(Mode, &str)> =
            references.iter().flatten().map(|reference| (mode, reference.as_str())).collect();
        let owners: std::collections::HashMap<(Mode, String), String> =
            refs::owners(tx, workspace, asked).await?.into_iter().collect();
        let erased = erasures::among(tx, workspace, owners.values().map(String::as_str)).await?;
        let mut references = references.into_iter();
        raw.retain(|_| {
            let owner = references.next().flatten().and_then(|reference| owners.get(&(mode, reference)));
            owner.is_some_and(|owner| erased.contains(owner))
        });
        let rewritten = all_without(raw, &terms).await?;
        events::rewrite(tx, workspace, &rewritten).await?;
        Ok(())
    }

    /// Erases what was read of customers who are erased, before it is kept; gives the events to be written again.
    pub(super) async fn erase_read(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        read: &mut [Read],
        terms: &Terms,
    ) -> Result<Vec<Rewritten>, StoreError> {
        let Some(pseudonyms) = terms.pseudonyms.as_ref().filter(|_| terms.has_erasures) else { return Ok(Vec::new()) };
        let concerned = concerned(tx, workspace, read, terms, pseudonyms).await?;
        if concerned.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<(String, i64)> =
            concerned.iter().map(|index| (read[*index].event_id.clone(), read[*index].shape)).collect();
        let asked: Vec<(&str, i64)> = keys.iter().map(|(id, shape)| (id.as_str(), *shape)).collect();
        let raw = events::by_keys(tx, workspace, asked).await?;
        let eraser = Eraser { pseudonyms, terms };
        let mut rewritten = Vec::new();
        for index in concerned {
            let event = &mut read[index];
            let stored = raw.iter().find(|raw| raw.event_id == event.event_id && raw.shape == event.shape);
            match stored.map(|stored| without(stored, &eraser)) {
                Some(Ok(Some(without))) => rewritten.push(without),
                Some(Ok(None)) | None => continue,
                Some(Err(error)) => {
                    tracing::error!(event = event.event_id, %error, "an event of an erased customer is kept as it came");
                    continue;
                }
            }
            let Some(found) = event.found() else { continue };
            let facts = eraser.facts(&found.facts);
            if let Ok(body) = serde_json::to_string(&facts) {
                let found = find(facts, body, terms);
                event.replace(found);
            }
        }
        Ok(rewritten)
    }
}

/// Which of some events are about customers who are erased.
async fn concerned(
    tx: &mut Tx,
    workspace: WorkspaceId,
    read: &[Read],
    terms: &Terms,
    pseudonyms: &Pseudonyms,
) -> Result<Vec<usize>, StoreError> {
    // A customer's key that is an address may have been erased: it is still the same customer's.
    let erased_keys = |read: &Read| -> Vec<String> {
        let keys = read.found().map(|found| customer_keys(&found.facts, terms)).unwrap_or_default();
        keys.iter().filter(|key| key.contains('@')).map(|key| format!("key:{}", pseudonyms.of_key(key))).collect()
    };
    let erased_keys: Vec<Vec<String>> = read.iter().map(erased_keys).collect();
    let (mut places, mut items) = (Vec::new(), Vec::new());
    for (index, (read, keys)) in read.iter().zip(&erased_keys).enumerate() {
        let Some(mut item) = read.item() else { continue };
        item.refs.extend(keys.iter().map(String::as_str));
        places.push(index);
        items.push(item);
    }
    let asked: BTreeSet<(Mode, &str)> =
        items.iter().flat_map(|item| item.refs.iter().map(|text| (item.mode, *text))).collect();
    let owners = refs::owners(tx, workspace, asked).await?;
    // Only to see who belongs together: nothing here is kept.
    let links = link(&items, &owners, &Ids::counting());
    let mut known: Vec<&str> = Vec::new();
    for customer in links.customers.iter().filter(|customer| !customer.is_new) {
        known.push(&customer.customer_id);
        known.extend(customer.joined.iter().map(String::as_str));
    }
    let erased = erasures::among(tx, workspace, known).await?;
    if erased.is_empty() {
        return Ok(Vec::new());
    }
    let is_erased = |customer: usize| {
        let customer = &links.customers[customer];
        erased.contains(&customer.customer_id) || customer.joined.iter().any(|joined| erased.contains(joined))
    };
    let concerned = places.into_iter().zip(&links.of_item).filter(|(_, of)| of.is_some_and(is_erased));
    Ok(concerned.map(|(index, _)| index).collect())
}

/// Erases the events of a page of facts, and the facts.
async fn erase_page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    page: &[StoredFacts],
    terms: &Arc<Terms>,
    (old, new): (&mut Traces, &mut Traces),
) -> Result<usize, EraseError> {
    let keys: Vec<(&str, i64)> = page.iter().map(|facts| (facts.event_id.as_str(), facts.shape)).collect();
    let raw = events::by_keys(tx, workspace, keys).await?;
    let rewritten = all_without(raw, terms).await?;
    events::rewrite(tx, workspace, &rewritten).await?;
    let Some(pseudonyms) = &terms.pseudonyms else { return Ok(0) };
    let eraser = Eraser { pseudonyms, terms };
    let mut bodies = Vec::with_capacity(page.len());
    for stored in page {
        let facts = stored.read()?;
        let erased = eraser.facts(&facts);
        old.add(&stored.customer_id, &facts, terms);
        new.add(&stored.customer_id, &erased, terms);
        bodies.push(serde_json::to_string(&erased).map_err(|error| StoreError::Unreadable {
            what: "the facts of event",
            key: stored.event_id.clone(),
            why: error.to_string(),
        })?);
    }
    let rows: Vec<NewFacts<'_>> = page
        .iter()
        .zip(&bodies)
        .map(|(stored, body)| NewFacts {
            customer_id: &stored.customer_id,
            event_id: &stored.event_id,
            shape: stored.shape,
            body,
        })
        .collect();
    facts::insert(tx, workspace, &rows).await?;
    Ok(rewritten.len())
}

/// Has customers found by what is left, and no longer by what was erased.
async fn retrace(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    old: &Traces,
    new: &Traces,
) -> Result<(), StoreError> {
    let clues = |of: BTreeSet<(String, String)>| of.into_iter().collect::<Vec<_>>();
    let (gone, come) = (clues(&old.clues - &new.clues), clues(&new.clues - &old.clues));
    refs::forget_clues(tx, workspace, gone.iter().map(|(who, clue)| (mode, clue.as_str(), who.as_str()))).await?;
    refs::note_clues(tx, workspace, come.iter().map(|(who, clue)| (mode, clue.as_str(), who.as_str()))).await?;
    let (gone, come) = (clues(&old.keys - &new.keys), clues(&new.keys - &old.keys));
    refs::untie(tx, workspace, gone.iter().map(|(_, key)| (mode, key.as_str()))).await?;
    refs::tie(tx, workspace, come.iter().map(|(who, key)| (mode, key.as_str(), who.as_str()))).await
}

/// Erases events that nobody recorded (ignored, unreadable) where they name one of the ids or addresses.
async fn erase_unrecorded(
    tx: &mut Tx,
    (workspace, mode): (WorkspaceId, Mode),
    ids: &HashSet<String>,
    addresses: &BTreeSet<(LeadBy, String)>,
    terms: &Arc<Terms>,
) -> Result<usize, EraseError> {
    let addresses: HashSet<String> = addresses.iter().map(|(_, address)| plain(address)).collect();
    let (mut after, mut erased) = (None::<(String, i64)>, 0);
    loop {
        let place = after.as_ref().map(|(id, shape)| (id.as_str(), *shape));
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let (mut page, last) = events::unrecorded_page(tx, workspace, place, limit).await?;
        if last.is_none() {
            return Ok(erased);
        }
        after = last;
        page.retain(|event| event.mode() == mode && names_any(event, ids, &addresses));
        let rewritten = all_without(page, terms).await?;
        events::rewrite(tx, workspace, &rewritten).await?;
        erased += rewritten.len();
    }
}

fn names_any(event: &StoredEvent, ids: &HashSet<String>, addresses: &HashSet<String>) -> bool {
    fn any(value: &Value, is_one: &dyn Fn(&str) -> bool) -> bool {
        match value {
            Value::String(text) => is_one(text),
            Value::Array(items) => items.iter().any(|item| any(item, is_one)),
            Value::Object(fields) => fields.values().any(|value| any(value, is_one)),
            _ => false,
        }
    }
    let body = payload::unpack(&event.payload, event.payload_codec).unwrap_or_default();
    let Ok(value) = serde_json::from_slice::<Value>(&body) else { return false };
    any(&value, &|text| ids.contains(text) || (text.contains('@') && addresses.contains(&plain(text))))
}

/// Events without what is personal in them; those in which nothing was are left out.
pub(crate) async fn all_without(raw: Vec<StoredEvent>, terms: &Arc<Terms>) -> Result<Vec<Rewritten>, EraseError> {
    let terms = terms.clone();
    let erased = think(move || {
        let Some(pseudonyms) = &terms.pseudonyms else { return Ok(Vec::new()) };
        let eraser = Eraser { pseudonyms, terms: &terms };
        let mut rewritten = Vec::new();
        for event in &raw {
            rewritten
                .extend(without(event, &eraser).map_err(|error| EraseError::Event(event.event_id.clone(), error))?);
        }
        Ok(rewritten)
    });
    erased.await?
}

fn without(event: &StoredEvent, eraser: &Eraser<'_>) -> Result<Option<Rewritten>, RedactError> {
    let body = payload::unpack(&event.payload, event.payload_codec).map_err(|_| RedactError::NotJson)?;
    let erased = redact(&body, eraser)?;
    Ok(erased.map(|body| Rewritten::of(event, payload::pack(&body))))
}
