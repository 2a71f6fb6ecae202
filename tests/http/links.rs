//! `/v1/links` and `/r/…`: links are made, followed, changed and switched off.

use std::time::Duration;

use serde_json::{Value, json};

use crate::blackbox::{Engine, Home};
use crate::evidence::{Shop, header, refused_field};
use crate::on_both_engines;
use crate::server::{Server, ask, until};

on_both_engines!(
    a_link_is_made_listed_and_changed,
    what_is_no_link_is_refused_by_its_field,
    a_visitor_is_led_to_the_target_with_a_click,
    nobody_is_led_elsewhere,
    links_that_are_switched_off,
    the_same_post_twice_at_once_makes_one_link,
    a_sale_by_a_link_credits_its_partner,
    a_database_that_is_busy_stops_no_visitor,
);

const TARGET: &str = "https://shop.example/pricing?plan=pro#top";

fn a_link_is_made_listed_and_changed(home: &Home) {
    let shop = Shop::open(home);
    let made = shop.link("summer", "acme", TARGET);
    assert_eq!(made["object"], "link");
    assert_eq!(made["url"], format!("http://{}/r/summer", shop.server.address));
    assert_eq!((&made["target"], &made["status"], &made["program"]), (&json!(TARGET), &json!("active"), &Value::Null));
    let drawn = shop.post("/v1/links", &json!({"partner_key": "bolt", "program": "saas", "target": TARGET}));
    let drawn = drawn.json();
    let name = drawn["link"].as_str().unwrap();
    assert!(name.len() == 10 && name.chars().all(|character| character.is_ascii_alphanumeric()), "{name}");
    assert_eq!(drawn["program"], "saas");

    let page = shop.get("/v1/links?limit=1").json();
    assert_eq!((&page["data"][0], &page["has_more"]), (&drawn, &json!(true)));
    let rest = shop.get(&format!("/v1/links?starting_after={name}")).json();
    assert_eq!((&rest["data"], &rest["has_more"]), (&json!([made]), &json!(false)));
    assert_eq!(shop.get("/v1/links?partner=acme").json()["data"], json!([made]));
    assert_eq!(refused_field(&shop.get("/v1/links?starting_after=nothing")), "starting_after");

    let got = shop.get("/v1/links/summer");
    assert_eq!(got.json(), made);
    let tag = header(&got, "etag").unwrap().to_owned();
    let changed =
        shop.post_with("/v1/links/summer", &[("if-match", &tag)], &json!({"target": "https://shop.example/b"}));
    assert_eq!((changed.status, &changed.json()["target"]), (200, &json!("https://shop.example/b")));
    let late = shop.post_with("/v1/links/summer", &[("if-match", &tag)], &json!({"status": "inactive"}));
    assert_eq!(late.problem(412), "precondition_failed");
    assert_eq!(shop.post("/v1/links/nothing", &json!({"status": "active"})).problem(404), "not_found");
    assert_eq!(shop.get("/v1/links/nothing").problem(404), "not_found");

    let log = shop.get("/v1/audit-log?subject=link&subject_id=summer").json();
    let actions: Vec<_> = log["data"].as_array().unwrap().iter().map(|line| line["action"].clone()).collect();
    assert_eq!(actions, ["link.updated", "link.created"]);
    assert_eq!(log["data"][0]["before"]["target"], TARGET);

    let reader = format!("Bearer {}", shop.reader);
    let headers = [("authorization", reader.as_str()), ("content-type", "application/json")];
    let body = json!({"partner_key": "acme", "target": TARGET}).to_string();
    let refused = ask(&shop.server.address, "POST", "/v1/links", &headers, body.as_bytes()).unwrap();
    assert_eq!(refused.problem(403), "wrong_role");
    assert_eq!(shop.server.get_with_key("/v1/links/summer", &shop.reader).status, 200);
}

fn what_is_no_link_is_refused_by_its_field(home: &Home) {
    let shop = Shop::open(home);
    shop.link("taken", "acme", TARGET);
    for (change, field) in [
        (json!({"link": "a b"}), "link"),
        (json!({"link": ""}), "link"),
        (json!({"link": "x".repeat(65)}), "link"),
        (json!({"link": 7}), "link"),
        (json!({"partner_key": "nobody"}), "partner_key"),
        (json!({"partner_key": ""}), "partner_key"),
        (json!({"program": "none"}), "program"),
        (json!({"target": "http://shop.example"}), "target"),
        (json!({"target": "https://ann:pw@shop.example"}), "target"),
        (json!({"target": "/pricing"}), "target"),
        (json!({"target": "https:\\\\shop.example"}), "target"),
        (json!({"target": "javascript:alert(1)"}), "target"),
        (json!({"target": null}), "target"),
        (json!({"color": "red"}), "color"),
    ] {
        let mut body = json!({"link": "new", "partner_key": "acme", "target": TARGET});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = shop.post("/v1/links", &body);
        assert_eq!(refused_field(&answer), field, "{body}");
        assert!(!answer.body.contains("ann:pw"), "{answer:?}");
    }
    let again = shop.post("/v1/links", &json!({"link": "taken", "partner_key": "bolt", "target": TARGET}));
    assert_eq!(again.problem(409), "link_taken");
    assert_eq!(refused_field(&shop.post("/v1/links/taken", &json!({"status": "off"}))), "status");
    assert_eq!(refused_field(&shop.post("/v1/links/taken", &json!({"target": "ftp://x"}))), "target");
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM links"), 1);
}

/// The click id in an address.
fn click_id(location: &str) -> &str {
    let (_, rest) = location.split_once("irclickid=").unwrap();
    rest.split(['&', '#']).next().unwrap()
}

fn clicks(home: &Home) -> i64 {
    home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM clicks")
}

fn a_visitor_is_led_to_the_target_with_a_click(home: &Home) {
    let shop = Shop::open(home);
    shop.link("Summer_1", "acme", TARGET);
    let answer = shop.visit("/r/Summer_1?utm_source=mail&plan=free&gclid=g-1");
    assert_eq!(answer.status, 302, "{answer:?}");
    let location = header(&answer, "location").unwrap();
    let id = click_id(location);
    assert!(id.starts_with("clk_"), "{location}");
    assert_eq!(location, format!("https://shop.example/pricing?plan=pro&utm_source=mail&gclid=g-1&irclickid={id}#top"));
    let cookie = format!("cb_click={id}; max-age={}; path=/; samesite=lax", 60 * 86_400);
    assert_eq!(header(&answer, "set-cookie"), Some(cookie.as_str()));
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    assert_eq!(header(&answer, "x-robots-tag"), Some("noindex"));
    assert!(header(&answer, "referrer-policy").is_some());
    // The click is on disk before the answer.
    assert_eq!(clicks(home), 1);
    let kept = shop.get(&format!("/v1/clicks/{id}")).json();
    assert_eq!((&kept["partner_key"], &kept["program"]), (&json!("acme"), &Value::Null));
    assert!(click_id(header(&shop.visit("/r/default/Summer_1"), "location").unwrap()) != id);

    let head = ask(&shop.server.address, "HEAD", "/r/Summer_1", &[], b"").unwrap();
    assert_eq!((head.status, header(&head, "set-cookie")), (302, None));
    assert_eq!(header(&head, "location"), Some("https://shop.example/pricing?plan=pro#top"));
    assert_eq!(clicks(home), 2);
    for nothing in ["/r/summer_1", "/r/nothing", "/r/nobody/Summer_1", "/r/%00", "/r/a%2Fb"] {
        let answer = shop.visit(nothing);
        assert_eq!(answer.problem(404), "not_found", "{nothing}");
    }
    assert_eq!(ask(&shop.server.address, "POST", "/r/Summer_1", &[], b"").unwrap().problem(405), "method_not_allowed");
    assert_eq!(clicks(home), 2);
    assert!(shop.visit("/metrics").body.contains("clicks_total{result=\"stored\"} 2"));
}

fn nobody_is_led_elsewhere(home: &Home) {
    let shop = Shop::open(home);
    shop.link("x", "acme", TARGET);
    for to in [
        "//evil.example",
        "/%5Cevil.example",
        "%5C%5Cevil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/%09/evil.example",
        "/%0d%0aset-cookie:x",
        "%2F%2Fevil.example",
        "@evil.example",
        ".evil.example",
        "",
    ] {
        let answer = shop.visit(&format!("/r/x?to={to}"));
        let location = header(&answer, "location").unwrap().to_owned();
        assert!(location.starts_with("https://shop.example/pricing?plan=pro&irclickid=clk_"), "{to}: {location}");
        assert_eq!(answer.headers.matches("set-cookie").count(), 1, "{answer:?}");
    }
    let deep = shop.visit("/r/x?to=%2Fdocs%3Fa%3Db&utm_source=mail");
    let location = header(&deep, "location").unwrap();
    assert!(location.starts_with("https://shop.example/docs?a=b&utm_source=mail&irclickid=clk_"), "{location}");
}

fn links_that_are_switched_off(home: &Home) {
    let shop = Shop::open(home);
    for link in ["a", "b"] {
        shop.link(link, if link == "a" { "acme" } else { "bolt" }, TARGET);
    }
    shop.post("/v1/links/a", &json!({"status": "inactive"}));
    assert!(until(Duration::from_secs(10), || shop.visit("/r/a").status == 404));
    assert_eq!(refused_field(&shop.post("/v1/clicks", &json!({"link": "a"}))), "link");
    shop.post("/v1/links/a", &json!({"status": "active"}));
    assert!(until(Duration::from_secs(10), || shop.visit("/r/a").status == 302));
    // Of a partner who does not earn, visitors are sent on all the same.
    let program = crate::blackbox::fixture("shop/program.toml");
    home.write("program.toml", program.replace("key = \"bolt\"", "key = \"bolt\"\nstatus = \"inactive\""));
    home.ok("apply program.toml");
    let plain = |answer: &crate::server::Answer| header(answer, "location").map(ToOwned::to_owned);
    let sent_on = || {
        let answer = shop.visit("/r/b");
        assert_eq!(answer.status, 302);
        (plain(&answer), header(&answer, "set-cookie").map(ToOwned::to_owned))
    };
    let without = (Some(TARGET.to_owned()), None);
    assert!(until(Duration::from_secs(10), || sent_on() == without));
    let before = clicks(home);
    assert_eq!(sent_on(), without);
    assert_eq!(clicks(home), before);
}

fn the_same_post_twice_at_once_makes_one_link(home: &Home) {
    let shop = Shop::open(home);
    let body = json!({"partner_key": "acme", "target": TARGET});
    let answers: Vec<_> = std::thread::scope(|scope| {
        let both = [(); 4].map(|()| scope.spawn(|| shop.post_with("/v1/links", &[("idempotency-key", "k-1")], &body)));
        both.map(|one| one.join().unwrap()).into()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM links"), 1);
    let other =
        shop.post_with("/v1/links", &[("idempotency-key", "k-1")], &json!({"partner_key": "bolt", "target": TARGET}));
    assert_eq!(other.problem(409), "idempotency_key_reused");
}

fn a_sale_by_a_link_credits_its_partner(home: &Home) {
    let shop = Shop::open(home);
    shop.link("x", "bolt", TARGET);
    let answer = shop.visit("/r/x");
    let id = click_id(header(&answer, "location").unwrap());
    let reference = shop.pays(1, &json!({"irclickid": id}), None);
    shop.decided(&reference, "credited", Some("bolt"));
    shop.server.stop();
    home.ok("verify");
}

/// Whoever cannot be recorded goes on without a click.
fn a_database_that_is_busy_stops_no_visitor(home: &Home) {
    let shop = Shop::open(home);
    shop.link("x", "acme", TARGET);
    assert_eq!(shop.visit("/r/x").status, 302);
    let led = |answer: &crate::server::Answer| {
        assert_eq!((answer.status, header(answer, "set-cookie")), (302, None), "{answer:?}");
        assert_eq!(header(answer, "location"), Some(TARGET));
    };
    match home.engine {
        Engine::Sqlite => home.while_locked(|| led(&shop.visit("/r/x"))),
        Engine::Postgres => {
            home.lock_out();
            led(&shop.visit("/r/x"));
            // A new service has never heard of the link.
            home.let_in();
        }
    }
    assert!(shop.visit("/metrics").body.contains("clicks_total{result=\"lost\"} 1"));
    assert!(until(Duration::from_secs(30), || header(&shop.visit("/r/x"), "set-cookie").is_some()));
    let server: Server = shop.server;
    server.stop();
}
