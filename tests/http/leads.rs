//! `/v1/leads`: e-mails and customer keys tied to partners, and who may see them.

use serde_json::{Value, json};

use crate::blackbox::Home;
use crate::evidence::{Shop, refused_field};
use crate::on_both_engines;
use crate::server::{Answer, ask};

on_both_engines!(
    a_lead_is_entered_shown_and_listed,
    an_e_mail_is_seen_by_few,
    what_is_no_lead_is_refused_by_its_field,
    the_same_post_twice_at_once_is_one_lead,
    a_lead_credits_the_sale_of_its_buyer,
);

fn leads(home: &Home) -> i64 {
    home.count("SELECT CAST(COUNT(*) AS BIGINT) FROM leads")
}

fn a_lead_is_entered_shown_and_listed(home: &Home) {
    let shop = Shop::open(home);
    shop.link("x", "bolt", "https://shop.example/");
    let enter = |body: &Value| {
        let answer = shop.post("/v1/leads", body);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    };
    let mail = enter(&json!({"email": " Ann@Buyer.Example ", "partner_key": "acme", "program": "saas"}));
    assert_eq!((&mail["email"], &mail["by"]), (&json!("ann@buyer.example"), &json!("email")));
    assert_eq!((&mail["customer_key"], &mail["program"]), (&Value::Null, &json!("saas")));
    // From now on, unless somebody says otherwise.
    assert!(mail["from"].is_string() && mail["created_at"].is_string());
    let dated = json!({"customer_key": "U-7", "click_id": "c-1", "from": "2026-01-01T00:00:00Z"});
    let keyed = enter(&dated);
    assert_eq!((&keyed["click_id"], &keyed["partner_key"]), (&json!("c-1"), &Value::Null));
    assert_eq!(keyed["from"], "2026-01-01T00:00:00Z");
    let linked = enter(&json!({"email": "bob@buyer.example", "link": "x"}));
    assert_eq!(linked["partner_key"], "bolt");
    assert_eq!(enter(&dated), keyed, "the same lead is one");
    assert_eq!(leads(home), 3);

    assert_eq!(shop.get(&format!("/v1/leads/{}", mail["lead_id"].as_str().unwrap())).json(), mail);
    assert_eq!(shop.get("/v1/leads/lead_nothing").problem(404), "not_found");
    let listed = |query: &str| shop.get(&format!("/v1/leads{query}")).json()["data"].clone();
    assert_eq!(listed(""), json!([linked, keyed, mail]));
    assert_eq!(listed("?by=email"), json!([linked, mail]));
    assert_eq!(listed("?partner=acme&by=email"), json!([mail]));
    assert_eq!(listed("?partner=acme&by=customer_key"), json!([]));
    let after = format!("?limit=1&starting_after={}", linked["lead_id"].as_str().unwrap());
    assert_eq!(listed(&after), json!([keyed]));
    assert_eq!(refused_field(&shop.get("/v1/leads?by=phone")), "by");
    assert_eq!(refused_field(&shop.get("/v1/leads?starting_after=x")), "starting_after");
}

fn an_e_mail_is_seen_by_few(home: &Home) {
    let shop = Shop::open(home);
    let finance = home.ok("api-key create --name f --role finance --mode live").trim().to_owned();
    let made = shop.post("/v1/leads", &json!({"email": "Ann@Buyer.example", "partner_key": "acme"})).json();
    shop.post("/v1/leads", &json!({"customer_key": "ann@buyer.example", "partner_key": "acme"}));
    for path in ["/v1/leads".to_owned(), format!("/v1/leads/{}", made["lead_id"].as_str().unwrap())] {
        assert!(shop.server.get_with_key(&path, &finance).body.contains("\"ann@buyer.example\""));
        let masked = shop.server.get_with_key(&path, &shop.reader).body;
        assert!(masked.contains("a…@buyer.example") && !masked.contains("ann@"), "{masked}");
    }
    let log = shop.get("/v1/audit-log?subject=lead").body;
    assert!(log.contains("a…@buyer.example") && !log.to_lowercase().contains("ann@"), "{log}");
    let refused = [
        json!({"email": "Ann@Buyer.example", "partner_key": "ann@buyer.example"}),
        json!({"email": "Ann@Buyer.example", "partner_key": "acme", "program": "ann@buyer.example"}),
        json!({"email": "Ann@Buyer.example", "link": "ann@buyer.example"}),
        json!({"email": "Ann@Buyer.example", "click_id": "ann@buyer.example"}),
        json!({"email": "Ann@Buyer.example", "partner_key": "acme", "from": "ann@buyer.example"}),
        json!({"email": "Ann @Buyer.example", "partner_key": "acme"}),
    ];
    for body in refused {
        let answer = shop.post("/v1/leads", &body);
        assert_eq!(answer.status, 422, "{body}");
        assert!(!answer.body.to_lowercase().contains("ann@"), "{answer:?}");
    }
    assert_eq!(shop.get("/v1/links/ann@buyer.example").body.matches("ann@").count(), 0);
    let said = shop.server.stop();
    assert!(!said.to_lowercase().contains("ann@"), "{said}");
}

fn what_is_no_lead_is_refused_by_its_field(home: &Home) {
    let shop = Shop::open(home);
    shop.link("x", "acme", "https://shop.example/");
    for (body, field) in [
        (json!({"partner_key": "acme"}), "email"),
        (json!({"email": "a@b.example", "customer_key": "k", "partner_key": "acme"}), "customer_key"),
        (json!({"email": "nobody", "partner_key": "acme"}), "email"),
        (json!({"customer_key": "", "partner_key": "acme"}), "customer_key"),
        (json!({"customer_key": "undefined", "partner_key": "acme"}), "customer_key"),
        (json!({"customer_key": "x".repeat(201), "partner_key": "acme"}), "customer_key"),
        (json!({"email": "a@b.example"}), "partner_key"),
        (json!({"email": "a@b.example", "partner_key": "nobody"}), "partner_key"),
        (json!({"email": "a@b.example", "partner_key": "acme", "click_id": "c"}), "click_id"),
        (json!({"email": "a@b.example", "partner_key": "acme", "link": "x"}), "link"),
        (json!({"email": "a@b.example", "link": "nothing"}), "link"),
        (json!({"email": "a@b.example", "click_id": "a b"}), "click_id"),
        (json!({"email": "a@b.example", "click_id": "c", "program": "saas"}), "program"),
        (json!({"email": "a@b.example", "partner_key": "acme", "program": "none"}), "program"),
        (json!({"email": "a@b.example", "partner_key": "acme", "from": "soon"}), "from"),
        (json!({"email": 5, "partner_key": "acme"}), "email"),
        (json!({"email": "a@b.example", "partner_key": "acme", "color": 1}), "color"),
    ] {
        assert_eq!(refused_field(&shop.post("/v1/leads", &body)), field, "{body}");
    }
    let reader = format!("Bearer {}", shop.reader);
    let headers = [("authorization", reader.as_str()), ("content-type", "application/json")];
    let body = json!({"email": "a@b.example", "partner_key": "acme"}).to_string();
    let refused = ask(&shop.server.address, "POST", "/v1/leads", &headers, body.as_bytes()).unwrap();
    assert_eq!(refused.problem(403), "wrong_role");
    assert_eq!(leads(home), 0);
}

fn the_same_post_twice_at_once_is_one_lead(home: &Home) {
    let shop = Shop::open(home);
    let body = json!({"email": "ann@buyer.example", "partner_key": "acme"});
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let all = [(); 4].map(|()| scope.spawn(|| shop.post_with("/v1/leads", &[("idempotency-key", "k")], &body)));
        all.map(|one| one.join().unwrap()).into()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(leads(home), 1);
}

fn a_lead_credits_the_sale_of_its_buyer(home: &Home) {
    let shop = Shop::open(home);
    let before = shop.pays(1, &json!({}), Some("ann@buyer.example"));
    shop.decided(&before, "no_evidence", None);
    let clicked = shop.post("/v1/clicks", &json!({"partner_key": "bolt"})).json();
    shop.post("/v1/leads", &json!({"email": "bob@buyer.example", "click_id": clicked["click_id"]}));
    let sale = shop.pays(2, &json!({}), Some("BOB@buyer.example"));
    shop.decided(&sale, "credited", Some("bolt"));
    // A lead that is told too late reaches back as far as its sender says.
    let lead = json!({"email": "ANN@buyer.example", "partner_key": "acme", "from": "2020-01-01T00:00:00Z"});
    assert_eq!(shop.post("/v1/leads", &lead).status, 201);
    shop.decided(&before, "credited", Some("acme"));
    shop.server.stop();
    home.ok("verify");
}
