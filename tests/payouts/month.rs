//! A month that is closed and approved, with many partners who are paid by Stripe.

use chrono::{Datelike, TimeDelta};
use commission_bridge::admin::Session;
use commission_bridge::admin::adjustments::{NewAdjustment, create};
use commission_bridge::clock::Clock;
use commission_bridge::domain::calendar::Month;
use commission_bridge::domain::entry::EntryKind;
use commission_bridge::domain::terms::{Change, Method, PayoutMethod, Profile};
use commission_bridge::ids::Ids;
use commission_bridge::payouts::{batch, closing};
use commission_bridge::store::changes::{self, Entering};
use commission_bridge::store::payouts::{self, Payout};
use commission_bridge::store::{Db, Mode, Urgency, workspaces};

use crate::blackbox::{Home, blocking};
use crate::fake_stripe::{FakeStripe, LIVE_KEY};

/// The last month, as the machine's clock sees it.
pub fn last_month() -> Month {
    let today = Clock::machine().now().date_naive();
    let first = today - TimeDelta::days(i64::from(today.day()));
    format!("{}-{:02}", first.year(), first.month()).parse().unwrap()
}

/// Owes each of so many partners 10.00 usd and something, closes the last month and approves it.
pub fn owed(home: &Home, partners: usize) {
    owed_each(home, partners, |number| 1000 + i64::try_from(number).unwrap());
}

/// The same, with the amount of each.
pub fn owed_each(home: &Home, partners: usize, amount: impl Fn(usize) -> i64) {
    blocking(async {
        let db = Db::open(&home.url).await.unwrap();
        let (clock, ids) = (Clock::machine(), Ids::random());
        let then = Clock::by_hand(clock.now() - TimeDelta::days(40));
        let mut tx = db.write(Urgency::Now).await.unwrap();
        let workspace = workspaces::ensure(&mut tx, "default", clock.now()).await.unwrap();
        let mut terms = changes::terms_for_change(&mut tx, workspace).await.unwrap();
        let entering = Entering { workspace, author: "test", now: then.now(), ids: &ids };
        let keyed: Vec<(String, Change)> = (0..partners)
            .map(|number| {
                let account = Some(format!("acct_{number:05}"));
                let payout = Some(PayoutMethod { method: Method::Stripe, account, currency: None });
                let partner = format!("p{number:05}");
                let profile = Profile { payout, ..Profile::default() };
                (partner.clone(), Change::Partner { partner, profile })
            })
            .collect();
        changes::append(&mut tx, &entering, &mut terms, &keyed).await.unwrap();
        tx.commit().await.unwrap();
        let book = (workspace, Mode::Live);
        let mut session = Session::begin(&db, &then, &ids, book, "test".to_owned()).await.unwrap();
        let mut desk = session.desk().await.unwrap();
        for number in 0..partners {
            let (kind, partner) = (EntryKind::Adjustment, format!("p{number:05}"));
            let amount = amount(number);
            let (partner, currency, note) = (partner.as_str(), "usd", "owed");
            let new = NewAdjustment { kind, partner, program: None, amount, currency, note, available_at: None };
            create(&mut desk, &new).await.unwrap();
        }
        session.commit().await.unwrap();
        let mut session = Session::begin(&db, &clock, &ids, book, "test".to_owned()).await.unwrap();
        let (tx, by) = session.parts();
        let (closed, _) = closing::begin(tx, by, Mode::Live, last_month()).await.unwrap();
        session.commit().await.unwrap();
        closing::finish(&db, &clock, &ids, workspace, &closed.batch_id).await.unwrap();
        let mut session = Session::begin(&db, &clock, &ids, book, "test".to_owned()).await.unwrap();
        let (tx, by) = session.parts();
        batch::approve(tx, by, Mode::Live, &closed.batch_id).await.unwrap();
        session.commit().await.unwrap();
        db.close().await;
    });
}

/// The payouts of the last month.
pub fn payouts(home: &Home) -> Vec<Payout> {
    blocking(async {
        let db = Db::open(&home.url).await.unwrap();
        let mut tx = db.read().await.unwrap();
        let workspace = workspaces::find(&mut tx, "default").await.unwrap().unwrap();
        let batch = batch::find(&mut tx, workspace, Mode::Live, &last_month().to_string()).await.unwrap();
        let payouts = payouts::of_batch(&mut tx, workspace, &batch.batch_id).await.unwrap();
        drop(tx);
        db.close().await;
        payouts
    })
}

/// The account on which a partner is paid.
pub fn payout_account(home: &Home, partner: &str) -> Option<String> {
    blocking(async {
        let db = Db::open(&home.url).await.unwrap();
        let mut tx = db.read().await.unwrap();
        let workspace = workspaces::find(&mut tx, "default").await.unwrap().unwrap();
        let terms = db.terms(&mut tx, workspace).await.unwrap();
        drop(tx);
        db.close().await;
        terms.partners[partner].profile.payout.as_ref()?.account.clone()
    })
}

/// A command that pays by the fake.
pub fn command(home: &Home, fake: &FakeStripe, words: &str) -> std::process::Command {
    let mut command = home.command();
    command.args(words.split_whitespace()).env("STRIPE_API_KEY", LIVE_KEY).env("STRIPE_API_BASE", fake.base());
    command
}

/// Everybody was paid once, what they are owed, on the fake's books, in the batch and in the ledger.
pub fn is_paid_once(home: &Home, fake: &FakeStripe, partners: usize) {
    let books = fake.books();
    let payouts = payouts(home);
    assert_eq!((payouts.len(), books.transfers.len()), (partners, partners));
    let paid = books.paid();
    for payout in &payouts {
        assert_eq!(payout.status, "settled", "{}", payout.partner_key);
        assert_eq!(paid.get(&payout.payout_id), Some(&vec![payout.paid_amount]), "{}", payout.partner_key);
        let transfer = books.transfers.iter().find(|one| one.group.as_ref() == Some(&payout.payout_id)).unwrap();
        assert_eq!(payout.external_id.as_ref(), Some(&transfer.id));
        assert_eq!(payout.destination.as_ref(), Some(&transfer.destination));
    }
    let total: i64 = books.transfers.iter().map(|transfer| transfer.amount).sum();
    drop(books);
    let booked = home.count("SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM entries WHERE kind LIKE 'payout%'");
    assert_eq!(booked, -total);
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM batches WHERE status = 'paid'"), 1);
    assert!(home.ok("verify").contains("right to the last minor unit"));
}
