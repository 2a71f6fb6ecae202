//! Whether a merchant's events came as webhooks, were polled, or its objects were fetched afterwards, in part or all, makes
//! no difference to what is owed.

use chrono::TimeDelta;
use commission_bridge::domain::Time;
use commission_bridge::domain::facts::EventFacts;
use commission_bridge::sample::event::{Event, Kind, Object};
use commission_bridge::sample::random::Random;
use commission_bridge::sample::stream::shuffle;
use commission_bridge::sample::{Business, Options, Shape};
use commission_bridge::stripe::event::{Reading, read};
use commission_bridge::stripe::fetched::{self, state, wrap};
use proptest::prelude::*;
use serde_json::json;
use serde_json::value::to_raw_value;

use super::support::books::differences;
use super::support::world::{World, facts_of};
use super::{Merchant as Habits, assert_agrees, cases, merchants};
use crate::fake_stripe::Merchant;

/// What a backfill fetches.
const FETCHED: [fetched::Kind; 10] = [
    fetched::Kind::Customer,
    fetched::Kind::Subscription,
    fetched::Kind::Invoice,
    fetched::Kind::Charge,
    fetched::Kind::CheckoutSession,
    fetched::Kind::Refund,
    fetched::Kind::Dispute,
    fetched::Kind::CreditNote,
    fetched::Kind::PromotionCode,
    fetched::Kind::Price,
];

/// Everything that the API has after these events, as it is fetched at `at`.
fn backfilled(events: &[Event], at: Time) -> Vec<EventFacts> {
    let merchant = Merchant::of(events);
    let mut facts = Vec::new();
    for kind in FETCHED {
        for object in merchant.listed(kind.path(), kind.expanded()) {
            let raw = to_raw_value(&object).unwrap();
            let fetched = wrap(kind, &raw, at, true).unwrap_or_else(|error| panic!("{error}: {object}"));
            facts.push(fetched.facts);
        }
    }
    facts
}

/// What the merchant answers when asked since when the metadata holds that was edited: Stripe's API does not say it.
fn stated(events: &[Event]) -> Vec<EventFacts> {
    let said = |kind, object: serde_json::Value, at| {
        let body = state(kind, &to_raw_value(&object).unwrap(), at, true).unwrap();
        let Ok(Reading::Facts(facts)) = read(&body) else { panic!("not read") };
        facts
    };
    let edited = events.iter().filter_map(|event| match (&event.kind, &event.object) {
        (Kind::CustomerUpdated, Object::Customer(it)) => {
            Some(said(fetched::Kind::Customer, json!({"id": it.id, "metadata": it.metadata}), event.at))
        }
        (Kind::SubscriptionUpdated, Object::Subscription(it)) => {
            let object = json!({"id": it.id, "customer": it.customer, "metadata": it.metadata});
            Some(said(fetched::Kind::Subscription, object, event.at))
        }
        _ => None,
    });
    edited.collect()
}

/// The business without the deletion of customers: whom Stripe has deleted it does not show, nor what they were marked with.
fn without_deletions(business: &mut Business) {
    business.events.retain(|event| event.kind != Kind::CustomerDeleted);
}

fn told(events: &[Event]) -> Vec<EventFacts> {
    events.iter().flat_map(|event| facts_of(event, Shape::New)).collect()
}

fn new_shape(habits: &Habits) -> World {
    let mut world = World::new(&habits.options);
    without_deletions(&mut world.business);
    world
}

proptest! {
    #![proptest_config(cases(10))]

    #[test]
    fn fetching_everything_is_as_good_as_having_listened(habits in merchants(24)) {
        let world = new_shape(&habits);
        let (events, end) = (&world.business.events, world.business.settled_at);
        let mut facts = backfilled(events, end);
        facts.extend(stated(events));
        assert_agrees(&world, &facts, end, "fetched");
        facts.extend(told(events));
        assert_agrees(&world, &facts, end, "fetched and told");
    }

    #[test]
    fn history_may_be_fetched_and_what_follows_be_told(habits in merchants(24), seed in any::<u64>()) {
        let world = new_shape(&habits);
        let (events, end) = (&world.business.events, world.business.settled_at);
        let mut random = Random::new(seed);
        let begun = random.index(events.len());
        let at = events[begun].at + TimeDelta::minutes(1);
        let mut facts = backfilled(&events[..begun], at);
        facts.extend(stated(&events[..begun]));
        facts.extend(told(&events[begun..]));
        assert_agrees(&world, &facts, end, "history fetched, the rest told");
    }

    #[test]
    fn any_mixture_of_the_sources_says_the_same(habits in merchants(24), seed in any::<u64>()) {
        let world = new_shape(&habits);
        let (events, end) = (&world.business.events, world.business.settled_at);
        let mut random = Random::new(seed);
        // Some events reach nobody, and everything is fetched at the end; some of it was fetched before.
        let lost = random.below(100);
        let mut facts: Vec<EventFacts> = told(events).into_iter().filter(|_| !random.chance(lost)).collect();
        facts.extend(backfilled(events, end));
        facts.extend(stated(events));
        let early = random.index(events.len());
        facts.extend(backfilled(&events[..early], events[early].at).into_iter().filter(|_| random.chance(50)));
        shuffle(&mut facts, seed);
        assert_agrees(&world, &facts, end, "some told, all fetched");
        // All events come, one way or the other, and something is fetched in between.
        let mut facts = told(events);
        facts.extend(backfilled(&events[..early], events[early].at).into_iter().filter(|_| random.chance(50)));
        shuffle(&mut facts, seed);
        assert_agrees(&world, &facts, end, "all told, some fetched");
    }
}

/// The first business of which something is told that the API does not show any more.
fn first_with(is_it: impl Fn(&Event) -> bool) -> World {
    let with = |seed| {
        let world = World::new(&Options { customers: 24, months: 8, ..Options::new(seed) });
        world.business.events.iter().any(&is_it).then_some(world)
    };
    (1..).find_map(with).unwrap()
}

/// Of a deleted customer Stripe shows nothing but its id: what it was marked with is no evidence any more, unless an event
/// told of it.
#[test]
fn what_a_deleted_customer_was_marked_with_only_events_tell() {
    let deleted = |event: &Event| match (&event.kind, &event.object) {
        (Kind::CustomerDeleted, Object::Customer(it)) => !it.metadata.is_empty(),
        _ => false,
    };
    let world = first_with(deleted);
    let (events, end) = (&world.business.events, world.business.settled_at);
    let mut facts = backfilled(events, end);
    facts.extend(stated(events));
    assert!(!differences(&world.decide(&facts, end), &world.business.books, end).is_empty());
    facts.extend(told(events));
    assert_agrees(&world, &facts, end, "fetched after its customer was deleted, and told before");
}

/// An object does not say when its metadata was entered. Where nothing else shows that it was later than the object, it
/// counts from the start, until somebody says since when it holds.
#[test]
fn since_when_metadata_holds_an_object_does_not_say() {
    let world = first_with(|event| event.kind == Kind::CustomerUpdated);
    let (events, end) = (&world.business.events, world.business.settled_at);
    let mut facts = backfilled(events, end);
    assert!(!differences(&world.decide(&facts, end), &world.business.books, end).is_empty());
    facts.extend(stated(events));
    assert_agrees(&world, &facts, end, "fetched, and somebody said since when");
}
