//! Facts become entries: for each customer that is due, decide everything anew and append what differs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use chrono::TimeDelta;

use super::asking::{AsOf, decide_cases};
use super::plan::{Known, Settling, Writes, plan};
use super::{Ledger, panic_text, think};
use crate::domain::Time;
use crate::domain::decision::{Decisions, Lookups, decide};
use crate::domain::evidence::clues;
use crate::domain::facts::{EventFacts, Fact};
use crate::domain::history::fold;
use crate::domain::lead::{LeadBy, LeadTo};
use crate::domain::missing::Missing;
use crate::domain::mrr::spans;
use crate::domain::terms::Terms;
use crate::store::customers::{Customer, Settled};
use crate::store::facts::StoredFacts;
use crate::store::subscription_states::States;
use crate::store::workspaces::TIERS;
use crate::store::{
    Engine, StoreError, Tx, Urgency, WorkspaceId, asked, customers, entries, facts, leads, lookups, payments, prices,
    subscription_states, tiers, workspaces,
};

/// How many customers share a transaction at most. On `SQLite` everybody else waits meanwhile.
pub fn batch(engine: Engine) -> usize {
    match engine {
        Engine::Sqlite => 64,
        Engine::Postgres => 128,
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Customers that were due.
    pub due: usize,
    /// Those that were settled.
    pub settled: usize,
    /// Those that could not be, and are set aside with their error.
    pub parked: usize,
}

/// A customer with all that was ever said about it.
pub(super) struct Case {
    pub customer: Customer,
    pub events: Result<Vec<EventFacts>, String>,
}

/// A customer and its answer.
pub(super) struct Decided {
    pub customer: Customer,
    pub answer: Result<Decisions, String>,
    /// How its subscriptions stood, where that was asked for.
    pub states: States,
    /// Whether it depends on what partners brought.
    pub asked: bool,
}

/// How soon customers with very long histories are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Whenever they are due: somebody waits for it.
    AtOnce,
    /// They rest in between, for work goes on all the time.
    Lasting,
}

/// When the writer is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// For the writing alone.
    ToWrite,
    /// From the beginning, so that nobody can come in between.
    Throughout,
}

impl Ledger {
    /// Settles the customers of a workspace that have been due longest.
    ///
    /// A customer that cannot be settled is tried alone, then set aside with its error; it stops nobody else.
    pub async fn settle(&self, workspace: WorkspaceId) -> Result<Done, StoreError> {
        self.settle_due_by(workspace, (self.clock.now(), Pace::AtOnce), batch(self.db.engine())).await
    }

    /// Settles so many of those that were due by some moment: while events pour in, it saves work to let a customer's
    /// collect.
    pub async fn settle_due_by(
        &self,
        workspace: WorkspaceId,
        due: (Time, Pace),
        limit: usize,
    ) -> Result<Done, StoreError> {
        match self.settle_some(workspace, due, limit, Hold::ToWrite).await {
            Ok(done) if done.settled + done.parked == 0 && done.due > 0 => {
                self.settle_some(workspace, due, limit, Hold::Throughout).await
            }
            Err(error) if error.is_refusal() => {
                tracing::warn!(%error, "a batch of customers was refused; settling them one by one");
                self.settle_one_by_one(workspace, due.0, limit).await
            }
            other => other,
        }
    }

    async fn settle_one_by_one(&self, workspace: WorkspaceId, by: Time, limit: usize) -> Result<Done, StoreError> {
        let mut sum = Done::default();
        for _ in 0..limit {
            let done = match self.settle_some(workspace, (by, Pace::AtOnce), 1, Hold::Throughout).await {
                Err(error) if error.is_refusal() => self.park_first(workspace, by, &error).await?,
                other => other?,
            };
            if done.due == 0 {
                break;
            }
            sum.due += done.due;
            sum.settled += done.settled;
            sum.parked += done.parked;
        }
        Ok(sum)
    }

    async fn park_first(&self, workspace: WorkspaceId, by: Time, error: &StoreError) -> Result<Done, StoreError> {
        let mut tx = self.db.write(Urgency::Background).await?;
        let due = customers::due(&mut tx, workspace, by, 1).await?;
        let error = error.to_string().replace('\0', "\u{fffd}");
        let parked: Vec<_> =
            due.iter().map(|due| (due.customer_id.as_str(), due.dirty_version, error.clone())).collect();
        customers::park(&mut tx, workspace, &parked).await?;
        tx.commit().await?;
        Ok(Done { due: due.len(), settled: 0, parked: due.len() })
    }

    /// Settles one customer now, if it is due: whoever changed something about it waits for what comes of it. Where that
    /// does not work out, the customer stays due like any other.
    pub async fn settle_at_once(&self, workspace: WorkspaceId, customer_id: &str) -> Result<(), StoreError> {
        let mut tx = self.db.write(Urgency::Now).await?;
        let due = customers::due_one(&mut tx, workspace, customer_id, self.clock.now()).await?;
        self.settle_these(workspace, tx, due).await.map(drop)
    }

    async fn settle_some(
        &self,
        workspace: WorkspaceId,
        (by, pace): (Time, Pace),
        limit: usize,
        hold: Hold,
    ) -> Result<Done, StoreError> {
        let mut tx = match hold {
            Hold::ToWrite => self.db.read_to_write().await?,
            Hold::Throughout => self.db.write(Urgency::Background).await?,
        };
        // Those who rest stay due and stand first: there may be others behind them.
        let look_at = if pace == Pace::Lasting { limit.max(batch(self.db.engine())) } else { limit };
        let mut due = customers::due(&mut tx, workspace, by, i64::try_from(look_at).unwrap_or(i64::MAX)).await?;
        if pace == Pace::Lasting {
            due = customers::awake(&tx, workspace, due, self.clock.now());
            due.truncate(limit);
        }
        self.settle_these(workspace, tx, due).await
    }

    async fn settle_these(&self, workspace: WorkspaceId, mut tx: Tx, due: Vec<Customer>) -> Result<Done, StoreError> {
        let now = self.clock.now();
        let mut done = Done { due: due.len(), ..Done::default() };
        if due.is_empty() {
            return Ok(done);
        }
        let terms = self.db.terms(&mut tx, workspace).await?;
        let cases = load_cases(&mut tx, workspace, due).await?;
        for case in &cases {
            let events = case.events.as_ref().map_or(0, Vec::len);
            customers::note_length(&tx, workspace, &case.customer.customer_id, events, now);
        }
        // Read before what it counts the changes of.
        let tiers_version =
            if terms.tiered.is_empty() { None } else { Some(tiers::version(&mut tx, workspace).await?) };
        let decided = decide_cases(&mut tx, workspace, cases, &terms, AsOf::Moment(now)).await?;
        let known = load_known(&mut tx, workspace, &decided, &terms).await?;
        let planned = self.plan_all(decided, known, terms, now).await?;
        let had_to_upgrade = !tx.writes;
        let mut tx = self.db.upgrade(tx).await?;
        let planned = if had_to_upgrade { still_due(&mut tx, workspace, planned).await? } else { planned };
        let (planned, tiers_version) = same_tiers(&mut tx, workspace, planned, tiers_version).await?;
        write(&mut tx, workspace, &planned, tiers_version, now).await?;
        tx.commit().await?;
        done.parked = planned.iter().filter(|planned| planned.outcome.is_err()).count();
        done.settled = planned.len() - done.parked;
        Ok(done)
    }

    async fn plan_all(
        &self,
        decided: Vec<Decided>,
        mut known: HashMap<String, Known>,
        terms: Arc<Terms>,
        now: Time,
    ) -> Result<Vec<Planned>, StoreError> {
        let ids = self.ids.clone();
        let plan_one = move |Decided { customer, answer, states, asked }: Decided| {
            let known = known.remove(&customer.customer_id).unwrap_or_default();
            let missing = answer.as_ref().map(|decisions| decisions.missing.clone()).unwrap_or_default();
            // An amount beyond 64 bits ends this customer's turn, not the batch's.
            let outcome = answer.and_then(|decisions| {
                let customer_id = customer.customer_id.as_str();
                let settling = Settling { customer_id, mode: customer.mode(), now, ids: &ids, terms: &terms };
                catch_unwind(AssertUnwindSafe(|| plan(&settling, &decisions, &known)))
                    .map(|writes| (writes, decisions.settle_due_at))
                    .map_err(|panic| panic_text(panic.as_ref()))
            });
            Planned { customer, outcome, states, asked, missing }
        };
        think(move || decided.into_iter().map(plan_one).collect()).await
    }
}

/// A customer and what to write for it, and when it is due again.
struct Planned {
    customer: Customer,
    outcome: Result<(Writes, Option<Time>), String>,
    states: States,
    asked: bool,
    /// What Stripe would have to say.
    missing: BTreeSet<Missing>,
}

impl Planned {
    /// What is new about its subscriptions.
    fn new_states(&self) -> Option<&States> {
        (self.outcome.is_ok() && self.states.digest != self.customer.states_digest).then_some(&self.states)
    }
}

async fn write(
    tx: &mut Tx,
    workspace: WorkspaceId,
    planned: &[Planned],
    tiers_version: Option<i64>,
    now: Time,
) -> Result<(), StoreError> {
    let (mut settled, mut parked) = (Vec::new(), Vec::new());
    for Planned { customer, outcome, states, .. } in planned {
        let (customer_id, version) = (customer.customer_id.as_str(), customer.dirty_version);
        match outcome {
            Ok((_, due_at)) => {
                settled.push(Settled { customer_id, version, due_at: *due_at, states_digest: states.digest });
            }
            Err(error) => {
                tracing::error!(customer = customer_id, %error, "a customer could not be settled; it is set aside");
                parked.push((customer_id, version, error.clone()));
            }
        }
    }
    let writes = || planned.iter().filter_map(|planned| planned.outcome.as_ref().ok()).map(|(writes, _)| writes);
    payments::upsert(tx, workspace, writes().flat_map(|writes| &writes.payments)).await?;
    let ties = writes().flat_map(|writes| &writes.ties);
    let ties = ties.map(|(mode, text, payment)| (*mode, text.as_str(), payment.as_str()));
    payments::tie_refs(tx, workspace, ties).await?;
    subscription_states::replace(tx, workspace, planned.iter().filter_map(Planned::new_states)).await?;
    entries::append(tx, workspace, writes().flat_map(|writes| &writes.entries)).await?;
    if let Some(version) = tiers_version
        && writes().any(|writes| !writes.contributed.is_empty())
    {
        workspaces::used(tx, workspace, TIERS, version).await?;
        tiers::append(tx, workspace, version + 1, writes().flat_map(|writes| &writes.contributed)).await?;
    }
    let missing = planned.iter().flat_map(|planned| {
        let customer = &planned.customer;
        planned.missing.iter().map(|missing| (customer.mode(), missing.clone(), customer.customer_id.as_str()))
    });
    asked::ask(tx, workspace, &missing.collect::<Vec<_>>(), now, |missing| now + patience(missing)).await?;
    customers::settled(tx, workspace, &settled, now).await?;
    customers::park(tx, workspace, &parked).await
}

/// How long an event may be on its way that answers by itself.
fn patience(missing: &Missing) -> TimeDelta {
    match missing {
        Missing::Link(_) | Missing::Discounts(_) | Missing::PromotionCode(_) => TimeDelta::minutes(10),
        // The charge's fee is booked a moment after it is paid.
        Missing::Fees(_) => TimeDelta::minutes(1),
        Missing::Lines(_) | Missing::Price(_) => TimeDelta::zero(),
    }
}

/// Loads all facts of some customers.
pub(super) async fn load_cases(
    tx: &mut Tx,
    workspace: WorkspaceId,
    customers: Vec<Customer>,
) -> Result<Vec<Case>, StoreError> {
    let ids = customers.iter().map(|customer| customer.customer_id.as_str());
    let stored = facts::of_customers(tx, workspace, ids).await?;
    think(move || {
        let mut by_customer: HashMap<String, Vec<StoredFacts>> = HashMap::new();
        for facts in stored {
            by_customer.entry(facts.customer_id.clone()).or_default().push(facts);
        }
        customers
            .into_iter()
            .map(|customer| {
                let stored = by_customer.remove(&customer.customer_id).unwrap_or_default();
                let events = stored.iter().map(StoredFacts::read).collect::<Result<Vec<_>, _>>();
                Case { customer, events: events.map_err(|error| error.to_string()) }
            })
            .collect()
    })
    .await
}

/// Loads what deciding some customers looks up.
pub(super) async fn load_lookups(
    tx: &mut Tx,
    workspace: WorkspaceId,
    cases: &[Case],
    terms: &Terms,
) -> Result<Lookups, StoreError> {
    let (mut click_ids, mut code_ids, mut lead_values) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for event in cases.iter().flat_map(|case| case.events.iter().flatten()) {
        for clue in clues(event, terms) {
            if let Some(id) = clue.strip_prefix("click:") {
                click_ids.insert(id.to_owned());
            } else if let Some((by, value)) = LeadBy::of_clue(&clue) {
                lead_values.insert((by, value.to_owned()));
            }
        }
        code_ids.extend(event.facts.iter().flat_map(promotion_codes_of).map(String::as_str));
    }
    let leads = leads::of(tx, workspace, &lead_values).await?;
    click_ids.extend(leads.values().flatten().filter_map(|lead| match &lead.to {
        LeadTo::Click(id) => Some(id.clone()),
        LeadTo::Partner { .. } => None,
    }));
    let clicks = lookups::clicks(tx, workspace, click_ids.iter().map(String::as_str)).await?;
    let promotion_codes = lookups::promotion_texts(tx, workspace, code_ids).await?;
    let prices = if terms.tells_products { prices::of(tx, workspace, prices_of(cases)).await? } else { HashMap::new() };
    Ok(Lookups { clicks, leads, promotion_codes, prices, ..Lookups::default() })
}

/// Ids of the prices for which anything was sold.
fn prices_of(cases: &[Case]) -> BTreeSet<&str> {
    let facts = cases.iter().flat_map(|case| case.events.iter().flatten()).flat_map(|event| &event.facts);
    let lines = facts.flat_map(|fact| if let Fact::Invoice(invoice) = fact { invoice.lines.as_slice() } else { &[] });
    lines.filter_map(|line| line.price.as_deref()).collect()
}

fn promotion_codes_of(fact: &Fact) -> &[String] {
    match fact {
        Fact::Invoice(invoice) => &invoice.promotion_codes,
        Fact::Checkout(session) => &session.promotion_codes,
        Fact::Customer(customer) => &customer.promotion_codes,
        Fact::Subscription(subscription) => &subscription.promotion_codes,
        _ => &[],
    }
}

/// How a customer's subscriptions stood, of what its facts and decisions say. It is for reports: a fault of the bridge
/// itself must not keep anybody from what they earned.
pub(super) fn states_of(customer: &Customer, events: &[EventFacts], decisions: &Decisions, terms: &Terms) -> States {
    let shows = |fact: &Fact| matches!(fact, Fact::Subscription(subscription) if subscription.state.is_some());
    if !events.iter().any(|event| event.facts.iter().any(shows)) {
        return States::default();
    }
    let told = catch_unwind(AssertUnwindSafe(|| {
        let spans = spans(events, &decisions.payments, &terms.current_settings());
        States::new(&customer.customer_id, customer.mode(), &spans)
    }));
    told.unwrap_or_default()
}

/// Decides one customer; a fault of the bridge is an error like any other.
pub(super) fn decide_one(
    events: &[EventFacts],
    terms: &Terms,
    lookups: &Lookups,
    now: Time,
) -> Result<Decisions, String> {
    catch_unwind(AssertUnwindSafe(|| decide(&fold(events), terms, lookups, now)))
        .map_err(|panic| panic_text(panic.as_ref()))?
        .map_err(|error| error.to_string())
}

/// Loads the payments and entries that the decisions are about, by customer.
pub(super) async fn load_known(
    tx: &mut Tx,
    workspace: WorkspaceId,
    decided: &[Decided],
    terms: &Terms,
) -> Result<HashMap<String, Known>, StoreError> {
    let answered = || decided.iter().filter_map(|decided| Some((&decided.customer, decided.answer.as_ref().ok()?)));
    let mut owner: HashMap<(crate::store::Mode, &str), &str> = HashMap::new();
    for (customer, decisions) in answered() {
        let references = decisions.payments.iter().flat_map(|decision| &decision.references);
        owner.extend(references.map(|text| ((customer.mode(), text.as_str()), customer.customer_id.as_str())));
    }
    let mut known: HashMap<String, Known> = HashMap::new();
    let ids = answered().map(|(customer, _)| customer.customer_id.as_str());
    for payment in payments::of_customers(tx, workspace, ids).await? {
        let of_customer = known.entry(payment.customer_id.clone()).or_default();
        of_customer.payments.insert(payment.payment_id.clone(), payment);
    }
    for ((mode, text), payment) in payments::by_refs(tx, workspace, owner.keys().copied()).await? {
        if let Some(customer) = owner.get(&(mode, text.as_str())) {
            known.entry((*customer).to_owned()).or_default().refs.insert(text, payment);
        }
    }
    let mut holder: HashMap<String, String> = HashMap::new();
    for (customer, known) in &known {
        let ids = known.payments.keys().chain(known.refs.values());
        holder.extend(ids.map(|id| (id.clone(), customer.clone())));
    }
    for booked in entries::of_payments(tx, workspace, holder.keys().map(String::as_str)).await? {
        let Some(payment) = booked.entry.payment_id.clone() else { continue };
        if let Some(known) = holder.get(&payment).and_then(|customer| known.get_mut(customer)) {
            known.booked.entry(payment).or_default().push(booked.entry);
        }
    }
    if terms.tiered.is_empty() {
        return Ok(known);
    }
    for contributed in tiers::of_payments(tx, workspace, holder.keys().map(String::as_str)).await? {
        let payment = contributed.payment_id.clone();
        if let Some(known) = holder.get(&payment).and_then(|customer| known.get_mut(customer)) {
            known.contributed.entry(payment).or_default().push(contributed);
        }
    }
    Ok(known)
}

/// Takes the lock of tiers where they are concerned, and leaves out the customers that were decided by what partners had
/// brought before somebody changed that: they stay due.
async fn same_tiers(
    tx: &mut Tx,
    workspace: WorkspaceId,
    mut planned: Vec<Planned>,
    read: Option<i64>,
) -> Result<(Vec<Planned>, Option<i64>), StoreError> {
    let contributes =
        |planned: &Planned| planned.outcome.as_ref().is_ok_and(|(writes, _)| !writes.contributed.is_empty());
    let Some(read) = read.filter(|_| planned.iter().any(|planned| planned.asked || contributes(planned))) else {
        return Ok((planned, None));
    };
    let version = workspaces::lock(tx, workspace, TIERS).await?;
    if version != read {
        planned.retain(|planned| !planned.asked);
    }
    Ok((planned, Some(version)))
}

/// Leaves out the customers that somebody touched, joined or settled while they were being decided; they stay due.
async fn still_due(tx: &mut Tx, workspace: WorkspaceId, planned: Vec<Planned>) -> Result<Vec<Planned>, StoreError> {
    let same = customers::unchanged(tx, workspace, planned.iter().map(|planned| &planned.customer)).await?;
    let same: HashSet<String> = same.into_iter().collect();
    Ok(planned.into_iter().filter(|planned| same.contains(&planned.customer.customer_id)).collect())
}
