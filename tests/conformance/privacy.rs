//! Erasing somebody: who they are goes, what they are owed stays, and nothing brings it back.

use commission_bridge::admin::Refused;
use commission_bridge::domain::lead::{LeadBy, LeadTo, NewLead};
use commission_bridge::domain::terms::{Change, Profile, SelfReferral, Status};
use commission_bridge::intake::payload;
use commission_bridge::ledger::Ledger;
use commission_bridge::privacy::{self, Keeper, Outcome};
use commission_bridge::sample::{Options, Shape, business, render_all};
use commission_bridge::store::vault::Vault;
use commission_bridge::store::{Db, Mode, erasures, events, facts};
use serde_json::{Value, json};

use crate::harness::{World, charge, customer, hour, invoice_paid, invoice_payment, partner, program, refund, terms};

crate::on_both_engines!(
    a_customer_is_erased_and_the_ledger_stands,
    a_self_referral_stays_one,
    a_lead_stays_the_partners,
    a_shared_lead_stays_with_both,
    an_address_as_customer_key_still_joins,
    a_redelivered_event_brings_nothing_back,
    who_is_joined_to_an_erased_customer_is_erased,
    a_partner_is_erased_and_statements_stay,
    a_partner_who_may_earn_is_not_erased,
    everything_is_exported,
    nobody_is_erased_by_a_name_that_finds_nobody,
    a_whole_shop_is_erased_without_moving_a_cent,
);

const ANN: &str = "Ann.Lee@Buyer.example";

fn with_email(mut event: Value, email: &str) -> Value {
    let object = &mut event["data"]["object"];
    let field = match object["object"].as_str() {
        Some("invoice") => "customer_email",
        Some("charge") => "receipt_email",
        _ => "email",
    };
    object[field] = json!(email);
    if email == ANN {
        object["description"] = json!("for Ann Lee");
        object["name"] = json!("Ann Lee");
        object["address"] = json!({"line1": "1 High Street", "city": "Graz"});
    }
    event
}

async fn erase(world: &World, name: &str) -> Result<Outcome, Refused> {
    let mut session = world.session().await;
    let outcome = privacy::erase_customer(&mut session, &world.ledger, name).await?;
    session.commit().await.unwrap();
    world.work().await;
    Ok(outcome)
}

async fn erase_partner(world: &World, key: &str) -> Result<Outcome, Refused> {
    let mut session = world.session().await;
    let outcome = privacy::erase_partner(&mut session, key).await?;
    session.commit().await.unwrap();
    world.work().await;
    Ok(outcome)
}

async fn is_proved(world: &World) {
    let report = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    assert!(report.is_clean() && report.waiting == 0, "{report:?}");
}

/// Everything in the database that may hold what somebody is called, in lower case.
async fn everything(world: &World) -> String {
    let mut all = String::new();
    let mut tx = world.db.read().await.unwrap();
    for text in [
        "SELECT body FROM facts",
        "SELECT clue FROM clues",
        "SELECT ref FROM refs",
        "SELECT value || natural_key FROM leads",
        "SELECT COALESCE(evidence, '') FROM payments",
        "SELECT body FROM changes",
        "SELECT COALESCE(before, '') || COALESCE(after, '') || object_id FROM audit_log",
        "SELECT recipient FROM mails",
        "SELECT subject FROM erasures",
        "SELECT body FROM idempotency",
    ] {
        let rows: Vec<(String,)> =
            commission_bridge::on!(tx, conn => sqlx::query_as(text).fetch_all(conn).await.unwrap());
        all.extend(rows.into_iter().flat_map(|(text,)| [text, "\n".to_owned()]));
    }
    let rows: Vec<(i64, Vec<u8>)> = commission_bridge::on!(tx, conn => {
        sqlx::query_as("SELECT payload_codec, payload FROM events").fetch_all(conn).await.unwrap()
    });
    for (codec, stored) in rows {
        all.push_str(&String::from_utf8(payload::unpack(&stored, codec).unwrap()).unwrap());
    }
    all.to_lowercase()
}

async fn holds_none_of(world: &World, personal: &[&str]) {
    let all = everything(world).await;
    for text in personal {
        let place = all.find(text).map(|at| &all[at.saturating_sub(80)..(at + 80).min(all.len())]);
        assert_eq!(place, None, "{text}");
    }
}

const PERSONAL: [&str; 4] = ["ann", "buyer.example", "high street", "graz"];

/// A sale of 100.00 usd to `cus_1`, with a refund of half, credited by metadata; and one to somebody else.
async fn a_sale(world: &World) {
    world.enter(&terms()).await;
    let acme = json!({"partner_key": "acme", "full_name": "Ann Lee"});
    let events = [
        with_email(customer(1, "cus_1", &acme), ANN),
        with_email(invoice_paid(1, "cus_1", &acme), ANN),
        invoice_payment(1),
        with_email(charge(1, "cus_1"), ANN),
        refund(1, 5_000),
        with_email(invoice_paid(2, "cus_2", &json!({"partner_key": "acme"})), "bob@other.example"),
    ];
    world.receive(&events).await;
    // None of the bridge's business, and about the same person.
    let mut method = with_email(customer(9, "cus_1", &json!({})), ANN);
    method["type"] = json!("customer.source.updated");
    world.receive(&[method]).await;
    world.clock.advance(chrono::TimeDelta::hours(3));
    world.work().await;
}

async fn a_customer_is_erased_and_the_ledger_stands(world: &World) {
    a_sale(world).await;
    let entries = |all: Vec<commission_bridge::store::entries::Booked>| format!("{all:?}");
    let (before, payments) = (entries(world.entries().await), world.payments().await);
    let outcome = erase(world, "cus_1").await.unwrap();
    // Refund and payment of the invoice hold nothing personal.
    assert_eq!((outcome.events, outcome.customers.len()), (4, 1), "{outcome:?}");
    holds_none_of(world, &PERSONAL).await;
    assert!(everything(world).await.contains("bob@other.example"), "nobody else is erased");
    is_proved(world).await;
    assert_eq!(entries(world.entries().await), before);
    let codes = |payments: &[commission_bridge::store::payments::Payment]| {
        payments
            .iter()
            .map(|payment| (payment.reference.clone(), payment.code.clone(), payment.amount))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&world.payments().await), codes(&payments));
    let again = erase(world, "cus_1").await.unwrap();
    assert_eq!((again.erasure_id, again.events, again.leads, again.rows), (outcome.erasure_id, 0, 0, 0));
    let mut tx = world.db.read().await.unwrap();
    assert_eq!(erasures::page(&mut tx, (world.workspace, Mode::Live), None, 10).await.unwrap().len(), 1);
    drop(tx);
    let logged = "SELECT COUNT(*) FROM audit_log WHERE action = 'privacy.erased' AND object = 'customer'";
    assert_eq!(world.count(logged).await, 1, "once, not twice");
    let found = erase(world, "in_1").await.unwrap();
    assert_eq!(found.customers, outcome.customers, "a payment's reference names them, too");
}

async fn a_self_referral_stays_one(world: &World) {
    let Change::ProgramVersion { program: key, name, version, effective_from, in_force_from, engine, mut terms } =
        program()
    else {
        panic!("a program")
    };
    terms.self_referral = SelfReferral::Refuse;
    world
        .enter(&[
            Change::ProgramVersion { program: key, name, version, effective_from, in_force_from, engine, terms },
            Change::Partner {
                partner: "acme".to_owned(),
                profile: Profile { email: Some(" ann.lee@buyer.EXAMPLE".to_owned()), ..Profile::default() },
            },
            Change::Enrollment {
                partner: "acme".to_owned(),
                program: "saas".to_owned(),
                status: Status::Active,
                from: None,
            },
        ])
        .await;
    let acme = json!({"partner_key": "acme"});
    world.receive(&[with_email(invoice_paid(1, "cus_1", &acme), ANN)]).await;
    world.receive(&[with_email(invoice_paid(2, "cus_2", &acme), "bob@other.example")]).await;
    assert_eq!(world.payment("in_1").await.code, "self_referral");
    erase(world, ANN).await.unwrap();
    assert_eq!(world.payment("in_1").await.code, "self_referral");
    is_proved(world).await;
    assert_eq!(world.balance().await, 2_000);
    // The partner's own address goes as well: it is still the same as the buyer's.
    world.clock.advance(chrono::TimeDelta::hours(1));
    let from = None;
    world.enter(&[Change::PartnerStatus { partner: "acme".to_owned(), status: Status::Inactive, from }]).await;
    world.work().await;
    adjust(world, "acme", -2_000).await;
    erase_partner(world, "acme").await.unwrap();
    holds_none_of(world, &["ann.lee", "buyer.example"]).await;
    assert_eq!(world.payment("in_1").await.code, "self_referral");
    is_proved(world).await;
    let other = Ledger { db: Db::open(&world.url).await.unwrap(), ..world.ledger.clone() };
    let report = other.verify(world.workspace, |_| {}).await.unwrap();
    assert!(report.is_clean(), "whoever opens the database knows it: {report:?}");
}

async fn adjust(world: &World, partner: &str, amount: i64) {
    use commission_bridge::admin::adjustments::{NewAdjustment, create};
    let mut session = world.session().await;
    let asked = NewAdjustment {
        kind: commission_bridge::domain::entry::EntryKind::Adjustment,
        partner,
        program: None,
        amount,
        currency: "usd",
        note: "settled by hand",
        available_at: None,
    };
    create(&mut session.desk().await.unwrap(), &asked).await.unwrap();
    session.commit().await.unwrap();
}

fn lead(value: &str) -> NewLead {
    let to = LeadTo::Partner { partner: "acme".to_owned(), program: None };
    NewLead { by: LeadBy::Email, value: value.to_owned(), to, from: None }
}

async fn a_lead_stays_the_partners(world: &World) {
    world.enter(&terms()).await;
    world.enter_leads(&[lead(ANN)]).await;
    world.receive(&[with_email(invoice_paid(1, "cus_1", &json!({})), ANN)]).await;
    assert_eq!(world.balance().await, 2_000);
    let outcome = erase(world, ANN).await.unwrap();
    assert_eq!((outcome.leads, outcome.customers.len()), (1, 1));
    holds_none_of(world, &PERSONAL).await;
    is_proved(world).await;
    assert_eq!(world.balance().await, 2_000);
    // A renewal that comes later is erased as it is recorded, and still the partner's.
    world.receive(&[with_email(invoice_paid(2, "cus_1", &json!({})), ANN)]).await;
    assert_eq!(world.balance().await, 4_000);
    holds_none_of(world, &PERSONAL).await;
    is_proved(world).await;
    let again = erase(world, ANN).await.unwrap();
    assert_eq!((again.events, again.leads), (0, 0));
}

async fn a_shared_lead_stays_with_both(world: &World) {
    world.enter(&terms()).await;
    world.enter_leads(&[lead("office@buyer.example")]).await;
    for number in 1..=2 {
        let event = invoice_paid(number, &format!("cus_{number}"), &json!({}));
        world.receive(&[with_email(event, "office@buyer.example")]).await;
    }
    assert_eq!(world.balance().await, 4_000);
    erase(world, "cus_1").await.unwrap();
    is_proved(world).await;
    assert_eq!(world.balance().await, 4_000);
    assert_eq!(world.count("SELECT COUNT(*) FROM leads WHERE value = 'office@buyer.example'").await, 1);
    erase(world, "cus_2").await.unwrap();
    is_proved(world).await;
    assert_eq!(world.balance().await, 4_000);
    holds_none_of(world, &["office@", "buyer.example"]).await;
}

async fn an_address_as_customer_key_still_joins(world: &World) {
    world.enter(&terms()).await;
    let key = json!({"customer_key": "ann@buyer.example", "partner_key": "acme"});
    world
        .receive(&[invoice_paid(1, "cus_1", &key), customer(2, "cus_2", &json!({"customer_key": "ann@buyer.example"}))])
        .await;
    assert_eq!(world.count("SELECT COUNT(*) FROM customers").await, 1);
    erase(world, "ann@buyer.example").await.unwrap();
    holds_none_of(world, &["ann@", "buyer.example"]).await;
    is_proved(world).await;
    world.receive(&[customer(3, "cus_3", &key)]).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM customers").await, 1, "who comes later with the same key is the same");
    holds_none_of(world, &["ann@", "buyer.example"]).await;
    is_proved(world).await;
}

async fn a_redelivered_event_brings_nothing_back(world: &World) {
    a_sale(world).await;
    erase(world, "cus_1").await.unwrap();
    let acme = json!({"partner_key": "acme", "full_name": "Ann Lee"});
    let event = with_email(invoice_paid(1, "cus_1", &acme), ANN);
    assert!(world.submit(&event).await.unwrap().duplicate, "the same is the same");
    let mut rendered_anew = event;
    rendered_anew["api_version"] = json!("2024-06-20");
    rendered_anew["data"]["object"]["customer_name"] = json!("Ann Lee");
    world.receive(&[rendered_anew]).await;
    assert_eq!(world.event("evt_in_1").await.len(), 2, "another shape is kept, too");
    world.receive(&[with_email(customer(5, "cus_1", &acme), ANN)]).await;
    holds_none_of(world, &PERSONAL).await;
    is_proved(world).await;
}

async fn who_is_joined_to_an_erased_customer_is_erased(world: &World) {
    world.enter(&terms()).await;
    world.receive(&[with_email(customer(1, "cus_1", &json!({})), ANN)]).await;
    erase(world, "cus_1").await.unwrap();
    // A guest, until it turns out who it is.
    let mut guest = charge(7, "cus_1");
    guest["data"]["object"]["customer"] = json!(null);
    world.receive(&[with_email(guest, ANN)]).await;
    assert!(everything(world).await.contains("ann.lee"), "nobody can know yet");
    world.receive(&[invoice_paid(7, "cus_1", &json!({})), invoice_payment(7)]).await;
    let keeper = Keeper { ledger: world.ledger.clone() };
    assert_eq!(keeper.round().await.unwrap(), 1);
    assert_eq!(keeper.round().await.unwrap(), 0);
    world.work().await;
    holds_none_of(world, &PERSONAL).await;
    is_proved(world).await;
}

fn ann_as_partner() -> Change {
    let profile = Profile {
        name: "Ann Lee Media".to_owned(),
        email: Some(ANN.to_owned()),
        legal_name: Some("Ann Lee".to_owned()),
        tax_id: Some("ATU12345678".to_owned()),
        note: Some("met in Graz".to_owned()),
        ..Profile::default()
    };
    Change::Partner { partner: "media".to_owned(), profile }
}

async fn a_partner_is_erased_and_statements_stay(world: &World) {
    world.enter(&terms()).await;
    world.enter(&[ann_as_partner()]).await;
    let inactive = Change::PartnerStatus { partner: "media".to_owned(), status: Status::Inactive, from: None };
    world.enter(&[inactive]).await;
    world.receive(&[invoice_paid(1, "cus_1", &json!({"partner_key": "acme"}))]).await;
    let outcome = erase_partner(world, "media").await.unwrap();
    assert!(outcome.rows >= 2 && outcome.kept.contains("statements"), "{outcome:?}");
    holds_none_of(world, &["ann lee", "ann.lee", "atu123", "met in"]).await;
    is_proved(world).await;
    let mut tx = world.db.read().await.unwrap();
    let terms = world.db.terms(&mut tx, world.workspace).await.unwrap();
    assert_eq!(terms.partners["media"].profile.name, "[erased]", "also in memory");
    drop(tx);
    assert_eq!(erase_partner(world, "media").await.unwrap().rows, 0);
}

async fn a_partner_who_may_earn_is_not_erased(world: &World) {
    world.enter(&terms()).await;
    world.receive(&[invoice_paid(1, "cus_1", &json!({"partner_key": "acme"}))]).await;
    let code = |refused: Refused| match refused {
        Refused::Conflict { code, .. } => code,
        other => panic!("{other}"),
    };
    assert_eq!(code(erase_partner(world, "acme").await.unwrap_err()), "partner_active");
    world.clock.advance(chrono::TimeDelta::hours(1));
    world.enter(&[Change::PartnerStatus { partner: "acme".to_owned(), status: Status::Inactive, from: None }]).await;
    world.work().await;
    assert_eq!(code(erase_partner(world, "acme").await.unwrap_err()), "balance_open");
    assert!(matches!(erase_partner(world, "nobody").await.unwrap_err(), Refused::Missing(_)));
    world.enter(&partner("other")).await;
}

async fn everything_is_exported(world: &World) {
    a_sale(world).await;
    world.enter(&[ann_as_partner()]).await;
    let book = (world.workspace, Mode::Live);
    let data = privacy::export_customer(&world.db, book, ANN, world.now(), 100).await.unwrap();
    let events = data["customers"][0]["events"].as_array().unwrap();
    assert_eq!((data["customers"].as_array().unwrap().len(), events.len()), (1, 5), "{data}");
    assert!(data.to_string().contains("1 High Street"));
    assert!(privacy::export_customer(&world.db, book, ANN, world.now(), 4).await.is_err(), "more than may be");
    let data = privacy::export_partner(&world.db, book, "media", world.now()).await.unwrap();
    assert_eq!(data["profile"]["tax_id"], "ATU12345678");
    assert_eq!(data["history"].as_array().unwrap().len(), 1, "{data}");
}

/// Every customer of the simulated merchant, whatever API version its events were written in.
async fn a_whole_shop_is_erased_without_moving_a_cent(world: &World) {
    let business = business(&Options { customers: 12, months: 6, ..Options::new(11) });
    world.apply(&business.program_toml).await;
    let shapes = Shape::ALL;
    let events: Vec<Value> = business
        .events
        .iter()
        .zip(shapes.iter().cycle())
        .flat_map(|(event, shape)| render_all(event, *shape))
        .collect();
    world.import(&events).await;
    world.work().await;
    let entries = |all: Vec<commission_bridge::store::entries::Booked>| format!("{all:?}");
    let before = entries(world.entries().await);
    let all: Vec<(String,)> = {
        let mut tx = world.db.read().await.unwrap();
        commission_bridge::on!(tx, conn => {
            sqlx::query_as("SELECT customer_id FROM customers ORDER BY customer_id").fetch_all(conn).await.unwrap()
        })
    };
    assert!(all.len() > 5);
    for (customer,) in &all {
        erase(world, customer).await.unwrap_or_else(|refused| panic!("{customer}: {refused}"));
    }
    assert_eq!(entries(world.entries().await), before);
    is_proved(world).await;
    let mut tx = world.db.read().await.unwrap();
    let facts: Vec<(String,)> =
        commission_bridge::on!(tx, conn => sqlx::query_as("SELECT body FROM facts").fetch_all(conn).await.unwrap());
    assert!(facts.iter().any(|(body,)| body.contains("@erased.invalid")));
    assert!(facts.iter().all(|(body,)| !body.replace("@erased.invalid", "").contains('@')));
}

async fn nobody_is_erased_by_a_name_that_finds_nobody(world: &World) {
    a_sale(world).await;
    for name in ["cus_404", "nobody@buyer.example", " "] {
        erase(world, name).await.unwrap_err();
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM erasures").await, 0);
    // The key of pseudonyms is a secret like others.
    erase(world, "cus_1").await.unwrap();
    let key = Vault::new_key().unwrap();
    let db = world.db.clone().with_vault(Vault::parse(&key).unwrap());
    assert_eq!(commission_bridge::store::webhook_secrets::keep_as(&db, db.vault()).await.unwrap(), 1);
    let mut tx = world.db.read().await.unwrap();
    let error = erasures::pseudonyms(&mut tx, world.workspace).await.unwrap_err().to_string();
    assert!(error.contains("SECRETS_KEY is not set"), "{error}");
    drop(tx);
    let mut tx = db.read().await.unwrap();
    assert!(erasures::pseudonyms(&mut tx, world.workspace).await.unwrap().is_some());
    assert!(hour(1) < world.now());
    let known = facts::count(&mut tx, world.workspace).await.unwrap();
    assert!(known > 0 && !events::counts(&mut tx, world.workspace).await.unwrap().is_empty());
}
