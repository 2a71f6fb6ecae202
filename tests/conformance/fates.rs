//! What becomes of payouts: canceled, failed, returned, and paid after all. Every cent is in one place, and a month closes
//! and approves by itself where the settings say so.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use commission_bridge::admin::adjustments::{self, NewAdjustment};
use commission_bridge::domain::Time;
use commission_bridge::domain::entry::EntryKind;
use commission_bridge::domain::fx::EuroRate;
use commission_bridge::domain::terms::{AutoClose, Change, Method, PayoutMethod, Profile};
use commission_bridge::payouts::batch::PayoutError;
use commission_bridge::payouts::closing;
use commission_bridge::payouts::outcome::{self, Changed, InFile};
use commission_bridge::store::payouts::Payout;
use commission_bridge::store::{Mode, Urgency, batches, fx_rates};

use crate::harness::{World, paid_by_file, settings};

crate::on_both_engines!(
    a_canceled_payout_is_in_the_next_batch,
    what_failed_and_came_back_is_in_the_next_batch,
    a_payout_that_left_after_all_is_not_due_again,
    fates_that_cannot_be_are_refused,
    four_eyes_are_two_people,
    a_month_closes_by_itself,
    a_month_below_its_limit_is_approved_by_itself,
    two_who_finish_a_close_at_once_finish_it_once,
    money_in_another_currency_is_converted_at_the_close,
    every_cent_is_in_one_place,
);

/// In October.
fn day(day: i64) -> Time {
    crate::harness::START.parse::<Time>().unwrap() + TimeDelta::days(day)
}

impl World {
    async fn earns(&self, partner: &str, amount: i64, currency: &str) {
        let mut session = self.session().await;
        let mut desk = session.desk().await.unwrap();
        let new = NewAdjustment {
            kind: EntryKind::Adjustment,
            partner,
            program: None,
            amount,
            currency,
            note: "a good month",
            available_at: None,
        };
        adjustments::create(&mut desk, &new).await.unwrap();
        session.commit().await.unwrap();
    }

    async fn settled(&self, payout: &str, id: Option<&str>) -> Result<Changed, PayoutError> {
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let changed = outcome::settled(tx, by, payout, id, by.now).await?;
        session.commit().await?;
        Ok(changed)
    }

    async fn failed(&self, payout: &str) -> Result<Changed, PayoutError> {
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let changed = outcome::failed(tx, by, payout, "the account is closed").await?;
        session.commit().await?;
        Ok(changed)
    }

    async fn returned(&self, payout: &str, total: i64) -> Result<Changed, PayoutError> {
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let changed = outcome::returned(tx, by, payout, total, "sent back").await?;
        session.commit().await?;
        Ok(changed)
    }

    async fn cancel(&self, payout: &str) -> Result<Changed, PayoutError> {
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let changed = outcome::cancel(tx, by, payout, "not now", InFile::Refuse).await?;
        session.commit().await?;
        Ok(changed)
    }

    /// The last month's only payout; October's are closed in November, and so on.
    async fn closed_and_approved(&self, month: &str) -> Payout {
        self.close_month(month).await.unwrap();
        self.approve(month).await.unwrap();
        self.payout(month).await
    }

    async fn status(&self, month: &str) -> String {
        let mut tx = self.db.read().await.unwrap();
        batches::of_month(&mut tx, self.workspace, Mode::Live, month).await.unwrap().unwrap().status
    }
}

async fn a_canceled_payout_is_in_the_next_batch(world: &World) {
    world.enter(&[paid_by_file("acme")]).await;
    world.earns("acme", 5000, "usd").await;
    world.go_to(day(40)).await;
    world.close_month("2026-10").await.unwrap();
    let draft = world.payout("2026-10").await;
    let changed = world.cancel(&draft.payout_id).await.unwrap();
    assert_eq!((changed.after.status.as_str(), changed.after.returned), ("canceled", 5000));
    assert!(!world.cancel(&draft.payout_id).await.unwrap().is_news());
    assert_eq!(world.balance().await, 5000);
    world.is_proven().await;
    world.approve("2026-10").await.unwrap();
    assert_eq!((world.status("2026-10").await.as_str(), world.balance().await), ("paid", 5000));
    world.is_proven().await;

    world.go_to(day(70)).await;
    let payout = world.closed_and_approved("2026-11").await;
    assert_eq!((payout.amount, payout.adjustments, world.balance().await), (5000, 5000, 0));
    world.cancel(&payout.payout_id).await.unwrap();
    assert_eq!((world.status("2026-11").await.as_str(), world.balance().await), ("paid", 5000));
    world.is_proven().await;
}

async fn what_failed_and_came_back_is_in_the_next_batch(world: &World) {
    world.enter(&[paid_by_file("acme")]).await;
    world.earns("acme", 5000, "usd").await;
    world.go_to(day(40)).await;
    let payout = world.closed_and_approved("2026-10").await;
    assert_eq!(world.status("2026-10").await, "approved");
    let changed = world.failed(&payout.payout_id).await.unwrap();
    assert_eq!((changed.after.status.as_str(), changed.after.returned), ("failed", 5000));
    assert!(!world.failed(&payout.payout_id).await.unwrap().is_news());
    assert_eq!((world.status("2026-10").await.as_str(), world.balance().await), ("paid", 5000));
    world.is_proven().await;

    world.go_to(day(70)).await;
    let payout = world.closed_and_approved("2026-11").await;
    world.settled(&payout.payout_id, Some("tr_1")).await.unwrap();
    assert_eq!((world.status("2026-11").await.as_str(), world.balance().await), ("paid", 0));
    // 12.34 comes back, then all of it: each time the difference.
    for (total, returned, status) in [(1234, 1234, "settled"), (1234, 1234, "settled"), (5000, 5000, "returned")] {
        let changed = world.returned(&payout.payout_id, total).await.unwrap();
        assert_eq!((changed.after.returned, changed.after.status.as_str()), (returned, status));
        assert_eq!(world.balance().await, returned);
        world.is_proven().await;
    }
    // An older figure says nothing new.
    assert!(!world.returned(&payout.payout_id, 1234).await.unwrap().is_news());
    world.go_to(day(100)).await;
    assert_eq!(world.closed_and_approved("2026-12").await.amount, 5000);
    world.is_proven().await;
}

async fn a_payout_that_left_after_all_is_not_due_again(world: &World) {
    world.enter(&[paid_by_file("acme")]).await;
    world.earns("acme", 5000, "usd").await;
    world.go_to(day(40)).await;
    let payout = world.closed_and_approved("2026-10").await;
    world.failed(&payout.payout_id).await.unwrap();
    let changed = world.settled(&payout.payout_id, Some("X1")).await.unwrap();
    assert_eq!((changed.after.status.as_str(), changed.after.returned), ("settled", 0));
    assert_eq!(world.balance().await, 0);
    world.is_proven().await;
    world.go_to(day(70)).await;
    world.close_month("2026-11").await.unwrap();
    assert!(world.payouts("2026-11").await.iter().all(|payout| payout.amount == 0));
    world.is_proven().await;
}

async fn fates_that_cannot_be_are_refused(world: &World) {
    world
        .enter(&[paid_by_file("acme"), Change::Partner { partner: "zoe".to_owned(), profile: Profile::default() }])
        .await;
    world.earns("acme", 5000, "usd").await;
    world.earns("zoe", 5000, "usd").await;
    world.go_to(day(40)).await;
    world.close_month("2026-10").await.unwrap();
    let payouts = world.payouts("2026-10").await;
    let (acme, zoe) = (&payouts[0].payout_id, &payouts[1].payout_id);
    assert!(matches!(world.settled(acme, None).await, Err(PayoutError::NotApproved(_))));
    assert!(matches!(world.failed("po_nobody").await, Err(PayoutError::UnknownPayout(_))));
    assert!(matches!(world.cancel(zoe).await, Err(PayoutError::NotNow { .. })));
    world.approve("2026-10").await.unwrap();
    assert!(matches!(world.settled(zoe, None).await, Err(PayoutError::NotNow { .. })));
    world.settled(acme, Some("X1")).await.unwrap();
    assert!(matches!(world.settled(acme, Some("X2")).await, Err(PayoutError::PaidAs { .. })));
    assert!(matches!(world.failed(acme).await, Err(PayoutError::NotNow { .. })));
    assert!(matches!(world.cancel(acme).await, Err(PayoutError::NotNow { .. })));
    assert!(!world.settled(acme, Some("X1")).await.unwrap().is_news());
    world.is_proven().await;
}

async fn four_eyes_are_two_people(world: &World) {
    world.enter(&[paid_by_file("acme"), settings(|settings| settings.month_end.four_eyes = true)]).await;
    world.earns("acme", 5000, "usd").await;
    world.go_to(day(40)).await;
    world.close_month("2026-10").await.unwrap();
    assert!(matches!(world.approve("2026-10").await, Err(PayoutError::FourEyes { .. })));
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let ids = &world.ledger.ids;
    let by = commission_bridge::store::audit::By { workspace: world.workspace, author: "ann", now: world.now(), ids };
    let (batch, _) = commission_bridge::payouts::batch::approve(&mut tx, by, Mode::Live, "2026-10").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((batch.closed_by.as_str(), batch.approved_by.as_deref()), ("test", Some("ann")));
}

async fn a_month_closes_by_itself(world: &World) {
    let by_itself = settings(|settings| {
        settings.time_zone = chrono_tz::America::New_York;
        settings.month_end.close = AutoClose::Draft;
        settings.month_end.day = 2;
        settings.month_end.hour = 9;
    });
    world.enter(&[paid_by_file("acme"), by_itself]).await;
    world.go_to(day(5)).await;
    world.worker.close_what_is_due().await.unwrap();
    assert!(world.batches().await.is_empty(), "there was nothing before");
    world.earns("acme", 5000, "usd").await;
    // November 2nd, 9:00 in New York is 14:00 UTC, an hour after the clocks went back.
    world.go_to("2026-11-02T13:59:59Z".parse().unwrap()).await;
    world.worker.close_what_is_due().await.unwrap();
    assert_eq!(world.batches().await[0].month, "2026-09", "October has to wait");
    world.go_to("2026-11-02T14:00:00Z".parse().unwrap()).await;
    for _ in 0..2 {
        world.worker.close_what_is_due().await.unwrap();
        let batches = world.batches().await;
        let batch = &batches[0];
        assert_eq!((batch.month.as_str(), batch.status.as_str()), ("2026-10", "draft"));
        assert_eq!((batch.closed_by.as_str(), batches.len()), ("serve", 2));
    }
    assert_eq!(world.payout("2026-10").await.amount, 5000);
    world.is_proven().await;
}

async fn a_month_below_its_limit_is_approved_by_itself(world: &World) {
    let by_itself = settings(|settings| {
        settings.month_end.close = AutoClose::Approve;
        settings.month_end.approve_below = [("usd".parse().unwrap(), 10_000), ("eur".parse().unwrap(), 100)].into();
    });
    world.enter(&[paid_by_file("acme"), by_itself]).await;
    for (month, amount, currency, status) in [
        ("2026-10", 9_999, "usd", "approved"),
        ("2026-11", 10_000, "usd", "draft"),
        ("2026-12", 99, "eur", "draft"),
        ("2027-01", 99, "jpy", "draft"),
    ] {
        world.earns("acme", amount, currency).await;
        let running: commission_bridge::domain::calendar::Month = month.parse().unwrap();
        world.go_to(running.next().at(3, 9, chrono_tz::UTC)).await;
        world.worker.close_what_is_due().await.unwrap();
        // What was too much in November was never approved: it stays where it is reserved.
        let expected = if month == "2026-12" { "approved" } else { status };
        assert_eq!(world.status(month).await, expected, "{month}");
    }
    world.is_proven().await;
}

async fn two_who_finish_a_close_at_once_finish_it_once(world: &World) {
    let partners: Vec<String> = (0..230).map(|number| format!("partner-{number:03}")).collect();
    world.enter(&partners.iter().map(|key| paid_by_file(key)).collect::<Vec<_>>()).await;
    for partner in &partners {
        world.earns(partner, 1000, "usd").await;
    }
    world.go_to(day(40)).await;
    let (batch, _) = world.close_month("2026-10").await.unwrap();
    assert!(batch.is_closing(), "two pages are not all");
    assert!(matches!(world.approve("2026-10").await, Err(PayoutError::StillClosing(_))));
    // What is entered meanwhile changes nothing of it.
    world.enter(&[Change::Partner { partner: "partner-229".to_owned(), profile: Profile::default() }]).await;
    let finish = || closing::finish(&world.db, &world.clock, &world.ledger.ids, world.workspace, &batch.batch_id);
    let (one, other) = tokio::join!(finish(), finish());
    assert_eq!((one.unwrap().status.as_str(), other.unwrap().status.as_str()), ("draft", "draft"));
    let payouts = world.payouts("2026-10").await;
    assert_eq!(payouts.len(), partners.len());
    assert!(payouts.iter().all(|payout| payout.status == "ready" && payout.amount == 1000));
    world.approve("2026-10").await.unwrap();
    world.is_proven().await;
}

fn wants(method: Method, currency: &str) -> Profile {
    let payout = PayoutMethod { method, account: Some("x".to_owned()), currency: Some(currency.parse().unwrap()) };
    Profile { payout: Some(payout), ..Profile::default() }
}

impl World {
    async fn rates(&self, day: &str, rates: &[(&str, &str)]) {
        let day = day.parse().unwrap();
        let rates: Vec<_> = rates
            .iter()
            .map(|(currency, rate)| EuroRate {
                day,
                currency: currency.parse().unwrap(),
                per_euro: rate.parse().unwrap(),
            })
            .collect();
        let mut tx = self.db.write(Urgency::Now).await.unwrap();
        fx_rates::enter(&mut tx, self.workspace, &rates, "ecb", self.now()).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn money_in_another_currency_is_converted_at_the_close(world: &World) {
    let profile = wants(Method::Csv, "eur");
    world.enter(&[Change::Partner { partner: "acme".to_owned(), profile }]).await;
    world.earns("acme", 10_001, "usd").await;
    world.go_to("2026-11-01T10:00:00Z".parse().unwrap()).await;
    world.close_month("2026-10").await.unwrap();
    let blocked = world.payout("2026-10").await;
    assert_eq!((blocked.status.as_str(), blocked.reason.as_deref()), ("blocked", Some("rate_missing")));
    world.is_proven().await;
    // A Sunday has Friday's rate.
    world.rates("2026-11-27", &[("usd", "1.25")]).await;
    world.go_to("2026-12-01T10:00:00Z".parse().unwrap()).await;
    let payout = world.closed_and_approved("2026-11").await;
    assert_eq!((payout.amount, payout.paid_amount), (10_001, 8001));
    assert_eq!((payout.fx_rate.as_deref(), payout.fx_day.as_deref()), (Some("0.8"), Some("2026-11-27")));
    world.settled(&payout.payout_id, None).await.unwrap();
    // A quarter of the euros comes back: a quarter of the dollars is due again; then the rest, to the cent.
    let changed = world.returned(&payout.payout_id, 2000).await.unwrap();
    assert_eq!((changed.after.returned, world.balance().await), (2500, 2500));
    world.returned(&payout.payout_id, 8001).await.unwrap();
    assert_eq!(world.balance().await, 10_001);
    world.is_proven().await;
}

/// A few numbers that look like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Months of whatever can happen: what left and did not come back, and what the ledger still owes, is what was earned.
async fn every_cent_is_in_one_place(world: &World) {
    for seed in 0..4 {
        let world = &world.another(&format!("seed-{seed}"), day(0)).await;
        let mut chance = Chance(seed);
        world.enter(&[paid_by_file("csv")]).await;
        for (key, currency) in [("euro", "eur"), ("forint", "huf"), ("dinar", "kwd")] {
            let change = Change::Partner { partner: key.to_owned(), profile: wants(Method::Csv, currency) };
            world.enter(&[change]).await;
        }
        let (mut earned, mut months) = (BTreeMap::new(), 0);
        let mut month: commission_bridge::domain::calendar::Month = "2026-10".parse().unwrap();
        while months < 5 {
            for _ in 0..6 {
                let partner = ["csv", "euro", "forint", "dinar"][usize::try_from(chance.below(4)).unwrap()];
                let currency = ["usd", "jpy", "huf"][usize::try_from(chance.below(3)).unwrap()];
                let amount = i64::try_from(chance.below(200_000)).unwrap() - 40_000;
                if amount != 0 {
                    world.earns(partner, amount, currency).await;
                    *earned.entry(partner).or_insert_with(BTreeMap::new).entry(currency).or_insert(0) += amount;
                }
            }
            let close = month.next().at(2, 9, chrono_tz::UTC);
            world.go_to(close).await;
            if chance.below(4) > 0 {
                let rates = [("usd", "1.1572"), ("jpy", "178.31"), ("huf", "391.45"), ("kwd", "0.3551")];
                world.rates(&close.date_naive().to_string(), &rates).await;
            }
            world.close_month(&month.to_string()).await.unwrap();
            let draft = world.payouts(&month.to_string()).await;
            if let Some(payout) = draft.iter().find(|payout| payout.status == "ready" && chance.below(3) == 0) {
                world.cancel(&payout.payout_id).await.unwrap();
            }
            world.approve(&month.to_string()).await.unwrap();
            for payout in world.payouts(&month.to_string()).await.iter().filter(|payout| payout.status == "ready") {
                let id = &payout.payout_id;
                match chance.below(6) {
                    0 => drop(world.failed(id).await.unwrap()),
                    1 => drop(world.cancel(id).await.unwrap()),
                    2 => {
                        world.settled(id, None).await.unwrap();
                        let part = i64::try_from(chance.below(payout.paid_amount.unsigned_abs() + 1)).unwrap();
                        world.returned(id, part).await.unwrap();
                    }
                    3 => {
                        world.failed(id).await.unwrap();
                        world.settled(id, None).await.unwrap();
                    }
                    _ => drop(world.settled(id, None).await.unwrap()),
                }
            }
            world.is_proven().await;
            month = month.next();
            months += 1;
        }
        let mut left: BTreeMap<(String, String), i64> = BTreeMap::new();
        for batch in world.batches().await {
            for payout in world.payouts(&batch.month).await.iter().filter(|payout| payout.pays()) {
                let key = (payout.partner_key.clone(), payout.currency().unwrap().to_string());
                *left.entry(key).or_default() += payout.amount - payout.returned;
            }
        }
        for balance in world.balances().await {
            *left.entry((balance.partner.clone(), balance.currency.to_string())).or_default() += balance.balance;
        }
        for (partner, by_currency) in earned {
            for (currency, amount) in by_currency {
                let found = left.remove(&(partner.to_owned(), currency.to_owned())).unwrap_or(0);
                assert_eq!(found, amount, "seed {seed}: {partner} {currency}");
            }
        }
        assert!(left.values().all(|amount| *amount == 0), "seed {seed}: {left:?}");
    }
}
