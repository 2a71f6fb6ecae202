//! What recurs: a subscription's monthly amount (MRR) at any moment, told by what its events show.
//!
//! MRR is what the items cost, brought to a month (a year is twelve months, a week 12/52 of one, a day 12/365) and less
//! what discounts take off for longer than one bill; exact, and rounded once per subscription, half to even. Subscriptions
//! that are active or past due have it; those on trial, unpaid, paused, incomplete or canceled have none, and neither
//! have items that are billed by use.
//!
//! A subscription's state counts from the event that shows it, an object's that was fetched from when it was asked for.
//! What is seen first reaches back to the subscription's start, its trial left out. An end counts from when it ended.

use std::collections::BTreeMap;

use super::Time;
use super::currency::Currency;
use super::decision::Decision;
use super::evidence::value_of;
use super::facts::{EventFacts, Fact, Metadata, SubscriptionFact};
use super::money::{Exact, Overflow};
use super::subscribed::{Lasting, StandingDiscount, Status, SubscriptionItem, SubscriptionState};
use super::terms::{Kind, MetadataField, PartnerKey, ProgramKey, Settings};

/// How a subscription stands from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// From when, until the next.
    pub from: Time,
    /// In Stripe's words; paused where only collecting is paused.
    pub status: Status,
    /// Minor units a month.
    pub mrr: i64,
    /// Of what.
    pub currency: Option<Currency>,
    /// What it consists of, by the merchant's keys or Stripe's ids, as payments name it.
    pub product: Option<String>,
    /// Its prices' ids, with how many of each.
    pub prices: Vec<(String, i64)>,
    /// What the event shows besides.
    pub state: SubscriptionState,
    /// The event that shows it.
    pub event_id: String,
    /// Whether it was fetched: nobody knows that it began just then.
    pub is_assumed: bool,
}

/// A subscription, as it stood over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// In order of time; never empty.
    pub standings: Vec<Standing>,
}

/// What one event shows of a subscription.
struct Seen<'a> {
    at: Time,
    rank: u8,
    event_id: &'a str,
    fetched: bool,
    fact: &'a SubscriptionFact,
    state: &'a SubscriptionState,
}

/// The subscriptions that some events show (in any order, with any repetition), in order of their ids.
pub fn subscriptions(events: &[EventFacts], settings: &Settings) -> Vec<Subscription> {
    let mut seen: BTreeMap<&str, Vec<Seen<'_>>> = BTreeMap::new();
    // What a price is called may be known from another event than the one that names it.
    let mut metadata: BTreeMap<&str, &Metadata> = BTreeMap::new();
    for event in events {
        for fact in &event.facts {
            let Fact::Subscription(fact) = fact else { continue };
            let Some(state) = fact.state.as_deref() else { continue };
            seen.entry(&fact.id).or_default().push(Seen::of(event, fact, state));
            for price in fact.prices.iter().filter(|price| !price.metadata.is_empty()) {
                let known = metadata.entry(&price.price).or_insert(&price.metadata);
                *known = (*known).max(&price.metadata);
            }
        }
    }
    let story = |(id, seen): (&str, Vec<Seen<'_>>)| Subscription {
        id: id.to_owned(),
        customer: seen.iter().filter_map(|seen| seen.fact.customer.clone()).min(),
        standings: standings(seen, &metadata, settings),
    };
    seen.into_iter().map(story).collect()
}

impl<'a> Seen<'a> {
    fn of(event: &'a EventFacts, fact: &'a SubscriptionFact, state: &'a SubscriptionState) -> Self {
        let seen_at = event.fetched_at.unwrap_or(event.stamp.created);
        let ended_at = state.ended_at.filter(|ended| state.status.is_final() && *ended < seen_at);
        let fetched = event.fetched_at.is_some();
        let rank = match (state.status.is_final(), fact.is_creation && !fetched) {
            (true, _) => 2,
            (false, true) => 0,
            (false, false) => 1,
        };
        Self { at: ended_at.unwrap_or(seen_at), rank, event_id: &event.stamp.event_id, fetched, fact, state }
    }

    /// When the subscription began.
    fn start(&self) -> Time {
        self.state.started_at.or(self.fact.created).map_or(self.at, |start| start.min(self.at))
    }
}

/// From what was seen to how it stood.
fn standings(mut seen: Vec<Seen<'_>>, metadata: &BTreeMap<&str, &Metadata>, settings: &Settings) -> Vec<Standing> {
    // Of what happened within one second, a creation is first and an end last.
    seen.sort_by(|a, b| (a.at, a.rank, a.event_id, a.state).cmp(&(b.at, b.rank, b.event_id, b.state)));
    let mut found: Vec<Standing> = Vec::new();
    let last = seen.iter().position(|seen| seen.state.status.is_final()).unwrap_or(seen.len());
    for (index, one) in seen.iter().enumerate().take(last.saturating_add(1)) {
        let until = seen.get(index + 1).map_or(Time::MAX_UTC, |next| next.at);
        // What is planned, or over, was not so from the beginning.
        let unplanned = || SubscriptionState {
            cancel_at: None,
            cancels_at_period_end: false,
            canceled_at: None,
            ended_at: None,
            cancel_reason: None,
            ..one.state.clone()
        };
        let standing = |from: Time, status: Status, is_assumed: bool| Standing {
            from,
            status: if one.state.collection_paused && !status.is_final() { Status::Paused } else { status },
            mrr: mrr(one.state, status, from),
            currency: one.state.currency,
            product: product(one, metadata, settings),
            prices: prices(one.state),
            state: one.state.clone(),
            event_id: one.event_id.to_owned(),
            is_assumed,
        };
        if index == 0 {
            let before = before(one).into_iter();
            found.extend(before.map(|(from, status)| Standing { state: unplanned(), ..standing(from, status, false) }));
        }
        found.push(standing(one.at, one.state.status, one.fetched && !one.state.status.is_final()));
        // A discount ends without a word.
        let mut ends: Vec<Time> = one.state.discounts.iter().filter_map(|discount| discount.ends_at).collect();
        ends.sort_unstable();
        ends.dedup();
        let ends = ends.into_iter().filter(|end| *end > one.at && *end < until && !one.state.status.is_final());
        found.extend(ends.map(|end| standing(end, one.state.status, false)));
    }
    found
}

/// What the first that was seen reaches back to.
fn before(first: &Seen<'_>) -> Vec<(Time, Status)> {
    let (start, status) = (first.start(), first.state.status);
    if start >= first.at {
        return Vec::new();
    }
    let trial_end = first.state.trial_end.filter(|end| *end > start);
    match (status, trial_end) {
        (Status::Incomplete | Status::IncompleteExpired, _) => vec![(start, Status::Incomplete)],
        (Status::Trialing, _) => vec![(start, Status::Trialing)],
        (_, Some(end)) if end >= first.at => vec![(start, Status::Trialing)],
        (_, Some(end)) => vec![(start, Status::Trialing), (end, Status::Active)],
        (_, None) => vec![(start, Status::Active)],
    }
}

/// What a state comes to in a month. What is too large to be real money recurs as nothing.
fn mrr(state: &SubscriptionState, status: Status, at: Time) -> i64 {
    if !matches!(status, Status::Active | Status::PastDue) || state.collection_paused {
        return 0;
    }
    monthly(state, at).unwrap_or(0)
}

/// What the items come to in a month at a moment, less what is taken off; rounded once.
///
/// # Errors
/// [`Overflow`].
pub fn monthly(state: &SubscriptionState, at: Time) -> Result<i64, Overflow> {
    let mut sum = Exact::zero();
    for item in state.items.iter().filter(|item| !item.metered) {
        let Some(unit) = item.unit_amount else { continue };
        let price = Exact::decimal(unit.normalize())?.times(Exact::from(item.quantity))?;
        sum = sum.plus(price.times(bills_a_month(item)?)?)?;
    }
    let stands =
        |discount: &&StandingDiscount| discount.lasting != Lasting::Once && discount.ends_at.is_none_or(|end| end > at);
    let bills = state.items.iter().find(|item| !item.metered).map_or(Ok(Exact::zero()), bills_a_month)?;
    for discount in state.discounts.iter().filter(stands) {
        if let Some(percent) = discount.percent_off {
            let left = Exact::from(100).minus(Exact::decimal(percent.normalize())?)?;
            sum = sum.times(left)?.times(Exact::ratio(1, 100)?)?;
        }
        if let Some(amount) = discount.amount_off {
            sum = sum.minus(Exact::from(amount).times(bills)?)?;
        }
    }
    if sum.is_positive() { sum.round_half_even() } else { Ok(0) }
}

/// How many bills there are in a month: 1/12 where it is billed by the year.
fn bills_a_month(item: &SubscriptionItem) -> Result<Exact, Overflow> {
    let count = item.interval_count.max(1);
    let twelfths = |bills_a_year: i64| Exact::ratio(bills_a_year, count.checked_mul(12).ok_or(Overflow)?);
    match item.interval.as_deref() {
        Some("year") => twelfths(1),
        Some("month") => twelfths(12),
        Some("week") => twelfths(52),
        Some("day") => twelfths(365),
        _ => Ok(Exact::zero()),
    }
}

/// What it consists of, each once.
fn product(seen: &Seen<'_>, metadata: &BTreeMap<&str, &Metadata>, settings: &Settings) -> Option<String> {
    let key = |metadata| value_of(metadata, MetadataField::ProductKey, settings);
    let own = key(&seen.fact.metadata);
    let mut products: Vec<String> = Vec::new();
    for item in &seen.state.items {
        let named = || item.price.as_deref().and_then(|price| metadata.get(price)).and_then(|metadata| key(metadata));
        let product = own.clone().or_else(named).or_else(|| item.product.clone());
        products.extend(product.filter(|product| !products.contains(product)));
    }
    (!products.is_empty()).then(|| products.join(", "))
}

fn prices(state: &SubscriptionState) -> Vec<(String, i64)> {
    let mut prices: Vec<(String, i64)> =
        state.items.iter().filter_map(|item| Some((item.price.clone()?, item.quantity))).collect();
    prices.sort();
    prices
}

/// How a subscription stood for a while, and whose customer it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// `sub_…`
    pub subscription: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// From when.
    pub from: Time,
    /// Until when; the end of time where it stands so now.
    pub until: Time,
    /// In Stripe's words.
    pub status: Status,
    /// Minor units a month.
    pub mrr: i64,
    /// Of what.
    pub currency: Option<Currency>,
    /// As payments name it.
    pub product: Option<String>,
    /// Who brought the customer.
    pub owner: Option<Owner>,
}

/// Who brought a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Who.
    pub partner: PartnerKey,
    /// Under which program.
    pub program: Option<ProgramKey>,
    /// By which link, `lnk_…`.
    pub link: Option<String>,
}

/// How a customer's subscriptions stood, cut where anything about it changes. Whose they were is told by the customer's
/// payments of subscriptions: each counts from when it was paid, the first from the beginning.
pub fn spans(events: &[EventFacts], payments: &[Decision], settings: &Settings) -> Vec<Span> {
    let subscriptions = subscriptions(events, settings);
    if subscriptions.is_empty() {
        return Vec::new();
    }
    let owners = owners(payments);
    let mut spans: Vec<Span> = Vec::new();
    for subscription in &subscriptions {
        let first = spans.len();
        for (index, standing) in subscription.standings.iter().enumerate() {
            let until = subscription.standings.get(index + 1).map_or(Time::MAX_UTC, |next| next.from);
            let changes = owners.iter().map(|(at, _)| *at).filter(|at| *at > standing.from && *at < until);
            for from in std::iter::once(standing.from).chain(changes) {
                let owner = owners.iter().rev().find(|(at, _)| *at <= from).or_else(|| owners.first());
                let span = Span {
                    subscription: subscription.id.clone(),
                    customer: subscription.customer.clone(),
                    from,
                    until: Time::MAX_UTC,
                    status: standing.status,
                    mrr: standing.mrr,
                    currency: standing.currency,
                    product: standing.product.clone(),
                    owner: owner.map(|(_, owner)| owner.clone()),
                };
                add(&mut spans, first, span);
            }
        }
    }
    spans
}

/// Adds a span behind those of its subscription, which begin at `first`; one that changes nothing is left out, and one
/// that takes no time is replaced.
fn add(spans: &mut Vec<Span>, first: usize, span: Span) {
    if spans.len() > first && spans.last().is_some_and(|last| last.from == span.from) {
        spans.pop();
        if let Some(last) = spans.last_mut().filter(|last| last.subscription == span.subscription) {
            last.until = Time::MAX_UTC;
        }
    }
    if spans.len() > first
        && let Some(last) = spans.last_mut()
    {
        if *last == (Span { from: last.from, ..span.clone() }) {
            return;
        }
        last.until = span.from;
    }
    spans.push(span);
}

/// Who brought the customer, from when on: each change, in order.
fn owners(payments: &[Decision]) -> Vec<(Time, Owner)> {
    let mut owners: Vec<(Time, Owner)> = Vec::new();
    // A version is named where somebody has won the payment.
    for payment in payments.iter().filter(|payment| payment.version.is_some() && payment.kind != Kind::OneOff) {
        let Some(partner) = payment.partner.clone() else { continue };
        let link = payment.via.as_ref().and_then(|via| via.link.clone());
        let owner = Owner { partner, program: payment.program.clone(), link };
        if owners.last().is_none_or(|(_, last)| *last != owner) {
            owners.push((payment.paid_at, owner));
        }
    }
    owners
}

#[cfg(test)]
#[path = "mrr_tests.rs"]
mod tests;
