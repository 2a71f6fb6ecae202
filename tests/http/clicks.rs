//! `/v1/clicks` and `/c`: clicks from servers and from pages.

use serde_json::{Value, json};

use crate::blackbox::Home;
use crate::evidence::{Shop, header, refused_field};
use crate::on_both_engines;
use crate::server::{Answer, ask};

on_both_engines!(
    a_click_is_entered_shown_and_listed,
    the_same_click_is_the_same_answer,
    what_is_no_click_is_refused_by_its_field,
    the_same_post_twice_at_once_is_one_click,
    a_late_click_reaches_back,
    many_clicks_at_once,
    a_page_tells_of_a_visit,
);

fn clicks(home: &Home) -> i64 {
    home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM clicks")
}

fn a_click_is_entered_shown_and_listed(home: &Home) {
    let shop = Shop::open(home);
    shop.link("x", "acme", "https://shop.example/");
    let enter = |body: &Value| {
        let answer = shop.post("/v1/clicks", body);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    };
    let old = enter(&json!({"partner_key": "acme", "clicked_at": "2026-01-02T03:04:05.678+01:00"}));
    assert_eq!((&old["object"], &old["clicked_at"]), (&json!("click"), &json!("2026-01-02T02:04:05.678Z")));
    let own = enter(&json!({"partner_key": "acme", "program": "saas", "click_id": "imp:1.x"}));
    assert_eq!((&own["click_id"], &own["program"]), (&json!("imp:1.x"), &json!("saas")));
    let linked = enter(&json!({"link": "x"}));
    assert_eq!(linked["partner_key"], "acme");
    assert!(linked["click_id"].as_str().unwrap().starts_with("clk_"));
    let other = enter(&json!({"partner_key": "bolt"}));
    for click in [&old, &own, &linked, &other] {
        let got =
            shop.server.get_with_key(&format!("/v1/clicks/{}", click["click_id"].as_str().unwrap()), &shop.reader);
        assert_eq!(&got.json(), click);
    }
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let page = shop.get(&format!("/v1/clicks?partner=acme&limit=1{after}")).json();
        let click = page["data"][0].clone();
        after = format!("&starting_after={}", click["click_id"].as_str().unwrap());
        listed.push(click);
        if page["has_more"] == false {
            break;
        }
    }
    // Entered within the same second, the order of the two newest is by id.
    assert_eq!(listed.len(), 3);
    assert!(listed[..2].contains(&own) && listed[..2].contains(&linked));
    assert_eq!(listed[2], old);
    assert_eq!(refused_field(&shop.get("/v1/clicks")), "partner");
    let of_other = format!("/v1/clicks?partner=acme&starting_after={}", other["click_id"].as_str().unwrap());
    assert_eq!(refused_field(&shop.get(&of_other)), "starting_after");
    assert_eq!(shop.get("/v1/clicks/clk_nothing").problem(404), "not_found");
    let log = shop.get("/v1/audit-log?subject=click").json();
    assert_eq!(log["data"], json!([]));
}

fn the_same_click_is_the_same_answer(home: &Home) {
    let shop = Shop::open(home);
    let body = json!({"partner_key": "acme", "click_id": "c-1"});
    let first = shop.post("/v1/clicks", &body);
    assert_eq!(first.status, 201);
    for headers in [vec![], vec![("idempotency-key", "k-1")], vec![("idempotency-key", "k-1")]] {
        let again = shop.post_with("/v1/clicks", &headers, &body);
        assert_eq!((again.status, &again.body), (201, &first.body));
    }
    let at = first.json()["clicked_at"].clone();
    let dated = json!({"partner_key": "acme", "click_id": "c-1", "clicked_at": at});
    assert_eq!(shop.post("/v1/clicks", &dated).body, first.body);
    for (other, headers) in [
        (json!({"partner_key": "bolt", "click_id": "c-1"}), vec![]),
        (json!({"partner_key": "acme", "program": "saas", "click_id": "c-1"}), vec![]),
        (json!({"partner_key": "acme", "clicked_at": "2026-01-01T00:00:00Z", "click_id": "c-1"}), vec![]),
        (json!({"partner_key": "bolt", "click_id": "c-1"}), vec![("idempotency-key", "k-2")]),
    ] {
        assert_eq!(shop.post_with("/v1/clicks", &headers, &other).problem(409), "click_known", "{other}");
    }
    assert_eq!(shop.get("/v1/clicks/c-1").json(), first.json());
}

fn what_is_no_click_is_refused_by_its_field(home: &Home) {
    let shop = Shop::open(home);
    shop.link("x", "acme", "https://shop.example/");
    for (body, field) in [
        (json!({}), "partner_key"),
        (json!({"partner_key": "acme", "link": "x"}), "link"),
        (json!({"partner_key": "nobody"}), "partner_key"),
        (json!({"link": "nothing"}), "link"),
        (json!({"partner_key": "acme", "program": "none"}), "program"),
        (json!({"partner_key": "acme", "clicked_at": "2126-01-01T00:00:00Z"}), "clicked_at"),
        (json!({"partner_key": "acme", "clicked_at": "yesterday"}), "clicked_at"),
        (json!({"partner_key": "acme", "click_id": ""}), "click_id"),
        (json!({"partner_key": "acme", "click_id": "a b"}), "click_id"),
        (json!({"partner_key": "acme", "click_id": "ann@buyer.example"}), "click_id"),
        (json!({"partner_key": "acme", "click_id": "x".repeat(201)}), "click_id"),
        (json!({"partner_key": "acme", "click_id": "a\u{0}b"}), "click_id"),
        (json!({"partner_key": "acme", "color": 1}), "color"),
    ] {
        for headers in [vec![], vec![("idempotency-key", "k")]] {
            let answer = shop.post_with("/v1/clicks", &headers, &body);
            assert_eq!(refused_field(&answer), field, "{body}");
            assert!(!answer.body.contains("ann@"), "{answer:?}");
        }
    }
    assert_eq!(clicks(home), 0);
}

fn the_same_post_twice_at_once_is_one_click(home: &Home) {
    let shop = Shop::open(home);
    let body = json!({"partner_key": "acme"});
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let all = [(); 4].map(|()| scope.spawn(|| shop.post_with("/v1/clicks", &[("idempotency-key", "k")], &body)));
        all.map(|one| one.join().unwrap()).into()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(clicks(home), 1);
}

fn a_late_click_reaches_back(home: &Home) {
    let shop = Shop::open(home);
    let sales: Vec<String> =
        (1..=3).map(|number| shop.pays(number, &json!({"irclickid": format!("late-{number}")}), None)).collect();
    for sale in &sales {
        shop.decided(sale, "click_unknown", None);
    }
    let earlier = "2026-11-01T00:00:00Z";
    let body = |number: usize, partner: &str| {
        let clicked_at = chrono::DateTime::from_timestamp(crate::server::now() - 3600, 0).unwrap().to_rfc3339();
        assert!(clicked_at.as_str() > earlier);
        json!({"partner_key": partner, "click_id": format!("late-{number}"), "clicked_at": clicked_at})
    };
    assert_eq!(shop.post("/v1/clicks", &body(1, "acme")).status, 201);
    assert_eq!(shop.post_with("/v1/clicks", &[("idempotency-key", "k")], &body(2, "bolt")).status, 201);
    shop.decided(&sales[0], "credited", Some("acme"));
    shop.decided(&sales[1], "credited", Some("bolt"));
    shop.decided(&sales[2], "click_unknown", None);
}

fn many_clicks_at_once(home: &Home) {
    let shop = Shop::open(home);
    std::thread::scope(|scope| {
        for lane in 0..8 {
            let shop = &shop;
            scope.spawn(move || {
                for number in 0..20 {
                    // Each id is told by two lanes, every second one by nobody.
                    let id = format!("c-{}-{number}", lane / 2);
                    let body = if number % 2 == 0 {
                        json!({"partner_key": "acme", "click_id": id})
                    } else {
                        json!({"partner_key": "acme"})
                    };
                    assert_eq!(shop.post("/v1/clicks", &body).status, 201);
                }
            });
        }
    });
    assert_eq!(clicks(home), 8 * 10 + 4 * 10);
}

fn a_page_tells_of_a_visit(home: &Home) {
    let shop = Shop::open(home);
    shop.link("x", "bolt", "https://shop.example/");
    let tell = |path: &str, body: &str, kind: &str| {
        let headers = [("origin", "https://shop.example"), ("content-type", kind)];
        ask(&shop.server.address, "POST", path, &headers, body.as_bytes()).unwrap()
    };
    for (path, body, kind, partner) in [
        ("/c", r#"{"partner_key":"acme"}"#, "text/plain;charset=UTF-8", "acme"),
        ("/c", r#"{"partner_key":"acme","workspace":"default"}"#, "application/json", "acme"),
        ("/c", r#"{"link":"x"}"#, "application/json", "bolt"),
        ("/c", r#"{"ps_partner_key":"Ym9sdA=="}"#, "application/json", "bolt"),
        ("/c?via=acme", "", "text/plain", "acme"),
        ("/c?ps_partner_key=YWNtZQ", "", "text/plain", "acme"),
    ] {
        let answer = tell(path, body, kind);
        assert_eq!(answer.status, 200, "{path} {body} {answer:?}");
        assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
        assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        let body = answer.json();
        let id = body["click_id"].as_str().unwrap();
        assert_eq!(shop.get(&format!("/v1/clicks/{id}")).json()["partner_key"], partner);
    }
    assert_eq!(clicks(home), 6);
    for (path, body) in [
        ("/c", r#"{"partner_key":"nobody"}"#),
        ("/c", r#"{"partner_key":"ann@buyer.example"}"#),
        ("/c", r#"{"link":"nothing"}"#),
        ("/c", r#"{"partner_key":"acme","workspace":"nobodys"}"#),
    ] {
        let answer = tell(path, body, "text/plain");
        assert_eq!(answer.problem(404), "not_found", "{body}");
        assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
        assert!(!answer.body.contains("ann@"));
    }
    let large = format!(r#"{{"partner_key":"{}"}}"#, "x".repeat(2048));
    assert_eq!(tell("/c", &large, "text/plain").problem(413), "body_too_large");
    assert_eq!(tell("/c", "hello", "text/plain").problem(400), "not_json");
    for (body, field) in [
        ("{}", "partner_key"),
        (r#"{"partner_key":"acme","link":"x"}"#, "partner_key"),
        (r#"{"email":"a"}"#, "email"),
        (r#"{"partner_key":"a\u0000"}"#, "partner_key"),
    ] {
        assert_eq!(refused_field(&tell("/c", body, "text/plain")), field, "{body}");
    }
    let asks = [("origin", "https://shop.example"), ("access-control-request-method", "POST")];
    let preflight = ask(&shop.server.address, "OPTIONS", "/c", &asks, b"").unwrap();
    assert_eq!((preflight.status, header(&preflight, "access-control-allow-origin")), (200, Some("*")));
    assert_eq!(clicks(home), 6);
    assert!(!shop.server.stop().contains("ann@"));
}
