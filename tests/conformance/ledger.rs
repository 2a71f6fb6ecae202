//! Recording and settling: what came in becomes what is owed, in any order, once.

use chrono::TimeDelta;
use commission_bridge::admin::{self, Session};
use commission_bridge::domain::decision::Click;
use commission_bridge::domain::lead::{LeadBy, LeadTo};
use commission_bridge::domain::terms::{Change, CodeOwner, MetadataField};
use commission_bridge::ledger::{record, settle::Pace};
use commission_bridge::store::customers::{self, Settled};
use commission_bridge::store::events::EventStatus;
use commission_bridge::store::leads::{self, Filter, NewLead, StoredLead};
use commission_bridge::store::{Mode, Urgency, lookups};
use serde_json::json;

use crate::harness::{
    World, charge, customer, hour, invoice_paid, invoice_payment, partner, promotion_code, refund, settings, terms,
};

crate::on_both_engines!(
    a_paid_invoice_earns_and_a_refund_takes_back_after_its_delay,
    a_customer_key_joins_customers,
    a_late_link_joins_payments_into_one,
    an_unreadable_event_fails_alone_and_can_be_replayed,
    what_changed_while_settling_stays_due,
    a_customer_that_cannot_be_settled_is_set_aside_alone,
    a_partner_entered_later_reaches_back,
    a_code_is_found_by_its_text_and_its_id,
    a_click_entered_later_reaches_back,
    leads_reach_back_and_are_entered_once,
    many_leads_wake_only_those_who_wait,
    a_new_meaning_of_metadata_joins_customers,
    a_thousand_customers_are_woken_in_pages,
    the_books_are_apart,
    what_was_read_ahead_counts_only_while_nobody_else_recorded,
    who_rests_keeps_nobody_waiting_who_comes_later,
);

async fn session(world: &World) -> Session {
    let book = (world.workspace, Mode::Live);
    Session::begin(&world.db, &world.clock, &world.ledger.ids, book, "test".to_owned()).await.unwrap()
}

fn acme() -> serde_json::Value {
    json!({"partner_key": "acme"})
}

async fn a_paid_invoice_earns_and_a_refund_takes_back_after_its_delay(world: &World) {
    world.enter(&terms()).await;
    world.clock.advance(TimeDelta::hours(1));
    world.receive(&[refund(1, 5_000), charge(1, "cus_1"), invoice_payment(1), invoice_paid(1, "cus_1", &acme())]).await;
    assert_eq!(world.balance().await, 2_000);
    assert_eq!(world.payment("ch_1").await.reference, "in_1");
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(world.work().await.settled, 1);
    assert_eq!(world.balance().await, 1_000);
    let entries = world.entries().await;
    assert_eq!(entries.len(), 2);
    for booked in &entries {
        assert_eq!(booked.digest, booked.entry.digest(world.workspace));
    }
    assert_eq!(entries[1].entry.event_id.as_deref(), Some("evt_re_1"));
    assert_eq!(entries[1].entry.occurred_at, hour(2));
    assert_eq!(world.work().await.settled, 0, "nothing is due any more");
}

async fn a_customer_key_joins_customers(world: &World) {
    world.enter(&terms()).await;
    let key = |extra: &str| json!({"customer_key": "k-1", "partner_key": extra});
    world.receive(&[invoice_paid(1, "cus_1", &json!({})), invoice_paid(2, "cus_2", &json!({}))]).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM customers").await, 2);
    assert_eq!(world.balance().await, 0);
    world.receive(&[customer(1, "cus_1", &key(""))]).await;
    world.receive(&[customer(2, "cus_2", &key("acme"))]).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM customers").await, 1);
    assert_eq!(world.count("SELECT COUNT(DISTINCT customer_id) FROM refs").await, 1);
    assert_eq!(world.count("SELECT COUNT(DISTINCT customer_id) FROM payments").await, 1);
    assert_eq!(world.balance().await, 4_000, "the key's evidence is everybody's");
}

async fn a_late_link_joins_payments_into_one(world: &World) {
    let direct = settings(|settings| settings.count_direct_payments = true);
    let mut changes = terms();
    changes.push(direct);
    world.enter(&changes).await;
    let mut alone = charge(1, "cus_1");
    alone["data"]["object"]["invoice"] = json!(null);
    alone["data"]["object"]["metadata"] = acme();
    world.receive(&[alone, invoice_paid(1, "cus_1", &acme())]).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM payments").await, 2);
    assert_eq!(world.balance().await, 4_000);
    world.receive(&[invoice_payment(1)]).await;
    assert_eq!(world.balance().await, 2_000);
    assert_eq!(world.count("SELECT COUNT(*) FROM payments WHERE merged_into IS NOT NULL").await, 1);
    assert_eq!(world.payment("ch_1").await, world.payment("in_1").await);
    assert_eq!(world.count("SELECT COUNT(DISTINCT payment_id) FROM payment_refs").await, 1);
}

async fn an_unreadable_event_fails_alone_and_can_be_replayed(world: &World) {
    world.enter(&terms()).await;
    let mut broken = invoice_paid(1, "cus_1", &acme());
    broken["data"]["object"]["total"] = json!("many");
    world.receive(&[broken, invoice_paid(2, "cus_1", &acme())]).await;
    assert_eq!(world.balance().await, 2_000);
    let event = world.event("evt_in_1").await.pop().unwrap();
    assert_eq!(event.status(), EventStatus::Failed);
    assert!(event.error.as_deref().is_some_and(|error| error.contains("total")), "{:?}", event.error);
    let mut session = session(world).await;
    assert_eq!(admin::events::replay_failed(&mut session, Mode::Live, None).await.unwrap().len(), 1);
    session.commit().await.unwrap();
    assert_eq!(world.work().await.events, 1);
    assert_eq!(world.event("evt_in_1").await[0].status(), EventStatus::Failed);
}

async fn what_changed_while_settling_stays_due(world: &World) {
    world.enter(&terms()).await;
    world.work().await;
    world.submit(&invoice_paid(1, "cus_1", &acme())).await.unwrap();
    world.ledger.record(world.workspace).await.unwrap();
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let loaded = customers::due(&mut tx, world.workspace, world.now(), 10).await.unwrap().pop().unwrap();
    customers::touch(&mut tx, world.workspace, &[&loaded.customer_id], world.now()).await.unwrap();
    assert!(customers::unchanged(&mut tx, world.workspace, [&loaded]).await.unwrap().is_empty());
    let done =
        Settled { customer_id: &loaded.customer_id, version: loaded.dirty_version, due_at: None, states_digest: 0 };
    customers::settled(&mut tx, world.workspace, &[done], world.now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.work().await.settled, 1, "the newer version still wants settling");
    assert_eq!(world.balance().await, 2_000);
}

async fn a_customer_that_cannot_be_settled_is_set_aside_alone(world: &World) {
    world.enter(&terms()).await;
    world.work().await;
    world.submit(&invoice_paid(1, "cus_1", &acme())).await.unwrap();
    world.submit(&invoice_paid(2, "cus_2", &acme())).await.unwrap();
    world.ledger.record(world.workspace).await.unwrap();
    world.tamper("UPDATE facts SET body = '{' WHERE event_id = 'evt_in_1'").await.unwrap();
    let worked = world.work().await;
    assert_eq!((worked.settled, worked.parked), (1, 1));
    assert_eq!(world.balance().await, 2_000);
    let mut tx = world.db.read().await.unwrap();
    let parked = customers::parked(&mut tx, world.workspace).await.unwrap();
    drop(tx);
    assert_eq!(parked.len(), 1);
    assert!(parked[0].error.as_deref().is_some_and(|error| error.contains("evt_in_1")), "{:?}", parked[0].error);
    assert_eq!(world.work().await.parked, 0, "it is not tried again and again");
    // The same event read again mends it.
    let mut session = session(world).await;
    admin::events::replay(&mut session, "evt_in_1", &Mode::ALL).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(world.work().await.settled, 1);
    assert_eq!(world.balance().await, 4_000);
}

async fn a_partner_entered_later_reaches_back(world: &World) {
    world.receive(&[invoice_paid(1, "cus_1", &acme())]).await;
    assert_eq!(world.payment("in_1").await.code, "partner_unknown");
    world.enter(&terms()).await;
    world.work().await;
    assert_eq!(world.payment("in_1").await.code, "credited");
    assert_eq!(world.balance().await, 2_000);
    assert_eq!(world.enter(&terms()).await, 0, "the same again changes nothing");
    assert_eq!(world.count("SELECT COUNT(*) FROM resettle").await, 0);
}

async fn a_code_is_found_by_its_text_and_its_id(world: &World) {
    world.enter(&terms()).await;
    let mut sale = invoice_paid(1, "cus_1", &json!({}));
    sale["data"]["object"]["discounts"] = json!([{"id": "di_1", "object": "discount", "promotion_code": "promo_1A"}]);
    world.receive(&[sale]).await;
    assert_eq!(world.balance().await, 0);
    let owner = Some(CodeOwner { partner: "acme".to_owned(), program: None });
    world.enter(&[Change::Code { code: "Acme20".to_owned(), owner, from: None }]).await;
    world.work().await;
    assert_eq!(world.balance().await, 0, "nobody knows yet which text the id has");
    world.receive(&[promotion_code("promo_1A", "ACME20")]).await;
    assert_eq!(world.balance().await, 2_000);
    world.enter(&[Change::Code { code: "acme20".to_owned(), owner: None, from: Some(hour(-1)) }]).await;
    world.work().await;
    assert_eq!(world.payment("in_1").await.code, "no_evidence");
}

async fn a_click_entered_later_reaches_back(world: &World) {
    world.enter(&terms()).await;
    world.receive(&[invoice_paid(1, "cus_1", &json!({"click_id": "click-1"}))]).await;
    assert_eq!(world.payment("in_1").await.code, "click_unknown");
    let click =
        Click { partner: "acme".to_owned(), program: None, link: None, clicked_at: hour(-1), entered_at: world.now() };
    let new = world.ledger.enter_clicks(world.workspace, &[("click-1".to_owned(), click.clone())]).await.unwrap();
    assert_eq!(new, 1);
    world.work().await;
    assert_eq!(world.balance().await, 2_000);
    assert_eq!(world.ledger.enter_clicks(world.workspace, &[("click-1".to_owned(), click)]).await.unwrap(), 0);
    let mut tx = world.db.read().await.unwrap();
    let ids = lookups::click_ids(&mut tx, world.workspace, &"acme".to_owned(), 10).await.unwrap();
    assert_eq!(ids, ["click-1"]);
}

async fn leads_reach_back_and_are_entered_once(world: &World) {
    world.enter(&terms()).await;
    let mut sale = invoice_paid(1, "cus_1", &json!({}));
    sale["data"]["object"]["customer_email"] = json!("ann@buyer.example");
    world.receive(&[sale, invoice_paid(2, "cus_2", &json!({"customer_key": "u-2"}))]).await;
    let lead = |by, value: &str, to| NewLead { by, value: value.to_owned(), to, from: None };
    let acme = || LeadTo::Partner { partner: "acme".to_owned(), program: None };
    let leads = [
        lead(LeadBy::Email, " Ann@Buyer.example", acme()),
        lead(LeadBy::CustomerKey, "u-2", LeadTo::Click("click-2".to_owned())),
        lead(LeadBy::Email, "ann@buyer.example", acme()),
    ];
    let entered = world.enter_leads(&leads).await;
    assert_eq!(entered.iter().map(|lead| lead.is_new).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(entered[0].lead_id, entered[2].lead_id);
    world.work().await;
    assert_eq!(world.balance().await, 2_000, "the click of the second lead is not known yet");
    let click =
        Click { partner: "acme".to_owned(), program: None, link: None, clicked_at: hour(-1), entered_at: world.now() };
    world.ledger.enter_clicks(world.workspace, &[("click-2".to_owned(), click)]).await.unwrap();
    world.work().await;
    assert_eq!(world.balance().await, 4_000);

    let again = world.enter_leads(&leads).await;
    assert!(again.iter().zip(&entered).all(|(again, first)| !again.is_new && again.lead_id == first.lead_id));
    let mut tx = world.db.read().await.unwrap();
    let page = |partner, by| Filter { partner, by };
    let (ws, newest) = (world.workspace, entered[1].lead_id.as_str());
    let ids = |found: Vec<StoredLead>| found.into_iter().map(|lead| lead.lead_id).collect::<Vec<_>>();
    let all = leads::page(&mut tx, ws, Filter::default(), None, 10).await.unwrap();
    assert_eq!(ids(all), [newest, &entered[0].lead_id]);
    let behind = leads::page(&mut tx, ws, Filter::default(), Some(newest), 10).await.unwrap();
    assert_eq!(ids(behind), [entered[0].lead_id.as_str()]);
    let theirs = leads::page(&mut tx, ws, page(Some("acme"), None), None, 10).await.unwrap();
    assert_eq!(ids(theirs), [entered[0].lead_id.as_str()]);
    let by_key = leads::page(&mut tx, ws, page(None, Some(LeadBy::CustomerKey)), None, 10).await.unwrap();
    assert_eq!(ids(by_key), [newest]);
    let found = leads::find(&mut tx, ws, newest).await.unwrap().unwrap();
    assert_eq!((found.by(), found.value.as_str(), found.from()), (LeadBy::CustomerKey, "u-2", None));
    assert!(leads::find(&mut tx, ws, "lead_none").await.unwrap().is_none());
    assert_eq!(leads::known(&mut tx, ws, &leads).await.unwrap(), [true, true, true]);
}

async fn many_leads_wake_only_those_who_wait(world: &World) {
    world.enter(&terms()).await;
    for number in 0..300 {
        let metadata = json!({"customer_key": format!("u-{number}")});
        world.submit(&invoice_paid(number, &format!("cus_{number}"), &metadata)).await.unwrap();
    }
    world.work().await;
    let lead = |number: u32| NewLead {
        by: LeadBy::CustomerKey,
        value: format!("u-{number}"),
        to: LeadTo::Partner { partner: "acme".to_owned(), program: None },
        from: None,
    };
    let leads: Vec<NewLead> = (0..1000).map(lead).collect();
    assert!(world.enter_leads(&leads).await.iter().all(|entered| entered.is_new));
    assert_eq!(world.count("SELECT COUNT(*) FROM resettle").await, 300);
    world.work().await;
    assert_eq!(world.balance().await, 300 * 2_000);
}

async fn a_new_meaning_of_metadata_joins_customers(world: &World) {
    world.enter(&terms()).await;
    let tagged = |partner: &str| json!({"account_no": "7", "partner_key": partner});
    world.receive(&[invoice_paid(1, "cus_1", &tagged("acme")), invoice_paid(2, "cus_2", &tagged(""))]).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM customers").await, 2);
    let alias = settings(|settings| {
        settings.metadata_aliases.insert("account_no".to_owned(), MetadataField::CustomerKey);
    });
    world.enter(&[alias]).await;
    world.work().await;
    assert_eq!(world.count("SELECT COUNT(*) FROM customers").await, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM refs WHERE ref = 'key:7'").await, 1);
}

async fn a_thousand_customers_are_woken_in_pages(world: &World) {
    world.enter(&terms()).await;
    for number in 0..600 {
        let sale = invoice_paid(number, &format!("cus_{number}"), &json!({"partner_key": "later"}));
        world.submit(&sale).await.unwrap();
    }
    world.work().await;
    assert_eq!(world.balance().await, 0);
    world.enter(&partner("later")).await;
    assert!(world.count("SELECT COUNT(*) FROM resettle").await > 0);
    world.work().await;
    assert_eq!(world.balance().await, 600 * 2_000);
    assert_eq!(world.count("SELECT COUNT(*) FROM resettle").await, 0);
}

async fn the_books_are_apart(world: &World) {
    world.enter(&terms()).await;
    let mut test = invoice_paid(1, "cus_1", &acme());
    test["livemode"] = json!(false);
    world.receive(&[test]).await;
    assert_eq!(world.balance().await, 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM entries WHERE mode = 0").await, 1);
}

async fn who_rests_keeps_nobody_waiting_who_comes_later(world: &World) {
    let long: Vec<_> = (0..2_000).map(|n| charge(n, "cus_long")).collect();
    world.receive(&long).await;
    for event in [charge(2_000, "cus_long"), charge(2_001, "cus_other")] {
        world.submit(&event).await.unwrap();
        assert_eq!(world.ledger.record(world.workspace).await.unwrap(), 1);
        world.clock.advance(TimeDelta::microseconds(1));
    }
    let settle = async || {
        let due = (world.clock.now(), Pace::Lasting);
        world.ledger.settle_due_by(world.workspace, due, 1).await.unwrap().settled
    };
    assert_eq!((settle().await, settle().await), (1, 0), "the other, behind the one that has been due for longer");
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!((settle().await, settle().await), (1, 0), "the one, after its rest");
}

async fn what_was_read_ahead_counts_only_while_nobody_else_recorded(world: &World) {
    let at_once = record::batch(world.db.engine());
    let batch = usize::try_from(at_once).unwrap();
    let count = u32::try_from(2 * batch + 188).unwrap();
    let events: Vec<_> = (0..count).map(|n| charge(n, &format!("cus_{}", n % 10))).collect();
    for event in &events {
        world.submit(event).await.unwrap();
    }
    let (mut one, mut other) = (world.ledger.recorder(world.workspace), world.ledger.recorder(world.workspace));
    assert_eq!(one.next().await.unwrap(), batch, "and the next are read ahead");
    assert_eq!(other.next().await.unwrap(), batch, "which somebody else was quicker to record");
    assert_eq!(one.next().await.unwrap(), 188);
    assert_eq!((one.next().await.unwrap(), other.next().await.unwrap()), (0, 0));
    assert_eq!(world.count("SELECT COUNT(*) FROM facts").await, at_once * 2 + 188);
    assert_eq!(world.count("SELECT COUNT(*) FROM unread").await, 0);
    world.work().await;
    assert!(world.ledger.verify(world.workspace, |_| {}).await.unwrap().is_clean());
}
