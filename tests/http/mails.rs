//! The service sends mail: what happened by itself, and what is asked for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::blackbox::{Home, events, lines};
use crate::on_both_engines;
use crate::server::{Answer, Server, ask, until};
use crate::smtp::MailServer;

on_both_engines!(the_service_sends_what_happened_and_what_is_asked_for);

const PROGRAM: &str = r#"
[workspace.mail]
from = "partners@shop.example"
owner = "boss@shop.example"
statements = "on_approval"
[[program]]
key = "saas"
hold_days = 0
[[program.rule]]
percent = "20"
[[partner]]
key = "ann"
email = "ann@partner.example"
programs = ["saas"]
payout = { method = "csv" }
"#;

const SALE: &str = r#"
[[event]]
type = "invoice.paid"
at = "2025-01-10T10:00:00Z"
[event.invoice]
id = "in_1"
customer = "cus_1"
currency = "usd"
metadata = { partner_key = "ann" }
lines = [{ amount = 10000 }]
"#;

struct Api<'a> {
    server: &'a Server,
    key: String,
}

impl Api<'_> {
    fn post(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        ask(&self.server.address, "POST", path, &headers, body.to_string().as_bytes()).unwrap()
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.server.get_with_key(path, &self.key);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}

fn key(home: &Home, role: &str) -> String {
    let made = home.json(&format!("api-key create --name {role} --role {role} --mode live"));
    made["key"].as_str().unwrap().to_owned()
}

fn the_service_sends_what_happened_and_what_is_asked_for(home: &Home) {
    home.write("program.toml", PROGRAM);
    home.write("sales.jsonl", lines(&events(SALE)));
    home.ok("apply program.toml");
    home.ok("events import sales.jsonl");
    let mail = MailServer::start();
    let server = Server::start_with(home, |command| command.env("SMTP_URL", mail.url()).env("SMTP_RATE", "0"));
    let [api, reader] = ["admin", "read"].map(|role| Api { server: &server, key: key(home, role) });

    assert_eq!(api.post("/v1/batches", &json!({"month": "2025-01"})).status, 201);
    let sent = |count: usize| {
        assert!(
            until(Duration::from_secs(20), || mail.count() >= count),
            "{} of {count}: {}",
            mail.count(),
            server.said()
        );
    };
    sent(1);
    let early = api.post("/v1/batches/2025-01/statements/send", &json!({}));
    assert_eq!(early.problem(409), "not_approved");
    assert_eq!(api.post("/v1/batches/2025-01/approve", &json!({})).status, 200);
    sent(2);
    let asked = api.post("/v1/batches/2025-01/statements/send", &json!({"partner_key": "ann"}));
    assert_eq!((asked.json()["queued"].clone(), asked.json()["queued_before"].clone()), (json!(0), json!(1)));
    let asked = api.post("/v1/batches/2025-01/statements/send", &json!({"again": true}));
    assert_eq!(asked.json()["queued"], 1, "{asked:?}");
    sent(3);
    let to: Vec<String> = mail.received().iter().flat_map(|received| received.to.clone()).collect();
    assert_eq!(to, ["boss@shop.example", "ann@partner.example", "ann@partner.example"]);

    // What the server took is written down a moment later.
    assert!(until(Duration::from_secs(10), || {
        api.get("/v1/mails?status=sent")["data"].as_array().is_some_and(|sent| sent.len() == 3)
    }));
    let listed = api.get("/v1/mails?status=sent&batch=2025-01&limit=2");
    assert_eq!((listed["data"][0]["kind"].clone(), listed["has_more"].clone()), (json!("statement"), json!(true)));
    let id = listed["data"][0]["mail_id"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&format!("/v1/mails/{id}")), listed["data"][0]);
    assert_eq!(api.post(&format!("/v1/mails/{id}/retry"), &json!({})).problem(409), "mail_sent");
    assert_eq!(api.post(&format!("/v1/mails/{id}/cancel"), &json!({})).problem(409), "mail_sent");
    assert_eq!(api.post("/v1/mails/mail_x/cancel", &json!({})).problem(404), "not_found");
    for path in ["/v1/batches/2025-01/statements/send", "/v1/mails/mail_x/retry", "/v1/mails/mail_x/cancel"] {
        assert_eq!(reader.post(path, &json!({})).status, 403, "{path}");
    }
    let log = server.stop();
    assert!(log.contains("mail sent") && !log.contains("ann@partner"), "{log}");
}
