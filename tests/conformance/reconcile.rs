//! The completeness proof: a month adds up to Stripe's total, or the objects that differ are named.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use commission_bridge::domain::calendar::Month;
use commission_bridge::domain::reconcile::{Kind as Compared, Report, Why};
use commission_bridge::intake::asking::Asking;
use commission_bridge::intake::fetch::{Destination, fetch};
use commission_bridge::intake::patience::Patience;
use commission_bridge::reconcile::{Nightly, Reconciler};
use commission_bridge::sample::{Business, Options, RefundEvents, Shape, business, render_all};
use commission_bridge::store::{Mode, reconciliations};
use commission_bridge::stripe_api::{self, Api, Keys};
use serde_json::{Value, json};

use crate::fake_stripe::{FakeStripe, Fault, Faults, Kind, LIVE_KEY, Merchant};
use crate::harness::World;

crate::on_both_engines!(
    what_was_heard_adds_up,
    what_is_missing_is_named_and_fetched,
    what_stripe_does_not_have_is_named,
    other_amounts_are_named,
    it_waits_for_stripe_and_reads_what_it_can,
    every_night_once,
);

fn options(fake: &FakeStripe) -> stripe_api::Options {
    stripe_api::Options { base: Some(fake.base()), timeout: Duration::from_secs(5), per_second: 0 }
}

/// A business that Stripe knows, and everything that its webhooks told.
struct Told {
    fake: FakeStripe,
    business: Business,
    events: Vec<Value>,
}

fn told(world: &World, seed: u64) -> Told {
    told_as(world, &Options::varied(seed))
}

fn told_as(world: &World, options: &Options) -> Told {
    let business = business(&Options { customers: 30, months: 5, ..options.clone() });
    let events = business.events.iter().flat_map(|event| render_all(event, Shape::New)).collect();
    let fake = FakeStripe::with(world.clock.clone(), Merchant::of(&business.events));
    Told { fake, business, events }
}

impl World {
    async fn hear(&self, told: &Told, heard: impl Fn(&Value) -> bool) {
        self.apply(&told.business.program_toml).await;
        assert!(told.business.settled_at < self.now());
        let events: Vec<Value> = told.events.iter().filter(|event| heard(event)).cloned().collect();
        self.import(&events).await;
        self.work().await;
    }

    fn reconciler(&self, fake: &FakeStripe) -> Reconciler {
        let api = Arc::new(Api::new(LIVE_KEY, &options(fake)).unwrap());
        let asking = Asking::new(api, Patience::by_hand(self.clock.clone()));
        let book = (self.workspace, Mode::Live);
        Reconciler { db: self.db.clone(), clock: self.clock.clone(), book, asking }
    }

    /// Every month in which anything happened.
    async fn compare(&self, told: &Told) -> Vec<(Month, Report)> {
        let reconciler = self.reconciler(&told.fake);
        let moments = told.events.iter().filter_map(|event| event["created"].as_i64());
        let months: BTreeSet<Month> =
            moments.map(|at| Month::containing(chrono::DateTime::from_timestamp(at, 0).unwrap(), Tz::UTC)).collect();
        let mut reports = Vec::new();
        for month in months {
            let report = reconciler.run(month).await.unwrap();
            for money in report.currencies.values() {
                let refused: i64 = money.refused.values().sum();
                assert_eq!(money.stripe, money.credited + refused + money.unsettled + money.differing, "{report:#?}");
            }
            reports.push((month, report));
        }
        reports
    }
}

fn named(reports: &[(Month, Report)]) -> Vec<(Compared, String, Why)> {
    let all = reports.iter().flat_map(|(_, report)| &report.differences);
    all.map(|one| (one.kind, one.id.clone(), one.why)).collect()
}

fn is_about(event: &Value, id: &str) -> bool {
    event["data"]["object"].to_string().contains(&format!("\"{id}\""))
}

async fn what_was_heard_adds_up(world: &World) {
    let told = told(world, 11);
    world.hear(&told, |_| true).await;
    let reports = world.compare(&told).await;
    assert_eq!(named(&reports), []);
    assert!(reports.iter().any(|(_, report)| report.currencies.values().any(|money| money.credited > 0)));
    let looked_at: u64 = reports.iter().flat_map(|(_, report)| report.objects.values()).sum();
    assert!(looked_at > 100, "{looked_at}");
    assert!(reports.iter().all(|(_, report)| report.currencies.values().all(|money| money.unsettled == 0)));
}

async fn what_is_missing_is_named_and_fetched(world: &World) {
    let told = told(world, 12);
    let invoices = told.fake.books().merchant().ids(Kind::Invoice);
    let is_paid = |id: &&String| {
        let mut books = told.fake.books();
        let invoice = books.merchant().get(Kind::Invoice, id).unwrap();
        invoice["status"] == "paid" && invoice["amount_paid"].as_i64() > Some(0)
    };
    let invoice = invoices.iter().rev().find(is_paid).unwrap().clone();
    world.hear(&told, |event| !is_about(event, &invoice)).await;
    let missing = named(&world.compare(&told).await);
    assert!(missing.contains(&(Compared::Invoice, invoice.clone(), Why::Missing)), "{missing:?}");
    assert!(missing.iter().all(|(_, _, why)| *why == Why::Missing), "{missing:?}");

    let reconciler = world.reconciler(&told.fake);
    let ids: Vec<String> = missing.into_iter().map(|(_, id, _)| id).collect();
    let (db, inbox) = (world.db.clone(), world.inbox.clone());
    let into = Destination { db, inbox, workspace: world.workspace, mode: Mode::Live };
    let fetched = fetch(&into, &reconciler.asking, &ids, world.now()).await.unwrap();
    assert_eq!(fetched.problems, []);
    world.work().await;
    assert_eq!(named(&world.compare(&told).await), []);
}

async fn what_stripe_does_not_have_is_named(world: &World) {
    // Refunds of accounts that tell cumulative figures are not known by id.
    let told = told_as(world, &Options { refunds: RefundEvents::ById, ..Options::varied(13) });
    world.hear(&told, |_| true).await;
    let lower: Vec<String> = world
        .payments()
        .await
        .iter()
        .filter(|one| one.taken_back > 0)
        .flat_map(|one| one.references().unwrap())
        .collect();
    let mut gone = Vec::new();
    {
        let mut books = told.fake.books();
        let merchant = books.merchant();
        for (kind, compared) in [(Kind::Invoice, Compared::Invoice), (Kind::Refund, Compared::Refund)] {
            let counts = |id: &String| {
                let object = merchant.get(kind, id).unwrap();
                let is_of_a_sale =
                    object["charge"].as_str().is_some_and(|charge| lower.iter().any(|one| one == charge));
                object["status"] == "paid" && object["amount_paid"].as_i64() > Some(0)
                    || object["status"] == "succeeded" && is_of_a_sale
            };
            let id = merchant.ids(kind).into_iter().find(counts).unwrap();
            merchant.delete(kind, &id);
            gone.push((compared, id, Why::UnknownToStripe));
        }
    }
    let mut unknown = named(&world.compare(&told).await);
    unknown.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    assert_eq!(unknown, gone);
}

async fn other_amounts_are_named(world: &World) {
    let told = told(world, 14);
    world.hear(&told, |_| true).await;
    let charges = told.fake.books().merchant().ids(Kind::Charge);
    let is_captured =
        |id: &String| told.fake.books().merchant().get(Kind::Charge, id).unwrap()["amount_captured"].as_i64() > Some(0);
    let charge = charges.into_iter().find(is_captured).unwrap();
    told.fake.books().merchant().change(Kind::Charge, &charge, |object| {
        object["amount_captured"] = json!(object["amount_captured"].as_i64().unwrap() + 7);
    });
    let reports = world.compare(&told).await;
    assert_eq!(named(&reports), [(Compared::Charge, charge, Why::Differs)]);
    let gap: i64 = reports.iter().flat_map(|(_, report)| report.gaps().into_values()).sum();
    assert_eq!(gap, 7);
}

async fn it_waits_for_stripe_and_reads_what_it_can(world: &World) {
    let told = told(world, 15);
    world.hear(&told, |_| true).await;
    told.fake.plan_for("GET", Faults::script([Fault::Busy, Fault::Gateway, Fault::DropBefore, Fault::Garbage]));
    assert_eq!(named(&world.compare(&told).await), []);

    let charge = told.fake.books().merchant().ids(Kind::Charge)[0].clone();
    told.fake.books().merchant().change(Kind::Charge, &charge, |object| object["currency"] = json!(["never seen"]));
    let unreadable = named(&world.compare(&told).await);
    assert_eq!(unreadable, [(Compared::Charge, charge, Why::Unreadable)]);

    told.fake.books().lacks = vec!["charge_read"];
    let refused = world.reconciler(&told.fake).run("2026-09".parse().unwrap()).await.unwrap_err();
    assert!(refused.to_string().contains("permission"), "{refused}");
}

async fn every_night_once(world: &World) {
    let told = told(world, 16);
    world.hear(&told, |_| true).await;
    let keys = Keys::parse(LIVE_KEY, &options(&told.fake)).unwrap();
    let (db, clock) = (world.db.clone(), world.clock.clone());
    let nightly = Nightly { db, clock, keys, patience: Patience::by_hand(world.clock.clone()) };
    let asked = || told.fake.books().count("GET");
    nightly.round().await.unwrap();
    let first = asked();
    assert!(first > 0);
    nightly.round().await.unwrap();
    assert_eq!(asked(), first);
    world.clock.advance(chrono::TimeDelta::hours(4));
    nightly.round().await.unwrap();
    assert!(asked() > first);
    let mut tx = world.db.read().await.unwrap();
    let kept = reconciliations::list(&mut tx, (world.workspace, Mode::Live), None, 10).await.unwrap();
    let months: Vec<&str> = kept.iter().map(|one| one.month.as_str()).collect();
    assert_eq!(months, ["2026-10", "2026-09"]);
    assert!(kept.iter().all(|one| one.differing == 0));
}
