//! What Stripe tells of transfers and partners' accounts: any order, any number of times.

use commission_bridge::store::{Mode, stripe_accounts};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::fake_stripe::{Fault, Faults, Transfer};
use crate::harness::{World, settings};
use crate::transfers::Paid;

crate::on_both_engines!(
    an_event_settles_what_no_answer_did,
    reversals_come_in_any_order,
    accounts_tell_whether_they_can_be_paid,
    transfers_of_others_are_nobodys_business,
);

fn told(number: u32, kind: &str, object: &Value) -> Value {
    json!({
        "id": format!("evt_tr_{number}"), "object": "event", "type": kind, "created": 1_793_610_000 + i64::from(number),
        "livemode": true, "api_version": "2026-10-28.endive", "data": {"object": object},
    })
}

fn shown(transfer: &Transfer, reversed: i64) -> Value {
    json!({
        "id": transfer.id, "object": "transfer", "amount": transfer.amount, "amount_reversed": reversed,
        "created": transfer.created, "currency": transfer.currency, "destination": transfer.destination,
        "livemode": true, "metadata": transfer.metadata, "reversed": reversed == transfer.amount,
        "transfer_group": transfer.group,
    })
}

fn about(number: u32, created: i64, account: &str, transfers: &str, due: &[&str]) -> Value {
    json!({
        "id": format!("evt_acct_{number}"), "object": "event", "type": "account.updated", "created": created,
        "account": account, "livemode": true, "api_version": "2026-10-28.endive",
        "data": {"object": {"id": account, "object": "account", "capabilities": {"transfers": transfers},
                            "requirements": {"currently_due": due}}},
    })
}

async fn pay(world: &World, paid: &Paid) {
    world.ask_to_pay().await;
    world.payer(&paid.fake).round(&paid.batch.batch_id, &CancellationToken::new()).await.unwrap();
}

async fn an_event_settles_what_no_answer_did(world: &World) {
    let paid = world.owes(&[(1000, "usd")]).await;
    paid.fake.plan(Faults::script([Fault::DropAfter]));
    paid.fake.books().lacks = vec!["transfers_read"];
    pay(world, &paid).await;
    assert_eq!(world.statuses(&paid).await, "sending");
    let made = paid.fake.books().transfers[0].clone();
    let event = told(1, "transfer.created", &shown(&made, 0));
    world.receive(&[event.clone(), event]).await;
    assert_eq!(world.statuses(&paid).await, "settled");
    let payout = world.payouts_of(&paid).await.remove(0);
    assert_eq!(payout.external_id, Some(made.id));
    assert_eq!(world.attempts_of(&payout).await[0].status, "done");
    paid.fake.books().lacks.clear();
    pay(world, &paid).await;
    world.is_paid(&paid).await;
}

async fn reversals_come_in_any_order(world: &World) {
    let paid = world.owes(&[(10_000, "usd"), (20_000, "usd")]).await;
    pay(world, &paid).await;
    world.is_paid(&paid).await;
    let all = paid.fake.books().transfers.clone();
    let of = |amount: i64| all.iter().find(|transfer| transfer.amount == amount).unwrap();
    let events = [
        told(5, "transfer.reversed", &shown(of(10_000), 4000)),
        told(4, "transfer.reversed", &shown(of(10_000), 1000)),
        told(4, "transfer.reversed", &shown(of(10_000), 1000)),
        told(1, "transfer.created", &shown(of(10_000), 0)),
        told(6, "transfer.updated", &shown(of(20_000), 20_000)),
        told(2, "transfer.created", &shown(of(20_000), 0)),
    ];
    for event in events {
        world.receive(&[event]).await;
        world.proves().await;
    }
    assert_eq!(world.statuses(&paid).await, "settled returned");
    let payouts = world.payouts_of(&paid).await;
    assert_eq!(payouts.iter().map(|payout| payout.returned).collect::<Vec<_>>(), [4000, 20_000]);
    let mut owed: Vec<i64> = world.balances().await.iter().map(|balance| balance.balance).collect();
    owed.sort_unstable();
    assert_eq!(owed, [4000, 20_000]);
}

async fn accounts_tell_whether_they_can_be_paid(world: &World) {
    // The merchant's own account is known: those of partners are not refused for being others.
    world.enter(&[settings(|settings| settings.account = Some("acct_merchant".to_owned()))]).await;
    let events = [
        about(2, 200, "acct_p0", "inactive", &["external_account"]),
        about(1, 100, "acct_p0", "active", &[]),
        about(3, 100, "acct_p1", "pending", &[]),
        about(4, 100, "acct_p1", "active", &[]),
        json!({
            "id": "evt_gone", "object": "event", "type": "account.application.deauthorized", "created": 300,
            "account": "acct_p2", "livemode": true, "api_version": "2026-10-28.endive",
            "data": {"object": {"id": "ca_1", "object": "application"}},
        }),
    ];
    for event in &events {
        let accepted = world.submit(event).await.unwrap();
        assert_eq!(accepted.ignored, None);
    }
    world.work().await;
    let mut tx = world.db.read().await.unwrap();
    let accounts = ["acct_p0", "acct_p1", "acct_p2", "acct_p3"];
    let known = stripe_accounts::of(&mut tx, world.workspace, Mode::Live, accounts).await.unwrap();
    drop(tx);
    assert_eq!(
        (known["acct_p0"].transfers.as_str(), &known["acct_p0"].missing[..]),
        ("inactive", &["external_account".to_owned()][..])
    );
    assert!(known["acct_p1"].is_ready());
    assert_eq!(known["acct_p2"].transfers, "deauthorized");
    assert!(!known.contains_key("acct_p3"));
    world.proves().await;
    // Who cannot be paid is not in the batch; of whom nothing is known is.
    let paid = world.owes(&[(1000, "usd"); 4]).await;
    let payouts = world.payouts_of(&paid).await;
    let reasons: Vec<Option<&str>> = payouts.iter().map(|payout| payout.reason.as_deref()).collect();
    assert_eq!(reasons, [Some("account_not_ready"), None, Some("account_not_ready"), None]);
}

async fn transfers_of_others_are_nobodys_business(world: &World) {
    let paid = world.owes(&[(1000, "usd")]).await;
    let payout = world.payouts_of(&paid).await.remove(0);
    let other = |group: Option<&str>, amount: i64| {
        json!({
            "id": "tr_other", "object": "transfer", "amount": amount, "currency": "usd", "destination": "acct_p0",
            "livemode": true, "metadata": {}, "transfer_group": group, "created": 1_793_610_000,
        })
    };
    let events = [
        told(1, "transfer.created", &other(None, 1000)),
        told(2, "transfer.created", &other(Some("ORDER_7"), 1000)),
        // In its name, but not its money.
        told(3, "transfer.created", &other(Some(&payout.payout_id), 400)),
    ];
    world.receive(&events).await;
    assert_eq!(world.statuses(&paid).await, "ready");
    world.proves().await;
}
