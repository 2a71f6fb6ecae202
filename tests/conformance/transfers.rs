//! Paying by Stripe: whatever is answered, lost, refused or forgotten, every payout is paid once.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use commission_bridge::admin::adjustments::{NewAdjustment, create};
use commission_bridge::domain::Time;
use commission_bridge::domain::entry::EntryKind;
use commission_bridge::domain::terms::{Change, Method, PayoutMethod, Profile};
use commission_bridge::payouts::transfers::{self, Payer, Policy, Round};
use commission_bridge::payouts::{batch, closing};
use commission_bridge::store::batches::{self, Batch};
use commission_bridge::store::payouts::{self, Payout};
use commission_bridge::store::transfers::{self as stored, Attempt, Cursor, Lease};
use commission_bridge::store::{Mode, Urgency};
use commission_bridge::stripe_api::{Answer, Api, NewTransfer, Options};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fake_stripe::{FakeStripe, Fault, Faults, LIVE_KEY};
use crate::harness::World;

crate::on_both_engines!(
    everybody_is_paid_once,
    a_lost_answer_is_looked_up,
    what_was_not_done_is_tried_under_the_same_key,
    a_kept_500_waits_until_its_key_has_expired,
    a_key_in_use_waits_for_its_first_answer,
    a_partners_fault_fails_that_payout_alone,
    a_batch_stands_still_while_money_is_missing,
    a_key_that_may_not_pay_lets_the_batch_stand_still,
    whoever_comes_after_a_crash_looks_first,
    two_pay_at_once,
    who_has_lost_the_lease_concludes_nothing,
    a_restored_backup_pays_nobody_again,
    a_transfer_that_is_not_the_payouts_is_left_to_people,
    an_amount_that_its_currency_cannot_pay_is_refused,
    what_is_in_a_file_is_not_transferred,
);

pub const MONTH: &str = "2026-10";

/// A closed and approved month, and a Stripe to pay it by.
pub struct Paid {
    pub fake: FakeStripe,
    pub batch: Batch,
}

impl World {
    pub fn wait_until(&self, at: &str) {
        self.clock.advance(at.parse::<Time>().unwrap() - self.now());
    }

    /// Partners `p0`, `p1`, … with these amounts, who are paid by Stripe.
    pub async fn owes(&self, amounts: &[(i64, &str)]) -> Paid {
        let fake = FakeStripe::start(self.clock.clone());
        let partners: Vec<Change> = (0..amounts.len())
            .map(|number| {
                let account = Some(format!("acct_p{number}"));
                let payout = Some(PayoutMethod { method: Method::Stripe, account, currency: None });
                let profile = Profile { payout, ..Profile::default() };
                Change::Partner { partner: format!("p{number:04}"), profile }
            })
            .collect();
        self.enter(&partners).await;
        let mut session = self.session().await;
        let mut desk = session.desk().await.unwrap();
        for (number, (amount, currency)) in amounts.iter().enumerate() {
            let (kind, partner) = (EntryKind::Adjustment, format!("p{number:04}"));
            let new = NewAdjustment {
                kind,
                partner: &partner,
                program: None,
                amount: *amount,
                currency,
                note: "owed",
                available_at: None,
            };
            create(&mut desk, &new).await.unwrap();
        }
        session.commit().await.unwrap();
        self.wait_until("2026-11-02T09:00:00Z");
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let (batch, _) = closing::begin(tx, by, Mode::Live, MONTH.parse().unwrap()).await.unwrap();
        session.commit().await.unwrap();
        let ids = &self.ledger.ids;
        closing::finish(&self.db, &self.clock, ids, self.workspace, &batch.batch_id).await.unwrap();
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let (batch, _) = batch::approve(tx, by, Mode::Live, MONTH).await.unwrap();
        session.commit().await.unwrap();
        Paid { fake, batch }
    }

    pub async fn ask_to_pay(&self) -> Batch {
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let batch = transfers::ask(tx, by, Mode::Live, MONTH).await.unwrap();
        session.commit().await.unwrap();
        batch
    }

    pub fn payer(&self, fake: &FakeStripe) -> Payer {
        self.payer_with(fake, LIVE_KEY)
    }

    fn payer_with(&self, fake: &FakeStripe, key: &str) -> Payer {
        let options = Options { base: Some(fake.base()), timeout: Duration::from_secs(5), per_second: 0 };
        let api = Arc::new(Api::new(key, &options).unwrap());
        let policy = Policy { patience: Duration::ZERO, ..Policy::default() };
        let book = (self.workspace, Mode::Live);
        Payer::new(self.db.clone(), self.clock.clone(), self.ledger.ids.clone(), book, api).with_policy(policy)
    }

    pub async fn payouts_of(&self, paid: &Paid) -> Vec<Payout> {
        let mut tx = self.db.read().await.unwrap();
        payouts::of_batch(&mut tx, self.workspace, &paid.batch.batch_id).await.unwrap()
    }

    /// How all payouts stand, in order of partners.
    pub async fn statuses(&self, paid: &Paid) -> String {
        let all = self.payouts_of(paid).await;
        all.iter().map(|payout| payout.status.as_str()).collect::<Vec<_>>().join(" ")
    }

    pub async fn attempts_of(&self, payout: &Payout) -> Vec<Attempt> {
        let mut tx = self.db.read().await.unwrap();
        stored::attempts(&mut tx, self.workspace, &payout.payout_id).await.unwrap()
    }

    pub async fn batch_now(&self, paid: &Paid) -> Batch {
        let mut tx = self.db.read().await.unwrap();
        batches::by_id(&mut tx, self.workspace, &paid.batch.batch_id).await.unwrap().unwrap()
    }

    /// The fake's books hold each settled payout once and nothing else, the ledger is right, the batch is paid.
    pub async fn is_paid(&self, paid: &Paid) {
        let payouts = self.payouts_of(paid).await;
        let books = paid.fake.books().paid();
        for payout in payouts.iter().filter(|payout| payout.status == "settled") {
            let amounts = books.get(&payout.payout_id).cloned().unwrap_or_default();
            assert_eq!(amounts, [payout.paid_amount], "{}", payout.partner_key);
        }
        let settled = payouts.iter().filter(|payout| payout.status == "settled").count();
        assert_eq!(paid.fake.books().transfers.len(), settled);
        assert_eq!(self.batch_now(paid).await.status, "paid");
        self.proves().await;
    }

    pub async fn proves(&self) {
        let report = self.ledger.verify(self.workspace, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{:#?}", report.differences);
    }
}

impl Paid {
    async fn round(&self, payer: &Payer) -> Round {
        payer.round(&self.batch.batch_id, &CancellationToken::new()).await.unwrap()
    }
}

async fn everybody_is_paid_once(world: &World) {
    let amounts: Vec<(i64, &str)> = (0..25).map(|number| (1000 + number, "usd")).collect();
    let paid = world.owes(&amounts).await;
    let payer = world.payer(&paid.fake);
    // Nobody asked.
    assert_eq!(paid.round(&payer).await.claimed, 0);
    assert_eq!(world.ask_to_pay().await.status, "paying");
    let round = paid.round(&payer).await;
    assert_eq!((round.settled, round.next, round.paused), (25, None, None));
    world.is_paid(&paid).await;
    let payout = &world.payouts_of(&paid).await[3];
    let transfer = paid.fake.books().transfers.iter().find(|one| one.destination == "acct_p3").cloned().unwrap();
    assert_eq!(transfer.group.as_ref(), Some(&payout.payout_id));
    assert_eq!(payout.external_id.as_ref(), Some(&transfer.id));
    assert_eq!(transfer.metadata["batch"], paid.batch.batch_id);
    assert_eq!(transfer.metadata["partner_key"], "p0003");
    assert_eq!(transfer.metadata["month"], MONTH);
    assert!(transfer.metadata["statement"].starts_with("st"), "{transfer:?}");
    // No look-up was needed, and paying once more does nothing.
    assert_eq!(paid.fake.books().requests.len(), 25);
    world.ask_to_pay().await;
    assert_eq!(paid.round(&payer).await.claimed, 0);
    assert_eq!(world.attempts_of(payout).await.len(), 1);
}

async fn a_lost_answer_is_looked_up(world: &World) {
    let faults = [Fault::DropAfter, Fault::ErrorAfter, Fault::Garbage, Fault::Silent];
    let paid = world.owes(&[(1000, "usd"); 4]).await;
    paid.fake.plan(Faults::script(faults));
    world.ask_to_pay().await;
    assert_eq!(paid.round(&world.payer(&paid.fake)).await.settled, 4);
    assert_eq!(paid.fake.books().count("GET /v1/transfers"), 4);
    world.is_paid(&paid).await;
}

async fn what_was_not_done_is_tried_under_the_same_key(world: &World) {
    let paid = world.owes(&[(1000, "usd"); 3]).await;
    let busy = [Fault::Busy; 3];
    paid.fake.plan(Faults::script([Fault::DropBefore, Fault::Gateway].into_iter().chain(busy)));
    world.ask_to_pay().await;
    let payer = world.payer(&paid.fake);
    let round = paid.round(&payer).await;
    // Who is told to wait does so at once; the others are open until the next round.
    assert_eq!((round.settled, round.failed), (1, 0));
    assert!(round.next.is_some());
    assert_eq!(world.batch_now(&paid).await.status, "paying");
    assert_eq!(paid.round(&payer).await.settled, 2);
    world.is_paid(&paid).await;
    for payout in world.payouts_of(&paid).await {
        assert_eq!(world.attempts_of(&payout).await.len(), 1);
    }
}

async fn a_kept_500_waits_until_its_key_has_expired(world: &World) {
    let paid = world.owes(&[(1000, "usd")]).await;
    paid.fake.plan(Faults::script([Fault::ErrorBefore]));
    world.ask_to_pay().await;
    let payer = world.payer(&paid.fake);
    for _ in 0..5 {
        assert_eq!(paid.round(&payer).await.settled, 0);
        world.clock.advance(TimeDelta::hours(4));
    }
    let payout = world.payouts_of(&paid).await.remove(0);
    let attempts = world.attempts_of(&payout).await;
    assert_eq!((attempts.len(), attempts[0].status.as_str(), attempts[0].tries), (1, "open", 5));
    assert!(attempts[0].message.as_ref().unwrap().contains("500"), "{attempts:?}");
    world.clock.advance(TimeDelta::hours(4));
    // The look-up alone decides; then there is a new key.
    let sent = paid.fake.books().count("POST /v1/transfers");
    assert_eq!(paid.round(&payer).await.settled, 0);
    assert_eq!(paid.fake.books().count("POST /v1/transfers"), sent);
    assert_eq!(paid.round(&payer).await.settled, 1);
    let attempts = world.attempts_of(&payout).await;
    assert_eq!(attempts.iter().map(|one| one.status.as_str()).collect::<Vec<_>>(), ["expired", "done"]);
    world.is_paid(&paid).await;
}

async fn a_key_in_use_waits_for_its_first_answer(world: &World) {
    let paid = world.owes(&[(1000, "usd")]).await;
    paid.fake.plan(Faults::script([Fault::Held]));
    world.ask_to_pay().await;
    let (first, second) = (world.payer(&paid.fake), world.payer(&paid.fake));
    let (batch, stop) = (paid.batch.batch_id.clone(), CancellationToken::new());
    let slow = tokio::spawn(async move { first.round(&batch, &stop).await.unwrap() });
    tokio::task::block_in_place(|| paid.fake.until_held(1));
    // Its lease is over, and somebody else takes it over: there is nothing yet, and its key is in use.
    world.clock.advance(TimeDelta::minutes(5));
    let round = paid.round(&second).await;
    assert_eq!((round.claimed, round.settled), (1, 0));
    paid.fake.release();
    assert_eq!(slow.await.unwrap().settled, 1);
    assert_eq!(paid.round(&second).await.claimed, 0);
    world.is_paid(&paid).await;
}

async fn a_partners_fault_fails_that_payout_alone(world: &World) {
    let paid = world.owes(&[(1000, "usd"), (2000, "usd"), (3000, "usd")]).await;
    paid.fake.books().any_account = false;
    for (number, transfers) in [(0, "active"), (1, "inactive")] {
        let id = format!("acct_p{number}");
        let account = crate::fake_stripe::Account {
            id: id.clone(),
            transfers: transfers.to_owned(),
            currently_due: Vec::new(),
            email: None,
            metadata: std::collections::BTreeMap::new(),
        };
        paid.fake.books().accounts.insert(id, account);
    }
    world.ask_to_pay().await;
    let round = paid.round(&world.payer(&paid.fake)).await;
    assert_eq!((round.settled, round.failed, round.next), (1, 2, None));
    assert_eq!(world.statuses(&paid).await, "settled failed failed");
    let payouts = world.payouts_of(&paid).await;
    let reasons: Vec<&str> = payouts.iter().filter_map(|payout| payout.failure_reason.as_deref()).collect();
    assert!(reasons[0].contains("may not receive transfers yet"), "{reasons:?}");
    assert!(reasons[1].contains("knows no account acct_p2"), "{reasons:?}");
    world.is_paid(&paid).await;
    // What failed is owed again.
    let mut owed: Vec<i64> = world.balances().await.iter().map(|balance| balance.balance).collect();
    owed.sort_unstable();
    assert_eq!(owed, [2000, 3000]);
}

async fn a_batch_stands_still_while_money_is_missing(world: &World) {
    let paid = world.owes(&[(1000, "usd"); 30]).await;
    paid.fake.books().available.insert("usd".to_owned(), 10_500);
    world.ask_to_pay().await;
    let payer = world.payer(&paid.fake);
    let round = paid.round(&payer).await;
    assert_eq!((round.settled, round.failed), (10, 0));
    let paused = round.paused.unwrap();
    assert_eq!(
        paused,
        json!({"code": "balance_insufficient", "currency": "usd", "missing": 19_500, "needed": 20_000, "available": 500})
    );
    assert_eq!(world.batch_now(&paid).await.paused(), Some(paused));
    assert!(!world.statuses(&paid).await.contains("sending"));
    // It stands still until somebody asks, money or not.
    paid.fake.books().available.insert("usd".to_owned(), 20_000);
    let asked = paid.fake.books().requests.len();
    assert_eq!(paid.round(&payer).await.claimed, 0);
    assert!(paid.fake.books().requests.len() <= asked + 1);
    assert_eq!(world.ask_to_pay().await.paused(), None);
    assert_eq!(paid.round(&payer).await.settled, 20);
    world.is_paid(&paid).await;
}

async fn a_key_that_may_not_pay_lets_the_batch_stand_still(world: &World) {
    let paid = world.owes(&[(1000, "usd"); 3]).await;
    world.ask_to_pay().await;
    let round = paid.round(&world.payer_with(&paid.fake, "sk_live_of_somebody_else")).await;
    assert_eq!(round.paused.unwrap()["code"], "key_refused");
    assert_eq!(round.settled, 0);
    paid.fake.books().lacks = vec!["transfers_write"];
    world.ask_to_pay().await;
    let payer = world.payer(&paid.fake);
    let paused = paid.round(&payer).await.paused.unwrap();
    assert_eq!(paused["code"], "key_lacks_permission");
    assert!(paused["message"].as_str().unwrap().contains("transfers_write"), "{paused}");
    paid.fake.books().lacks.clear();
    world.ask_to_pay().await;
    assert_eq!(paid.round(&payer).await.settled, 3);
    world.is_paid(&paid).await;
}

/// Claims as a process does that is killed right after.
async fn claim(world: &World, paid: &Paid) -> Vec<stored::Claimed> {
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let lease = Lease { by: "killed", now: world.now(), until: world.now() + TimeDelta::seconds(120) };
    let (workspace, batch) = (world.workspace, &paid.batch.batch_id);
    let claimed = stored::claim(&mut tx, workspace, batch, &Cursor::default(), &lease, 8).await.unwrap();
    tx.commit().await.unwrap();
    claimed.0
}

/// Sends as a process does that is killed before it hears the answer.
async fn send(fake: &FakeStripe, claimed: &stored::Claimed) {
    let options = Options { base: Some(fake.base()), timeout: Duration::from_secs(5), per_second: 0 };
    let api = Api::new(LIVE_KEY, &options).unwrap();
    let new = NewTransfer {
        amount: claimed.paid_amount,
        currency: claimed.currency().unwrap(),
        destination: claimed.destination.as_deref().unwrap(),
        transfer_group: &claimed.payout_id,
        description: "before the crash",
        metadata: &[],
    };
    assert!(matches!(api.create_transfer(&new, claimed.key()).await, Answer::Done(_)));
}

async fn whoever_comes_after_a_crash_looks_first(world: &World) {
    let paid = world.owes(&[(1000, "usd"), (2000, "usd"), (3000, "usd")]).await;
    world.ask_to_pay().await;
    let claimed = claim(world, &paid).await;
    assert_eq!(claimed.len(), 3);
    send(&paid.fake, &claimed[1]).await;
    let payer = world.payer(&paid.fake);
    // As long as the lease lasts, they may be under way.
    assert_eq!(paid.round(&payer).await.claimed, 0);
    world.clock.advance(TimeDelta::seconds(121));
    let round = paid.round(&payer).await;
    assert_eq!((round.claimed, round.settled), (3, 3));
    assert_eq!(paid.fake.books().count("GET /v1/transfers"), 3);
    world.is_paid(&paid).await;
    // The same days later, when no key is known any more.
    assert_eq!(world.statuses(&paid).await, "settled settled settled");
}

async fn two_pay_at_once(world: &World) {
    let amounts: Vec<(i64, &str)> = (0..60).map(|number| (1000 + number, "usd")).collect();
    let paid = world.owes(&amounts).await;
    paid.fake.plan(Faults::seeded(7, 250));
    world.ask_to_pay().await;
    let (one, other) = (world.payer(&paid.fake), world.payer(&paid.fake));
    for _ in 0..50 {
        let (a, b) = tokio::join!(paid.round(&one), paid.round(&other));
        if a.next.is_none() && b.next.is_none() {
            break;
        }
    }
    assert!(paid.round(&one).await.next.is_none(), "{}", world.statuses(&paid).await);
    world.is_paid(&paid).await;
}

async fn who_has_lost_the_lease_concludes_nothing(world: &World) {
    let paid = world.owes(&[(1000, "usd")]).await;
    paid.fake.books().available.insert("usd".to_owned(), 0);
    paid.fake.plan(Faults::script([Fault::Held]));
    world.ask_to_pay().await;
    let first = world.payer(&paid.fake);
    let (batch, stop) = (paid.batch.batch_id.clone(), CancellationToken::new());
    let slow = tokio::spawn(async move { first.round(&batch, &stop).await.unwrap() });
    tokio::task::block_in_place(|| paid.fake.until_held(1));
    world.clock.advance(TimeDelta::minutes(5));
    claim(world, &paid).await;
    paid.fake.release();
    // Refused, and nothing found: but somebody else may be sending by now.
    let round = slow.await.unwrap();
    assert_eq!((round.settled, round.failed, round.paused), (0, 0, None));
    assert_eq!(world.statuses(&paid).await, "sending");
    let payout = world.payouts_of(&paid).await.remove(0);
    assert_eq!(world.attempts_of(&payout).await[0].status, "open");
}

async fn a_restored_backup_pays_nobody_again(world: &World) {
    let paid = world.owes(&[(1000, "usd"), (2000, "usd")]).await;
    world.ask_to_pay().await;
    let claimed = claim(world, &paid).await;
    send(&paid.fake, &claimed[0]).await;
    world.tamper("DELETE FROM transfer_attempts").await.unwrap();
    let forgotten = "UPDATE payouts SET status = 'ready', attempt = 0, leased_by = NULL, leased_until = NULL";
    world.tamper(forgotten).await.unwrap();
    world.clock.advance(TimeDelta::days(3));
    assert_eq!(paid.round(&world.payer(&paid.fake)).await.settled, 2);
    world.is_paid(&paid).await;
}

async fn a_transfer_that_is_not_the_payouts_is_left_to_people(world: &World) {
    let paid = world.owes(&[(1000, "usd")]).await;
    let payout = world.payouts_of(&paid).await.remove(0);
    world.ask_to_pay().await;
    let mut claimed = claim(world, &paid).await.remove(0);
    claimed.paid_amount = 400;
    send(&paid.fake, &claimed).await;
    world.clock.advance(TimeDelta::seconds(121));
    let payer = world.payer(&paid.fake);
    for _ in 0..2 {
        let paused = paid.round(&payer).await.paused.unwrap();
        assert_eq!(paused["code"], "transfer_differs");
        assert_eq!(paused["payout_id"], payout.payout_id.as_str());
        assert_eq!(world.statuses(&paid).await, "ready");
        world.ask_to_pay().await;
    }
    assert_eq!(paid.fake.books().transfers.len(), 1);
    // Once it is reversed, the payout itself is made.
    paid.fake.reverse("tr_000001", 400);
    assert_eq!(paid.round(&payer).await.settled, 1);
    assert_eq!(paid.fake.books().transfers.len(), 2);
    assert_eq!(world.batch_now(&paid).await.status, "paid");
}

async fn an_amount_that_its_currency_cannot_pay_is_refused(world: &World) {
    let paid = world.owes(&[(12_340, "kwd"), (50_000, "isk"), (70_000, "huf"), (999, "usd")]).await;
    world.tamper("UPDATE payouts SET paid_amount = paid_amount + 1 WHERE currency <> 'usd'").await.unwrap();
    world.ask_to_pay().await;
    let round = paid.round(&world.payer(&paid.fake)).await;
    assert_eq!((round.settled, round.failed), (1, 3));
    assert_eq!(paid.fake.books().count("POST"), 1);
    let payouts = world.payouts_of(&paid).await;
    assert!(payouts[0].failure_reason.as_ref().unwrap().contains("in steps of 10 minor units"), "{payouts:?}");
}

async fn what_is_in_a_file_is_not_transferred(world: &World) {
    let paid = world.owes(&[(1000, "usd"), (2000, "usd")]).await;
    world.tamper("UPDATE payouts SET file_id = 'pf_1' WHERE paid_amount = 1000").await.unwrap();
    world.ask_to_pay().await;
    assert_eq!(paid.round(&world.payer(&paid.fake)).await.settled, 1);
    assert_eq!(world.statuses(&paid).await, "ready settled");
}
