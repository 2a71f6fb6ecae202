//! A merchant's year comes in by webhooks that get lost, are repeated and late, by polling, by fetching what is there, or by
//! all of it: the ledger is the same, and the merchant's own books agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use commission_bridge::admin::backfills::{self as desk, Asked};
use commission_bridge::domain::Time;
use commission_bridge::domain::calendar::Month;
use commission_bridge::domain::reconcile::{Kind as Compared, Why};
use commission_bridge::intake::Incoming;
use commission_bridge::intake::asking::Asking;
use commission_bridge::intake::backfill::Backfiller;
use commission_bridge::intake::fetch::{Destination, fetch};
use commission_bridge::intake::patience::Patience;
use commission_bridge::intake::poll::Poller;
use commission_bridge::lookups::LookUps;
use commission_bridge::reconcile::Reconciler;
use commission_bridge::sample::event::{Event, Kind, Object};
use commission_bridge::sample::random::Random;
use commission_bridge::sample::{Business, Options, Shape, business, render_all};
use commission_bridge::store::Mode;
use commission_bridge::store::events::Source;
use commission_bridge::stripe::fetched::{self, state};
use commission_bridge::stripe_api::{Api, Keys, Options as Calls};
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::fake_stripe::{FakeStripe, Faults, Kind as Listed, LIVE_KEY, Merchant};
use crate::harness::World;
use crate::property::{agrees, by_reference, proven, seeds};
use crate::withheld::{Withheld, withheld};

crate::on_both_engines!(
    lost_repeated_and_late_webhooks_are_made_up_for,
    every_way_in_leads_to_the_same_ledger,
    trouble_on_the_way_changes_nothing,
    sales_go_on_while_history_is_read,
    what_never_came_is_named_and_fetched,
    no_answer_that_is_wrong_makes_a_payment,
);

/// So often time goes on, and Stripe is polled: within its thirty days.
const STEP: TimeDelta = TimeDelta::days(12);

/// How a business comes in.
#[derive(Debug, Clone, Copy, Default)]
struct Way {
    /// Of a hundred events so many are delivered, and of those again so many twice.
    delivered: u64,
    repeated: u64,
    /// Of a hundred so many come two days late.
    late: u64,
    is_polled: bool,
    /// History is fetched after so many hundredths of the time.
    fetched_at: Option<i64>,
    is_fetched_at_last: bool,
    /// Of a thousand answers so many are faults.
    faults: u64,
    /// So many events happen between two requests of the last backfill.
    meanwhile: usize,
    /// Before each poll the key may not, or Stripe answers what it never did.
    is_odd: bool,
}

const PERFECT: Way = Way {
    delivered: 100,
    repeated: 0,
    late: 0,
    is_polled: false,
    fetched_at: None,
    is_fetched_at_last: false,
    faults: 0,
    meanwhile: 0,
    is_odd: false,
};

/// What became of each payment: by its references, why, whose, and what is owed to whom for what.
type Ledger = BTreeMap<BTreeSet<String>, (String, Option<String>, BTreeMap<(String, String, String), i64>)>;

/// A merchant, Stripe, and the ways to it.
struct Twin {
    business: Business,
    random: Random,
    fake: FakeStripe,
    poller: Poller,
    backfiller: Backfiller,
    asking: Asking,
    api: Arc<Api>,
    lookups: LookUps,
    withheld: Withheld,
}

fn small(seed: u64) -> Business {
    let months = 4 + u32::try_from(Random::new(seed).below(5)).unwrap();
    let mut business = business(&Options { customers: 14, months, codes_on_sessions: true, ..Options::varied(seed) });
    // Of a customer that was deleted Stripe does not show what it was marked with.
    business.events.retain(|event| event.kind != Kind::CustomerDeleted);
    business
}

impl Twin {
    fn of(world: &World, business: Business, seed: u64) -> Self {
        let fake = FakeStripe::with(world.clock.clone(), Merchant::default());
        let calls = Calls { base: Some(fake.base()), per_second: 0, ..Calls::default() };
        let api = Keys::parse(LIVE_KEY, &calls).unwrap().of("default", None, true).unwrap();
        let (db, inbox) = (world.db.clone(), world.inbox.clone());
        let (clock, ids) = (world.clock.clone(), world.ledger.ids.clone());
        Self {
            business,
            random: Random::new(seed),
            fake,
            poller: Poller { db: db.clone(), inbox: inbox.clone(), clock: clock.clone(), ids: ids.clone() },
            backfiller: Backfiller { db, inbox: inbox.clone(), clock: clock.clone(), ids },
            asking: Asking::new(api, Patience::by_hand(clock)),
            api: Arc::new(Api::new(LIVE_KEY, &calls).unwrap()),
            lookups: LookUps::new(world.ledger.clone(), inbox),
            withheld: Withheld::default(),
        }
    }

    /// What is delivered, and when.
    fn deliveries(&mut self, way: Way) -> Vec<(Time, Vec<u8>)> {
        let mut deliveries = Vec::new();
        for event in &self.business.events {
            for body in render_all(event, Shape::New) {
                if self.withheld.is_told_by(&body) || !self.random.chance(way.delivered) {
                    continue;
                }
                for _ in 0..=usize::from(self.random.chance(way.repeated)) {
                    let late = if self.random.chance(way.late) { TimeDelta::days(2) } else { TimeDelta::zero() };
                    deliveries.push((event.at + late, serde_json::to_vec(&body).unwrap()));
                }
            }
        }
        deliveries.sort_by_key(|(at, _)| *at);
        deliveries
    }

    /// Lets the business run, and everything come in this way.
    async fn run(&mut self, world: &World, way: Way) -> Ledger {
        world.apply(&self.business.program_toml).await;
        if way.faults > 0 {
            self.fake.plan_for("GET", Faults::seeded(self.random.bits(), way.faults));
        }
        let deliveries = self.deliveries(way);
        let (begin, end) = (self.business.events[0].at, self.business.settled_at);
        let fetched_at =
            way.fetched_at.map(|hundredths| begin + (end - begin) / 100 * i32::try_from(hundredths).unwrap());
        let (mut arrived, mut happened, mut is_fetched) = (0, 0, false);
        // What happens while history is read at last.
        let held_back = if way.meanwhile > 0 { self.business.events.len() / 5 } else { 0 };
        let until = self.business.events.len() - held_back;
        let mut now = begin;
        while now < end {
            now = (now + STEP).min(end);
            world.clock.advance((now - world.now()).max(TimeDelta::zero()));
            let due = self.business.events[happened..until].iter().take_while(|event| event.at <= now).count();
            for event in &self.business.events[happened..happened + due] {
                self.happen(event);
            }
            happened += due;
            let due = deliveries[arrived..].iter().take_while(|(at, _)| *at <= now).count();
            self.deliver(world, &deliveries[arrived..arrived + due]).await;
            arrived += due;
            if way.is_odd {
                self.poll_in_vain(world).await;
            }
            if way.is_polled {
                self.poll(world).await;
            }
            if !is_fetched && fetched_at.is_some_and(|at| at <= now) {
                self.backfill(world).await;
                is_fetched = true;
            }
            world.work().await;
        }
        self.deliver(world, &deliveries[arrived..]).await;
        if way.meanwhile > 0 {
            self.go_on(until, way.meanwhile);
        }
        if way.is_fetched_at_last {
            self.backfill(world).await;
        }
        self.rest_happens(until);
        if way.is_fetched_at_last || is_fetched {
            self.state_what_was_edited(world).await;
        }
        world.work().await;
        self.ledger(world).await
    }

    fn happen(&self, event: &Event) {
        let mut books = self.fake.books();
        books.merchant().happen(event);
        for body in render_all(event, Shape::New).iter().filter(|body| self.withheld.is_told_by(body)) {
            books.merchant().delete(Listed::Event, body["id"].as_str().unwrap());
        }
    }

    async fn deliver(&self, world: &World, bodies: &[(Time, Vec<u8>)]) {
        let incoming = |(_, body): &'_ (Time, Vec<u8>)| body.clone();
        let bodies: Vec<Vec<u8>> = bodies.iter().map(incoming).collect();
        let incoming = |body| Incoming { workspace: world.workspace, source: Source::Webhook, body };
        let incoming: Vec<Incoming<'_>> = bodies.iter().map(|body| incoming(body.as_slice())).collect();
        world.inbox.import(&incoming).await.unwrap();
    }

    async fn poll(&self, world: &World) {
        let report = self.poller.poll(&self.asking, (world.workspace, Mode::Live), None).await.unwrap();
        assert_eq!((report.error.clone(), report.parked.len(), report.gaps.len()), (None, 0, 0), "{report:?}");
    }

    /// What is wrong with the key or with Stripe.
    fn break_something(&self, number: u64) {
        let mut books = self.fake.books();
        match number {
            0 => books.revoked.push(LIVE_KEY),
            1 => books.lacks.push("event_read"),
            number => {
                let body = match number {
                    2 => "[]",
                    3 => r#"{"object": "list"}"#,
                    4 => r#"{"object": "list", "data": [{"object": "event"}, 17], "has_more": true}"#,
                    _ => "<html>Be back soon</html>",
                };
                let answer = |_| ("GET /v1/events".to_owned(), 200, body.to_owned());
                books.instead.extend((0..200).map(answer));
            }
        }
    }

    /// Polls while something is wrong, which is told.
    async fn poll_in_vain(&mut self, world: &World) {
        let number = self.random.below(6);
        self.break_something(number);
        let report = self.poller.poll(&self.asking, (world.workspace, Mode::Live), None).await.unwrap();
        let said = report.error.unwrap_or_default();
        let word = ["Expired API Key", "permission", "", "", "no event that can be told", ""]
            [usize::try_from(number).unwrap()];
        assert!(said.contains(word) && said.len() > 20, "{number}: {said}");
        assert_eq!(report.counts.new, 0);
        let mut books = self.fake.books();
        (books.revoked, books.lacks, books.instead) = Default::default();
    }

    async fn backfill(&self, world: &World) {
        let since = self.business.events[0].at - TimeDelta::days(1);
        let mut session = world.session().await;
        let begun = desk::begin(&mut session, &Asked { since: Some(since), ..Asked::default() }).await.unwrap();
        session.commit().await.unwrap();
        let id = &begun.backfill.backfill_id;
        let done = self.backfiller.run(&self.asking, world.workspace, id, Arc::new(|_: &_| {})).await.unwrap();
        assert_eq!(done.backfill.status(), "done");
        assert!(done.kinds.iter().all(|kind| kind.parked == 0 && kind.is_done()), "{:?}", done.kinds);
    }

    /// Lets something happen after each request from now on.
    fn go_on(&self, from: usize, at_once: usize) {
        let rest: Vec<Event> = self.business.events[from..].to_vec();
        let mut next = 0;
        self.fake.after_each(move |books, asked| {
            if asked.starts_with("GET") {
                for event in rest.iter().skip(next).take(at_once) {
                    books.merchant().happen(event);
                }
                next += at_once;
            }
        });
    }

    fn rest_happens(&self, from: usize) {
        let mut books = self.fake.books();
        books.after_each = None;
        let events = self.business.events[from..].iter();
        events.for_each(|event| books.merchant().happen(event));
    }

    /// Since when the metadata holds that was edited Stripe does not say: somebody does.
    async fn state_what_was_edited(&self, world: &World) {
        let edited = self.business.events.iter().filter_map(|event| match (&event.kind, &event.object) {
            (Kind::CustomerUpdated, Object::Customer(it)) => {
                Some((fetched::Kind::Customer, json!({"id": it.id, "metadata": it.metadata}), event.at))
            }
            (Kind::SubscriptionUpdated, Object::Subscription(it)) => {
                let object = json!({"id": it.id, "customer": it.customer, "metadata": it.metadata});
                Some((fetched::Kind::Subscription, object, event.at))
            }
            _ => None,
        });
        let bodies: Vec<(Time, Vec<u8>)> = edited
            .map(|(kind, object, at)| (at, state(kind, &to_raw_value(&object).unwrap(), at, true).unwrap()))
            .collect();
        self.deliver(world, &bodies).await;
    }

    /// Asks Stripe for whatever decisions still lack.
    async fn look_up(&self, world: &World) {
        for _ in 0..20 {
            let round = self.lookups.round(&self.api, (world.workspace, Mode::Live)).await.unwrap();
            world.work().await;
            if round.calls == 0 {
                return;
            }
        }
    }

    /// What differs from Stripe in all months, in which all the money adds up.
    async fn reconcile(&self, world: &World) -> Vec<(Compared, String, Why)> {
        let book = (world.workspace, Mode::Live);
        let asking = self.asking.clone();
        let reconciler = Reconciler { db: world.db.clone(), clock: world.clock.clone(), book, asking };
        let (mut month, mut named) = (Month::containing(self.business.events[0].at, Tz::Europe__Berlin), Vec::new());
        while month.start(Tz::Europe__Berlin) < world.now() {
            let report = reconciler.run(month).await.unwrap();
            for money in report.currencies.values() {
                let refused: i64 = money.refused.values().sum();
                assert_eq!(money.stripe, money.credited + refused + money.unsettled + money.differing, "{report:#?}");
            }
            named.extend(report.differences.into_iter().map(|one| (one.kind, one.id, one.why)));
            month = month.next();
        }
        named
    }

    async fn ledger(&self, world: &World) -> Ledger {
        let mut owed: BTreeMap<String, BTreeMap<(String, String, String), i64>> = BTreeMap::new();
        for booked in world.entries().await {
            let entry = booked.entry;
            let key = (entry.partner.clone(), format!("{:?}", entry.component), entry.currency.to_string());
            *owed.entry(entry.payment_id.unwrap_or_default()).or_default().entry(key).or_default() += entry.amount;
        }
        let mut references: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let payments = by_reference(world).await;
        for (reference, payment) in &payments {
            references.entry(payment.payment_id.clone()).or_default().insert(reference.clone());
        }
        let mut ledger = Ledger::new();
        for payment in payments.into_values() {
            let mut owed = owed.get(&payment.payment_id).cloned().unwrap_or_default();
            owed.retain(|_, amount| *amount != 0);
            let references = references[&payment.payment_id].clone();
            ledger.insert(references, (payment.code.clone(), payment.partner_key.clone(), owed));
        }
        ledger
    }
}

/// A business of this seed that came in this way, held against its books.
async fn came(world: &World, name: &str, seed: u64, way: Way) -> Ledger {
    println!("seed {seed}, {name}: {way:?}");
    let business = small(seed);
    let begun = business.events[0].at - TimeDelta::days(1);
    let world = Box::pin(world.another(&format!("{name}-{seed}"), begun)).await;
    let mut twin = Twin::of(&world, business, seed);
    let ledger = Box::pin(twin.run(&world, way)).await;
    agrees(&world, &twin.business.books, &format!("{name}, seed {seed}")).await;
    Box::pin(proven(&world)).await;
    // What decisions lack is known to Stripe, and changes nothing of what is owed.
    Box::pin(twin.look_up(&world)).await;
    let looked_up = twin.ledger(&world).await;
    let changed: Vec<_> =
        looked_up.iter().filter(|(references, became)| ledger.get(*references) != Some(became)).collect();
    assert!(changed.is_empty() && looked_up.len() == ledger.len(), "{name}, seed {seed}: {changed:#?}");
    agrees(&world, &twin.business.books, &format!("{name}, seed {seed}, looked up")).await;
    assert_eq!(Box::pin(twin.reconcile(&world)).await, [], "{name}, seed {seed}");
    ledger
}

fn assert_same(one: &Ledger, other: &Ledger, what: &str) {
    let of_one: Vec<_> = one.iter().filter(|(references, became)| other.get(*references) != Some(became)).collect();
    let of_other: Vec<_> = other.iter().filter(|(references, became)| one.get(*references) != Some(became)).collect();
    assert!(of_one.is_empty() && of_other.is_empty(), "{what}\n{of_one:#?}\nand\n{of_other:#?}");
}

async fn lost_repeated_and_late_webhooks_are_made_up_for(world: &World) {
    for seed in seeds(2) {
        let perfect = came(world, "perfect", seed, PERFECT).await;
        let lossy = Way { delivered: 90, repeated: 10, late: 10, is_polled: true, ..PERFECT };
        assert_same(&perfect, &came(world, "lossy", seed, lossy).await, &format!("seed {seed}"));
    }
}

async fn every_way_in_leads_to_the_same_ledger(world: &World) {
    for seed in seeds(3) {
        let mut random = Random::new(seed);
        let told = came(world, "told", seed, PERFECT).await;
        let polled = Way { delivered: 0, is_polled: true, ..PERFECT };
        assert_same(&told, &came(world, "polled", seed, polled).await, &format!("seed {seed}, polled"));
        let fetched = Way { delivered: 0, is_fetched_at_last: true, ..PERFECT };
        assert_same(&told, &came(world, "fetched", seed, fetched).await, &format!("seed {seed}, fetched"));
        let is_polled = random.chance(50);
        let mixed = Way {
            delivered: random.below(101),
            repeated: 10,
            late: 20,
            is_polled,
            fetched_at: random.chance(70).then(|| random.between(5, 95)),
            is_fetched_at_last: !is_polled || random.chance(30),
            ..PERFECT
        };
        assert_same(&told, &came(world, "mixed", seed, mixed).await, &format!("seed {seed}, {mixed:?}"));
    }
}

async fn trouble_on_the_way_changes_nothing(world: &World) {
    for seed in seeds(1) {
        let trouble =
            Way { delivered: 60, repeated: 10, is_polled: true, fetched_at: Some(60), faults: 150, ..PERFECT };
        came(world, "trouble", seed + 20, trouble).await;
    }
}

async fn sales_go_on_while_history_is_read(world: &World) {
    for seed in seeds(1) {
        let busy = Way { is_fetched_at_last: true, meanwhile: 3, ..PERFECT };
        came(world, "busy", seed + 30, busy).await;
    }
}

async fn what_never_came_is_named_and_fetched(world: &World) {
    let mut random = Random::new(77);
    for kind in Compared::ALL {
        let with = |seed: u64| withheld(&small(seed), kind, &mut random).map(|found| (seed, found));
        let (seed, (id, withheld)) = (41..).find_map(with).unwrap();
        println!("without {id}");
        let told = came(world, &format!("told-{kind:?}"), seed, PERFECT).await;
        let business = small(seed);
        let world = world.another(&format!("without-{kind:?}"), business.events[0].at - TimeDelta::days(1)).await;
        let mut twin = Twin { withheld, ..Twin::of(&world, business, seed) };
        let lossy = Way { delivered: 90, repeated: 10, late: 10, is_polled: true, ..PERFECT };
        assert_ne!(Box::pin(twin.run(&world, lossy)).await, told, "it makes a difference");
        assert_eq!(twin.reconcile(&world).await, [(kind, id.clone(), Why::Missing)]);
        let (db, inbox) = (world.db.clone(), world.inbox.clone());
        let into = Destination { db, inbox, workspace: world.workspace, mode: Mode::Live };
        let fetched = fetch(&into, &twin.asking, &[id], world.now()).await.unwrap();
        assert_eq!(fetched.problems, []);
        world.work().await;
        assert_eq!(twin.reconcile(&world).await, []);
        assert_same(&told, &twin.ledger(&world).await, &format!("seed {seed}, fetched"));
        agrees(&world, &twin.business.books, &format!("seed {seed}, fetched")).await;
        proven(&world).await;
    }
}

async fn no_answer_that_is_wrong_makes_a_payment(world: &World) {
    for seed in seeds(1) {
        let odd = Way { delivered: 0, is_polled: true, is_odd: true, ..PERFECT };
        came(world, "odd", seed + 50, odd).await;
    }
}
