//! How the API behaves whatever it is asked: repeated requests, roles, changes that cross, bad input, limits.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::blackbox::{Home, events, fixture, lines};
use crate::on_both_engines;
use crate::server::{Answer, Server, ask, signed_with, until};

on_both_engines!(
    a_repeated_post_acts_once,
    two_replicas_answer_alike_and_act_once,
    roles_and_books_are_kept_apart,
    changes_that_cross_are_refused,
    bad_input_gets_a_clear_answer,
    a_key_may_ask_so_often,
    secrets_of_webhooks_are_rotated,
    the_reference_comes_out_of_the_binary,
    the_first_key_comes_by_a_link_once,
);

fn key(home: &Home, role: &str, mode: &str) -> String {
    let made = home.json(&format!("api-key create --name test --role {role} --mode {mode}"));
    made["key"].as_str().unwrap().to_owned()
}

struct Caller<'a> {
    server: &'a Server,
    key: String,
}

impl Caller<'_> {
    fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let authorization = format!("Bearer {}", self.key);
        let mut all = vec![("authorization", authorization.as_str()), ("content-type", "application/json")];
        all.extend_from_slice(headers);
        ask(&self.server.address, "POST", path, &all, body.as_bytes()).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], &body.to_string())
    }

    fn get(&self, path: &str) -> Answer {
        self.server.get_with_key(path, &self.key)
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
}

/// A program with a partner, as a file.
fn shop(home: &Home) {
    home.write("program.toml", fixture("shop/program.toml"));
    home.ok("apply program.toml");
}

fn bonus(amount: i64) -> Value {
    json!({"kind": "bonus", "partner_key": "acme", "amount": amount, "currency": "usd", "note": "launch"})
}

fn count(caller: &Caller<'_>) -> usize {
    caller.get("/v1/adjustments?limit=100").json()["data"].as_array().unwrap().len()
}

fn a_repeated_post_acts_once(home: &Home) {
    shop(home);
    let server = Server::start(home);
    let admin = Caller { server: &server, key: key(home, "admin", "live") };
    let keyed = [("idempotency-key", "bonus-of-october")];
    let first = admin.post_with("/v1/adjustments", &keyed, &bonus(100).to_string());
    assert_eq!((first.status, header(&first, "idempotent-replayed")), (201, None), "{first:?}");
    // The same in other words.
    let pretty = serde_json::to_string_pretty(&bonus(100)).unwrap();
    let again = admin.post_with("/v1/adjustments", &keyed, &pretty);
    assert_eq!((again.status, header(&again, "idempotent-replayed")), (201, Some("true")), "{again:?}");
    assert_eq!((again.body, count(&admin)), (first.body, 1));
    let other = admin.post_with("/v1/adjustments", &keyed, &bonus(200).to_string());
    assert_eq!(other.problem(409), "idempotency_key_reused");
    // What was refused did nothing, and may be mended under its key.
    let keyed = [("idempotency-key", "mended")];
    assert_eq!(admin.post_with("/v1/adjustments", &keyed, &bonus(0).to_string()).problem(422), "invalid");
    assert_eq!(admin.post_with("/v1/adjustments", &keyed, &bonus(5).to_string()).status, 201);
    assert_eq!(count(&admin), 2);
    // A secret is shown once.
    let keyed = [("idempotency-key", "a-key")];
    let made = admin.post_with("/v1/api-keys", &keyed, r#"{"name": "books", "role": "finance"}"#).json();
    let again = admin.post_with("/v1/api-keys", &keyed, r#"{"name": "books", "role": "finance"}"#).json();
    assert!(made["key"].as_str().unwrap().starts_with("cb_live_") && again["key"].is_null(), "{again}");
    assert_eq!(made["key_id"], again["key_id"]);
    for bad in ["", " ", &"x".repeat(256)] {
        let refused = admin.post_with("/v1/adjustments", &[("idempotency-key", bad)], &bonus(1).to_string());
        assert_eq!(
            (refused.problem(422).as_str(), refused.json()["field"].as_str()),
            ("invalid", Some("Idempotency-Key"))
        );
    }
    home.ok("verify");
}

fn two_replicas_answer_alike_and_act_once(home: &Home) {
    shop(home);
    home.write("sales.jsonl", lines(&events(&fixture("shop/sales.toml"))));
    home.ok("events import sales.jsonl");
    let servers = [Server::start(home), Server::start(home)];
    let key = key(home, "admin", "live");
    for round in 0..5 {
        let name = format!("round-{round}");
        let answers: Vec<Answer> = thread::scope(|scope| {
            let asked: Vec<_> = (0..6)
                .map(|number| {
                    let (server, key, name) = (&servers[number % 2], key.clone(), name.clone());
                    scope.spawn(move || {
                        let caller = Caller { server, key };
                        caller.post_with("/v1/adjustments", &[("idempotency-key", &name)], &bonus(7).to_string())
                    })
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body), "{answers:?}");
        let replayed = answers.iter().filter(|answer| header(answer, "idempotent-replayed").is_some()).count();
        assert_eq!(replayed, answers.len() - 1);
    }
    let [one, other] = servers.each_ref().map(|server| Caller { server, key: key.clone() });
    assert_eq!(count(&one), 5);
    for path in [
        "/v1/balances?limit=100",
        "/v1/entries?limit=100",
        "/v1/payments?limit=100",
        "/v1/customers?limit=100",
        "/v1/events?limit=100",
        "/v1/partners",
        "/v1/programs",
        "/v1/codes",
        "/v1/payments/in_1/explain",
        "/v1/audit-log?limit=100",
    ] {
        let answer = one.get(path);
        assert_eq!((answer.status, &answer.body), (200, &other.get(path).body), "{path}");
    }
    // What is changed through one counts at the other.
    assert_eq!(one.post("/v1/partners", &json!({"key": "fresh", "programs": ["saas"]})).status, 201);
    assert_eq!(other.get("/v1/partners/fresh").status, 200);
    home.ok("verify");
}

fn roles_and_books_are_kept_apart(home: &Home) {
    shop(home);
    let server = Server::start(home);
    let caller = |role: &str, mode: &str| Caller { server: &server, key: key(home, role, mode) };
    let (read, finance) = (caller("read", "live"), caller("finance", "live"));
    let program = json!({"key": "more", "terms": {"rules": [{"percent": "10"}]}});
    for (path, body) in [("/v1/adjustments", bonus(1)), ("/v1/batches", json!({"month": "2025-01"}))] {
        assert_eq!(read.post(path, &body).problem(403), "wrong_role", "{path}");
    }
    for (path, body) in [("/v1/programs", program.clone()), ("/v1/partners", json!({"key": "new"}))] {
        for caller in [&read, &finance] {
            assert_eq!(caller.post(path, &body).problem(403), "wrong_role", "{path}");
        }
    }
    for path in ["/v1/api-keys", "/v1/audit-log", "/v1/workspaces/default/webhook-secrets"] {
        assert_eq!(finance.get(path).problem(403), "wrong_role", "{path}");
    }
    let payout = json!({"payout": {"method": "paypal", "account": "pay@acme.example"}});
    assert_eq!(caller("admin", "live").post("/v1/partners/acme", &payout).status, 200);
    assert_eq!(finance.get("/v1/partners/acme").json()["payout"]["account"], "pay@acme.example");
    assert_eq!(read.get("/v1/partners/acme").json()["payout"]["account"], "p…@acme.example");
    // Until there is live money, a test key may set things up.
    let test = caller("admin", "test");
    assert_eq!(test.post("/v1/programs", &program).status, 201);
    assert_eq!(test.post("/v1/api-keys", &json!({"name": "more", "mode": "live"})).problem(403), "live_key_needed");
    assert_eq!(finance.post("/v1/adjustments", &bonus(1)).status, 201);
    assert_eq!(test.post("/v1/partners", &json!({"key": "new"})).problem(403), "live_key_needed");
    assert_eq!(test.get("/v1/adjustments").json()["data"], json!([]));
    // A further workspace is the operator's to make, and knows nothing of this one.
    let made = caller("admin", "live").post("/v1/workspaces", &json!({"key": "other"})).json();
    let other = Caller { server: &server, key: made["api_key"].as_str().unwrap().to_owned() };
    assert_eq!(other.post("/v1/workspaces", &json!({"key": "third"})).problem(403), "not_the_operator");
    assert_eq!(other.get("/v1/workspaces/default").problem(404), "not_found");
    assert_eq!(other.get("/v1/workspaces").json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(other.get("/v1/partners/acme").problem(404), "not_found");
}

fn changes_that_cross_are_refused(home: &Home) {
    shop(home);
    let server = Server::start(home);
    let admin = Caller { server: &server, key: key(home, "admin", "live") };
    for (path, change) in [
        ("/v1/partners/acme", json!({"name": "Acme Media Group"})),
        ("/v1/programs/saas", json!({"name": "SaaS program"})),
        ("/v1/workspaces/default", json!({"settings": {"time_zone": "Asia/Tokyo"}})),
    ] {
        let read = admin.get(path);
        let tag = header(&read, "etag").unwrap().to_owned();
        let changed = admin.post_with(path, &[("if-match", &tag)], &change.to_string());
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_ne!(header(&changed, "etag"), Some(tag.as_str()), "{path}");
        let late = admin.post_with(path, &[("if-match", &tag)], &change.to_string());
        assert_eq!(late.problem(412), "precondition_failed", "{path}");
        assert_eq!(header(&admin.get(path), "etag"), header(&changed, "etag"), "{path}");
    }
    // A new version stands beside the old one, and leaving something out keeps it.
    let before = admin.get("/v1/programs/saas").json();
    let published = admin.post("/v1/programs/saas/versions", &json!({"terms": {"hold_days": 7}}));
    assert_eq!(published.status, 201, "{published:?}");
    let version = published.json();
    assert_eq!((version["version"].as_u64(), &version["terms"]["hold_days"]), (Some(2), &json!(7)));
    assert_eq!(version["terms"]["rules"], before["terms"]["rules"]);
    assert_eq!(admin.post("/v1/programs/saas/versions", &json!({"terms": {}})).json()["version"], 2);
    assert_eq!(admin.get("/v1/programs/saas/versions/1").json()["terms"], before["terms"]);
    assert_eq!(admin.post("/v1/programs/saas/archive", &json!({})).json()["status"], "inactive");
    // Null takes away, what is left out stays.
    let account = json!({"payout": {"method": "paypal", "account": "pay@acme.example"}, "note": "calls on Mondays"});
    admin.post("/v1/partners/acme", &account);
    let changed = admin.post("/v1/partners/acme", &json!({"payout": null, "group": "gold"})).json();
    assert_eq!(
        (&changed["payout"], &changed["note"], &changed["group"]),
        (&Value::Null, &json!("calls on Mondays"), &json!("gold"))
    );
    // The file and the API see the same.
    let line = admin.get("/v1/audit-log?limit=1&subject=partner&subject_id=acme").json()["data"][0].clone();
    assert!(line["author"].as_str().unwrap().starts_with("api:cb_live_"), "{line}");
    assert_ne!(line["before"], line["after"]);
}

type BadBody = (&'static str, &'static str, u16, &'static str, Value);

/// What is sent where, and what it is answered: status, code, and the field it is about.
#[rustfmt::skip]
#[allow(clippy::too_many_lines, reason = "one line each")]
fn bad_bodies() -> Vec<BadBody> {
    vec![
        ("/v1/partners", "{\"key\": ", 400, "not_json", Value::Null),
        ("/v1/partners", "[]", 422, "invalid", json!("")),
        ("/v1/partners", r#"{"key": "a", "colour": "red"}"#, 422, "invalid", json!("colour")),
        ("/v1/partners", r#"{"key": "a b"}"#, 422, "invalid", json!("key")),
        ("/v1/partners", r#"{"key": "a", "email": "nobody"}"#, 422, "invalid", json!("email")),
        ("/v1/partners", r#"{"key": "a", "name": "\u0000"}"#, 422, "invalid", json!("name")),
        ("/v1/partners", r#"{"key": "a", "programs": ["nowhere"]}"#, 422, "invalid", json!("programs[0]")),
        (
            "/v1/partners",
            r#"{"key": "a", "payout": {"method": "stripe", "account": "x"}}"#,
            422,
            "invalid",
            json!("payout.account"),
        ),
        (
            "/v1/partners",
            r#"{"key": "a", "minimum_payout": {"usd": "5.00"}}"#,
            422,
            "invalid",
            json!("minimum_payout.usd"),
        ),
        ("/v1/partners", r#"{"key": "acme"}"#, 409, "already_exists", Value::Null),
        ("/v1/partners", r#"{"key": "a", "recruited_by": "a"}"#, 422, "invalid", json!("recruited_by")),
        ("/v1/programs", r#"{"key": "p", "terms": {"rules": []}}"#, 422, "invalid", json!("terms")),
        (
            "/v1/programs",
            r#"{"key": "p", "terms": {"rules": [{"percent": "101"}]}}"#,
            422,
            "invalid",
            json!("terms.rules[0].percent"),
        ),
        (
            "/v1/programs",
            r#"{"key": "p", "terms": {"rules": [{"percent": "1", "duration": "soon"}]}}"#,
            422,
            "invalid",
            json!("terms.rules[0].duration"),
        ),
        ("/v1/programs", r#"{"terms": {}}"#, 422, "invalid", json!("key")),
        ("/v1/programs/nowhere/versions", r#"{"terms": {}}"#, 404, "not_found", Value::Null),
        (
            "/v1/adjustments",
            r#"{"partner_key": "acme", "amount": 1.5, "currency": "usd", "note": "x"}"#,
            422,
            "invalid",
            json!("amount"),
        ),
        (
            "/v1/adjustments",
            r#"{"partner_key": "acme", "amount": 99999999999999999999, "currency": "usd", "note": "x"}"#,
            422,
            "invalid",
            json!("amount"),
        ),
        (
            "/v1/adjustments",
            r#"{"partner_key": "acme", "amount": 1, "currency": "zzz", "note": "x"}"#,
            422,
            "invalid",
            json!("currency"),
        ),
        (
            "/v1/adjustments",
            r#"{"partner_key": "nobody", "amount": 1, "currency": "usd", "note": "x"}"#,
            422,
            "invalid",
            json!("partner_key"),
        ),
        ("/v1/codes", r#"{"code": "X", "partner_key": "nobody"}"#, 422, "invalid", json!("partner_key")),
        ("/v1/payments/in_nobody/reject", r#"{"reason": "x"}"#, 404, "not_found", Value::Null),
        ("/v1/payments/in_nobody/reject", "{}", 422, "invalid", json!("reason")),
        ("/v1/batches", r#"{"month": "2025-13"}"#, 422, "invalid", json!("month")),
        ("/v1/batches", r#"{"month": "2199-01"}"#, 409, "month_not_over", Value::Null),
        ("/v1/batches/2025-01/approve", "{}", 404, "not_found", Value::Null),
        ("/v1/workspaces", r#"{"key": "Not This"}"#, 422, "invalid", json!("key")),
        (
            "/v1/workspaces/default",
            r#"{"settings": {"time_zone": "Mars/Phobos"}}"#,
            422,
            "invalid",
            json!("settings.time_zone"),
        ),
        ("/v1/workspaces/default/webhook-secrets", r#"{"secret": "sk_live_1"}"#, 422, "invalid", json!("secret")),
        ("/v1/programs/saas/simulate", r#"{"months": 0, "terms": {}}"#, 422, "invalid", json!("months")),
    ]
}

fn bad_input_gets_a_clear_answer(home: &Home) {
    shop(home);
    let server = Server::start(home);
    let admin = Caller { server: &server, key: key(home, "admin", "live") };
    let said = |answer: &Answer| (answer.json()["code"].as_str().unwrap().to_owned(), answer.json()["field"].clone());
    for (path, body, status, code, field) in bad_bodies() {
        let answer = admin.post_with(path, &[], body);
        let named = answer.problem(status);
        assert_eq!((named.as_str(), said(&answer).1), (code, field), "{path} {body}: {answer:?}");
        assert!(header(&answer, "x-request-id").is_some_and(|id| id.starts_with("req_")), "{answer:?}");
    }
    let several = admin.post("/v1/partners", &json!({"key": "a", "email": "nobody", "country": "Germany"}));
    assert_eq!(several.json()["errors"].as_array().unwrap().len(), 2, "{several:?}");
    let form = [("authorization", format!("Bearer {}", admin.key)), ("content-type", "text/plain".to_owned())];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(
        ask(&server.address, "POST", "/v1/partners", &form, b"key=a").unwrap().problem(415),
        "unsupported_media_type"
    );
    let large = format!("{{\"key\": \"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(admin.post_with("/v1/partners", &[], &large).problem(413), "body_too_large");
    assert_eq!(ask(&server.address, "PUT", "/v1/partners", &form, b"{}").unwrap().problem(405), "method_not_allowed");
    for (path, field) in [
        ("/v1/partners?limit=0", "limit"),
        ("/v1/partners?limit=1&limit=2", "limit"),
        ("/v1/partners?colour=red", "colour"),
        ("/v1/partners?status=gone", "status"),
        ("/v1/payments?since=yesterday", "since"),
        ("/v1/entries?starting_after=pay_1", "starting_after"),
        ("/v1/programs?starting_after=nowhere", "starting_after"),
    ] {
        let answer = admin.get(path);
        assert_eq!((answer.problem(422).as_str(), said(&answer).1), ("invalid", json!(field)), "{path}");
    }
    for path in ["/v1/partners/nobody", "/v1/codes/nothing", "/v1/batches/2025-01", "/v1/api-keys/key_0", "/v1/nothing"]
    {
        assert_eq!(admin.get(path).problem(404), "not_found", "{path}");
    }
    // A file with bad rows names them, and nothing of it is entered.
    let csv = "key,email\ngood,good@example.com\nb ad,nobody\n";
    let headers = [("authorization", format!("Bearer {}", admin.key)), ("content-type", "text/csv".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let import =
        |csv: &str| ask(&server.address, "POST", "/v1/imports?kind=partners", &headers, csv.as_bytes()).unwrap();
    let refused = import(csv);
    assert_eq!((refused.problem(422).as_str(), said(&refused).1), ("invalid", json!("row 3, key")), "{refused:?}");
    assert_eq!(admin.get("/v1/partners/good").status, 404);
    let entered = import("key,email\ngood,good@example.com\n");
    assert_eq!((entered.status, entered.json()["created"].as_u64()), (200, Some(1)), "{entered:?}");
    assert_eq!(import("key,email\ngood,good@example.com\n").json()["unchanged"], 1);
    let log = server.stop();
    assert!(!log.contains("nobody") && !log.contains("pay@") && !log.contains("good@example.com"), "{log}");
}

fn a_key_may_ask_so_often(home: &Home) {
    shop(home);
    let server = Server::start_with(home, |command| command.env("API_RATE_LIMIT", "1"));
    let reader = Caller { server: &server, key: key(home, "read", "live") };
    let answers: Vec<Answer> = (0..4).map(|_| reader.get("/v1/programs")).collect();
    assert_eq!(answers[0].status, 200);
    assert_eq!(
        (header(&answers[0], "ratelimit-limit"), header(&answers[0], "ratelimit-remaining")),
        (Some("2"), Some("1"))
    );
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap_or_else(|| panic!("{answers:?}"));
    assert_eq!(refused.problem(429), "rate_limited");
    assert!(
        header(refused, "retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|seconds| seconds > 0))
    );
    // Another key has a limit of its own.
    assert_eq!(Caller { server: &server, key: key(home, "read", "live") }.get("/v1/programs").status, 200);
}

fn secrets_of_webhooks_are_rotated(home: &Home) {
    shop(home);
    // None in the environment: what is entered is all there is.
    let server = Server::start_with(home, |command| command.env_remove("STRIPE_WEBHOOK_SECRET"));
    let admin = Caller { server: &server, key: key(home, "admin", "live") };
    let sales = lines(&events(&fixture("shop/sales.toml")));
    let body = sales.lines().next().unwrap().as_bytes().to_vec();
    let deliver =
        |secret: &str| server.post("/webhooks/stripe/default", Some(&signed_with(secret, &body)), &body).status;
    assert_eq!(deliver("whsec_old"), 503);
    let secrets = "/v1/workspaces/default/webhook-secrets";
    let old = admin.post(secrets, &json!({"secret": "whsec_old"})).json();
    assert!(until(Duration::from_secs(5), || deliver("whsec_old") == 200));
    assert_eq!(deliver("whsec_new"), 400);
    let new = admin.post(secrets, &json!({"secret": "whsec_new", "others_end_in": "24h"}));
    assert!(new.status == 201 && !new.body.contains("whsec_"), "{new:?}");
    assert!(until(Duration::from_secs(5), || deliver("whsec_new") == 200));
    assert_eq!(deliver("whsec_old"), 200, "for a day both count");
    let listed = admin.get(secrets).json()["data"].clone();
    assert!(listed[0]["expires_at"].is_string() && listed[1]["expires_at"].is_null(), "{listed}");
    let authorization = format!("Bearer {}", admin.key);
    let path = format!("{secrets}/{}", old["secret_id"].as_str().unwrap());
    let removed = ask(&server.address, "DELETE", &path, &[("authorization", &authorization)], b"").unwrap();
    assert_eq!(removed.status, 200, "{removed:?}");
    assert!(until(Duration::from_secs(5), || deliver("whsec_old") == 400));
    assert_eq!(deliver("whsec_new"), 200);
    assert!(!server.stop().contains("whsec_new"), "secrets are never logged");
}

fn the_first_key_comes_by_a_link_once(home: &Home) {
    let server = Server::start(home);
    let link = || {
        let said = server.said();
        said.lines().find_map(|line| line.trim().split_once("/setup/")).map(|(_, token)| format!("/setup/{token}"))
    };
    assert!(until(Duration::from_secs(5), || link().is_some()), "{}", server.said());
    let link = link().unwrap();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let make = |path: &str, body: &[u8]| ask(&server.address, "POST", path, &form, body).unwrap();
    // Looking uses nothing up, and guessing opens nothing.
    assert!((0..2).all(|_| server.get(&link).status == 200));
    assert_eq!(server.get("/setup/0000").problem(404), "not_found");
    assert_eq!(make("/setup/0000", b"mode=live").problem(404), "not_found");
    assert_eq!(make(&link, b"mode=both").problem(422), "invalid");
    let made = make(&link, b"mode=test");
    let key = made.body.split(['<', '>']).find(|part| part.starts_with("cb_test_")).unwrap().to_owned();
    assert!(made.headers.contains("cache-control: no-store"), "{made:?}");
    assert_eq!(server.get_with_key("/v1/api-keys", &key).status, 200);
    assert_eq!(make(&link, b"mode=live").problem(404), "not_found");
    server.stop();
    // Where there is a key, no link is printed.
    assert!(!Server::start(home).stop().contains("/setup/"));
}

fn the_reference_comes_out_of_the_binary(home: &Home) {
    let server = Server::start(home);
    let page = ask(&server.address, "GET", "/docs/", &[], b"").unwrap();
    assert!(page.status == 200 && page.headers.contains("text/html"), "{page:?}");
    for line in page.body.lines().filter(|line| line.contains("src=") || line.contains("href=")) {
        assert!(!line.contains("http://") && !line.contains("https://") && !line.contains("\"//"), "{line}");
    }
    let reference = server.get("/openapi.json").json();
    assert_eq!(reference["openapi"], "3.1.0");
    assert!(reference["paths"]["/v1/payments/{reference}/explain"]["get"].is_object());
}
