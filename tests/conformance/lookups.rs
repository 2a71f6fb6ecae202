//! Asking Stripe for what no event says: once, within a budget, and never to anybody's harm.

use chrono::TimeDelta;
use commission_bridge::domain::missing::Missing;
use commission_bridge::domain::terms::{Base, Change, CodeOwner, ProgramTerms};
use commission_bridge::lookups::{BUDGET, LookUps, LookupError, Round};
use commission_bridge::store::asked::{self, Question};
use commission_bridge::store::{Mode, Urgency};
use commission_bridge::stripe_api::{Api, Options};
use serde_json::{Value, json};

use crate::fake_stripe::{FakeStripe, Fault, Faults, Kind, LIVE_KEY, Merchant};
use crate::harness::{World, charge, invoice_paid, invoice_payment, partner, program, refund};

crate::on_both_engines!(
    a_refund_finds_the_invoice_that_it_takes_from,
    what_an_event_says_meanwhile_is_not_asked,
    fees_are_asked_for,
    all_lines_of_a_long_invoice_are_read,
    a_price_is_asked_once_for_everybody,
    what_a_checkout_sold_is_asked_for,
    hidden_discounts_lead_to_their_codes,
    a_direct_payment_is_known_to_be_one,
    trouble_loses_nothing,
    what_stripe_does_not_know_is_given_up_and_asked_again_by_people,
    a_day_has_its_budget,
);

struct Asking {
    fake: FakeStripe,
    api: std::sync::Arc<Api>,
    lookups: LookUps,
}

fn asking(world: &World, merchant: Merchant) -> Asking {
    let fake = FakeStripe::with(world.clock.clone(), merchant);
    let options = Options { base: Some(fake.base()), per_second: 0, ..Options::default() };
    let api = std::sync::Arc::new(Api::new(LIVE_KEY, &options).unwrap());
    Asking { fake, api, lookups: LookUps::new(world.ledger.clone(), world.inbox.clone()) }
}

impl Asking {
    async fn round(&self, world: &World) -> Round {
        self.lookups.round(&self.api, (world.workspace, Mode::Live)).await.unwrap()
    }

    /// Asks after a while, and does all that comes of it.
    async fn later(&self, world: &World) -> Round {
        world.clock.advance(TimeDelta::minutes(11));
        let round = self.round(world).await;
        world.work().await;
        round
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.fake.books().requests)
    }
}

async fn questions(world: &World) -> Vec<Question> {
    let mut tx = world.db.read().await.unwrap();
    asked::all(&mut tx, world.workspace, Mode::Live, 100).await.unwrap()
}

async fn lacking(world: &World) -> Vec<Missing> {
    questions(world).await.into_iter().map(|question| question.missing).collect()
}

/// 20 % of everything for acme, changed.
fn terms(change: impl FnOnce(&mut ProgramTerms)) -> Vec<Change> {
    let mut program = program();
    if let Change::ProgramVersion { terms, .. } = &mut program {
        change(terms);
    }
    std::iter::once(program).chain(partner("acme")).collect()
}

fn acme() -> Value {
    json!({"partner_key": "acme"})
}

async fn a_refund_finds_the_invoice_that_it_takes_from(world: &World) {
    world.enter(&terms(|_| {})).await;
    let paid = invoice_paid(1, "cus_1", &acme());
    let merchant = Merchant::of_bodies(&[paid.clone(), invoice_payment(1), charge(1, "cus_1"), refund(1, 10_000)]);
    let asking = asking(world, merchant);
    world.receive(&[paid, refund(1, 10_000)]).await;
    world.clock.advance(TimeDelta::hours(3));
    world.work().await;
    assert_eq!(world.balance().await, 2000, "nobody knows yet what was refunded");
    assert_eq!(lacking(world).await, [Missing::Link("pi_1".to_owned())]);
    let round = asking.later(world).await;
    assert_eq!((round.answered, round.calls), (1, 2));
    assert_eq!(asking.calls().len(), 2);
    assert_eq!(world.balance().await, 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM events WHERE source = 'lookup'").await, 2);
    assert_eq!(world.count("SELECT COUNT(*) FROM unrecorded").await, 0);
    // It helped: the question is forgotten without a further call.
    let round = asking.later(world).await;
    assert_eq!((round.moot, round.calls), (1, 0));
    assert!(lacking(world).await.is_empty());
}

async fn what_an_event_says_meanwhile_is_not_asked(world: &World) {
    world.enter(&terms(|_| {})).await;
    let asking = asking(world, Merchant::default());
    world.receive(&[invoice_paid(1, "cus_1", &acme()), refund(1, 10_000)]).await;
    assert_eq!(asking.round(world).await, Round::default(), "an event may be on its way");
    world.receive(&[invoice_payment(1)]).await;
    let round = asking.later(world).await;
    assert_eq!((round.moot, round.calls), (1, 0));
    assert!(asking.calls().is_empty());
}

async fn fees_are_asked_for(world: &World) {
    world.enter(&terms(|terms| terms.base = Base::NetOfFees)).await;
    let paid = invoice_paid(1, "cus_1", &acme());
    let mut merchant = Merchant::of_bodies(&[charge(1, "cus_1"), paid.clone(), invoice_payment(1)]);
    let balance_transaction = merchant.get(Kind::Charge, "ch_1").unwrap()["balance_transaction"].clone();
    let id = balance_transaction.as_str().or(balance_transaction["id"].as_str()).unwrap().to_owned();
    merchant.change(Kind::BalanceTransaction, &id, |booked| booked["fee"] = json!(320));
    let asking = asking(world, merchant);
    world.receive(&[paid]).await;
    assert_eq!(world.balance().await, 0);
    assert_eq!(world.payments().await[0].code, "awaiting_lookup");
    let round = asking.later(world).await;
    assert_eq!((round.answered, round.calls), (1, 2));
    assert_eq!(world.balance().await, 1936, "(100.00 - 3.20) x 20 %");
}

async fn all_lines_of_a_long_invoice_are_read(world: &World) {
    let pro = |terms: &mut ProgramTerms| terms.rules[0].product = vec!["prod_pro".to_owned()];
    world.enter(&terms(pro)).await;
    let mut paid = invoice_paid(1, "cus_1", &acme());
    let line = paid["data"]["object"]["lines"]["data"][0].clone();
    let lines: Vec<Value> = (0..25)
        .map(|number| {
            let mut line = line.clone();
            line["id"] = json!(format!("il_1_{number}"));
            line["amount"] = json!(400);
            line["pricing"]["price_details"]["product"] = json!(if number == 24 { "prod_pro" } else { "prod_other" });
            line
        })
        .collect();
    paid["data"]["object"]["lines"] = json!({"object": "list", "has_more": false, "data": lines});
    let asking = asking(world, Merchant::of_bodies(std::slice::from_ref(&paid)));
    paid["data"]["object"]["lines"] = json!({"object": "list", "has_more": true, "data": lines[..10]});
    world.receive(&[paid]).await;
    assert_eq!(world.payments().await[0].code, "awaiting_lookup");
    asking.later(world).await;
    assert_eq!(world.balance().await, 80, "20 % of the one line of 4.00");
}

async fn a_price_is_asked_once_for_everybody(world: &World) {
    let pro = |terms: &mut ProgramTerms| terms.rules[0].product_key = vec!["pro".to_owned()];
    world.enter(&terms(pro)).await;
    let paid: Vec<Value> = (1..=5).map(|number| invoice_paid(number, &format!("cus_{number}"), &acme())).collect();
    let mut merchant = Merchant::of_bodies(&paid);
    merchant.put(Kind::Product, json!({"id": "prod_1", "object": "product", "metadata": {"product_key": "pro"}}));
    merchant.put(
        Kind::Price,
        json!({"id": "price_1", "object": "price", "product": "prod_1", "metadata": {}, "created": 1,
            "recurring": {"interval": "month"}}),
    );
    let asking = asking(world, merchant);
    world.receive(&paid).await;
    assert_eq!(world.balance().await, 0, "no rule is known to match");
    assert_eq!(lacking(world).await, [Missing::Price("price_1".to_owned())]);
    let round = asking.later(world).await;
    assert_eq!((round.answered, round.calls), (1, 1));
    assert_eq!(world.balance().await, 10_000, "5 x 20.00");
    world.receive(&[invoice_paid(6, "cus_6", &acme())]).await;
    assert_eq!(world.balance().await, 12_000, "what is known is known for all who come");
}

async fn hidden_discounts_lead_to_their_codes(world: &World) {
    let mut changes = terms(|_| {});
    let owner = Some(CodeOwner { partner: "acme".to_owned(), program: None });
    changes.push(Change::Code { code: "ACME20".to_owned(), owner, from: None });
    world.enter(&changes).await;
    let mut paid = invoice_paid(1, "cus_1", &json!({}));
    paid["data"]["object"]["discounts"] = json!(["di_1"]);
    let mut merchant = Merchant::of_bodies(std::slice::from_ref(&paid));
    let discount = json!({"id": "di_1", "object": "discount", "promotion_code": "promo_1"});
    merchant.change(Kind::Invoice, "in_1", |invoice| invoice["discounts"] = json!([discount]));
    merchant.put(Kind::PromotionCode, json!({"id": "promo_1", "object": "promotion_code", "code": "ACME20"}));
    let asking = asking(world, merchant);
    world.receive(&[paid]).await;
    assert_eq!(lacking(world).await, [Missing::Discounts("in_1".to_owned())]);
    asking.later(world).await;
    asking.later(world).await;
    asking.later(world).await;
    assert_eq!(world.balance().await, 2000);
}

async fn a_direct_payment_is_known_to_be_one(world: &World) {
    let mut changes = terms(|_| {});
    changes.push(crate::harness::settings(|settings| settings.count_direct_payments = true));
    world.enter(&changes).await;
    let mut direct = charge(1, "cus_1");
    direct["data"]["object"]["metadata"] = acme();
    let asking = asking(world, Merchant::of_bodies(std::slice::from_ref(&direct)));
    world.receive(&[direct]).await;
    assert_eq!(world.payments().await[0].code, "awaiting_link");
    let round = asking.later(world).await;
    assert_eq!((round.answered, round.calls), (1, 3), "the intent, its invoices, its sessions");
    assert_eq!(world.payments().await[0].code, "credited");
    assert_eq!(world.balance().await, 2000);
}

async fn trouble_loses_nothing(world: &World) {
    world.enter(&terms(|_| {})).await;
    let paid = invoice_paid(1, "cus_1", &acme());
    let merchant = Merchant::of_bodies(&[paid.clone(), invoice_payment(1), charge(1, "cus_1"), refund(1, 10_000)]);
    let asking = asking(world, merchant);
    world.receive(&[paid, refund(1, 10_000)]).await;
    world.clock.advance(TimeDelta::hours(3));
    world.work().await;
    for fault in [Fault::Busy, Fault::Gateway, Fault::DropAfter, Fault::Garbage] {
        asking.fake.plan_for("GET /v1/payment_intents", Faults::times(fault, 1));
        let round = asking.later(world).await;
        assert_eq!((round.answered, round.postponed), (0, 1), "{fault:?}");
    }
    asking.fake.answer_next("GET /v1/payment_intents", 200, "[1, 2]");
    assert_eq!(asking.later(world).await.postponed, 1);
    asking.fake.books().lacks.push("payment_intent_read");
    world.clock.advance(TimeDelta::minutes(11));
    let error = asking.lookups.round(&asking.api, (world.workspace, Mode::Live)).await.unwrap_err();
    assert!(matches!(&error, LookupError::Key(why) if why.contains("permission")), "{error}");
    asking.fake.books().lacks.clear();
    assert_eq!(questions(world).await.len(), 1);
    assert_eq!(world.balance().await, 2000);
    for _ in 0..3 {
        asking.later(world).await;
    }
    assert_eq!(world.balance().await, 0);
}

async fn what_stripe_does_not_know_is_given_up_and_asked_again_by_people(world: &World) {
    world.enter(&terms(|_| {})).await;
    let asking = asking(world, Merchant::default());
    world.receive(&[refund(1, 10_000)]).await;
    for _ in 0..6 {
        world.clock.advance(TimeDelta::days(2));
        asking.round(world).await;
        world.work().await;
    }
    let asked = questions(world).await;
    assert_eq!((asked[0].due_at, asked[0].attempts), (None, 5), "{asked:?}");
    assert!(asked[0].error.as_deref().unwrap().contains("pi_1"));
    let before = asking.calls().len();
    assert_eq!(asking.later(world).await, Round::default(), "nobody asks for ever");
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    assert_eq!(asked::ask_again(&mut tx, world.workspace, Mode::Live, world.now()).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert!(asking.later(world).await.calls > 0 && before > 0);
}

async fn a_day_has_its_budget(world: &World) {
    world.enter(&terms(|_| {})).await;
    let asking = asking(world, Merchant::default());
    world.receive(&[refund(1, 10_000)]).await;
    world.clock.advance(TimeDelta::minutes(11));
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let day = world.now().timestamp() / 86_400;
    asked::count_calls(&mut tx, world.workspace, Mode::Live, day, BUDGET).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(asking.round(world).await, Round::default());
    world.clock.advance(TimeDelta::days(1));
    assert!(asking.round(world).await.calls > 0);
}

async fn what_a_checkout_sold_is_asked_for(world: &World) {
    let pro = |terms: &mut ProgramTerms| {
        let mut other = terms.rules[0].clone();
        other.earn = commission_bridge::domain::terms::Earn::Percent("30".parse().unwrap());
        other.product = vec!["prod_pro".to_owned()];
        terms.rules.insert(0, other);
    };
    world.enter(&terms(pro)).await;
    let session = json!({
        "id": "cs_1", "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid",
        "amount_total": 10_000, "amount_subtotal": 10_000, "currency": "usd", "customer": "cus_1",
        "payment_intent": "pi_1", "created": world.now().timestamp(), "metadata": acme(), "livemode": true,
    });
    let completed = json!({
        "id": "evt_cs_1", "object": "event", "type": "checkout.session.completed", "livemode": true,
        "created": world.now().timestamp(), "api_version": "2026-10-28.endive", "data": {"object": session},
    });
    let mut merchant = Merchant::of_bodies(std::slice::from_ref(&completed));
    let item = |id: &str, amount: i64, product: &str| {
        let price = json!({"id": format!("price_{product}"), "product": product});
        json!({"id": id, "object": "item", "amount_subtotal": amount, "price": price})
    };
    let items = json!([item("li_1", 4000, "prod_pro"), item("li_2", 6000, "prod_other")]);
    let items = json!({"object": "list", "data": items, "has_more": false});
    merchant.change(Kind::Session, "cs_1", |session| session["line_items"] = items);
    let asking = asking(world, merchant);
    world.receive(&[completed]).await;
    assert_eq!(world.balance().await, 2000, "it does not wait");
    assert_eq!(lacking(world).await, [Missing::Lines("cs_1".to_owned())]);
    assert_eq!(asking.later(world).await.answered, 1);
    assert_eq!(world.balance().await, 2400, "30 % of 40.00, 20 % of 60.00");
    asking.later(world).await;
    assert!(lacking(world).await.is_empty());
}
