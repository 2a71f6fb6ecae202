//! Customer by customer: facts against raw events, decisions against the ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::super::asking::{AsOf, decide_cases};
use super::super::plan::{Settling, plan};
use super::super::record::find;
use super::super::settle::{Case, Decided, load_known};
use super::super::think;
use super::{Verifying, book};
use crate::domain::facts::EventFacts;
use crate::domain::terms::Terms;
use crate::intake::payload;
use crate::store::customers::Customer;
use crate::store::events::{EventStatus, StoredEvent};
use crate::store::facts::StoredFacts;
use crate::store::{Mode, StoreError, Tx, customers, events, facts, refs};
use crate::stripe::{Reading, read};

const PAGE: i64 = 100;

/// An event as reading it anew shows it.
pub(super) struct Reread {
    pub(super) event_id: String,
    pub(super) shape: i64,
    pub(super) facts: Result<Option<EventFacts>, String>,
}

pub(super) type FactsKey = (String, i64);

impl Verifying<'_> {
    pub(super) async fn all_customers(&mut self, progress: &impl Fn(u64)) -> Result<(), StoreError> {
        let mut after: Option<String> = None;
        let mut done = 0;
        loop {
            let mut tx = self.ledger.db.read().await?;
            let page = customers::page(&mut tx, self.workspace, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.customer_id.clone());
            done += page.len() as u64;
            self.customers(&mut tx, page).await?;
            tx.rollback().await?;
            progress(done);
        }
        self.events_without_facts().await
    }

    pub(super) async fn customers(&mut self, tx: &mut Tx, page: Vec<Customer>) -> Result<(), StoreError> {
        let terms = match &self.terms {
            Some(terms) => terms.clone(),
            None => self.ledger.db.terms(tx, self.workspace).await?,
        };
        let stored = facts::of_customers(tx, self.workspace, page.iter().map(|c| c.customer_id.as_str())).await?;
        let ids: BTreeSet<&str> = stored.iter().map(|facts| facts.event_id.as_str()).collect();
        let unrecorded = events::listed_as_unrecorded(tx, self.workspace, ids).await?;
        for (id, shape) in unrecorded {
            if stored.iter().any(|facts| facts.event_id == id && facts.shape == shape) {
                self.report.differs(format!("Event {id} is listed as ignored or failed, but its facts are kept."));
            }
        }
        let keys = stored.iter().map(|facts| (facts.event_id.as_str(), facts.shape));
        let raw = events::by_keys(tx, self.workspace, keys).await?;
        let reread = think(move || reread_all(&raw)).await?;
        self.report.events += reread.len() as u64;
        let by_key: HashMap<FactsKey, Reread> =
            reread.into_iter().map(|reread| ((reread.event_id.clone(), reread.shape), reread)).collect();
        let absent = stored.iter().map(|stored| (stored.event_id.as_str(), stored.shape));
        let absent = absent.filter(|(id, shape)| !by_key.contains_key(&((*id).to_owned(), *shape)));
        let archived = self.archived(tx, absent).await?;
        let mut events_of: HashMap<String, Vec<EventFacts>> = HashMap::new();
        for stored in &stored {
            let key = (stored.event_id.clone(), stored.shape);
            if archived.contains(&key) {
                self.trusted += 1;
                events_of.entry(stored.customer_id.clone()).or_default().extend(stored.read().ok());
            } else if let Some(facts) = self.facts_from_event(stored, by_key.get(&key)) {
                events_of.entry(stored.customer_id.clone()).or_default().push(facts);
            }
        }
        self.references(tx, &page, &events_of, &terms).await?;
        let mut cases = Vec::new();
        for customer in page {
            let events = events_of.remove(&customer.customer_id).unwrap_or_default();
            if self.is_comparable(&customer) {
                cases.push(Case { customer, events: Ok(events) });
            }
        }
        self.decisions(tx, cases, &terms).await
    }

    /// Compares stored facts with their raw event.
    fn facts_from_event(&mut self, stored: &StoredFacts, reread: Option<&Reread>) -> Option<EventFacts> {
        let id = &stored.event_id;
        let Some(reread) = reread else {
            self.report.differs(format!("The facts of event {id} are kept, but the event is gone."));
            self.gone.insert((id.clone(), stored.shape));
            return stored.read().ok();
        };
        match &reread.facts {
            Err(error) => {
                self.report.differs(format!("Event {id} was recorded, but cannot be read any more: {error}."));
                stored.read().ok()
            }
            Ok(None) => {
                self.report.differs(format!("Event {id} was recorded, but reading it says nothing now."));
                stored.read().ok()
            }
            Ok(Some(facts)) => {
                self.must_be(stored, facts);
                Some(facts.clone())
            }
        }
    }

    /// Facts are kept as the event says them.
    pub(super) fn must_be(&mut self, stored: &StoredFacts, said: &EventFacts) {
        if stored.read().ok().as_ref() != Some(said) {
            let id = &stored.event_id;
            self.report.differs(format!("The facts kept of event {id} are not what the event says."));
        }
    }

    /// Every reference in a customer's events leads to that customer.
    async fn references(
        &mut self,
        tx: &mut Tx,
        page: &[Customer],
        events_of: &HashMap<String, Vec<EventFacts>>,
        terms: &Terms,
    ) -> Result<(), StoreError> {
        let mut expected: BTreeMap<(Mode, String), BTreeSet<&str>> = BTreeMap::new();
        for customer in page {
            for event in events_of.get(&customer.customer_id).into_iter().flatten() {
                for text in find(event.clone(), String::new(), terms).refs {
                    expected.entry((customer.mode(), text)).or_default().insert(&customer.customer_id);
                }
            }
        }
        let asked = expected.keys().map(|(mode, text)| (*mode, text.as_str()));
        let owners: HashMap<(Mode, String), String> =
            refs::owners(tx, self.workspace, asked).await?.into_iter().collect();
        for (key, customers) in &expected {
            for &customer in customers {
                match owners.get(key) {
                    Some(owner) if owner == customer => {}
                    Some(owner) => self.report.differs(format!(
                        "{}{} is known as {owner}'s, but belongs to {customer}.",
                        key.1,
                        book(key.0)
                    )),
                    // A shared key that only became one by a change that has not reached this customer yet.
                    None if self.woken_since.is_some() => {}
                    None => self.report.differs(format!(
                        "{}{} belongs to {customer}, but is not known as theirs.",
                        key.1,
                        book(key.0)
                    )),
                }
            }
        }
        Ok(())
    }

    /// Whether a customer's answer is final for now.
    fn is_comparable(&mut self, customer: &Customer) -> bool {
        if customer.failures > 0 {
            self.report.parked += 1;
            return false;
        }
        let is_due = customer.settle_due_at().is_some_and(|due| due <= self.now);
        let is_unwoken = self.woken_since.is_some_and(|since| customer.settled_at().is_none_or(|at| at <= since));
        if is_due || is_unwoken || customer.settled_at().is_none() {
            self.report.waiting += 1;
            return false;
        }
        true
    }

    /// Decides anew, as of when each customer was settled, and asks what settling would still write.
    async fn decisions(
        &mut self,
        tx: &mut Tx,
        cases: Vec<Case>,
        terms: &std::sync::Arc<Terms>,
    ) -> Result<(), StoreError> {
        let decided = decide_cases(tx, self.workspace, cases, terms, AsOf::WhenSettled).await?;
        let known = load_known(tx, self.workspace, &decided, terms).await?;
        let nothing = super::super::plan::Known::default();
        for Decided { customer, answer, .. } in &decided {
            let customer_id = customer.customer_id.as_str();
            self.report.customers += 1;
            let decisions = match answer {
                Ok(decisions) => decisions,
                Err(error) => {
                    self.report.differs(format!("Customer {customer_id} cannot be decided any more: {error}."));
                    continue;
                }
            };
            self.report.payments += decisions.payments.len() as u64;
            let now = customer.settled_at().unwrap_or_default();
            let settling = Settling { customer_id, mode: customer.mode(), now, ids: &self.ledger.ids, terms };
            let known = known.get(customer_id).unwrap_or(&nothing);
            let writes = plan(&settling, decisions, known);
            let name =
                |id: &str| known.payments.get(id).map_or_else(|| id.to_owned(), |payment| payment.reference.clone());
            for entry in &writes.entries {
                let payment = name(entry.payment_id.as_deref().unwrap_or_default());
                let (amount, partner) =
                    (crate::domain::money::Money::new(entry.amount, entry.currency), &entry.partner);
                self.report.differs(format!(
                    "Payment {payment}{}: the ledger is off by {amount} for {partner} ({}).",
                    book(customer.mode()),
                    entry.reason.as_deref().unwrap_or_default()
                ));
            }
            for payment in &writes.payments {
                let (reference, code) = (&payment.reference, &payment.code);
                self.report.differs(format!(
                    "Payment {reference}{}: its decision is not the one kept; it should be {code}, {} {}.",
                    book(customer.mode()),
                    payment.amount,
                    payment.currency
                ));
            }
            for contributed in &writes.contributed {
                let (payment, month) = (name(&contributed.payment_id), contributed.contribution.month);
                self.report.differs(format!(
                    "Payment {payment}{}: what it counts for {}'s tiers in {month} is off.",
                    book(customer.mode()),
                    contributed.contribution.partner
                ));
            }
            for (mode, reference, payment) in &writes.ties {
                self.report.differs(format!("{reference}{} is not known as payment {}.", book(*mode), name(payment)));
            }
        }
        Ok(())
    }

    /// Every recorded event that is about somebody has facts. They are counted first: only where the counts differ is
    /// each looked for.
    async fn events_without_facts(&mut self) -> Result<(), StoreError> {
        let mut tx = self.ledger.db.read().await?;
        let about_nobody = events::about_nobody(&mut tx, self.workspace).await?;
        let counts = events::counts(&mut tx, self.workspace).await?;
        let recorded: i64 =
            counts.iter().filter(|(_, status, _)| *status == EventStatus::Recorded).map(|(_, _, count)| count).sum();
        let kept = facts::count(&mut tx, self.workspace).await?;
        tx.rollback().await?;
        if recorded == about_nobody + self.archived_about_nobody() + kept {
            return Ok(());
        }
        for mode in Mode::ALL {
            let mut after = None;
            loop {
                let mut tx = self.ledger.db.read().await?;
                let (raw, last) = events::recorded_page(&mut tx, self.workspace, mode, after.as_ref(), PAGE).await?;
                if last.is_none() {
                    break;
                }
                after = last;
                self.look_for_facts(&mut tx, raw).await?;
                tx.rollback().await?;
            }
        }
        Ok(())
    }

    async fn look_for_facts(&mut self, tx: &mut Tx, raw: Vec<StoredEvent>) -> Result<(), StoreError> {
        let modes: HashMap<FactsKey, Mode> =
            raw.iter().map(|event| ((event.event_id.clone(), event.shape), event.mode())).collect();
        let reread = think(move || reread_all(&raw)).await?;
        let mut about = Vec::new();
        for event in &reread {
            let Ok(Some(facts)) = &event.facts else { continue };
            let mode = modes[&(event.event_id.clone(), event.shape)];
            if let Some(reference) = facts.references().first() {
                about.push((event, mode, (*reference).to_owned()));
            }
        }
        let asked = about.iter().map(|(_, mode, text)| (*mode, text.as_str()));
        let owners: HashMap<(Mode, String), String> =
            refs::owners(tx, self.workspace, asked).await?.into_iter().collect();
        let customers: BTreeSet<&str> = owners.values().map(String::as_str).collect();
        let kept = facts::events_of_customers(tx, self.workspace, customers).await?;
        let kept: HashSet<FactsKey> = kept.into_iter().collect();
        for (event, _, _) in &about {
            if !kept.contains(&(event.event_id.clone(), event.shape)) {
                self.report.differs(format!("Event {} was recorded, but its facts are gone.", event.event_id));
            }
        }
        Ok(())
    }
}

fn reread_all(raw: &[StoredEvent]) -> Vec<Reread> {
    raw.iter()
        .map(|event| {
            let facts = payload::unpack(&event.payload, event.payload_codec)
                .map_err(|damaged| damaged.to_string())
                .and_then(|body| reread(&body));
            Reread { event_id: event.event_id.clone(), shape: event.shape, facts }
        })
        .collect()
}

/// What a body says now.
pub(super) fn reread(body: &[u8]) -> Result<Option<EventFacts>, String> {
    match read(body) {
        Ok(Reading::Facts(facts)) => Ok(Some(facts)),
        Ok(Reading::Ignored(_)) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
