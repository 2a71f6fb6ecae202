//! What the tests of links, clicks, leads and the page's script share.

use std::time::Duration;

use serde_json::{Value, json};

use crate::blackbox::{Home, fixture};
use crate::server::{Answer, Server, ask, until};

/// A service with the shop's program, and the keys to its live book.
pub struct Shop {
    pub server: Server,
    pub admin: String,
    pub reader: String,
}

impl Shop {
    pub fn open(home: &Home) -> Self {
        home.write("program.toml", fixture("shop/program.toml"));
        home.ok("apply program.toml");
        let key =
            |role: &str| home.ok(&format!("api-key create --name {role} --role {role} --mode live")).trim().to_owned();
        let (admin, reader) = (key("admin"), key("read"));
        Self { server: Server::start(home), admin, reader }
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[], body)
    }

    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.admin);
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        all.extend(headers);
        ask(&self.server.address, "POST", path, &all, body.to_string().as_bytes()).unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.server.get_with_key(path, &self.admin)
    }

    /// A visitor's request.
    pub fn visit(&self, path: &str) -> Answer {
        ask(&self.server.address, "GET", path, &[], b"").unwrap()
    }

    /// Makes a link that must be made.
    pub fn link(&self, link: &str, partner: &str, target: &str) -> Value {
        let made = self.post("/v1/links", &json!({"link": link, "partner_key": partner, "target": target}));
        assert_eq!(made.status, 201, "{made:?}");
        made.json()
    }

    /// Delivers a paid invoice with metadata; its own reference.
    pub fn pays(&self, number: usize, metadata: &Value, email: Option<&str>) -> String {
        let answer = self.server.deliver(&invoice(number, metadata, email));
        assert_eq!(answer.status, 200, "{answer:?}");
        format!("in_{number}")
    }

    /// What is decided of a payment, once it is as expected.
    pub fn decided(&self, reference: &str, code: &str, partner: Option<&str>) {
        let path = format!("/v1/payments/{reference}/explain");
        let mut last = Value::Null;
        let is_so = until(Duration::from_secs(10), || {
            let answer = self.get(&path);
            if answer.status != 200 {
                return false;
            }
            last = answer.json();
            last["decision"]["code"] == code && last["decision"]["partner_key"].as_str() == partner
        });
        assert!(is_so, "{reference}: expected {code} {partner:?}: {last}");
    }
}

/// `invoice.paid` of this moment.
fn invoice(number: usize, metadata: &Value, email: Option<&str>) -> Vec<u8> {
    let now = crate::server::now();
    json!({
        "id": format!("evt_{number}"), "object": "event", "type": "invoice.paid", "created": now,
        "livemode": true, "api_version": "2026-03-25.dahlia",
        "data": {"object": {
            "id": format!("in_{number}"), "object": "invoice", "customer": format!("cus_{number}"), "currency": "usd",
            "status": "paid", "total": 10_000, "subtotal": 10_000, "amount_due": 10_000, "amount_paid": 10_000,
            "amount_remaining": 0, "billing_reason": "manual", "created": now, "customer_email": email,
            "status_transitions": {"paid_at": now}, "metadata": metadata,
            "lines": {"object": "list", "has_more": false, "data": [{
                "id": format!("il_{number}"), "object": "line_item", "amount": 10_000, "currency": "usd",
                "period": {"start": now, "end": now}, "metadata": {},
            }]},
        }},
    })
    .to_string()
    .into_bytes()
}

/// The field that an answer of 422 is about.
pub fn refused_field(answer: &Answer) -> String {
    assert_eq!(answer.problem(422), "invalid", "{answer:?}");
    answer.json()["field"].as_str().unwrap_or_default().to_owned()
}

/// The value of a header, in lower case.
pub fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
}
