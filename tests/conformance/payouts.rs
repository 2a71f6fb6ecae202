//! Month after month of payouts: they add up, nothing is paid twice, and what is closed stays as it is.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use commission_bridge::domain::calendar::Month;
use commission_bridge::domain::entry::EntryKind;
use commission_bridge::domain::terms::{Change, Method, PayoutMethod, Profile};
use commission_bridge::domain::{Time, netting::Reason};
use commission_bridge::payouts::batch::{self, Done, Paid, PayoutError};
use commission_bridge::sample::{Options, Shape, business, render_all};
use commission_bridge::store::batches::{self, Batch};
use commission_bridge::store::entries::Booked;
use commission_bridge::store::payouts::{self, Payout};
use commission_bridge::store::{Mode, StoreError};
use serde_json::{Value, json};

use crate::harness::{World, charge, hour, invoice_paid, invoice_payment, paid_by_file, refund, settings, terms};

crate::on_both_engines!(
    every_month_of_a_business_adds_up,
    two_who_close_at_once_close_once,
    a_refund_after_the_payout_nets_the_next_ones,
    a_month_ends_on_the_workspaces_clock,
    what_is_out_of_turn_is_refused,
);

impl World {
    pub async fn close_month(&self, month: &str) -> Result<(Batch, Done), PayoutError> {
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let done = batch::close(tx, by, Mode::Live, month.parse().unwrap()).await?;
        session.commit().await?;
        Ok(done)
    }

    pub async fn approve(&self, month: &str) -> Result<(Batch, Done), PayoutError> {
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let done = batch::approve(tx, by, Mode::Live, month).await?;
        session.commit().await?;
        Ok(done)
    }

    pub async fn mark_paid(&self, month: &str) -> Result<(Batch, usize), PayoutError> {
        let mut session = self.session().await;
        let (tx, by) = session.parts();
        let done = batch::mark_paid(tx, by, Mode::Live, month, &Paid::default()).await?;
        session.commit().await?;
        Ok(done)
    }

    pub async fn batches(&self) -> Vec<Batch> {
        let mut tx = self.db.read().await.unwrap();
        batches::all(&mut tx, self.workspace, Mode::Live).await.unwrap()
    }

    pub async fn payouts(&self, month: &str) -> Vec<Payout> {
        let mut tx = self.db.read().await.unwrap();
        let batch = batch::find(&mut tx, self.workspace, Mode::Live, month).await.unwrap();
        payouts::of_batch(&mut tx, self.workspace, &batch.batch_id).await.unwrap()
    }

    /// The only payout of a month.
    pub async fn payout(&self, month: &str) -> Payout {
        let mut payouts = self.payouts(month).await;
        assert_eq!(payouts.len(), 1, "{payouts:?}");
        payouts.remove(0)
    }

    pub async fn go_to(&self, at: Time) {
        self.clock.advance(at - self.now());
        self.work().await;
    }

    pub async fn is_proven(&self) {
        let report = self.ledger.verify(self.workspace, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{:#?}", report.differences);
        assert_eq!((report.waiting, report.parked, report.pending), (0, 0, 0));
    }
}

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

/// Opening, earned, reversed, adjusted, paid, closing.
fn amounts(payout: &Payout) -> [i64; 6] {
    [payout.opening, payout.earned, payout.reversed, payout.adjustments, payout.amount, payout.closing]
}

/// What approving and paying may not change, a line for each payout.
fn frozen(payouts: &[Payout]) -> Vec<String> {
    let row = |payout: &Payout| {
        let Payout { payout_id, entry_count, method, reason, profile, .. } = payout;
        format!("{payout_id} {:?} {entry_count} {method} {reason:?} {profile}", amounts(payout))
    };
    payouts.iter().map(row).collect()
}

/// What has become of a business's payouts so far, by partner and currency.
#[derive(Default)]
struct Account {
    closing: i64,
    earned: i64,
    reversed: i64,
}

type Accounts = BTreeMap<(String, String), Account>;

/// What the bookkeeper is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// Closes, approves and pays each month a few days after its end.
    Prompt,
    /// Approves a month only after the next one was closed.
    ApprovesLate,
    /// Closes two months at a time, when both are over.
    ClosesTwo,
}

async fn every_month_of_a_business_adds_up(world: &World) {
    for (seed, habit) in [(1, Habit::Prompt), (2, Habit::ApprovesLate), (3, Habit::ClosesTwo)] {
        Box::pin(months(world, seed, habit)).await;
    }
}

/// Lives through a business, month by month.
async fn months(world: &World, seed: u64, habit: Habit) {
    let options = Options { customers: 30, months: 6, codes_on_sessions: true, ..Options::new(seed) };
    let business = business(&options);
    let world = world.another(&format!("months-{seed}"), options.start - TimeDelta::days(2)).await;
    world.apply(&business.program_toml).await;
    let zone = chrono_tz::Europe::Berlin;
    let mut events = business.events.iter().peekable();
    let mut month = Month::containing(options.start, zone);
    let mut accounts = Accounts::new();
    let mut closed: Vec<(String, Vec<Payout>)> = Vec::new();
    let mut to_approve: Vec<String> = Vec::new();
    let (mut paid, mut rolled_over, mut carried, mut reversed) = (0, 0, 0, 0);
    while month.start(zone) < business.settled_at + TimeDelta::days(40) {
        let name = month.to_string();
        let last_of_two =
            if habit == Habit::ClosesTwo && closed.len().is_multiple_of(2) { month.next() } else { month };
        let closes_at = (last_of_two.end(zone) + TimeDelta::hours(60)).max(world.now());
        while let Some(event) = events.next_if(|event| event.at <= closes_at) {
            world.clock.advance((event.at - world.now()).max(TimeDelta::zero()));
            world.import(&render_all(event, Shape::New)).await;
        }
        world.go_to(closes_at).await;
        if closed.len() == 3 {
            // Somebody who was never paid says how.
            world.enter(&[paid_by_file("bolt"), paid_by_file("delta")]).await;
            world.work().await;
        }
        let (batch, done) = world.close_month(&name).await.unwrap();
        assert_eq!((done, batch.status.as_str()), (Done::Now, "draft"));
        let payouts = world.payouts(&name).await;
        assert_eq!(world.close_month(&name).await.unwrap(), (batch, Done::Before));
        assert_eq!(world.payouts(&name).await, payouts, "closing twice changes nothing");
        adds_up(&mut accounts, &payouts);
        nothing_is_twice(&world).await;
        world.is_proven().await;

        to_approve.push(name.clone());
        if habit != Habit::ApprovesLate || to_approve.len() > 1 {
            let name = to_approve.remove(0);
            approved_and_paid(&world, &name).await;
        }
        if habit != Habit::ApprovesLate {
            the_ledger_is_what_stays(&world, &accounts).await;
        }
        for (name, payouts) in &closed {
            assert_eq!(frozen(&world.payouts(name).await), frozen(payouts), "a closed month stays as it is");
        }
        paid += payouts.iter().filter(|payout| payout.pays()).count();
        rolled_over += payouts.iter().filter(|payout| !payout.pays()).count();
        carried += payouts.iter().filter(|payout| payout.pays() && payout.closing != 0).count();
        reversed += payouts.iter().filter(|payout| payout.reversed != 0).count();
        closed.push((name, payouts));
        month = month.next();
    }
    for name in to_approve {
        approved_and_paid(&world, &name).await;
    }
    the_ledger_is_what_stays(&world, &accounts).await;
    every_commission_is_in_one_month(&world, &accounts).await;
    assert!(events.next().is_none());
    assert!(paid > 5 && rolled_over > 5 && carried > 0 && reversed > 0, "{paid} {rolled_over} {carried} {reversed}");
}

/// Each row, and each with the month before.
fn adds_up(accounts: &mut Accounts, payouts: &[Payout]) {
    let mut seen = Vec::new();
    for payout in payouts {
        let [opening, earned, reversed, adjustments, amount, closing] = amounts(payout);
        assert_eq!(opening + earned - reversed + adjustments, amount + closing, "{payout:?}");
        assert_eq!(payout.pays(), amount > 0, "{payout:?}");
        assert_eq!(payout.pays(), payout.reason.is_none(), "{payout:?}");
        if payout.pays() {
            let step = payout.currency().unwrap().payout_step();
            assert!(amount % step == 0 && amount >= payout.minimum && (0..step).contains(&closing), "{payout:?}");
        }
        let currency = payout.currency().unwrap().to_string();
        let account = accounts.entry((payout.partner_key.clone(), currency.clone())).or_default();
        assert_eq!(opening, account.closing, "opens with what the month before closed with: {payout:?}");
        assert_eq!(adjustments, 0, "nobody adjusted anything: {payout:?}");
        account.closing = closing;
        account.earned += earned;
        account.reversed += reversed;
        seen.push((payout.partner_key.clone(), currency));
    }
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(seen, once, "one row for each partner and currency");
    for (key, account) in accounts.iter().filter(|(key, _)| !seen.contains(key)) {
        assert_eq!(account.closing, 0, "{key:?} had something left and is gone");
    }
}

async fn approved_and_paid(world: &World, name: &str) {
    world.clock.advance(TimeDelta::hours(5));
    world.work().await;
    let (closed, before) = (world.payouts(name).await, world.entries().await.len());
    assert!(matches!(world.mark_paid(name).await, Err(PayoutError::NotApproved(_))));
    let (batch, done) = world.approve(name).await.unwrap();
    let status = if closed.iter().any(Payout::pays) { "approved" } else { "paid" };
    assert_eq!((done, batch.status.as_str()), (Done::Now, status));
    let entries = world.entries().await;
    assert_eq!(world.approve(name).await.unwrap(), (batch, Done::Before));
    assert_eq!(world.entries().await.len(), entries.len(), "approving twice books nothing");
    let paying: Vec<&Payout> = closed.iter().filter(|payout| payout.pays()).collect();
    assert_eq!(entries.len(), before + paying.len());
    world.is_proven().await;
    let (batch, marked) = world.mark_paid(name).await.unwrap();
    assert_eq!((marked, batch.status.as_str()), (paying.len(), "paid"));
    assert_eq!(world.mark_paid(name).await.unwrap(), (batch, 0));
    assert_eq!(frozen(&world.payouts(name).await), frozen(&closed));
    nothing_is_twice(world).await;
    world.is_proven().await;
}

async fn nothing_is_twice(world: &World) {
    let twice = "SELECT COUNT(*) FROM (SELECT entry_id FROM payout_entries WHERE live = 1
                 GROUP BY workspace_id, entry_id HAVING COUNT(*) > 1) t";
    assert_eq!(world.count(twice).await, 0);
}

/// What the ledger has for everybody, without what no closed month has seen, is what rolled over and was carried.
async fn the_ledger_is_what_stays(world: &World, accounts: &Accounts) {
    let last = world.batches().await.remove(0);
    let mut sums: BTreeMap<(String, String), i64> = accounts.keys().map(|key| (key.clone(), 0)).collect();
    let is_in = |Booked { entry, .. }: &Booked| {
        let is_of_payouts = matches!(entry.kind, EntryKind::Payout | EntryKind::Carry);
        is_of_payouts || (entry.available_at < last.period_end() && entry.booked_at < last.cut_off())
    };
    for Booked { entry, .. } in world.entries().await.into_iter().filter(is_in) {
        *sums.entry((entry.partner, entry.currency.to_string())).or_default() += entry.amount;
    }
    let closing: BTreeMap<_, _> = accounts.iter().map(|(key, account)| (key.clone(), account.closing)).collect();
    assert_eq!(sums, closing);
}

async fn every_commission_is_in_one_month(world: &World, accounts: &Accounts) {
    let mut booked: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
    for Booked { entry, .. } in world.entries().await {
        let (earned, reversed) = booked.entry((entry.partner, entry.currency.to_string())).or_default();
        match entry.kind {
            EntryKind::Accrual => *earned += entry.amount,
            EntryKind::Reversal => *reversed -= entry.amount,
            _ => {}
        }
    }
    let in_months = |account: &Account| (account.earned, account.reversed);
    let in_months: BTreeMap<_, _> = accounts.iter().map(|(key, account)| (key.clone(), in_months(account))).collect();
    assert_eq!(booked, in_months);
}

/// Partner `acme`, who is paid by file, with two sales of October: 20.00 usd each.
async fn a_month(world: &World) {
    world.enter(&terms()).await;
    world.enter(&[paid_by_file("acme")]).await;
    let acme = json!({"partner_key": "acme"});
    for number in 1..=2 {
        let customer = format!("cus_{number}");
        let sale = [charge(number, &customer), invoice_payment(number), invoice_paid(number, &customer, &acme)];
        world.receive(&sale).await;
    }
}

async fn two_who_close_at_once_close_once(world: &World) {
    a_month(world).await;
    world.go_to(at("2026-12-03T00:00:00Z")).await;
    world.submit(&refund(1, 5_000)).await.unwrap();
    let (october, again, november, worked) = tokio::join!(
        world.close_month("2026-10"),
        world.close_month("2026-10"),
        world.close_month("2026-11"),
        world.worker.run_until_idle(),
    );
    worked.unwrap();
    november.unwrap();
    // Whoever comes after November finds October out of turn.
    for october in [&october, &again] {
        assert!(matches!(october, Ok(_) | Err(PayoutError::OutOfOrder { .. })), "{october:?}");
    }
    if let (Ok((one, done)), Ok((other, done_before))) = (october, again) {
        assert_eq!(one, other);
        assert_ne!(done, done_before, "one of them closed it");
    }
    nothing_is_twice(world).await;
    let mut paid = 0;
    for batch in world.batches().await {
        for payout in world.payouts(&batch.month).await {
            let [opening, earned, reversed, adjustments, amount, closing] = amounts(&payout);
            assert_eq!(opening + earned - reversed + adjustments, amount + closing);
            paid += amount;
        }
    }
    for batch in world.batches().await {
        let approvals = tokio::join!(world.approve(&batch.month), world.approve(&batch.month));
        assert_ne!(approvals.0.unwrap().1, approvals.1.unwrap().1, "one of them approved it");
        let marks = tokio::join!(world.mark_paid(&batch.month), world.mark_paid(&batch.month));
        let paying = world.payouts(&batch.month).await.into_iter().filter(Payout::pays).count();
        assert_eq!(marks.0.unwrap().1 + marks.1.unwrap().1, paying, "each is marked once");
    }
    world.is_proven().await;
    assert_eq!(world.balance().await + paid, 3_000, "what was paid, and what is left");
    assert!(paid == 3_000 || paid == 4_000, "{paid}: the refund came before the close, or behind it");
}

async fn a_refund_after_the_payout_nets_the_next_ones(world: &World) {
    a_month(world).await;
    world.go_to(at("2026-11-02T00:00:00Z")).await;
    world.close_month("2026-10").await.unwrap();
    // After the close, before the approval: the frozen batch stays, and pays it all.
    world.receive(&[refund(1, 5_000)]).await;
    assert_eq!(world.balance().await, 3_000);
    world.approve("2026-10").await.unwrap();
    world.is_proven().await;
    assert_eq!(amounts(&world.payout("2026-10").await), [0, 4_000, 0, 0, 4_000, 0]);
    assert_eq!(world.balance().await, -1_000);
    world.mark_paid("2026-10").await.unwrap();
    world.receive(&[refund(2, 2_500)]).await;
    assert_eq!(world.balance().await, -1_500);

    world.go_to(at("2026-12-01T00:00:00Z")).await;
    world.close_month("2026-11").await.unwrap();
    let november = world.payout("2026-11").await;
    assert_eq!(amounts(&november), [0, 0, 1_500, 0, 0, -1_500]);
    assert_eq!(november.reason.as_deref(), Some(Reason::NegativeBalance.as_str()));
    world.approve("2026-11").await.unwrap();
    world.is_proven().await;
    assert_eq!(world.balance().await, -1_500);

    world.receive(&[invoice_paid(3, "cus_3", &json!({"partner_key": "acme"}))]).await;
    world.go_to(at("2027-01-01T00:00:00Z")).await;
    world.close_month("2026-12").await.unwrap();
    assert_eq!(amounts(&world.payout("2026-12").await), [-1_500, 2_000, 0, 0, 500, 0]);
    world.approve("2026-12").await.unwrap();
    assert_eq!(world.balance().await, 0);
    assert_eq!(amounts(&world.payout("2026-10").await), [0, 4_000, 0, 0, 4_000, 0]);
    world.is_proven().await;
}

/// `invoice.paid`, paid at another moment.
fn paid_at(number: u32, paid_at: Time) -> Value {
    let mut invoice = invoice_paid(number, &format!("cus_{number}"), &json!({"partner_key": "acme"}));
    invoice["data"]["object"]["status_transitions"]["paid_at"] = json!(paid_at.timestamp());
    invoice
}

/// In Auckland, October 2026 ends at 11:00 UTC; what was paid thirty days before is available then.
async fn a_month_ends_on_the_workspaces_clock(world: &World) {
    world.enter(&terms()).await;
    world.enter(&[paid_by_file("acme"), settings(|own| own.time_zone = chrono_tz::Pacific::Auckland)]).await;
    let end = at("2026-10-31T11:00:00Z");
    let hold = TimeDelta::days(30);
    let (last, first) = (end - hold - TimeDelta::seconds(1), end - hold);
    world.receive(&[paid_at(1, hour(0)), paid_at(2, last), paid_at(3, first)]).await;
    world.go_to(end - TimeDelta::microseconds(1)).await;
    let early = world.close_month("2026-10").await.unwrap_err().to_string();
    assert!(
        early.contains("not over") && early.contains("Pacific/Auckland") && early.contains("2026-11-01 00:00"),
        "{early}"
    );
    assert!(world.batches().await.is_empty());
    world.go_to(end).await;
    let (october, _) = world.close_month("2026-10").await.unwrap();
    assert_eq!((october.period_start(), october.period_end()), (at("2026-09-30T11:00:00Z"), end));
    assert_eq!(amounts(&world.payout("2026-10").await), [0, 4_000, 0, 0, 4_000, 0]);
    world.approve("2026-10").await.unwrap();
    // Booked at the very moment of the close, and available since: it was not there, so the next month has it.
    world.receive(&[paid_at(4, hour(0))]).await;
    world.go_to(at("2026-11-30T11:00:00Z")).await;
    world.close_month("2026-11").await.unwrap();
    let november = world.payout("2026-11").await;
    assert_eq!((november.opening, november.amount, november.closing), (0, 4_000, 0));
    world.is_proven().await;
}

async fn what_is_out_of_turn_is_refused(world: &World) {
    a_month(world).await;
    assert!(matches!(world.approve("2026-10").await, Err(PayoutError::NoBatch(_))));
    assert!(matches!(world.close_month("2026-10").await, Err(PayoutError::NotOver { .. })));
    world.go_to(at("2026-12-01T00:00:00Z")).await;
    world.close_month("2026-11").await.unwrap();
    assert!(matches!(world.close_month("2026-10").await, Err(PayoutError::OutOfOrder { .. })));
    let payout = world.payout("2026-11").await;
    assert_eq!(amounts(&payout), [0, 4_000, 0, 0, 4_000, 0], "a month that was left out is in the next");

    let again = format!(
        "INSERT INTO payout_entries (workspace_id, payout_id, entry_id, live)
         SELECT workspace_id, 'po_other', entry_id, 1 FROM payout_entries WHERE payout_id = '{}'",
        payout.payout_id
    );
    let refused = StoreError::from(world.tamper(&again).await.unwrap_err());
    assert!(refused.is_refusal(), "{refused}");

    // Put on hold between the close and the approval: the batch is frozen, the next one waits.
    let payout = Some(PayoutMethod { method: Method::Csv, account: None, currency: None });
    let profile = Profile { payout, on_hold: true, ..Profile::default() };
    world.enter(&[Change::Partner { partner: "acme".to_owned(), profile }]).await;
    world.approve("2026-11").await.unwrap();
    world.receive(&[invoice_paid(3, "cus_3", &json!({"partner_key": "acme"}))]).await;
    world.go_to(at("2027-01-01T00:00:00Z")).await;
    world.close_month("2026-12").await.unwrap();
    let december = world.payout("2026-12").await;
    assert_eq!(december.reason.as_deref(), Some(Reason::OnHold.as_str()));
    assert_eq!(amounts(&december), [0, 2_000, 0, 0, 0, 2_000]);
    world.enter_once_more(&paid_by_file("acme")).await;
    world.go_to(at("2027-02-01T00:00:00Z")).await;
    world.close_month("2027-01").await.unwrap();
    assert_eq!(amounts(&world.payout("2027-01").await), [2_000, 0, 0, 0, 2_000, 0]);
    world.is_proven().await;
}
