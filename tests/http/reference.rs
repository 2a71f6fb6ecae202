//! What a script can do that knows nothing but the reference: every request is made from `openapi.json`.

use serde_json::{Value, json};

use crate::blackbox::{Home, events, fixture, lines};
use crate::on_both_engines;
use crate::server::{Answer, Server, ask, signed_with};

on_both_engines!(a_script_sets_everything_up_and_closes_a_month);

/// A client that is made of the reference.
struct Client<'a> {
    server: &'a Server,
    document: Value,
    key: String,
}

impl<'a> Client<'a> {
    fn new(server: &'a Server, key: &str) -> Self {
        let document = server.get("/openapi.json");
        assert_eq!(document.status, 200);
        Self { server, document: document.json(), key: key.to_owned() }
    }

    /// Calls an operation: names in braces are filled from `path`; a GET's arguments are its query.
    fn call(&self, id: &str, path: &[(&str, &str)], body: &Value) -> Answer {
        let paths = self.document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
        });
        let (template, method, operation) =
            all.into_iter().find(|(_, _, operation)| operation["operationId"] == id).unwrap_or_else(|| panic!("{id}"));
        let mut address = template.clone();
        for (name, value) in path {
            address = address.replace(&format!("{{{name}}}"), value);
        }
        assert!(!address.contains('{'), "{id}: {address}");
        let authorization = format!("Bearer {}", self.key);
        let mut headers = vec![("authorization", authorization.as_str())];
        let mut sent = String::new();
        if method == "get" {
            let query: Vec<String> = body
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| {
                    format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                })
                .collect();
            if !query.is_empty() {
                address = format!("{address}?{}", query.join("&"));
            }
        } else if !body.is_null() {
            headers.push(("content-type", "application/json"));
            sent = body.to_string();
        }
        let answer = ask(&self.server.address, &method.to_uppercase(), &address, &headers, sent.as_bytes()).unwrap();
        let known = &operation["responses"][answer.status.to_string()];
        assert!(known.is_object(), "{id} answers {}, which the reference does not know: {answer:?}", answer.status);
        answer
    }

    /// The same, where it works.
    fn ok(&self, id: &str, path: &[(&str, &str)], body: &Value) -> Value {
        let answer = self.call(id, path, body);
        assert!((200..300).contains(&answer.status), "{id}: {answer:?}");
        answer.json()
    }
}

fn a_script_sets_everything_up_and_closes_a_month(home: &Home) {
    let server = Server::start(home);
    let operator = home.json("api-key create --name operator --role admin --mode live");
    let operator = Client::new(&server, operator["key"].as_str().unwrap());

    // A workspace of one's own.
    let settings = json!({"time_zone": "Europe/Berlin", "base_currency": "eur", "minimum_payout": {"usd": 1000}});
    let made = operator.ok("create_workspace", &[], &json!({"key": "shop", "settings": settings}));
    assert_eq!(made["settings"]["time_zone"], "Europe/Berlin");
    assert!(made["webhook_url"].as_str().unwrap().ends_with("/webhooks/stripe/shop"), "{made}");
    let shop = Client::new(&server, made["api_key"].as_str().unwrap());
    let secret = json!({"secret": "whsec_of_the_shop"});
    shop.ok("add_webhook_secret", &[("workspace", "shop")], &secret);

    // A program, partners and codes.
    let rules = json!([
        {"on": "first", "percent": "30", "duration": "one_time"},
        {"on": "recurring", "percent": "20", "duration": "12 months"},
        {"on": "one_off", "flat": {"usd": 500}},
    ]);
    let terms = json!({"hold_days": 0, "rules": rules});
    let program = shop.ok("create_program", &[], &json!({"key": "saas", "name": "SaaS", "terms": terms}));
    assert_eq!((&program["version"], &program["terms"]["rules"][1]["duration"]), (&json!(1), &json!("12 months")));
    for key in ["acme", "beta"] {
        let payout = json!({"method": "csv"});
        let partner = json!({"key": key, "name": key, "programs": ["saas"], "payout": payout, "group": "gold"});
        assert_eq!(shop.ok("create_partner", &[], &partner)["group"], "gold");
    }
    shop.ok("give_code", &[], &json!({"code": "acme20", "partner_key": "acme"}));
    assert_eq!(shop.ok("list_codes", &[], &Value::Null)["data"][0]["code"], "ACME20");
    assert_eq!(shop.ok("list_groups", &[], &Value::Null)["data"][0]["partners"], 2);
    assert_eq!(shop.ok("list_enrollments", &[], &json!({"partner": "beta"}))["data"][0]["id"], "beta/saas");

    // Webhooks.
    let hook = "/webhooks/stripe/shop";
    let delivered = |body: &str| {
        let signature = signed_with("whsec_of_the_shop", body.as_bytes());
        server.post(hook, Some(&signature), body.as_bytes())
    };
    let sales = lines(&events(&fixture("shop/sales.toml")));
    let first = sales.lines().next().unwrap();
    // The secret counts within some seconds.
    assert!(crate::server::until(std::time::Duration::from_secs(5), || delivered(first).status == 200));
    for body in sales.lines() {
        assert_eq!(delivered(body).status, 200);
    }
    let settled = || shop.call("explain_payment", &[("reference", "in_1")], &Value::Null).status == 200;
    assert!(crate::server::until(std::time::Duration::from_secs(10), settled));
    let explained = || shop.ok("explain_payment", &[("reference", "in_1")], &Value::Null);
    let booked = || explained()["entries"].as_array().unwrap().len();
    assert!(crate::server::until(std::time::Duration::from_secs(10), || booked() > 0), "{}", explained());
    assert_eq!(explained()["decision"]["code"], "credited");
    let amount = explained()["decision"]["amount"].as_i64().unwrap();
    is_as_the_reference_says(&shop, &explained());

    // A rejection takes back at once, a restoration gives back at once.
    let reason = json!({"reason": "paid with a stolen card"});
    assert_eq!(shop.ok("reject_payment", &[("reference", "in_1")], &reason)["verdict"], "rejected");
    assert_eq!(
        (&explained()["decision"]["code"], &explained()["decision"]["amount"]),
        (&json!("rejected_by_review"), &json!(0))
    );
    shop.ok("restore_payment", &[("reference", "in_1")], &json!({"reason": "a mistake"}));
    assert_eq!(explained()["decision"]["amount"], amount);

    // What other terms would have earned.
    let draft = json!({"months": 120, "terms": {"rules": [{"percent": "50"}]}});
    let simulated = shop.ok("simulate_program", &[("key", "saas")], &draft);
    let partners = simulated["partners"].as_array().unwrap();
    assert!(partners.iter().any(|one| one["difference"].as_i64().unwrap() > 0), "{simulated}");
    assert_eq!(shop.ok("get_program", &[("key", "saas")], &Value::Null)["version"], 1);

    // A bonus, and the month's end.
    let bonus = json!({"kind": "bonus", "partner_key": "acme", "amount": 2500, "currency": "usd", "note": "launch"});
    shop.ok("create_adjustment", &[], &bonus);
    let month = "2026-10";
    assert_eq!(shop.ok("close_month", &[], &json!({"month": month}))["status"], "draft");
    let payouts = shop.ok("list_payouts", &[("batch", month)], &Value::Null);
    assert!(payouts["data"].as_array().unwrap().iter().any(|payout| payout["amount"].as_i64() > Some(0)), "{payouts}");
    assert_eq!(shop.ok("approve_batch", &[("batch", month)], &Value::Null)["status"], "approved");
    let file = shop.call("export_batch", &[("batch", month)], &Value::Null);
    assert!(file.headers.contains("text/csv") && file.body.lines().count() > 1, "{file:?}");
    assert_eq!(shop.ok("mark_batch_paid", &[("batch", month)], &json!({}))["status"], "paid");

    // Who did all that.
    let log = shop.ok("list_audit_log", &[], &json!({"limit": 100}));
    let actions: Vec<&str> =
        log["data"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    for action in [
        "batch.closed",
        "batch.approved",
        "payout.settled",
        "adjustment.booked",
        "review.entered",
        "code.changed",
        "partner.entered",
        "program.version_published",
        "webhook_secret.added",
        "workspace.updated",
        "api_key.created",
    ] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    let made = operator.ok("list_audit_log", &[], &json!({"subject": "workspace", "subject_id": "shop"}));
    assert_eq!(made["data"][0]["action"], "workspace.created");
    assert!(!log.to_string().contains("whsec_"));
    // The first workspace knows nothing of it.
    assert_eq!(operator.ok("list_partners", &[], &Value::Null)["data"], json!([]));
    assert_eq!(operator.call("explain_payment", &[("reference", "in_1")], &Value::Null).status, 404);
    assert!(!server.stop().contains("cb_live_"), "keys are never logged");
}

/// What is explained is what the reference says, field by field.
fn is_as_the_reference_says(shop: &Client<'_>, explained: &Value) {
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (name, value) in [
        ("Explained", explained),
        ("ExplainedPayment", &explained["payment"]),
        ("ExplainedDecision", &explained["decision"]),
        ("ExplainedEntry", &explained["entries"][0]),
    ] {
        let schema = &shop.document["components"]["schemas"][name]["properties"];
        assert_eq!(fields(schema), fields(value), "{name}");
    }
}
