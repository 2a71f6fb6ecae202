//! Polling Stripe's events: nothing is lost, doubled or claimed, whatever comes in between.

use std::collections::HashMap;

use chrono::TimeDelta;
use commission_bridge::admin::backfills::{self as desk, Asked};
use commission_bridge::domain::Time;
use commission_bridge::fetching::Fetching;
use commission_bridge::intake::asking::Asking;
use commission_bridge::intake::patience::Patience;
use commission_bridge::intake::poll::{PollError, Poller, Report};
use commission_bridge::store::{Mode, backfills, parked_objects, sync_gaps, syncs};
use commission_bridge::stripe_api::{Keys, Options};
use serde_json::{Value, json};

use crate::fake_stripe::{FakeStripe, Fault, Faults, Kind, LIVE_KEY, Merchant};
use crate::harness::{World, invoice_paid, terms};

crate::on_both_engines!(
    the_first_poll_reads_all_there_is,
    a_poll_that_was_killed_goes_on_where_it_was,
    one_polls_a_book_at_a_time,
    trouble_is_waited_out,
    a_list_of_an_unknown_shape_claims_nothing,
    a_key_that_may_not_is_told,
    what_nobody_asked_for_in_time_stays_on_record,
    missed_webhooks_are_counted,
    what_is_no_event_is_parked,
    an_event_that_is_gone_is_no_end,
    the_loop_polls_each_hour_and_backfills_when_asked,
);

/// An event that was made so long ago.
fn made(number: u32, at: Time) -> Value {
    let mut event = invoice_paid(number, &format!("cus_{number}"), &json!({"partner_key": "acme"}));
    event["created"] = at.timestamp().into();
    event
}

fn merchant(world: &World, count: u32) -> Merchant {
    let mut merchant = Merchant::default();
    for number in 0..count {
        let ago = TimeDelta::minutes(60 * i64::from(count - number));
        merchant.tell(&made(number, world.now() - ago));
    }
    merchant
}

struct Polling {
    fake: FakeStripe,
    patience: Patience,
    poller: Poller,
    asking: Asking,
}

impl Polling {
    fn of(world: &World, merchant: Merchant) -> Self {
        let fake = FakeStripe::with(world.clock.clone(), merchant);
        let options = Options { base: Some(fake.base()), per_second: 0, ..Options::default() };
        let api = Keys::parse(LIVE_KEY, &options).unwrap().of("default", None, true).unwrap();
        let patience = Patience::by_hand(world.clock.clone());
        let poller = Poller {
            db: world.db.clone(),
            inbox: world.inbox.clone(),
            clock: world.clock.clone(),
            ids: world.ledger.ids.clone(),
        };
        Self { fake, asking: Asking::new(api, patience.clone()), patience, poller }
    }

    async fn poll(&self, world: &World) -> Report {
        self.poller.poll(&self.asking, (world.workspace, Mode::Live), None).await.unwrap()
    }

    /// Polls until a request is held, and dies.
    async fn killed(&self, world: &World, before: usize) {
        let script = std::iter::repeat_n(Fault::None, before).chain([Fault::Held]);
        self.fake.plan_for("GET /v1/events", Faults::script(script));
        let (poller, asking, workspace) = (self.poller.clone(), self.asking.clone(), world.workspace);
        let poll = tokio::spawn(async move { poller.poll(&asking, (workspace, Mode::Live), None).await.map(drop) });
        tokio::task::block_in_place(|| self.fake.until_held(1));
        poll.abort();
        assert!(poll.await.unwrap_err().is_cancelled());
        self.fake.release();
        self.fake.plan_for("GET /v1/events", Faults::default());
    }
}

async fn events(world: &World) -> i64 {
    world.count("SELECT COUNT(*) FROM events").await
}

async fn the_first_poll_reads_all_there_is(world: &World) {
    world.enter(&terms()).await;
    let polling = Polling::of(world, merchant(world, 250));
    let report = polling.poll(world).await;
    assert_eq!((report.error.clone(), report.parked.len(), report.gaps.len()), (None, 0, 0), "{report:?}");
    assert_eq!((report.counts.fetched, report.counts.new, report.counts.missed), (250, 250, 0));
    // Two groups of types; the one with invoices has three pages.
    assert_eq!((report.counts.calls, polling.fake.books().count("GET /v1/events")), (4, 4));
    world.work().await;
    assert_eq!(world.balance().await, 250 * 2_000);
    // Nothing happened: two calls, and what lies in the overlap.
    world.clock.advance(TimeDelta::hours(1));
    let report = polling.poll(world).await;
    assert_eq!((report.counts.calls, report.counts.fetched, report.counts.new), (2, 1, 0));
    let mut tx = world.db.read().await.unwrap();
    let all = syncs::page(&mut tx, world.workspace, Mode::Live, None, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|sync| sync.finished_at().is_some()));
    assert_eq!(all[1].counts().new, 250);
}

async fn a_poll_that_was_killed_goes_on_where_it_was(world: &World) {
    let polling = Polling::of(world, merchant(world, 350));
    polling.killed(world, 2).await;
    assert_eq!(events(world).await, 200);
    // Whoever comes at once waits for the one that may be alive.
    let taken = polling.poller.poll(&polling.asking, (world.workspace, Mode::Live), None).await;
    assert!(matches!(taken, Err(PollError::Taken)), "{taken:?}");
    world.clock.advance(TimeDelta::minutes(10));
    let mut tx = world.db.read().await.unwrap();
    let book = syncs::book(&mut tx, world.workspace, Mode::Live).await.unwrap().unwrap();
    assert!(book.is_abandoned(world.now()) && book.succeeded_at().is_none());
    tx.rollback().await.unwrap();
    let report = polling.poll(world).await;
    assert_eq!((report.counts.new, report.error), (150, None));
    assert_eq!(events(world).await, 350);
    assert_eq!(world.count("SELECT COUNT(*) FROM sync_windows WHERE known_until IS NULL").await, 0);
    assert_eq!(world.count("SELECT new FROM sync_books").await, 350);
}

async fn one_polls_a_book_at_a_time(world: &World) {
    let polling = Polling::of(world, merchant(world, 150));
    polling.fake.plan_for("GET /v1/events", Faults::script([Fault::None, Fault::Held]));
    let (poller, asking, workspace) = (polling.poller.clone(), polling.asking.clone(), world.workspace);
    let first = tokio::spawn(async move { poller.poll(&asking, (workspace, Mode::Live), None).await });
    tokio::task::block_in_place(|| polling.fake.until_held(1));
    let second = polling.poller.poll(&polling.asking, (world.workspace, Mode::Live), None).await;
    assert!(matches!(second, Err(PollError::Taken)), "{second:?}");
    // It stood still for longer than its lease; somebody else reads all of it.
    world.clock.advance(TimeDelta::hours(1));
    let third = polling.poll(world).await;
    assert_eq!((third.counts.fetched, third.counts.new), (50 + 1, 50), "the second page, then what came since");
    polling.fake.release();
    assert!(first.await.unwrap().is_err(), "what the first one reads then counts for nothing");
    assert_eq!(events(world).await, 150);
    assert_eq!(world.count("SELECT new FROM sync_books").await, 150);
}

async fn trouble_is_waited_out(world: &World) {
    let polling = Polling::of(world, merchant(world, 20));
    let faults = [Fault::Busy, Fault::Gateway, Fault::DropBefore, Fault::Garbage, Fault::None, Fault::Busy];
    polling.fake.plan_for("GET /v1/events", Faults::script(faults));
    let report = polling.poll(world).await;
    assert_eq!((report.counts.new, report.counts.calls, report.error), (20, 7, None));
    let waited: Vec<u64> = polling.patience.waited().iter().map(std::time::Duration::as_secs).collect();
    assert_eq!(waited, [1, 2, 4, 8, 1]);
    // Ten minutes of it are enough for one run.
    polling.fake.books().merchant().tell(&made(90, world.now()));
    polling.fake.plan_for("GET /v1/events", Faults::times(Fault::Busy, 15));
    let report = polling.poll(world).await;
    assert!(report.error.as_ref().unwrap().contains("ten minutes"), "{report:?}");
    let report = polling.poll(world).await;
    assert_eq!((report.counts.new, report.error), (1, None));
}

async fn a_list_of_an_unknown_shape_claims_nothing(world: &World) {
    let polling = Polling::of(world, merchant(world, 3));
    for body in [r#"{"object": "list", "items": []}"#, "[]", r#"{"data": 7, "has_more": false}"#] {
        for _ in 0..15 {
            polling.fake.answer_next("GET /v1/events", 200, body);
        }
        let report = polling.poll(world).await;
        assert!(report.error.as_ref().unwrap().contains("cannot be read"), "{report:?}");
    }
    // More of the same, for ever.
    polling.fake.answer_next("GET /v1/events", 200, r#"{"data": [], "has_more": true}"#);
    let report = polling.poll(world).await;
    assert!(report.error.as_ref().unwrap().contains("told from others"), "{report:?}");
    assert_eq!(world.count("SELECT COUNT(*) FROM sync_windows WHERE known_until IS NOT NULL").await, 1);
    assert_eq!(polling.poll(world).await.counts.new, 3);
}

async fn a_key_that_may_not_is_told(world: &World) {
    let polling = Polling::of(world, merchant(world, 3));
    polling.fake.books().lacks.push("event_read");
    let report = polling.poll(world).await;
    assert!(report.error.as_ref().unwrap().contains("lacks a permission"), "{report:?}");
    assert!(polling.patience.waited().is_empty());
    polling.fake.books().lacks.clear();
    assert_eq!(polling.poll(world).await.counts.new, 3);
    let mut tx = world.db.read().await.unwrap();
    let all = syncs::page(&mut tx, world.workspace, Mode::Live, None, 10).await.unwrap();
    assert_eq!(all.iter().map(|sync| sync.error.is_some()).collect::<Vec<_>>(), [false, true]);
}

async fn what_nobody_asked_for_in_time_stays_on_record(world: &World) {
    let polling = Polling::of(world, merchant(world, 3));
    let before = world.now();
    assert!(polling.poll(world).await.gaps.is_empty(), "before the first poll nothing is missing");
    world.clock.advance(TimeDelta::days(41));
    let gaps = polling.poll(world).await.gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((gaps[0].from(), gaps[0].until()), (before, before + TimeDelta::days(11)));
    assert!(gaps[0].sentence().contains("backfill --since 2026-10-01"), "{}", gaps[0].sentence());
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(polling.poll(world).await.gaps, gaps);
    let mut tx = world.db.write(commission_bridge::store::Urgency::Now).await.unwrap();
    let close = |span| (world.workspace, Mode::Live, span);
    for (span, closed) in [((before + TimeDelta::days(1), world.now()), 0), ((before, world.now()), 1)] {
        let (workspace, mode, span) = close(span);
        assert_eq!(sync_gaps::close(&mut tx, workspace, mode, span, "bf_1", world.now()).await.unwrap(), closed);
    }
    tx.commit().await.unwrap();
    assert!(polling.poll(world).await.gaps.is_empty());
}

async fn missed_webhooks_are_counted(world: &World) {
    let polling = Polling::of(world, merchant(world, 3));
    assert!(!polling.poll(world).await.has_webhooks, "a book without webhooks misses none");
    // From now on webhooks come.
    world.clock.advance(TimeDelta::hours(2));
    let delivered = made(10, world.now());
    world.submit(&delivered).await.unwrap();
    let lost = made(11, world.now() + TimeDelta::minutes(1));
    let on_its_way = made(12, world.now() + TimeDelta::minutes(25));
    for event in [&delivered, &lost, &on_its_way] {
        polling.fake.books().merchant().tell(event);
    }
    world.clock.advance(TimeDelta::minutes(30));
    let report = polling.poll(world).await;
    assert!(report.has_webhooks);
    assert_eq!((report.counts.new, report.counts.missed), (2, 1), "{report:?}");
    // The webhook comes after all, in another shape: nobody counts it again.
    let mut late = lost.clone();
    late["data"]["object"]["footer"] = "thanks".into();
    world.submit(&late).await.unwrap();
    assert_eq!(polling.poll(world).await.counts.missed, 0);
    assert_eq!(world.count("SELECT missed FROM sync_books").await, 1);
}

async fn what_is_no_event_is_parked(world: &World) {
    let polling = Polling::of(world, merchant(world, 2));
    let good = made(1, world.now());
    let mut other_book = made(7, world.now());
    other_book["livemode"] = false.into();
    let thin = json!({"id": "evt_thin", "object": "v2.core.event", "type": "v1.invoice.paid", "livemode": true,
        "created": "2026-10-01T00:00:00.000Z", "related_object": {"id": "in_1", "type": "invoice"}});
    let mut nul = made(8, world.now());
    nul["id"] = "evt_\u{0}".into();
    let page = json!({"data": [7, {"foo": 1}, good, other_book, nul, thin], "has_more": false});
    polling.fake.answer_next("GET /v1/events", 200, &page.to_string());
    let report = polling.poll(world).await;
    assert_eq!((report.error.clone(), report.counts.parked), (None, 4), "{report:?}");
    let mut tx = world.db.read().await.unwrap();
    let parked = parked_objects::list(&mut tx, world.workspace, Mode::Live, 10).await.unwrap();
    assert_eq!(parked.len(), 4, "{parked:?}");
    assert!(parked.iter().any(|parked| parked.object == "evt_in_7" && parked.reason.contains("live book")));
    assert!(parked.iter().all(|parked| !parked.object.contains('\0')));
    assert_eq!((world.event("evt_in_1").await.len(), world.event("evt_thin").await.len()), (1, 1));
}

async fn an_event_that_is_gone_is_no_end(world: &World) {
    let polling = Polling::of(world, merchant(world, 350));
    polling.killed(world, 1).await;
    // The event that the list was read to.
    assert!(polling.fake.books().merchant().delete(Kind::Event, "evt_in_250"));
    world.clock.advance(TimeDelta::minutes(10));
    let report = polling.poll(world).await;
    assert_eq!((report.counts.new, report.error), (250, None));
    assert_eq!(events(world).await, 350);
}

async fn the_loop_polls_each_hour_and_backfills_when_asked(world: &World) {
    world.enter(&terms()).await;
    let polling = Polling::of(world, merchant(world, 12));
    let options = Options { base: Some(polling.fake.base()), per_second: 0, ..Options::default() };
    let fetching = Fetching {
        db: world.db.clone(),
        inbox: world.inbox.clone(),
        clock: world.clock.clone(),
        ids: world.ledger.ids.clone(),
        keys: Keys::parse(LIVE_KEY, &options).unwrap(),
        polls: true,
        patience: polling.patience.clone(),
    };
    let polled = async |all| fetching.poll_due(all).await.unwrap().len();
    assert_eq!((polled(false).await, polled(false).await, polled(true).await), (1, 0, 1));
    world.clock.advance(TimeDelta::minutes(61));
    assert_eq!(polled(false).await, 1);
    // Whoever was killed is followed within the hour.
    polling.killed(world, 1).await;
    assert_eq!(polled(false).await, 0);
    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(polled(false).await, 1);

    let mut session = world.session().await;
    let asked = Asked { since: Some(world.now() - TimeDelta::days(99)), ..Asked::default() };
    let begun = desk::begin(&mut session, &asked).await.unwrap();
    session.commit().await.unwrap();
    let status = async || {
        let mut tx = world.db.read().await.unwrap();
        let found = backfills::find(&mut tx, world.workspace, &begun.backfill.backfill_id).await.unwrap().unwrap();
        let to_ask = backfills::to_ask(&mut tx, world.workspace, Mode::Live).await.unwrap().len();
        (found.status().to_owned(), to_ask)
    };
    let mut stopped = HashMap::new();
    polling.fake.books().lacks.push("dispute_read");
    fetching.backfill_waiting(&mut stopped).await.unwrap();
    assert_eq!((status().await, stopped.len()), (("running".to_owned(), 0), 1));
    polling.fake.books().lacks.clear();
    fetching.backfill_waiting(&mut stopped).await.unwrap();
    assert_eq!(status().await.0, "running", "a while later");
    world.clock.advance(TimeDelta::minutes(10));
    fetching.backfill_waiting(&mut stopped).await.unwrap();
    assert_eq!(status().await, ("done".to_owned(), 1), "what came is not recorded yet");
    world.clock.advance(TimeDelta::minutes(1));
    world.work().await;
    fetching.backfill_waiting(&mut stopped).await.unwrap();
    assert_eq!(status().await, ("done".to_owned(), 0));
    assert_eq!(world.balance().await, 12 * 2_000);
}
