//! History from Stripe's lists: all of it, once, whatever comes in between.

use std::sync::Arc;

use chrono::TimeDelta;
use commission_bridge::admin::Refused;
use commission_bridge::admin::backfills::{self as desk, Asked, Since};
use commission_bridge::domain::Time;
use commission_bridge::intake::asking::Asking;
use commission_bridge::intake::backfill::{BackfillError, Backfiller, KINDS, Outcome};
use commission_bridge::intake::fetch::{Destination, fetch};
use commission_bridge::intake::patience::Patience;
use commission_bridge::store::backfills::Backfill;
use commission_bridge::store::{Mode, Urgency, parked_objects, questions, sync_gaps};
use commission_bridge::stripe::fetched;
use commission_bridge::stripe_api::{Keys, Options};
use serde_json::{Value, json};

use crate::fake_stripe::{FakeStripe, Fault, Faults, Kind, LIVE_KEY, Merchant};
use crate::harness::{World, charge, hour, invoice_paid, invoice_payment, refund, terms};

crate::on_both_engines!(
    history_comes_once,
    a_backfill_that_was_killed_goes_on_where_it_was,
    one_works_on_a_backfill_at_a_time,
    what_cannot_be_read_is_parked,
    an_object_that_is_gone_is_no_end,
    a_kind_that_may_not_be_read_stops_no_other,
    long_invoices_come_whole,
    only_one_at_a_time_is_begun,
    history_asks_what_it_cannot_tell,
    single_objects_bring_what_ties_them,
);

/// A sale a minute: invoice, payment, charge; every tenth is refunded.
fn merchant(count: u32) -> Merchant {
    let mut merchant = Merchant::default();
    for number in 0..count {
        let at = hour(0) - TimeDelta::minutes(i64::from(count - number));
        let customer = format!("cus_{number}");
        let mut told = vec![
            invoice_paid(number, &customer, &json!({"partner_key": "acme"})),
            charge(number, &customer),
            invoice_payment(number),
        ];
        if number % 10 == 0 {
            told.push(refund(number, 10_000));
        }
        for mut event in told {
            event["created"] = at.timestamp().into();
            event["data"]["object"]["created"] = at.timestamp().into();
            if event["type"] == "invoice.paid" {
                event["data"]["object"]["status_transitions"]["paid_at"] = at.timestamp().into();
            }
            merchant.tell(&event);
        }
    }
    merchant
}

struct Filling {
    fake: FakeStripe,
    backfiller: Backfiller,
    asking: Asking,
}

impl Filling {
    fn of(world: &World, merchant: Merchant) -> Self {
        let fake = FakeStripe::with(world.clock.clone(), merchant);
        let options = Options { base: Some(fake.base()), per_second: 0, ..Options::default() };
        let api = Keys::parse(LIVE_KEY, &options).unwrap().of("default", None, true).unwrap();
        let backfiller = Backfiller {
            db: world.db.clone(),
            inbox: world.inbox.clone(),
            clock: world.clock.clone(),
            ids: world.ledger.ids.clone(),
        };
        let asking = Asking::new(api, Patience::by_hand(world.clock.clone()));
        Self { fake, backfiller, asking }
    }

    async fn run(&self, world: &World, backfill: &Backfill) -> Result<Outcome, BackfillError> {
        let told = Arc::new(|_: &_| {});
        self.backfiller.run(&self.asking, world.workspace, &backfill.backfill_id, told).await
    }

    /// Begins, or goes on, and works until a request is held; then dies.
    async fn killed(&self, world: &World, list: &str, before: usize) -> Backfill {
        let script = std::iter::repeat_n(Fault::None, before).chain([Fault::Held]);
        self.fake.plan_for(list, Faults::script(script));
        let backfill = begin(world, &asked()).await.unwrap();
        let (backfiller, asking) = (self.backfiller.clone(), self.asking.clone());
        let (workspace, id) = (world.workspace, backfill.backfill_id.clone());
        let run =
            tokio::spawn(async move { backfiller.run(&asking, workspace, &id, Arc::new(|_: &_| {})).await.map(drop) });
        tokio::task::block_in_place(|| self.fake.until_held(1));
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        self.fake.release();
        self.fake.plan_for(list, Faults::default());
        // What was being written when it died may have been written, and renewed the lease: it runs out all the same.
        let leased = "SELECT COALESCE(MAX(leased_until), 0) FROM backfills";
        let mut still = -1;
        while still != world.count(leased).await {
            still = world.count(leased).await;
            world.clock.advance(TimeDelta::hours(1));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        backfill
    }
}

fn asked() -> Asked {
    Asked { since: Some(hour(-24 * 365)), ..Asked::default() }
}

async fn begin(world: &World, asked: &Asked) -> Result<Backfill, Refused> {
    let mut session = world.session().await;
    let begun = desk::begin(&mut session, asked).await?;
    session.commit().await.unwrap();
    Ok(begun.backfill)
}

/// How many distinct objects came of a kind, and how many events of it.
async fn came(world: &World) -> (i64, i64) {
    let distinct = "SELECT COUNT(DISTINCT event_id) FROM events WHERE source = 'backfill'";
    (world.count(distinct).await, world.count("SELECT COUNT(*) FROM events WHERE source = 'backfill'").await)
}

fn objects(outcome: &Outcome, kind: &str) -> (i64, i64, i64, bool) {
    let row = outcome.kinds.iter().find(|row| row.kind == kind).unwrap();
    (row.objects, row.new, row.parked, row.is_done())
}

fn in_account(filling: &Filling) -> usize {
    let kinds = [Kind::Customer, Kind::Subscription, Kind::Invoice, Kind::Charge, Kind::Refund, Kind::Price];
    let mut books = filling.fake.books();
    kinds.iter().map(|kind| books.merchant().count(*kind)).sum()
}

async fn history_comes_once(world: &World) {
    world.enter(&terms()).await;
    let filling = Filling::of(world, merchant(250));
    let backfill = begin(world, &asked()).await.unwrap();
    let outcome = filling.run(world, &backfill).await.unwrap();
    assert_eq!(outcome.backfill.status(), "done", "{outcome:?}");
    assert_eq!(objects(&outcome, "invoice"), (250, 250, 0, true));
    assert_eq!(objects(&outcome, "charge"), (250, 250, 0, true));
    assert_eq!(objects(&outcome, "refund"), (25, 25, 0, true));
    assert_eq!(outcome.kinds.len(), KINDS.len());
    let requests = filling.fake.books().requests.len();
    assert_eq!(usize::try_from(outcome.backfill.calls).unwrap(), requests);
    // A refund counts an hour after it was made.
    world.clock.advance(TimeDelta::hours(1));
    world.work().await;
    assert_eq!(world.balance().await, 225 * 2_000);
    // Once more: the same events.
    let (before, _) = came(world).await;
    world.clock.advance(TimeDelta::days(1));
    let again = begin(world, &asked()).await.unwrap();
    let outcome = filling.run(world, &again).await.unwrap();
    assert_eq!(objects(&outcome, "invoice"), (250, 0, 0, true));
    assert_eq!(came(world).await.0, before);
    // And what a webhook tells of is the same payment.
    world.receive(&[invoice_paid(3, "cus_3", &json!({"partner_key": "acme"}))]).await;
    assert_eq!((world.payments().await.len(), world.balance().await), (250, 225 * 2_000));
}

async fn a_backfill_that_was_killed_goes_on_where_it_was(world: &World) {
    let filling = Filling::of(world, merchant(350));
    let backfill = filling.killed(world, "GET /v1/invoices", 2).await;
    let invoices = world.count("SELECT objects FROM backfill_kinds WHERE kind = 'invoice'").await;
    // The third page was asked for while the second was written.
    assert!(invoices == 100 || invoices == 200, "{invoices}");
    filling.fake.books().requests.clear();
    let outcome = filling.run(world, &backfill).await.unwrap();
    assert_eq!(objects(&outcome, "invoice"), (350, 350, 0, true));
    let (distinct, all) = came(world).await;
    assert_eq!((distinct, usize::try_from(all).unwrap()), (all, in_account(&filling)));
    let asked = filling.fake.books().count("GET /v1/invoices");
    assert!((2..=3).contains(&asked), "it went on where it was: {asked}");
}

async fn one_works_on_a_backfill_at_a_time(world: &World) {
    let filling = Filling::of(world, merchant(150));
    filling.fake.plan_for("GET /v1/invoices", Faults::script([Fault::None, Fault::Held]));
    let invoices = Asked { kinds: vec![fetched::Kind::Invoice], ..asked() };
    let backfill = begin(world, &invoices).await.unwrap();
    let (backfiller, asking) = (filling.backfiller.clone(), filling.asking.clone());
    let (workspace, id) = (world.workspace, backfill.backfill_id.clone());
    let first = tokio::spawn(async move { backfiller.run(&asking, workspace, &id, Arc::new(|_: &_| {})).await });
    tokio::task::block_in_place(|| filling.fake.until_held(1));
    // The first page is written while the second is asked for.
    while world.count("SELECT CAST(SUM(objects) AS BIGINT) FROM backfill_kinds").await < 100 {}
    let second = filling.run(world, &backfill).await;
    assert!(matches!(second, Err(BackfillError::Taken)), "{second:?}");
    world.clock.advance(TimeDelta::hours(1));
    let third = filling.run(world, &backfill).await.unwrap();
    assert_eq!((third.backfill.status(), objects(&third, "invoice")), ("done", (150, 150, 0, true)));
    filling.fake.release();
    assert!(matches!(first.await.unwrap(), Err(BackfillError::Taken)), "it lost the lease");
    assert_eq!(came(world).await, (150, 150));
}

async fn what_cannot_be_read_is_parked(world: &World) {
    let filling = Filling::of(world, merchant(20));
    filling.fake.books().merchant().change(Kind::Charge, "ch_7", |charge| charge["currency"] = json!(7));
    filling.fake.books().merchant().change(Kind::Invoice, "in_3", |invoice| invoice["livemode"] = json!(false));
    let backfill = begin(world, &asked()).await.unwrap();
    let outcome = filling.run(world, &backfill).await.unwrap();
    assert_eq!(outcome.backfill.status(), "done");
    assert_eq!((objects(&outcome, "charge"), objects(&outcome, "invoice")), ((20, 19, 1, true), (20, 19, 1, true)));
    let mut tx = world.db.read().await.unwrap();
    let parked = parked_objects::list(&mut tx, world.workspace, Mode::Live, 10).await.unwrap();
    let what: Vec<(&str, &str)> = parked.iter().map(|one| (one.kind.as_str(), one.object.as_str())).collect();
    assert_eq!(what, [("charge", "ch_7"), ("invoice", "in_3")]);
    assert!(parked[0].reason.contains("currency") && parked[1].reason.contains("livemode"), "{parked:?}");
    tx.rollback().await.unwrap();
    // Read after all, they are off the list.
    filling.fake.books().merchant().change(Kind::Charge, "ch_7", |charge| charge["currency"] = json!("usd"));
    let again = begin(world, &asked()).await.unwrap();
    filling.run(world, &again).await.unwrap();
    assert_eq!(world.count("SELECT COUNT(*) FROM parked_objects").await, 1);
}

async fn an_object_that_is_gone_is_no_end(world: &World) {
    let filling = Filling::of(world, merchant(350));
    let backfill = filling.killed(world, "GET /v1/invoices", 2).await;
    let read_to =
        if world.count("SELECT objects FROM backfill_kinds WHERE kind = 'invoice'").await == 100 { 250 } else { 150 };
    assert!(filling.fake.books().merchant().delete(Kind::Invoice, &format!("in_{read_to}")));
    let outcome = filling.run(world, &backfill).await.unwrap();
    assert_eq!(outcome.backfill.status(), "done", "{outcome:?}");
    assert_eq!(objects(&outcome, "invoice").1, 350);
}

async fn a_kind_that_may_not_be_read_stops_no_other(world: &World) {
    let filling = Filling::of(world, merchant(20));
    filling.fake.books().lacks.push("dispute_read");
    let backfill = begin(world, &asked()).await.unwrap();
    let outcome = filling.run(world, &backfill).await.unwrap();
    assert_eq!(outcome.backfill.status(), "running");
    let error = outcome.backfill.error.clone().unwrap();
    assert!(error.starts_with("disputes: ") && error.contains("permission"), "{error}");
    assert_eq!((objects(&outcome, "dispute").3, objects(&outcome, "charge").3), (false, true));
    filling.fake.books().lacks.clear();
    let outcome = filling.run(world, &backfill).await.unwrap();
    assert_eq!((outcome.backfill.status(), outcome.backfill.error.as_deref()), ("done", None));
    // Trouble is waited out.
    filling.fake.plan_for("GET", Faults::seeded(7, 200));
    let again = begin(world, &asked()).await.unwrap();
    assert_eq!(filling.run(world, &again).await.unwrap().backfill.status(), "done");
}

async fn long_invoices_come_whole(world: &World) {
    let mut merchant = merchant(1);
    merchant.change(Kind::Invoice, "in_0", |invoice| {
        let line = invoice["lines"]["data"][0].clone();
        let lines: Vec<Value> = (0..230)
            .map(|number| {
                let mut line = line.clone();
                line["id"] = format!("il_{number}").into();
                line
            })
            .collect();
        invoice["lines"] = json!({"object": "list", "data": lines, "has_more": false});
    });
    let filling = Filling::of(world, merchant);
    let backfill = begin(world, &asked()).await.unwrap();
    let outcome = filling.run(world, &backfill).await.unwrap();
    assert_eq!(objects(&outcome, "invoice"), (1, 1, 0, true));
    assert_eq!(filling.fake.books().count("GET /v1/invoices/in_0/lines"), 3);
    let mut tx = world.db.read().await.unwrap();
    let shown =
        commission_bridge::store::events::fetched_of(&mut tx, world.workspace, Mode::Live, "in_0").await.unwrap();
    let body = commission_bridge::intake::payload::unpack(&shown[0].payload, shown[0].payload_codec).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let mut ids: Vec<&str> = body["data"]["object"]["lines"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 230);
}

async fn only_one_at_a_time_is_begun(world: &World) {
    let field = |error: Refused| match error {
        Refused::Invalid { field, .. } => field,
        Refused::Conflict { code, .. } => code.to_owned(),
        error => panic!("{error}"),
    };
    assert_eq!(field(begin(world, &Asked::default()).await.unwrap_err()), "since");
    let future = Asked { since: Some(world.now() + TimeDelta::days(1)), ..Asked::default() };
    assert_eq!(field(begin(world, &future).await.unwrap_err()), "since");
    let first = begin(world, &asked()).await.unwrap();
    let goes_on = begin(world, &Asked::default()).await.unwrap();
    assert_eq!(goes_on.backfill_id, first.backfill_id);
    let other = Asked { since: Some(hour(-24)), ..Asked::default() };
    assert_eq!(field(begin(world, &other).await.unwrap_err()), "backfill_not_done");
    let anew = begin(world, &Asked { restart: true, kinds: vec![fetched::Kind::Refund], ..other }).await.unwrap();
    assert_ne!(anew.backfill_id, first.backfill_id);
    let filling = Filling::of(world, merchant(1));
    let outcome = filling.run(world, &anew).await.unwrap();
    assert_eq!((outcome.backfill.status(), outcome.kinds.len()), ("done", 1));
    assert!(matches!(filling.run(world, &first).await, Err(BackfillError::Taken)), "replaced");
}

async fn gaps(world: &World) -> usize {
    let mut tx = world.db.read().await.unwrap();
    sync_gaps::open(&mut tx, world.workspace, Mode::Live).await.unwrap().len()
}

async fn history_asks_what_it_cannot_tell(world: &World) {
    world.enter(&terms()).await;
    let mut merchant = Merchant::default();
    // Two months ago, when the invoice was made, the subscription did not name a partner.
    let at = hour(-24 * 60);
    let made = |mut event: Value, at: Time| {
        event["created"] = at.timestamp().into();
        event["data"]["object"]["created"] = at.timestamp().into();
        event["data"]["object"]["status_transitions"]["paid_at"] = at.timestamp().into();
        event
    };
    let mut invoice = made(invoice_paid(1, "cus_1", &json!({})), at);
    invoice["data"]["object"]["parent"]["subscription_details"]["metadata"] = json!({"note": "call them"});
    merchant.tell(&invoice);
    merchant.put(
        Kind::Subscription,
        json!({"id": "sub_cus_1", "object": "subscription", "customer": "cus_1", "livemode": true, "status": "active",
            "created": (at - TimeDelta::days(1)).timestamp(), "items": {"data": []},
            "metadata": {"partner_key": "acme", "note": "call them"}}),
    );
    let filling = Filling::of(world, merchant);
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    sync_gaps::find(&mut tx, world.workspace, Mode::Live, (at, at + TimeDelta::days(1)), world.now()).await.unwrap();
    tx.commit().await.unwrap();
    let backfill = begin(world, &asked()).await.unwrap();
    assert_eq!(filling.run(world, &backfill).await.unwrap().backfill.status(), "done");
    assert_eq!(gaps(world).await, 0, "what it covers is no gap any more");
    world.work().await;
    assert_eq!(world.ledger.ask(world.workspace, Mode::Live, backfill.started_at()).await.unwrap(), 1);
    let mut tx = world.db.read().await.unwrap();
    let open = questions::open(&mut tx, world.workspace, Mode::Live, None, 10).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!((open[0].object.as_str(), open[0].what.as_str()), ("sub_cus_1", "partner_key = acme"));
    assert_eq!(world.balance().await, 0);
    // Asked again, it is the same question.
    assert_eq!(world.ledger.ask(world.workspace, Mode::Live, backfill.started_at()).await.unwrap(), 1);
    let mut session = world.session().await;
    let missing = desk::answer(&mut session, "sub_of_nobody", Since::Created).await;
    assert!(matches!(missing, Err(Refused::Missing(_))), "{missing:?}");
    assert_eq!(desk::answer(&mut session, "sub_cus_1", Since::Created).await.unwrap(), at - TimeDelta::days(1));
    session.commit().await.unwrap();
    world.work().await;
    assert_eq!(world.balance().await, 2_000);
    assert_eq!(world.ledger.ask(world.workspace, Mode::Live, backfill.started_at()).await.unwrap(), 0);
    let mut tx = world.db.read().await.unwrap();
    assert!(questions::open(&mut tx, world.workspace, Mode::Live, None, 10).await.unwrap().is_empty());
}

async fn single_objects_bring_what_ties_them(world: &World) {
    let filling = Filling::of(world, merchant(12));
    let into =
        Destination { db: world.db.clone(), inbox: world.inbox.clone(), workspace: world.workspace, mode: Mode::Live };
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let asked = ids(&["in_3", "re_10", "tr_1", "in_nowhere"]);
    let report = fetch(&into, &filling.asking, &asked, world.now()).await.unwrap();
    let mut fetched: Vec<&str> = report.fetched.iter().map(|(id, _)| id.as_str()).collect();
    fetched.sort_unstable();
    assert_eq!(fetched, ["ch_10", "ch_3", "in_3", "inpay_10", "re_10"]);
    assert!(report.fetched.iter().all(|(_, is_new)| *is_new));
    let problems: Vec<&str> = report.problems.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(problems, ["tr_1", "in_nowhere"], "{:?}", report.problems);
    let again = fetch(&into, &filling.asking, &ids(&["in_3", "evt_in_5"]), world.now()).await.unwrap();
    assert_eq!(again.fetched[0], ("in_3".to_owned(), false));
    assert!(again.fetched.contains(&("evt_in_5".to_owned(), true)), "{again:?}");
    filling.fake.books().lacks.push("charge_read");
    let refused = fetch(&into, &filling.asking, &ids(&["ch_4", "in_5"]), world.now()).await;
    assert!(refused.unwrap_err().to_string().contains("permission"));
}
