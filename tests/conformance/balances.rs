//! What is kept of each partner's balance is what the entries come to, at every moment.

use chrono::TimeDelta;
use commission_bridge::domain::entry::{Component, EntryKind};
use commission_bridge::store::balances::{self, Balance};
use commission_bridge::store::entries::{self, Entry};
use commission_bridge::store::{Mode, Urgency};

use crate::harness::World;

crate::on_both_engines!(a_balance_is_exact_at_any_moment, days_long_gone_are_added_up, balances_are_read_page_by_page,);

impl World {
    /// Books amounts that become available after so many minutes.
    async fn book(&self, partner: &str, currency: &str, amounts: &[(i64, i64)]) {
        let booked: Vec<Entry> = amounts
            .iter()
            .map(|(minutes, amount)| Entry {
                entry_id: self.ledger.ids.next("ent"),
                mode: Mode::Live,
                kind: EntryKind::Adjustment,
                partner: partner.to_owned(),
                program: None,
                component: Component::Direct,
                revision: 0,
                payment_id: None,
                amount: *amount,
                currency: currency.parse().unwrap(),
                occurred_at: self.now(),
                booked_at: self.now(),
                available_at: self.now() + TimeDelta::minutes(*minutes),
                event_id: None,
                payout_id: None,
                reason: None,
            })
            .collect();
        let mut tx = self.db.write(Urgency::Now).await.unwrap();
        entries::append(&mut tx, self.workspace, &booked).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Partner, currency, balance and what of it is available.
    async fn page_of_balances(&self, after: Option<(&str, &str)>, limit: usize) -> Vec<(String, String, i64, i64)> {
        let mut tx = self.db.read().await.unwrap();
        let page = balances::page(&mut tx, (self.workspace, Mode::Live), self.now(), after, limit).await.unwrap();
        let plain = |found: Balance| (found.partner, found.currency.to_string(), found.balance, found.available);
        page.into_iter().map(plain).collect()
    }

    async fn available(&self) -> i64 {
        self.page_of_balances(None, 1).await[0].3
    }
}

const DAY: i64 = 24 * 60;

async fn a_balance_is_exact_at_any_moment(world: &World) {
    // At once, in the past, later today, at midnight, tomorrow, and on the day after that.
    world.book("acme", "usd", &[(0, 1), (-90, 2), (30, 4), (DAY, 8), (DAY + 1, 16), (2 * DAY + 60, 32)]).await;
    let mut expected = [(0, 3), (29, 3), (30, 7), (DAY - 1, 7), (DAY, 15), (DAY + 1, 31), (2 * DAY, 31)].to_vec();
    expected.extend([(2 * DAY + 59, 31), (2 * DAY + 60, 63), (9 * DAY, 63)]);
    let mut minutes = 0;
    for (at, available) in expected {
        world.clock.advance(TimeDelta::minutes(at - minutes));
        minutes = at;
        assert_eq!(world.balance().await, 63);
        assert_eq!(world.available().await, available, "after {at} minutes");
    }
    // Nothing left of it, though it is not all available yet: that is still something.
    world.book("acme", "usd", &[(0, -93), (30, 30)]).await;
    assert_eq!(world.page_of_balances(None, 9).await, [("acme".to_owned(), "usd".to_owned(), 0, -30)]);
    world.clock.advance(TimeDelta::minutes(30));
    assert_eq!(world.page_of_balances(None, 9).await, []);
}

async fn days_long_gone_are_added_up(world: &World) {
    for day in 0..40 {
        world.book("acme", "usd", &[(30 * DAY, 100 + day), (0, 1)]).await;
        world.book("bolt", "eur", &[(30 * DAY, 1)]).await;
        world.clock.advance(TimeDelta::days(1));
    }
    let before = world.page_of_balances(None, 9).await;
    assert!(world.count("SELECT COUNT(*) FROM balances").await >= 81);
    while world.ledger.fold_balances(world.workspace).await.unwrap() {}
    assert!(world.count("SELECT COUNT(*) FROM balances").await < 70);
    assert_eq!(world.page_of_balances(None, 9).await, before);
    world.clock.advance(TimeDelta::days(40));
    while world.ledger.fold_balances(world.workspace).await.unwrap() {}
    assert_eq!(world.count("SELECT COUNT(*) FROM balances").await, 2);
    let sum = (0..40).map(|day| 101 + day).sum();
    let all = world.page_of_balances(None, 9).await;
    assert_eq!(all[0], ("acme".to_owned(), "usd".to_owned(), sum, sum));
    assert_eq!(all[1], ("bolt".to_owned(), "eur".to_owned(), 40, 40));
    let mut tx = world.db.read().await.unwrap();
    assert_eq!(balances::off(&mut tx, world.workspace, world.now()).await.unwrap(), []);
}

async fn balances_are_read_page_by_page(world: &World) {
    let partners = ["a", "a:b", "a:b:usd", "b", "c", "d"];
    for partner in partners {
        for currency in ["usd", "eur"] {
            world.book(partner, currency, &[(0, 5), (10, 5)]).await;
        }
    }
    // Who has nothing is left out, and does not shorten a page.
    world.book("b", "usd", &[(0, -10), (0, 10), (0, -5), (10, -5)]).await;
    world.book("c", "eur", &[(0, -10)]).await;
    world.clock.advance(TimeDelta::minutes(10));
    let all = world.page_of_balances(None, 100).await;
    assert_eq!(all.len(), 10);
    for limit in 1..=11 {
        let mut read: Vec<(String, String, i64, i64)> = Vec::new();
        loop {
            let after = read.last().map(|(partner, currency, ..)| (partner.clone(), currency.clone()));
            let after = after.as_ref().map(|(partner, currency)| (partner.as_str(), currency.as_str()));
            let page = world.page_of_balances(after, limit).await;
            read.extend(page.iter().cloned());
            if page.len() < limit {
                break;
            }
        }
        assert_eq!(read, all, "{limit} at a time");
    }
}
