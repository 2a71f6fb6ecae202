//! The fake Stripe itself: whatever is proven with it is proven of Stripe only as far as it behaves as Stripe does.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use chrono::TimeDelta;
use commission_bridge::clock::Clock;
use commission_bridge::sample::{Business, Options, Shape, business, render_all};
use commission_bridge::stripe::fetched;
use serde_json::{Value, json};

use crate::fake_stripe::{
    FakeStripe, Fault, Faults, Kind, LIVE_KEY, LIVE_RESTRICTED_KEY, Merchant, OWN_ACCOUNT, TEST_KEY,
};

struct Said {
    status: u16,
    head: String,
    body: Value,
}

/// One request, given as `METHOD /path?query`, with headers (a line each) and a form.
fn call(fake: &FakeStripe, request: &str, headers: &str, form: &str) -> Said {
    let mut stream = TcpStream::connect(fake.address).unwrap();
    let (method, target) = request.split_once(' ').unwrap();
    let key =
        if headers.contains("authorization") { String::new() } else { format!("authorization: Bearer {LIVE_KEY}\r\n") };
    let length = form.len();
    write!(stream, "{method} {target} HTTP/1.1\r\n{key}{headers}content-length: {length}\r\n\r\n{form}").unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "an answer: {request}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    Said { status, head, body: serde_json::from_slice(&body).unwrap_or_default() }
}

fn get(fake: &FakeStripe, target: &str) -> Said {
    call(fake, &format!("GET /v1/{target}"), "", "")
}

fn ids(said: &Said) -> Vec<String> {
    let data = said.body["data"].as_array().unwrap_or_else(|| panic!("{}", said.body)).iter();
    data.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// All of a list, page by page.
fn all(fake: &FakeStripe, list: &str, query: &str) -> Vec<Value> {
    let (mut all, mut after): (Vec<Value>, String) = (Vec::new(), String::new());
    loop {
        let said = get(fake, &format!("{list}?limit=7&{query}{after}"));
        assert_eq!(said.status, 200, "{list}: {}", said.body);
        all.extend(said.body["data"].as_array().unwrap().iter().cloned());
        if said.body["has_more"] == false {
            return all;
        }
        after = format!("&starting_after={}", all.last().unwrap()["id"].as_str().unwrap());
    }
}

fn account(options: &Options) -> (Business, FakeStripe) {
    let business = business(options);
    let fake = FakeStripe::with(Clock::by_hand(business.settled_at), Merchant::of(&business.events));
    (business, fake)
}

fn code(said: &Said) -> (u16, &str) {
    (said.status, said.body["error"]["code"].as_str().unwrap_or_default())
}

#[test]
fn a_list_is_gone_through_page_by_page() {
    let (_, fake) = account(&Options { customers: 20, months: 5, ..Options::new(3) });
    for (kind, list) in [(Kind::Invoice, "invoices"), (Kind::Charge, "charges"), (Kind::Subscription, "subscriptions")]
    {
        let listed = all(&fake, list, if list == "subscriptions" { "status=all" } else { "" });
        let created: Vec<i64> = listed.iter().map(|one| one["created"].as_i64().unwrap()).collect();
        assert!(created.is_sorted_by(|a, b| a >= b), "the newest first");
        let listed: BTreeSet<&str> = listed.iter().map(|one| one["id"].as_str().unwrap()).collect();
        let known = fake.books().merchant().ids(kind);
        assert_eq!(listed, known.iter().map(String::as_str).collect(), "each once: {list}");
    }
    let first = ids(&get(&fake, "charges?limit=5"));
    assert_eq!(ids(&get(&fake, &format!("charges?limit=2&ending_before={}", first[3]))), first[1..3]);
    let middle = get(&fake, &format!("charges/{}", first[2])).body["created"].clone();
    assert_eq!(ids(&get(&fake, &format!("charges?limit=5&created[gt]={middle}"))), first[..2]);
    assert_eq!(ids(&get(&fake, &format!("charges?limit=1&created[lte]={middle}"))), first[2..3]);
    assert_eq!(code(&get(&fake, "charges?limit=101")), (400, "parameter_invalid_integer"));
    assert_eq!(code(&get(&fake, "charges?starting_after=ch_0")), (400, "resource_missing"));
    assert_eq!(code(&get(&fake, "charges?colour=red")), (400, "parameter_unknown"));
    fake.books().merchant().delete(Kind::Charge, &first[1]);
    assert_eq!(code(&get(&fake, &format!("charges?starting_after={}", first[1]))), (400, "resource_missing"));
    assert_eq!(code(&get(&fake, &format!("charges/{}", first[1]))), (404, "resource_missing"));
    let customer = fake.books().merchant().ids(Kind::Customer)[0].clone();
    fake.books().merchant().delete(Kind::Customer, &customer);
    assert_eq!(get(&fake, &format!("customers/{customer}")).body["deleted"], true);
}

#[test]
fn every_object_is_one_that_the_bridge_can_read() {
    let (business, fake) = account(&Options { customers: 40, ..Options::varied(5) });
    let mut seen = 0;
    for kind in fetched::Kind::ALL {
        let status = (kind == fetched::Kind::Subscription).then(|| "status=all".to_owned());
        let expanded = kind.expanded().iter().map(|name| format!("expand[]=data.{name}"));
        let query = status.into_iter().chain(expanded).collect::<Vec<_>>().join("&");
        for object in all(&fake, kind.path().trim_start_matches('/'), &query) {
            let raw = serde_json::value::to_raw_value(&object).unwrap();
            fetched::wrap(kind, &raw, business.settled_at, true).unwrap_or_else(|error| panic!("{error}: {object}"));
            seen += 1;
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn what_webhooks_do_not_show_is_shown() {
    let (_, fake) = account(&Options { customers: 30, ..Options::new(8) });
    let invoices = all(&fake, "invoices", "status=paid&expand[]=data.payments&expand[]=data.discounts");
    let by_card = invoices.iter().find(|one| one["payments"]["data"][0].is_object()).unwrap();
    let intent = by_card["payments"]["data"][0]["payment"]["payment_intent"].as_str().unwrap();
    let found =
        all(&fake, "invoice_payments", &format!("payment[type]=payment_intent&payment[payment_intent]={intent}"));
    assert_eq!(found[0]["invoice"], by_card["id"]);
    assert!(invoices.iter().any(|one| one["discounts"][0]["promotion_code"].is_string()), "a promotion code's id");
    let plain = get(&fake, &format!("invoices/{}", by_card["id"].as_str().unwrap())).body;
    assert!(plain["payments"].is_null() && !plain["discounts"][0].is_object());

    let charges = all(&fake, "charges", "expand[]=data.balance_transaction&expand[]=data.payment_intent");
    let paid = charges.iter().find(|one| one["balance_transaction"]["exchange_rate"].is_number()).unwrap();
    let (amount, fee) = (&paid["balance_transaction"]["amount"], &paid["balance_transaction"]["fee"]);
    let net = amount.as_i64().unwrap() - fee.as_i64().unwrap();
    assert_eq!(paid["balance_transaction"]["net"], net);
    assert_eq!(paid["payment_intent"]["object"], "payment_intent");
    let intents = all(&fake, "payment_intents", "expand[]=data.latest_charge.balance_transaction");
    assert!(intents.iter().any(|one| one["latest_charge"]["balance_transaction"]["fee"].is_number()));

    let won = all(&fake, "disputes", "").into_iter().find(|one| one["status"] == "won").unwrap();
    let moved: Vec<i64> =
        won["balance_transactions"].as_array().unwrap().iter().map(|one| one["created"].as_i64().unwrap()).collect();
    assert!(moved.len() == 2 && moved[0] == won["created"].as_i64().unwrap() && moved[0] < moved[1], "{won}");

    assert_eq!(get(&fake, "prices?expand[]=data.product").body["data"][0]["product"]["object"], "product");
    for wrong in ["expand[]=payments", "expand[]=data.colour", "expand[]=data.payments.data.payment.payment_intent"] {
        assert_eq!(get(&fake, &format!("invoices?{wrong}")).status, 400, "{wrong}");
    }
    let hidden = get(&fake, "subscriptions?limit=100");
    assert!(hidden.body["data"].as_array().unwrap().iter().all(|one| one["status"] != "canceled"));
}

#[test]
fn refunds_of_which_only_a_figure_is_told_are_there() {
    let options = Options { refunds: commission_bridge::sample::RefundEvents::Cumulative, ..Options::new(4) };
    let (_, fake) = account(&options);
    let charges = all(&fake, "charges", "expand[]=data.refunds");
    let refunded = charges.iter().filter(|one| one["amount_refunded"].as_i64() > Some(0));
    for charge in refunded.clone() {
        let refunds = charge["refunds"]["data"].as_array().unwrap();
        let sum: i64 = refunds.iter().map(|refund| refund["amount"].as_i64().unwrap()).sum();
        assert_eq!(charge["amount_refunded"], sum, "{charge}");
    }
    assert!(refunded.count() > 3);
}

#[test]
fn events_are_kept_for_thirty_days() {
    let (business, fake) = account(&Options { customers: 10, months: 4, ..Options::new(6) });
    let all_events: usize = business.events.iter().map(|event| render_all(event, Shape::New).len()).sum();
    let now = business.settled_at;
    let listed = all(&fake, "events", "");
    let oldest = (now - TimeDelta::days(30)).timestamp();
    assert!(listed.len() < all_events && listed.iter().all(|event| event["created"].as_i64() >= Some(oldest)));
    let old = fake.books().merchant().ids(Kind::Event)[0].clone();
    assert_eq!(get(&fake, &format!("events/{old}")).status, 404);

    fake.books().merchant().tell(&json!({"id": "evt_1", "object": "event", "type": "invoice.paid",
        "created": now.timestamp(), "data": {"object": {}}}));
    fake.books().merchant().tell(&json!({"id": "evt_2", "object": "event", "type": "charge.refunded",
        "created": now.timestamp() + 60, "data": {"object": {}}}));
    assert_eq!(ids(&get(&fake, "events?limit=1")), ["evt_1"], "what is still to come is not there");
    assert_eq!(ids(&get(&fake, "events?types[]=invoice.paid&types[]=payout.paid&limit=1")), ["evt_1"]);
    assert_eq!(ids(&get(&fake, "events?type=invoice.*&limit=1")), ["evt_1"]);
    fake.books().merchant().undelivered.insert("evt_1".to_owned());
    assert_eq!(ids(&get(&fake, "events?delivery_success=false")), ["evt_1"]);
    let many = (0..21).map(|number| format!("types[]=t{number}&")).collect::<Vec<_>>().concat();
    assert_eq!(get(&fake, &format!("events?{many}")).status, 400);
}

#[test]
fn keys_and_accounts_are_told_apart() {
    let (_, fake) = account(&Options { customers: 10, months: 3, ..Options::new(2) });
    assert_eq!(get(&fake, "account").body["id"], OWN_ACCOUNT);
    let with = |target: &str, headers: &str| call(&fake, &format!("GET /v1/{target}"), headers, "");
    let test = format!("authorization: Bearer {TEST_KEY}\r\n");
    assert_eq!(with("invoices", &test).body["data"], json!([]));
    let live = ids(&get(&fake, "invoices"))[0].clone();
    let said = with(&format!("invoices/{live}"), &test);
    assert!(said.status == 404 && said.body.to_string().contains("exists in live mode"), "{}", said.body);
    assert_eq!(with("invoices", "authorization: Bearer sk_live_another\r\n").status, 401);

    fake.books().lacks = vec!["invoice_read"];
    let said = with("invoices", &format!("authorization: Bearer {LIVE_RESTRICTED_KEY}\r\n"));
    assert!(said.status == 403 && said.body.to_string().contains("Having the 'rak_invoice_read' permission"));
    assert_eq!(get(&fake, "charges").status, 200);
    fake.books().revoked.push(LIVE_KEY);
    assert_eq!(code(&get(&fake, "charges")), (401, "api_key_expired"));
    fake.books().revoked.clear();

    assert_eq!(code(&with("charges", "stripe-account: acct_other\r\n")), (403, "account_invalid"));
    fake.books().merchants.push(Merchant::empty("acct_other", true));
    assert_eq!(with("charges", "stripe-account: acct_other\r\n").body["data"], json!([]));
}

#[test]
fn endpoints_are_made_and_removed() {
    let fake = FakeStripe::start(Clock::machine());
    let post = |target: &str, form: &str| call(&fake, &format!("POST /v1/{target}"), "", form);
    let form =
        "url=https://bridge.example/w&enabled_events[]=invoice.paid&enabled_events[]=refund.created&metadata[by]=us";
    let made = post("webhook_endpoints", form);
    let id = made.body["id"].as_str().unwrap();
    assert!(made.body["secret"].as_str().unwrap().starts_with("whsec_"));
    let shown = get(&fake, &format!("webhook_endpoints/{id}")).body;
    assert!(shown["secret"].is_null() && shown["metadata"]["by"] == "us" && shown["livemode"] == true, "{shown}");
    let changed = post(&format!("webhook_endpoints/{id}"), "enabled_events[]=invoice.paid&disabled=true").body;
    assert_eq!((&changed["status"], &changed["enabled_events"]), (&json!("disabled"), &json!(["invoice.paid"])));
    for wrong in [
        "url=https://a.example",
        "enabled_events[]=invoice.paid",
        "url=ftp://a&enabled_events[]=*",
        "url=https://a.example&enabled_events[]=invoice.eaten",
    ] {
        assert_eq!(post("webhook_endpoints", wrong).status, 400, "{wrong}");
    }
    let more: Vec<u16> = (0..16).map(|_| post("webhook_endpoints", form).status).collect();
    assert_eq!((more[14], more[15]), (200, 400), "sixteen and no more");
    assert_eq!(call(&fake, &format!("DELETE /v1/webhook_endpoints/{id}"), "", "").body["deleted"], true);
    assert_eq!(get(&fake, &format!("webhook_endpoints/{id}")).status, 404);
    assert_eq!(ids(&get(&fake, "webhook_endpoints?limit=100")).len(), 15);
}

#[test]
fn it_says_when_it_was_and_has_its_limits() {
    let clock = Clock::by_hand("2026-10-01T00:00:00Z".parse().unwrap());
    let fake = FakeStripe::with(clock.clone(), Merchant::default());
    let said = get(&fake, "charges");
    assert!(said.head.contains("date: Thu, 01 Oct 2026 00:00:00 GMT\r\nrequest-id: req_"), "{}", said.head);
    fake.books().per_second = Some(2);
    clock.advance(TimeDelta::seconds(1));
    let statuses: Vec<u16> = (0..3).map(|_| get(&fake, "charges").status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(get(&fake, "charges").status, 200);

    fake.books().per_second = None;
    fake.plan_for("GET /v1/invoices", Faults::times(Fault::Gateway, 2));
    let statuses: Vec<u16> = ["charges", "invoices", "invoices", "invoices"].map(|list| get(&fake, list).status).into();
    assert_eq!(statuses, [200, 502, 502, 200]);
    fake.answer_next("GET /v1/events", 200, "[]");
    assert_eq!(get(&fake, "events").body, json!([]));
    assert_eq!(get(&fake, "events").body["object"], "list");
    fake.after_each(|books, _| {
        let number = books.requests.len();
        books.merchant().put(Kind::Charge, json!({"id": format!("ch_{number}"), "object": "charge", "created": 5}));
    });
    assert_eq!([0, 1, 2].map(|_| ids(&get(&fake, "charges")).len()), [0, 1, 2]);
}

#[test]
fn an_invoice_shows_ten_lines() {
    let lines: Vec<Value> = (0..23).map(|number| json!({"id": format!("il_{number:02}"), "amount": number})).collect();
    let mut merchant = Merchant::default();
    merchant.put(
        Kind::Invoice,
        json!({"id": "in_1", "object": "invoice", "created": 1,
        "lines": {"object": "list", "data": lines, "has_more": false}}),
    );
    let fake = FakeStripe::with(Clock::machine(), merchant);
    let shown = get(&fake, "invoices/in_1").body["lines"].take();
    assert_eq!((shown["data"].as_array().unwrap().len(), &shown["has_more"]), (10, &json!(true)));
    assert_eq!(all(&fake, "invoices/in_1/lines", "").len(), 23);
    assert_eq!(ids(&get(&fake, "invoices/in_1/lines?limit=100&starting_after=il_21")), ["il_22"]);
}

#[test]
fn a_million_objects_are_listed_without_being_kept() {
    let start = "2020-01-01T00:00:00Z".parse().unwrap();
    let fake = FakeStripe::with(Clock::machine(), Merchant::large(1_000_000, start));
    let kinds =
        [Kind::Invoice, Kind::Intent, Kind::Charge, Kind::Customer, Kind::Subscription, Kind::Refund, Kind::Dispute];
    let counts = kinds.map(|kind| fake.books().merchant().count(kind));
    assert!((999_000..=1_001_000).contains(&counts.iter().sum::<usize>()), "{counts:?}");
    let first = get(&fake, "invoices?limit=100&expand[]=data.payments");
    assert_eq!((first.status, first.body["has_more"] == true), (200, true));
    let last = ids(&first).pop().unwrap();
    let second = get(&fake, &format!("invoices?limit=100&starting_after={last}&expand[]=data.payments"));
    assert!(ids(&second)[0] < last);
    for kind in fetched::Kind::ALL {
        let expand = kind.expanded().iter().map(|name| format!("&expand[]=data.{name}")).collect::<Vec<_>>().concat();
        let said = get(&fake, &format!("{}?limit=2{expand}", kind.path().trim_start_matches('/')));
        for object in said.body["data"].as_array().unwrap() {
            let raw = serde_json::value::to_raw_value(object).unwrap();
            fetched::wrap(kind, &raw, start, true).unwrap_or_else(|error| panic!("{error}: {object}"));
        }
    }
    let refund = &get(&fake, "refunds?limit=1").body["data"][0];
    let charge = refund["charge"].as_str().unwrap();
    assert_eq!(get(&fake, &format!("refunds?charge={charge}")).body["data"][0], *refund);
    assert_eq!(get(&fake, &format!("charges/{charge}")).body["created"], refund["created"]);
    let created = refund["created"].as_i64().unwrap();
    assert_eq!(get(&fake, &format!("refunds?created[gt]={created}")).body["data"], json!([]));
    let before = get(&fake, &format!("refunds?limit=1&created[lt]={created}"));
    assert!(before.body["data"][0]["created"].as_i64() < Some(created));
    let oldest = get(&fake, &format!("charges?created[lte]={}", 1_577_836_800 + 20));
    assert_eq!(ids(&oldest), ["ch_000000001", "ch_000000000"]);
}
