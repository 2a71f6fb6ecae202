//! Reports and timelines: a month told to the cent, and sums that are the ledger's and the merchant's own.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use commission_bridge::domain::Time;
use commission_bridge::domain::calendar::Month;
use commission_bridge::domain::decision::Click;
use commission_bridge::domain::terms::Status;
use commission_bridge::ledger::timeline::{Told, of_reference};
use commission_bridge::reports::{Asked, Report, ReportError, ReportShape, make};
use commission_bridge::sample::{Options, Shape, business, render_all, stream};
use commission_bridge::store::links::{self, Link};
use commission_bridge::store::reports::By;
use commission_bridge::store::{Mode, Urgency, clicks};
use serde_json::{Value, json};

use crate::harness::{World, charge, hour, invoice_paid, invoice_payment, partner, refund, settings, terms};

crate::on_both_engines!(
    a_month_to_the_cent,
    states_are_written_where_they_differ,
    the_base_currency_goes_by_published_rates,
    months_add_up_to_the_ledger_and_the_books,
);

async fn report(world: &World, by: By, month: &str) -> Result<Report, ReportError> {
    let mut tx = world.db.read().await.unwrap();
    let terms = world.db.terms(&mut tx, world.workspace).await.unwrap();
    let asked = Asked { workspace: world.workspace, mode: Mode::Live, by, month: month.parse().unwrap() };
    make(&mut tx, &asked, &terms, world.now()).await
}

async fn rows(world: &World, by: By, month: &str) -> Value {
    let report = report(world, by, month).await.unwrap();
    let shape = serde_json::to_value(ReportShape::new(&report, by, Mode::Live)).unwrap();
    shape["rows"].clone()
}

/// A subscription event of October, `hours` after its beginning.
fn subscription(id: &str, customer: &str, hours: i64, status: &str, unit: i64, quantity: i64) -> Value {
    let is_first = hours == 0;
    json!({
        "id": format!("evt_{id}_{hours}"), "object": "event", "created": hour(hours).timestamp(), "livemode": true,
        "type": if is_first { "customer.subscription.created" } else { "customer.subscription.updated" },
        "data": {"object": {
            "id": id, "object": "subscription", "customer": customer, "status": status, "currency": "usd",
            "created": hour(0).timestamp(), "start_date": hour(0).timestamp(), "metadata": {},
            "items": {"data": [{"quantity": quantity, "price": {
                "id": "price_1", "product": "prod_1", "currency": "usd", "unit_amount": unit,
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}}]},
        }},
    })
}

/// A click on link `spring` of acme.
async fn click(world: &World) {
    let mut tx = world.db.write(Urgency::Now).await.unwrap();
    let link = Link {
        link_id: "lnk_1".to_owned(),
        link: "spring".to_owned(),
        partner: "acme".to_owned(),
        program: None,
        target: "https://shop.example/".to_owned(),
        status: Status::Active,
        created_at: hour(-20),
    };
    links::insert(&mut tx, world.workspace, &link).await.unwrap();
    let at = |at| (at, hour(at));
    for (number, clicked_at) in [at(-2), at(1), at(2)] {
        let link = Some("lnk_1".to_owned());
        let click = Click { partner: "acme".to_owned(), program: None, link, clicked_at, entered_at: clicked_at };
        clicks::enter_fresh(&mut tx, world.workspace, &[(format!("click_{number}"), click)]).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn october(world: &World) {
    let changes: Vec<_> = terms().into_iter().chain(partner("bold")).collect();
    world.enter(&changes).await;
    click(world).await;
    world
        .receive(&[
            invoice_paid(1, "cus_1", &json!({"click_id": "click_-2"})),
            charge(1, "cus_1"),
            invoice_payment(1),
            refund(1, 2_500),
            invoice_paid(2, "cus_2", &json!({"partner_key": "bold"})),
            invoice_paid(3, "cus_3", &json!({})),
            subscription("sub_cus_1", "cus_1", 0, "active", 10_000, 1),
            subscription("sub_cus_1", "cus_1", 48, "active", 10_000, 2),
            subscription("sub_cus_2", "cus_2", 0, "active", 10_000, 1),
            subscription("sub_cus_3", "cus_3", 0, "active", 10_000, 1),
        ])
        .await;
    world.clock.advance(TimeDelta::days(40));
    let mut gone = subscription("sub_cus_2", "cus_2", 24 * 39, "canceled", 10_000, 1);
    gone["data"]["object"]["ended_at"] = json!(hour(24 * 39).timestamp());
    world.receive(&[gone]).await;
}

async fn a_month_to_the_cent(world: &World) {
    october(world).await;
    let sums = |mrr_start: i64, mrr_end: i64, revenue: i64, refunds: i64, commission: i64| {
        json!([{"currency": "usd", "mrr_start": mrr_start, "mrr_end": mrr_end, "revenue": revenue, "refunds": refunds,
                "commission": commission}])
    };
    let acme = json!({"subject": "acme", "clicks": 2, "new_customers": 1, "paying_customers": 1, "churned_customers": 0,
        "base": null, "sums": sums(10_000, 20_000, 7_500, 2_500, 1_500)});
    let bold = json!({"subject": "bold", "clicks": 0, "new_customers": 1, "paying_customers": 1,
        "churned_customers": 0, "base": null, "sums": sums(10_000, 10_000, 10_000, 0, 2_000)});
    assert_eq!(rows(world, By::Partner, "2026-10").await, json!([acme, bold]));
    let mut spring = acme.clone();
    (spring["subject"], spring["partner_key"]) = (json!("spring"), json!("acme"));
    assert_eq!(rows(world, By::Link, "2026-10").await, json!([spring]));
    let product = json!([{"subject": "prod_1", "new_customers": 2, "paying_customers": 2, "churned_customers": 0,
        "base": null, "sums": sums(20_000, 30_000, 17_500, 2_500, 3_500)}]);
    assert_eq!(rows(world, By::Product, "2026-10").await, product, "what no partner brought is not in it");

    let november = rows(world, By::Partner, "2026-11").await;
    assert_eq!(november[0]["sums"], sums(20_000, 20_000, 0, 0, 0));
    assert_eq!(november[1]["sums"], sums(10_000, 0, 0, 0, 0));
    assert_eq!(november[1]["churned_customers"], 1);
    assert_eq!(rows(world, By::Link, "2026-09").await[0]["clicks"], 1);
    assert!(matches!(report(world, By::Partner, "2026-12").await, Err(ReportError::NotBegun(_))));

    let payment = world.payment("in_1").await;
    let evidence = (payment.evidence_kind.as_deref(), payment.evidence.as_deref(), payment.link_id.as_deref());
    assert_eq!(evidence, (Some("click_id"), Some("click_-2"), Some("lnk_1")));
    let checked = world.ledger.verify(world.workspace, |_| {}).await.unwrap();
    assert!(checked.is_clean(), "{:#?}", checked.differences);

    let told = of_reference(&world.ledger, world.workspace, Mode::Live, "ch_1").await.unwrap();
    let Told::Moments(_, moments) = told else { panic!("{told:?}") };
    let words: Vec<&str> = moments.iter().map(|moment| moment.what.as_str()).collect();
    assert_eq!(words, ["subscription_started", "paid", "refunded", "quantity_changed"]);
    let unknown = of_reference(&world.ledger, world.workspace, Mode::Live, "in_9").await.unwrap();
    assert!(matches!(unknown, Told::Unknown));
}

async fn states_are_written_where_they_differ(world: &World) {
    const COUNT: &str = "SELECT COUNT(*) FROM subscription_states";
    const MRR: &str = "SELECT CAST(SUM(mrr) AS BIGINT) FROM subscription_states";
    world.enter(&terms()).await;
    let acme = json!({"partner_key": "acme"});
    world.receive(&[invoice_paid(1, "cus_1", &acme), subscription("sub_cus_1", "cus_1", 0, "active", 100, 1)]).await;
    assert_eq!((world.count(COUNT).await, world.count(MRR).await), (1, 100));
    // Nobody looks at what is as it was.
    world.tamper("UPDATE subscription_states SET mrr = 7").await.unwrap();
    world.receive(&[charge(1, "cus_1")]).await;
    assert_eq!(world.count(MRR).await, 7);
    world.receive(&[subscription("sub_cus_1", "cus_1", 5, "past_due", 100, 1)]).await;
    assert_eq!((world.count(COUNT).await, world.count(MRR).await), (2, 200));
    // An older event that comes late goes between.
    world.receive(&[subscription("sub_cus_1", "cus_1", 3, "active", 300, 1)]).await;
    assert_eq!((world.count(COUNT).await, world.count(MRR).await), (3, 500));
    assert_eq!(world.count("SELECT COUNT(*) FROM subscription_states WHERE until_at > 9000000000000000000").await, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM subscription_states WHERE partner_key = 'acme'").await, 3);
}

async fn the_base_currency_goes_by_published_rates(world: &World) {
    october(world).await;
    world.enter_once_more(&settings(|settings| settings.base_currency = Some("eur".parse().unwrap()))).await;
    let missing = report(world, By::Partner, "2026-10").await.unwrap();
    assert!(missing.total.is_none() && missing.rows.iter().all(|row| row.base.is_none()));
    assert_eq!(missing.base.unwrap().missing.len(), 1);
    let mut session = world.session().await;
    let rates = commission_bridge::fx::ecb::read(b"Date,USD\n2026-10-30,1.25\n").unwrap();
    commission_bridge::admin::fx::import(&mut session, &rates, commission_bridge::fx::ECB).await.unwrap();
    session.commit().await.unwrap();
    let report = report(world, By::Partner, "2026-10").await.unwrap();
    let total = report.total.unwrap();
    assert_eq!((total.currency.as_str(), total.mrr_end, total.commission), ("eur", 24_000, 2_800));
    let base = report.base.unwrap();
    assert_eq!(base.day.to_string(), "2026-10-31");
    assert_eq!(base.rates.values().next().unwrap().day.to_string(), "2026-10-30");
}

/// Commission by partner and currency.
type Owed = BTreeMap<(String, String), i64>;

fn add(sums: &mut Owed, partner: &str, currency: &str, amount: i64) {
    *sums.entry((partner.to_owned(), currency.to_owned())).or_default() += amount;
}

fn without_nothing(mut sums: Owed) -> Owed {
    sums.retain(|_, amount| *amount != 0);
    sums
}

async fn months_add_up_to_the_ledger_and_the_books(world: &World) {
    let options = Options { customers: 30, months: 8, ..Options::new(5) };
    let business = business(&options);
    world.apply(&business.program_toml).await;
    let zone = {
        let mut tx = world.db.read().await.unwrap();
        world.db.terms(&mut tx, world.workspace).await.unwrap().current_settings().time_zone
    };
    let mut events: Vec<_> = business.events.iter().flat_map(|event| render_all(event, Shape::New)).collect();
    stream::shuffle(&mut events, 5);
    world.import(&events).await;
    world.work().await;

    let month_of = |at: Time| Month::containing(at, zone);
    let mut ledger: BTreeMap<Month, Owed> = BTreeMap::new();
    for booked in world.entries().await {
        let entry = booked.entry;
        let of_month = ledger.entry(month_of(entry.occurred_at)).or_default();
        add(of_month, &entry.partner, entry.currency.as_str(), entry.amount);
    }
    // What a used-up cap leaves at nothing may be called credited or not.
    let (mut certain, mut possible): (Owed, Owed) = (Owed::new(), Owed::new());
    let payments = business.books.payments(world.now());
    for ((sale, _), payment) in business.books.sales().iter().zip(&payments) {
        let Some(partner) = &payment.partner else { continue };
        let (left, currency) = (payment.paid - sale.taken_back(world.now()), payment.currency.to_string());
        match payment.code {
            Some("credited") => add(&mut certain, partner, &currency, left),
            None => add(&mut possible, partner, &currency, left),
            Some(_) => {}
        }
    }
    let (mut revenue, mut mrr_before): (Owed, Option<Owed>) = (Owed::new(), None);
    let (mut new_customers, mut recurred) = (0, 0);
    let mut month = month_of(business.events[0].at).previous();
    while month.start(zone) < world.now() {
        let report = report(world, By::Partner, &month.to_string()).await.unwrap();
        let (mut commission, mut start, mut end) = (Owed::new(), Owed::new(), Owed::new());
        for row in &report.rows {
            let partner = row.subject.as_deref().unwrap();
            new_customers += row.new_customers;
            for sums in &row.sums {
                let currency = sums.currency.as_str();
                add(&mut commission, partner, currency, sums.commission);
                add(&mut start, partner, currency, sums.mrr_start);
                add(&mut end, partner, currency, sums.mrr_end);
                add(&mut revenue, partner, currency, sums.revenue);
                recurred += sums.mrr_end;
            }
        }
        assert_eq!(without_nothing(commission), without_nothing(ledger.remove(&month).unwrap_or_default()), "{month}");
        if let Some(before) = mrr_before {
            assert_eq!(without_nothing(start), without_nothing(before), "{month} begins as the month before ended");
        }
        mrr_before = Some(end);
        month = month.next();
    }
    assert!(ledger.is_empty(), "every entry was in a month: {ledger:?}");
    assert!(!revenue.is_empty() && new_customers > 0 && recurred > 0);
    for (key, certain) in &certain {
        let reported = revenue.get(key).copied().unwrap_or_default();
        let most = certain + possible.get(key).copied().unwrap_or_default();
        assert!(reported >= *certain && reported <= most, "{key:?}: {reported} is not the books' {certain}");
    }
    let paid: i64 = world
        .count(
            "SELECT COUNT(*) FROM (SELECT DISTINCT customer_id FROM payments
             WHERE version IS NOT NULL AND paid > taken_back AND code <> 'voided') v",
        )
        .await;
    assert!(new_customers <= paid, "{new_customers} new customers of {paid}");
}
