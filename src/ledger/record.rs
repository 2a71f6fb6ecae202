//! Events become facts: read, linked to customers, kept, and the customers touched are due.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::link::{Item, Links, link};
use super::{Ledger, panic_text, think};
use crate::domain::Time;
use crate::domain::evidence::{clues, customer_keys};
use crate::domain::facts::{EventFacts, Fact, PriceInfo, PromotionCodeFact};
use crate::domain::terms::Terms;
use crate::intake::{ACCOUNT_MISMATCH, payload};
use crate::payouts::transfers;
use crate::store::events::{self, Outcome, Place, StoredEvent, Unrecorded};
use crate::store::facts::NewFacts;
use crate::store::workspaces::{RECORDER, lock, used};
use crate::store::{
    Engine, Mode, StoreError, Tx, WorkspaceId, asked, customers, erasures, facts, lookups, payments, prices, refs,
    resettle,
};
use crate::stripe::{OF_CONNECTED_ACCOUNTS, Opened, Reading};

/// How many events share a transaction at most. On `SQLite` everybody else waits meanwhile.
pub fn batch(engine: Engine) -> i64 {
    match engine {
        Engine::Sqlite => 256,
        Engine::Postgres => 512,
    }
}

/// An event that was read.
pub(super) struct Read {
    pub(super) event_id: String,
    pub(super) shape: i64,
    pub(super) mode: Mode,
    received: Time,
    what: What,
}

pub(super) enum What {
    Facts(Found),
    Ignored(&'static str),
    Failed(String),
}

/// What an event says, and whom it is about.
pub(super) struct Found {
    pub facts: EventFacts,
    /// The facts as JSON.
    pub body: String,
    /// Stripe ids and shared customer keys.
    pub refs: Vec<String>,
    pub clues: Vec<String>,
}

/// Records a workspace's pending events, batch by batch. While one batch is written, the next is read.
pub struct Recorder<'a> {
    ledger: &'a Ledger,
    workspace: WorkspaceId,
    ahead: Option<JoinHandle<Result<Batch, StoreError>>>,
}

/// Events that were read, and whose turn it is as long as nobody else recorded since.
struct Batch {
    /// How often anybody recorded before.
    version: i64,
    /// The terms they were read under.
    terms: Arc<Terms>,
    read: Vec<Read>,
    /// The place of the last in the queue.
    last: Option<Place>,
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        self.forget_ahead();
    }
}

impl Recorder<'_> {
    /// Records the oldest pending events; tells how many it dealt with, 0 when there are none.
    ///
    /// Events that the database refuses fail alone: the batch is tried again one by one.
    pub async fn next(&mut self) -> Result<usize, StoreError> {
        let ahead = match self.ahead.take() {
            Some(ahead) => ahead.await.ok().and_then(Result::ok),
            None => None,
        };
        let recorded = self.record_some(ahead, self.batch(), None).await;
        if recorded.is_err() {
            self.forget_ahead();
        }
        match recorded {
            Err(error) if error.is_refusal() => {
                tracing::warn!(%error, "a batch of events was refused; recording them one by one");
                self.record_one_by_one().await
            }
            other => other,
        }
    }

    fn batch(&self) -> i64 {
        batch(self.ledger.db.engine())
    }

    /// What was read ahead counts on the batch before it; where that came to nothing, somebody else's may have taken
    /// its place and more.
    fn forget_ahead(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            ahead.abort();
        }
    }

    async fn record_one_by_one(&mut self) -> Result<usize, StoreError> {
        let mut done = 0;
        while done < usize::try_from(self.batch()).unwrap_or(usize::MAX) {
            let recorded = match self.record_some(None, 1, None).await {
                Err(error) if error.is_refusal() => {
                    let why = error.to_string().replace('\0', "\u{fffd}");
                    self.record_some(None, 1, Some(why)).await?
                }
                other => other?,
            };
            if recorded == 0 {
                break;
            }
            done += recorded;
        }
        Ok(done)
    }

    /// Records up to `limit` events, or marks them as failed because of `failure`.
    async fn record_some(
        &mut self,
        ahead: Option<Batch>,
        limit: i64,
        failure: Option<String>,
    ) -> Result<usize, StoreError> {
        let (ledger, workspace) = (self.ledger, self.workspace);
        let now = ledger.clock.now();
        let mut tx = ledger.db.read_to_write().await?;
        let version = lock(&mut tx, workspace, RECORDER).await?;
        let terms = ledger.db.terms(&mut tx, workspace).await?;
        let is_current = |batch: &Batch| batch.version == version && batch.terms.seq == terms.seq;
        let mut batch = match ahead.filter(is_current).filter(|batch| !batch.read.is_empty()) {
            Some(batch) => batch,
            None => read_batch(&mut tx, workspace, None, limit, version, terms, failure).await?,
        };
        if batch.read.is_empty() {
            return Ok(0);
        }
        if limit == self.batch() {
            self.read_ahead(&batch);
        }
        let rewritten = ledger.erase_read(&mut tx, workspace, &mut batch.read, &batch.terms).await?;
        let read = &batch.read;
        let items: Vec<Item<'_>> = read.iter().filter_map(Read::item).collect();
        let asked: BTreeSet<(Mode, &str)> =
            items.iter().flat_map(|item| item.refs.iter().map(|text| (item.mode, *text))).collect();
        let owners = refs::owners(&mut tx, workspace, asked).await?;
        let links = link(&items, &owners, &ledger.ids);
        let mut tx = ledger.db.upgrade(tx).await?;
        used(&mut tx, workspace, RECORDER, version).await?;
        events::rewrite(&mut tx, workspace, &rewritten).await?;
        ledger.keep_links(&mut tx, workspace, &links, now).await?;
        keep_facts(&mut tx, workspace, read, &links).await?;
        ledger.learn_promotion_codes(&mut tx, workspace, read).await?;
        learn_prices(&mut tx, workspace, read, now).await?;
        ledger.hear_of_payouts(&mut tx, workspace, read, now).await?;
        let outcomes: Vec<Outcome<'_>> = read.iter().map(Read::outcome).collect();
        events::mark(&mut tx, workspace, &outcomes).await?;
        tx.commit().await?;
        Ok(read.len())
    }

    /// Begins to read what comes behind a batch, as it will be once that batch is recorded.
    fn read_ahead(&mut self, batch: &Batch) {
        let (db, workspace) = (self.ledger.db.clone(), self.workspace);
        let (after, version, limit) = (batch.last.clone(), batch.version + 1, self.batch());
        self.ahead = Some(tokio::spawn(async move {
            let mut tx = db.read().await?;
            let terms = db.terms(&mut tx, workspace).await?;
            read_batch(&mut tx, workspace, after.as_ref(), limit, version, terms, None).await
        }));
    }
}

async fn read_batch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    after: Option<&Place>,
    limit: i64,
    version: i64,
    terms: Arc<Terms>,
    failure: Option<String>,
) -> Result<Batch, StoreError> {
    let (pending, last) = events::pending(tx, workspace, after, limit).await?;
    let read = match failure {
        None => {
            let terms = terms.clone();
            think(move || read_all(pending, &terms)).await?
        }
        Some(why) => pending.into_iter().map(|event| failed(&event, why.clone())).collect(),
    };
    Ok(Batch { version, terms, read, last })
}

impl Ledger {
    /// Begins to record a workspace's pending events.
    pub fn recorder(&self, workspace: WorkspaceId) -> Recorder<'_> {
        Recorder { ledger: self, workspace, ahead: None }
    }

    /// Records the oldest pending events of a workspace; tells how many it dealt with.
    pub async fn record(&self, workspace: WorkspaceId) -> Result<usize, StoreError> {
        self.recorder(workspace).next().await
    }

    /// Enters new customers, joins those that turned out to be one, ties references, and says that all are due.
    pub(super) async fn keep_links(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        links: &Links<'_>,
        now: Time,
    ) -> Result<(), StoreError> {
        let (new, known): (Vec<_>, Vec<_>) = links.customers.iter().partition(|customer| customer.is_new);
        customers::insert(tx, workspace, new.iter().map(|new| (new.mode, new.customer_id.as_str())), now).await?;
        let mut touched: Vec<&str> = known
            .iter()
            .flat_map(|known| std::iter::once(&known.customer_id).chain(&known.joined).map(String::as_str))
            .collect();
        touched.sort_unstable();
        customers::lock(tx, workspace, &touched).await?;
        customers::touch(tx, workspace, &touched, now).await?;
        let joined: Vec<(Mode, String, String)> = known
            .iter()
            .flat_map(|winner| {
                winner.joined.iter().map(|loser| (winner.mode, loser.clone(), winner.customer_id.clone()))
            })
            .collect();
        if !joined.is_empty() {
            self.join(tx, workspace, &joined).await?;
        }
        let ties = links
            .ties
            .iter()
            .map(|(mode, text, customer)| (*mode, *text, links.customers[*customer].customer_id.as_str()));
        refs::tie(tx, workspace, ties).await
    }

    /// Gives all that customers have to those they turned out to be: `(mode, from, into)`.
    async fn join(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        joined: &[(Mode, String, String)],
    ) -> Result<(), StoreError> {
        let terms = self.db.terms(tx, workspace).await?;
        let pairs: Vec<(String, String)> =
            joined.iter().map(|(_, loser, winner)| (loser.clone(), winner.clone())).collect();
        let winners: HashMap<&str, (Mode, &str)> =
            joined.iter().map(|(mode, loser, winner)| (loser.as_str(), (*mode, winner.as_str()))).collect();
        let losers: Vec<&str> = pairs.iter().map(|(loser, _)| loser.as_str()).collect();
        let mut found = Vec::new();
        for stored in facts::of_customers(tx, workspace, losers.iter().copied()).await? {
            let (mode, winner) = winners[stored.customer_id.as_str()];
            found.push((mode, winner, find(stored.read()?, stored.body.clone(), &terms)));
        }
        let ties: BTreeSet<(Mode, &str, &str)> = found
            .iter()
            .flat_map(|(mode, winner, found)| found.refs.iter().map(|text| (*mode, text.as_str(), *winner)))
            .collect();
        refs::tie(tx, workspace, ties).await?;
        let clues: BTreeSet<(Mode, &str, &str)> = found
            .iter()
            .flat_map(|(mode, winner, found)| found.clues.iter().map(|clue| (*mode, clue.as_str(), *winner)))
            .collect();
        refs::note_clues(tx, workspace, clues).await?;
        refs::give_shared_keys(tx, workspace, &pairs).await?;
        facts::give(tx, workspace, &pairs).await?;
        payments::give(tx, workspace, &pairs).await?;
        if terms.has_erasures {
            erasures::give(tx, workspace, &pairs).await?;
        }
        customers::remove(tx, workspace, &losers).await
    }

    /// Keeps the texts of promotion codes, and wakes the customers who showed a code's id before its text was known.
    async fn learn_promotion_codes(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        read: &[Read],
    ) -> Result<(), StoreError> {
        let codes: Vec<(Mode, PromotionCodeFact, Time)> = read.iter().flat_map(Read::promotion_codes).collect();
        if codes.is_empty() {
            return Ok(());
        }
        let new = lookups::learn_promotion_codes(tx, workspace, &codes).await?;
        let clues: Vec<(Mode, String)> =
            new.into_iter().map(|(mode, id)| (mode, format!("promotion_code:{}", id.to_lowercase()))).collect();
        let asked = clues.iter().map(|(mode, clue)| (*mode, clue.as_str())).collect();
        resettle::wake_found(tx, workspace, asked, &self.ids, self.clock.now()).await.map(drop)
    }
}

impl Ledger {
    /// Applies what Stripe says about transfers to partners and about their accounts.
    async fn hear_of_payouts(
        &self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        read: &[Read],
        now: Time,
    ) -> Result<(), StoreError> {
        let (mut made, mut accounts) = (Vec::new(), Vec::new());
        for (read, found) in read.iter().filter_map(|read| read.found().map(|found| (read, found))) {
            for fact in &found.facts.facts {
                match fact {
                    Fact::Transfer(fact) => made.push((read.mode, fact.clone())),
                    Fact::Account(fact) => accounts.push((read.mode, found.facts.stamp.created, fact.clone())),
                    _ => {}
                }
            }
        }
        if !accounts.is_empty() {
            transfers::apply_accounts(tx, (workspace, now), &accounts).await?;
        }
        if made.is_empty() { Ok(()) } else { transfers::apply_transfers(tx, (workspace, &self.ids, now), &made).await }
    }
}

/// Keeps what is said of prices, and wakes the customers whose decisions asked for it.
async fn learn_prices(tx: &mut Tx, workspace: WorkspaceId, read: &[Read], now: Time) -> Result<(), StoreError> {
    let said = read.iter().filter_map(|read| read.found().map(|found| (read.mode, found))).flat_map(|(mode, found)| {
        let price = |fact: &Fact| if let Fact::Price(price) = fact { Some((mode, price.clone())) } else { None };
        found.facts.facts.iter().filter_map(price).collect::<Vec<_>>()
    });
    let said: Vec<(Mode, PriceInfo)> = said.collect();
    if said.is_empty() {
        return Ok(());
    }
    let new = prices::learn(tx, workspace, &said).await?;
    let waiting = asked::waiting_for_prices(tx, workspace, &new).await?;
    let waiting: Vec<&str> = waiting.iter().map(String::as_str).collect();
    customers::lock(tx, workspace, &waiting).await?;
    customers::touch(tx, workspace, &waiting, now).await
}

async fn keep_facts(tx: &mut Tx, workspace: WorkspaceId, read: &[Read], links: &Links<'_>) -> Result<(), StoreError> {
    let with_facts = read.iter().filter_map(|read| read.found().map(|found| (read, found)));
    let mut rows = Vec::new();
    let mut noted = BTreeSet::new();
    for ((read, found), customer) in with_facts.zip(&links.of_item) {
        let Some(customer) = customer else { continue };
        let customer_id = links.customers[*customer].customer_id.as_str();
        rows.push(NewFacts { customer_id, event_id: &read.event_id, shape: read.shape, body: &found.body });
        noted.extend(found.clues.iter().map(|clue| (read.mode, clue.as_str(), customer_id)));
    }
    facts::insert(tx, workspace, &rows).await?;
    refs::note_clues(tx, workspace, noted).await
}

fn read_all(pending: Vec<StoredEvent>, terms: &Arc<Terms>) -> Vec<Read> {
    pending
        .into_iter()
        .map(|event| {
            catch_unwind(AssertUnwindSafe(|| read_one(&event, terms)))
                .unwrap_or_else(|panic| failed(&event, panic_text(panic.as_ref())))
        })
        .collect()
}

fn read_one(event: &StoredEvent, terms: &Terms) -> Read {
    let body = match payload::unpack(&event.payload, event.payload_codec) {
        Ok(body) => body,
        Err(damaged) => return failed(event, damaged.to_string()),
    };
    let opened = match Opened::new(&body) {
        Ok(opened) => opened,
        Err(error) => return failed(event, error.to_string()),
    };
    // The inbox sorts these out; one that is replayed is still of another account, unless the settings say otherwise now.
    if let Some(account) = opened.account()
        && Some(account) != terms.current_settings().account.as_deref()
        && !OF_CONNECTED_ACCOUNTS.contains(&opened.event_type())
    {
        return as_read(event, What::Ignored(ACCOUNT_MISMATCH));
    }
    match opened.read() {
        Ok(Reading::Facts(facts)) => match serde_json::to_string(&facts) {
            Ok(body) => as_read(event, What::Facts(find(facts, body, terms))),
            Err(error) => failed(event, error.to_string()),
        },
        Ok(Reading::Ignored(reason)) => as_read(event, What::Ignored(reason.as_str())),
        Err(error) => failed(event, error.to_string()),
    }
}

fn failed(event: &StoredEvent, why: String) -> Read {
    as_read(event, What::Failed(why))
}

fn as_read(event: &StoredEvent, what: What) -> Read {
    Read { event_id: event.event_id.clone(), shape: event.shape, mode: event.mode(), received: event.received(), what }
}

/// Whom facts are about, and by what their customer can be found.
pub(super) fn find(facts: EventFacts, body: String, terms: &Terms) -> Found {
    let mut refs: Vec<String> = facts.references().into_iter().map(ToOwned::to_owned).collect();
    refs.extend(customer_keys(&facts, terms).into_iter().map(|key| format!("key:{key}")));
    let clues = clues(&facts, terms);
    Found { facts, body, refs, clues }
}

impl Found {
    /// What linking needs to know.
    pub(super) fn item(&self, mode: Mode) -> Item<'_> {
        Item { mode, refs: self.refs.iter().map(String::as_str).collect() }
    }
}

impl Read {
    /// The same event says something else, about the same.
    pub(super) fn replace(&mut self, found: Found) {
        self.what = What::Facts(found);
    }

    pub(super) fn found(&self) -> Option<&Found> {
        if let What::Facts(found) = &self.what { Some(found) } else { None }
    }

    pub(super) fn item(&self) -> Option<Item<'_>> {
        self.found().map(|found| found.item(self.mode))
    }

    fn promotion_codes(&self) -> Vec<(Mode, PromotionCodeFact, Time)> {
        let Some(found) = self.found() else { return Vec::new() };
        let codes = found.facts.facts.iter().filter_map(|fact| match fact {
            Fact::PromotionCode(code) => Some((self.mode, code.clone(), found.facts.stamp.created)),
            _ => None,
        });
        codes.collect()
    }

    fn outcome(&self) -> Outcome<'_> {
        let unrecorded = match &self.what {
            What::Facts(_) => None,
            What::Ignored(reason) => Some(Unrecorded::Ignored(reason)),
            What::Failed(error) => Some(Unrecorded::Failed(error)),
        };
        Outcome { event_id: &self.event_id, shape: self.shape, mode: self.mode, received: self.received, unrecorded }
    }
}
