//! What guards the service from outside: encrypted secrets, headers, personal data on request, logs that say nothing of it.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::blackbox::{Home, finish};
use crate::on_both_engines;
use crate::server::{Answer, Server, ask, deliver, now, signed_with, until};

on_both_engines!(
    secrets_are_encrypted_and_a_lost_key_is_named,
    answers_carry_headers_that_browsers_heed,
    a_customer_is_exported_and_erased,
    logs_are_json_with_request_ids,
    it_looks_after_its_own_health,
    more_than_fits_is_asked_to_come_again,
);

fn key(home: &Home, role: &str) -> String {
    home.ok(&format!("api-key create --name test --role {role} --mode live")).trim().to_owned()
}

fn send(server: &Server, path: &str, key: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    ask(&server.address, "POST", path, &headers, body.to_string().as_bytes()).unwrap()
}

fn sale(number: u32) -> Vec<u8> {
    json!({
        "id": format!("evt_{number}"), "object": "event", "type": "charge.succeeded", "created": 1_736_071_200,
        "livemode": true, "api_version": "2026-03-25.dahlia",
        "data": {"object": {
            "id": format!("ch_{number}"), "object": "charge", "customer": "cus_ann", "currency": "usd", "amount": 100,
            "amount_captured": 100, "captured": true, "status": "succeeded", "created": 1_736_071_200,
            "description": "for Ann Lee", "metadata": {"partner_key": "acme"},
            "billing_details": {"email": "ann@buyer.example", "name": "Ann Lee"},
        }},
    })
    .to_string()
    .into_bytes()
}

fn secrets_are_encrypted_and_a_lost_key_is_named(home: &Home) {
    let with = |key: &str| {
        let key = key.to_owned();
        Server::start_with(home, move |command| command.env("SECRETS_KEY", key))
    };
    let admin = key(home, "admin");
    let plain = Server::start_with(home, |command| command.env_remove("STRIPE_WEBHOOK_SECRET"));
    let secrets = "/v1/workspaces/default/webhook-secrets";
    assert_eq!(send(&plain, secrets, &admin, &json!({"secret": "whsec_kept"})).status, 201);
    plain.stop();
    let in_the_clear = "SELECT CAST(COUNT(*) AS BIGINT) FROM webhook_secrets WHERE secret LIKE 'whsec_%'";
    assert_eq!(home.count(in_the_clear), 1);
    let first = home.ok("secrets new-key").trim().to_owned();
    let server = with(&first);
    assert_eq!(home.count(in_the_clear), 0, "{}", server.said());
    let taken = |server: &Server, number: u32| {
        let body = sale(number);
        let signature = signed_with("whsec_kept", &body);
        server.post("/webhooks/stripe/default", Some(&signature), &body).status
    };
    assert_eq!(taken(&server, 1), 200);
    let said = server.stop();
    assert!(!said.contains("whsec_kept") && !said.contains(&first), "{said}");
    // Without the key, and with another one.
    let other = home.ok("secrets new-key").trim().to_owned();
    for wrong in ["", other.as_str()] {
        let refused = finish(home.command().args(["serve", "--listen", "127.0.0.1:0"]).env("SECRETS_KEY", wrong));
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("SECRETS_KEY") && !refused.stderr.contains("whsec_kept"), "{refused:?}");
        let doctor = finish(home.command().args(["doctor", "--json"]).env("SECRETS_KEY", wrong));
        assert!(doctor.code == Some(1) && doctor.stdout.contains("is encrypted"), "{doctor:?}");
    }
    let wrong = finish(home.command().args(["balances"]).env("SECRETS_KEY", "short"));
    assert!(wrong.code == Some(1) && wrong.stderr.contains("32 bytes"), "{wrong:?}");
    // A rotation: the new one encrypts, the old one still decrypts.
    let server = with(&format!("{other},{first}"));
    assert_eq!(taken(&server, 2), 200);
    server.stop();
    let server = with(&other);
    assert_eq!(taken(&server, 3), 200, "{}", server.said());
    server.stop();
}

fn answers_carry_headers_that_browsers_heed(home: &Home) {
    let server = Server::start(home);
    for path in ["/v1/balances", "/docs/", "/healthz", "/nothing", "/onboard/none", "/metrics"] {
        let answer = server.get(path);
        let headers = answer.headers.to_lowercase();
        let all = [
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "content-security-policy: default-src 'none'",
            "referrer-policy: ",
        ];
        for header in all {
            assert!(headers.contains(header), "{path}: {header} of {headers}");
        }
    }
    assert!(server.get("/v1/balances").headers.contains("cache-control: no-store"));
    let methods: Vec<Answer> =
        (0..3).map(|number| ask(&server.address, &format!("M{number}"), "/healthz", &[], b"").unwrap()).collect();
    assert!(methods.iter().all(|answer| answer.status == 405), "{methods:?}");
    let metrics = server.get("/metrics").body;
    assert!(!metrics.contains("method=\"M1\""), "whoever asks invents no metrics: {metrics}");
    assert!(metrics.contains("commission_bridge_build_info"), "{metrics}");
}

/// Begins a webhook of a mebibyte and sends so much of it.
fn begun(server: &Server, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let head = format!(
        "POST /webhooks/stripe/default HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
        server.address,
        1024 * 1024
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server may have had enough before it has all.
    let _ = stream.write_all(&vec![b' '; bytes]);
    stream
}

fn more_than_fits_is_asked_to_come_again(home: &Home) {
    let server = Server::start(home);
    let announced: Vec<TcpStream> = (0..40).map(|_| begun(&server, 0)).collect();
    assert_eq!(deliver(&server.address, &sale(1)).unwrap().status, 200, "an announcement takes no room");
    drop(announced);
    let refused = || Some(deliver(&server.address, &sale(2)).unwrap()).filter(|answer| answer.status == 503);
    let large = || begun(&server, 1024 * 1024 - 1);
    let mut arrived: Vec<TcpStream> = (0..32).map(|_| large()).collect();
    // What is delivered before all has arrived may take the last one's room, which is sent away then.
    let is_full = || {
        let is_full = refused().is_some();
        arrived.extend((!is_full).then(large));
        is_full
    };
    assert!(until(Duration::from_secs(8), is_full), "{}", server.said());
    let answer = refused().unwrap();
    assert_eq!(answer.problem(503), "overloaded");
    assert!(answer.headers.contains("retry-after: "), "{answer:?}");
    drop(arrived);
    assert!(until(Duration::from_secs(8), || refused().is_none()), "{}", server.said());
    assert_eq!(deliver(&server.address, &sale(2)).unwrap().status, 200);
    assert!(server.get("/metrics").body.contains("{result=\"overloaded\"}"));
}

fn a_customer_is_exported_and_erased(home: &Home) {
    let server = Server::start(home);
    let (admin, reader) = (key(home, "admin"), key(home, "finance"));
    assert_eq!(deliver(&server.address, &sale(1)).unwrap().status, 200);
    let ann = json!({"customer": "Ann@buyer.example"});
    let export = || send(&server, "/v1/privacy/exports", &admin, &ann);
    assert!(until(Duration::from_secs(5), || export().status == 200), "{}", server.said());
    assert!(export().body.contains("for Ann Lee"), "{:?}", export());
    for path in ["/v1/privacy/exports", "/v1/privacy/erasures"] {
        assert_eq!(send(&server, path, &reader, &ann).problem(403), "wrong_role");
        assert_eq!(send(&server, path, &admin, &json!({})).problem(422), "invalid");
        let both = json!({"customer": "cus_ann", "partner_key": "acme"});
        assert_eq!(send(&server, path, &admin, &both).problem(422), "invalid");
        assert_eq!(send(&server, path, &admin, &json!({"customer": "cus_nobody"})).problem(404), "not_found");
    }
    let erased = send(&server, "/v1/privacy/erasures", &admin, &ann);
    assert_eq!((erased.status, erased.json()["events"].as_u64()), (200, Some(1)), "{erased:?}");
    assert!(!erased.body.to_lowercase().contains("ann@"), "{erased:?}");
    let left = export();
    assert!(left.status == 200 && !left.body.contains("Ann"), "{left:?}");
    assert_eq!(deliver(&server.address, &sale(2)).unwrap().status, 200);
    let both = || export().json()["customers"][0]["events"].as_array().map(Vec::len) == Some(2);
    assert!(until(Duration::from_secs(5), both), "{:?}", export());
    assert!(!export().body.contains("Ann"), "what comes later is erased as it is recorded");
    let list = server.get_with_key("/v1/privacy/erasures", &admin).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    let said = server.stop();
    assert!(!said.contains("buyer.example") && !said.contains("Lee"), "{said}");
    let verified = home.json("verify");
    assert_eq!(verified["differences"].as_array().map(Vec::len), Some(0), "{verified}");
    assert_eq!(home.json("privacy list --mode live")["erasures"].as_array().unwrap().len(), 1);
}

fn logs_are_json_with_request_ids(home: &Home) {
    let server = Server::start_with(home, |command| {
        command.env("LOG_FORMAT", "json").env("STRIPE_WEBHOOK_SECRET", "whsec_kept")
    });
    let body = sale(1);
    let answer = server.post("/webhooks/stripe/default", Some(&signed_with("whsec_other", &body)), &body);
    assert_eq!(answer.status, 400);
    let id = answer.headers.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().trim().to_owned();
    let said = server.stop();
    let logged: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let refused = logged.iter().find(|line| line["request"] == id.as_str());
    assert!(refused.is_some_and(|line| line["level"] == "WARN" && line["message"].is_string()), "{said}");
    assert!(!said.contains("buyer.example") && now() > 0, "{said}");
}

fn it_looks_after_its_own_health(home: &Home) {
    let server = Server::start(home);
    for words in [&["healthcheck"][..], &["healthcheck", "--ready"]] {
        let ran = finish(home.command().args(words).env("LISTEN", &server.address));
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""), "{ran:?}");
    }
    let address = server.address.clone();
    server.stop();
    let ran = finish(home.command().arg("healthcheck").env("LISTEN", address));
    assert!(ran.code == Some(1) && ran.stderr.contains("/healthz: does not answer"), "{ran:?}");
}
