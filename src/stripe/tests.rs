//! Envelopes, every event type, and that nothing whatever makes the readers panic.

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::{T, at, event, fixture, fixtures};
use super::*;
use crate::domain::facts::{EventFacts, Fact};

fn open(event: &Value) -> Result<Envelope, EnvelopeError> {
    envelope(event.to_string().as_bytes())
}

fn refusal(event: &Value) -> String {
    let error = open(event).unwrap_err();
    // What is no event for the inbox is none for the reader.
    let Err(unreadable) = read(event.to_string().as_bytes()) else { return error.to_string() };
    assert_eq!(error.to_string(), format!("not a Stripe event: {unreadable}"));
    error.to_string()
}

#[test]
fn an_envelope() {
    let envelope = open(&fixture("invoice.paid.hybrid")).unwrap();
    assert_eq!((envelope.id.as_str(), envelope.type_.as_str()), ("evt_0002", "invoice.paid"));
    assert_eq!((envelope.created, envelope.livemode, envelope.thin), (at(T), true, false));
    assert_eq!((envelope.account, envelope.api_version.as_deref()), (None, Some("2022-11-15")));
}

#[test]
fn the_event_of_a_connected_account() {
    let mut event = fixture("invoice.paid.new");
    event["account"] = json!("acct_1");
    event["api_version"] = json!(null);
    let envelope = open(&event).unwrap();
    assert_eq!((envelope.account.as_deref(), envelope.api_version), (Some("acct_1"), None));
}

#[test]
fn wrappers_are_taken_off() {
    let event = fixture("invoice.paid.new");
    let plain = (open(&event).unwrap(), read(event.to_string().as_bytes()).unwrap());
    let bridge = json!({"version": "0", "id": "9d7f", "detail-type": "invoice.paid", "source": "aws.partner/stripe.com",
        "account": "123456789012", "time": "2026-09-21T14:13:20Z", "resources": [], "detail": event});
    let grid = json!({"id": "77aa", "source": "stripe", "specversion": "1.0", "type": "invoice.paid",
        "time": "2026-09-21T14:13:20Z", "data": event});
    for wrapped in [bridge, grid] {
        assert_eq!(open(&wrapped).unwrap(), plain.0);
        assert_eq!(read(wrapped.to_string().as_bytes()).unwrap(), plain.1);
    }
    let broken = event["data"]["object"].clone();
    let mut event = super::testing::event("invoice.paid", &broken);
    event["data"]["object"]["total"] = json!("x");
    let error = read(json!({"detail": event}).to_string().as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "detail.data.object.total: expected an integer, found a string");
    assert_eq!((error.code(), error.path()), ("unreadable", "detail.data.object.total"));
    assert_eq!(error.problem(), "expected an integer, found a string");
}

#[test]
fn a_thin_event_is_an_envelope_without_an_object() {
    let thin = fixture("thin");
    let envelope = open(&thin).unwrap();
    assert_eq!((envelope.type_.as_str(), envelope.created, envelope.thin), ("v1.invoice.paid", at(T), true));
    assert!(envelope.livemode);
    for event in [thin.clone(), json!({"detail": thin})] {
        let reading = read(event.to_string().as_bytes()).unwrap();
        assert_eq!(reading, Reading::Ignored(IgnoredReason::ThinEvent));
    }
    assert_eq!(IgnoredReason::ThinEvent.as_str(), "thin_event");
    let mut modeless = fixture("thin");
    modeless.as_object_mut().unwrap().remove("livemode");
    assert!(!open(&modeless).unwrap().livemode, "a thin event need not say its mode");
}

#[test]
fn unknown_types_are_ignored_whatever_they_hold() {
    let reading = read(event("invoice.created", &json!({"id": 5})).to_string().as_bytes()).unwrap();
    assert_eq!(reading, Reading::Ignored(IgnoredReason::UnknownType));
    assert_eq!(IgnoredReason::UnknownType.as_str(), "unknown_type");
}

#[test]
fn what_is_no_json_is_told_by_its_place() {
    for (body, expected) in [
        (&b""[..], "not JSON: EOF while parsing a value at line 1 column 0"),
        (b"{\"id\": }", "not JSON: expected value at line 1 column 8"),
        (b"{} {}", "not JSON: trailing characters at line 1 column 4"),
        (b"{\"id\": \"\xff\"}", "not JSON: no UTF-8 at byte 8"),
    ] {
        assert_eq!(envelope(body).unwrap_err().to_string(), expected);
        assert!(matches!(envelope(body), Err(EnvelopeError::NotJson { .. })));
        assert_eq!(read(body).unwrap_err().to_string(), format!(".: {expected}"));
    }
    let deep = "[".repeat(100_000);
    assert!(matches!(envelope(deep.as_bytes()), Err(EnvelopeError::NotJson { .. })));
}

#[test]
fn what_is_no_event_is_told_by_the_field() {
    let with = |field: &str, value: Value| {
        let mut event = event("invoice.paid", &json!({"id": "in_1", "currency": "usd"}));
        event[field] = value;
        event
    };
    let without = |field: &str| {
        let mut event = event("invoice.paid", &json!({"id": "in_1", "currency": "usd"}));
        event.as_object_mut().unwrap().remove(field);
        event
    };
    for (event, expected) in [
        (json!([]), ".: expected an object, found a list"),
        (json!("evt_1"), ".: expected an object, found a string"),
        (json!({}), "id: expected text, found nothing"),
        (with("object", json!("charge")), "object: expected \"event\", found \"charge\""),
        (with("object", json!(7)), "object: expected \"event\", found something else"),
        (with("id", json!("")), "id: expected text, found a string"),
        (with("id", json!("e".repeat(256))), "id: expected text of at most 255 characters without NUL, found a string"),
        (with("type", json!(null)), "type: expected text, found null"),
        (without("livemode"), "livemode: expected a boolean, found nothing"),
        (with("livemode", json!("yes")), "livemode: expected a boolean, found a string"),
        (with("created", json!("2026-09-21T14:13:20Z")), "created: expected a time in Unix seconds, found a string"),
        (with("created", json!(i64::MAX)), "created: expected a time in Unix seconds, found a number"),
        (with("account", json!({})), "account: expected text, found an object"),
        (without("data"), "data: expected an object, found nothing"),
        (with("data", json!([])), "data: expected an object, found a list"),
        (with("data", json!({})), "data.object: expected an object, found nothing"),
        (with("data", json!({"object": "in_1"})), "data.object: expected an object, found something else"),
        (json!({"detail": {"object": "event"}}), "detail.id: expected text, found nothing"),
    ] {
        assert_eq!(open(&event).unwrap_err().to_string(), format!("not a Stripe event: {expected}"), "{event}");
    }
    refusal(&with("created", json!({})));
    refusal(&without("data"));
}

#[test]
fn what_was_found_is_told_whatever_it_is() {
    for (value, found) in [
        (json!(null), "null"),
        (json!(true), "a boolean"),
        (json!(-5), "a number"),
        (json!(i64::MAX), "a number"),
        (json!(u64::MAX), "a number beyond 64 bits"),
        (json!(1.5), "a fraction"),
        (json!("today"), "a string"),
        (json!([1, 2]), "a list"),
        (json!({"seconds": 1}), "an object"),
    ] {
        let mut event = event("invoice.paid", &json!({"id": "in_1", "currency": "usd"}));
        event["created"] = value;
        assert_eq!(
            refusal(&event),
            format!("not a Stripe event: created: expected a time in Unix seconds, found {found}")
        );
    }
    for (value, found) in [
        (json!(null), "null"),
        (json!(true), "a boolean"),
        (json!(-5), "a number"),
        (json!(5), "a number"),
        (json!(1.5), "a number"),
        (json!("in_1"), "a string"),
        (json!([1, 2]), "a list"),
    ] {
        assert_eq!(refusal(&value), format!("not a Stripe event: .: expected an object, found {found}"));
        let mut event = event("invoice.paid", &json!({}));
        event["data"] = value.clone();
        assert_eq!(refusal(&event), format!("not a Stripe event: data: expected an object, found {found}"));
        event["data"] = json!({"object": value});
        let expected = "not a Stripe event: data.object: expected an object, found something else";
        assert_eq!(refusal(&event), expected, "{event}");
    }
}

#[test]
fn the_longest_text_is_taken() {
    let mut event = event("invoice.paid", &json!({"id": "in_1", "currency": "usd"}));
    event["id"] = json!("e".repeat(255));
    assert_eq!(open(&event).unwrap().id.len(), 255);
}

#[test]
fn escapes_are_taken_off() {
    let body = fixture("invoice.paid.new").to_string().replace("\"invoice.paid\"", r#""invoice\u002epaid""#);
    assert_eq!(envelope(body.as_bytes()).unwrap().type_, "invoice.paid");
    assert!(matches!(read(body.as_bytes()), Ok(Reading::Facts(_))));
}

#[test]
fn the_outside_says_whose_and_what_it_is() {
    let outside = |account, event_type| {
        let mut event = event(event_type, &json!(null));
        event["account"] = account;
        let body = event.to_string();
        let opened = Opened::new(body.as_bytes()).unwrap();
        (opened.account().map(str::to_owned), opened.event_type().to_owned())
    };
    assert_eq!(outside(json!("acct_1"), "invoice.paid"), (Some("acct_1".to_owned()), "invoice.paid".to_owned()));
    assert_eq!(outside(json!(null), ""), (None, String::new()));
}

#[test]
fn the_shape_tells_renderings_apart_and_redeliveries_not() {
    let shape = |event: &Value| open(event).unwrap().shape;
    let webhook = fixture("invoice.paid.hybrid");
    let poll = fixture("invoice.paid.new");
    assert_ne!(shape(&webhook), shape(&poll));
    assert!(shape(&webhook) >= 0 && shape(&poll) >= 0);

    // A redelivery differs in `pending_webhooks` at most; keys may come in any order.
    let mut again = webhook.clone();
    again["pending_webhooks"] = json!(0);
    again["data"]["object"]["total"] = json!(1);
    assert_eq!(shape(&webhook), shape(&again));
    let object = webhook["data"]["object"].as_object().unwrap();
    let mut reversed = String::new();
    for (key, value) in object.iter().rev() {
        write!(reversed, "{}{}: {value}", if reversed.is_empty() { "" } else { ", " }, json!(key)).unwrap();
    }
    let reversed = format!(
        r#"{{"type": "invoice.paid", "data": {{"object": {{{reversed}}}}}, "object": "event", "livemode": true,
        "id": "evt_0002", "created": 1, "api_version": "2022-11-15"}}"#
    );
    assert_eq!(envelope(reversed.as_bytes()).unwrap().shape, shape(&webhook));

    // A field that is null says nothing; a version or a field more is another shape.
    let mut null = webhook.clone();
    null["data"]["object"]["brand_new"] = json!(null);
    assert_eq!(shape(&null), shape(&webhook));
    null["data"]["object"]["brand_new"] = json!(false);
    assert_ne!(shape(&null), shape(&webhook));
    let mut repinned = webhook.clone();
    repinned["api_version"] = json!("2020-08-27");
    assert_ne!(shape(&repinned), shape(&webhook));
}

/// Shapes are stored: a release that numbers them differently would read every redelivery twice.
#[test]
fn the_shape_is_the_same_in_every_release() {
    assert_eq!(
        open(&event("invoice.paid", &json!({"id": "in_1", "total": 5}))).unwrap().shape,
        8_094_246_269_765_999_038
    );
}

#[test]
fn every_fixture_is_read_and_keeps_its_stamp() {
    for (name, event) in fixtures() {
        let envelope = open(&event).unwrap();
        match read(event.to_string().as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}")) {
            Reading::Facts(facts) => {
                assert_eq!(facts.stamp.event_id, envelope.id, "{name}");
                assert_eq!(facts.stamp.created, envelope.created, "{name}");
                let kept = serde_json::to_string(&facts).unwrap();
                assert_eq!(serde_json::from_str::<EventFacts>(&kept).unwrap(), facts, "{name}");
            }
            Reading::Ignored(reason) => assert_eq!((name.as_str(), reason), ("thin", IgnoredReason::ThinEvent)),
        }
    }
}

/// The fixture whose object an event of this type shows.
fn object_of(event_type: &str) -> Value {
    let name = match event_type {
        "charge.refund.updated" => "refund.created.new",
        name if name.starts_with("invoice_payment") => "invoice_payment.paid.new",
        name if name.starts_with("invoice") => "invoice.paid.new",
        name if name.starts_with("checkout") => "checkout.session.completed.new",
        name if name.starts_with("payment_intent") => "payment_intent.succeeded.new",
        name if name.starts_with("charge.dispute") => "charge.dispute.created.old",
        name if name.starts_with("charge") => "charge.refunded.old",
        name if name.starts_with("refund") => "refund.created.new",
        name if name.starts_with("credit_note") => "credit_note.created.new",
        name if name.starts_with("customer.subscription") => "customer.subscription.updated.hybrid",
        name if name.starts_with("customer") => "customer.updated.new",
        name if name.starts_with("promotion_code") => "promotion_code.updated.new",
        name if name.starts_with("transfer") => "transfer.created.new",
        "account.updated" => "account.updated.new",
        // Its object is an application: the account stands in the envelope.
        "account.application.deauthorized" => "account.application.deauthorized.new",
        name => panic!("no fixture for {name}"),
    };
    fixture(name)["data"]["object"].take()
}

#[test]
fn every_understood_type_is_read_as_its_object() {
    let kind = |fact: &Fact| serde_json::to_value(fact).unwrap()["object"].as_str().unwrap().to_owned();
    for event_type in UNDERSTOOD {
        let mut event = event(event_type, &object_of(event_type));
        event["account"] = json!("acct_0001");
        let facts = testing::facts(&event);
        let expected = match *event_type {
            "charge.refund.updated" => "refund",
            name if name.starts_with("charge.dispute") => "dispute",
            name if name.starts_with("customer.subscription") => "subscription",
            name if name.starts_with("payment_intent") => "intent",
            name => name.split('.').next().unwrap(),
        };
        assert_eq!(kind(&facts[0]), expected, "{event_type}");
    }
    let mut types = UNDERSTOOD.to_vec();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), UNDERSTOOD.len(), "no type twice");
    assert!(!UNDERSTOOD.contains(&"invoice.created"), "to subscribe to it delays invoices");
    assert!(is_understood("invoice.paid") && is_understood("fetched.price") && !is_understood("invoice.created"));
}

#[test]
fn text_that_no_database_can_hold_is_cleaned() {
    let customer =
        json!({"id": "cus_1", "email": "a\u{0}@b.example", "metadata": {"partner_key": "ac\u{0}me", "x": "\u{0}"}});
    let facts = testing::facts(&event("customer.updated", &customer));
    let [Fact::Customer(customer)] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!(customer.email.as_deref(), Some("a@b.example"));
    assert_eq!(customer.metadata, testing::metadata(&[("partner_key", "acme")]));
    let error = testing::error("customer.updated", &json!({"id": "cus\u{0}"}));
    assert_eq!(error, "data.object.id: expected an id of at most 255 characters, found a string");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (any::<i64>(), -30..30_i32).prop_map(|(digits, exponent)| {
            serde_json::from_str(&format!("{digits}.5e{exponent}")).expect("a number with a fraction")
        }),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "[a-z_]{1,12}",
        prop::sample::select(vec!["id", "object", "data", "detail", "type", "created", "metadata", "lines", "amount"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

/// Every place in a value.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, item)| places(item, &format!("{path}/{index}"), found));
        }
        Value::Object(map) => map.iter().for_each(|(key, item)| places(item, &format!("{path}/{key}"), found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(body: Vec<u8>) {
        let _ = envelope(&body);
        let _ = read(&body);
    }

    #[test]
    fn no_json_panics(body in any_json(), object in any_json(), kind in prop::sample::select(UNDERSTOOD)) {
        let _ = open(&body);
        let _ = read(body.to_string().as_bytes());
        let _ = read(event(kind, &object).to_string().as_bytes());
    }

    /// One value of a true event is replaced or taken away: read or refused, but with the place, and never a panic.
    #[test]
    fn no_mutilated_event_panics(
        which: prop::sample::Index, place: prop::sample::Index, instead in prop::option::of(any_json())
    ) {
        let (_, mut event) = fixtures().swap_remove(which.index(fixtures().len()));
        let mut found = Vec::new();
        places(&event, "", &mut found);
        let place = found.swap_remove(place.index(found.len()));
        match (instead, place.rsplit_once('/')) {
            (Some(instead), _) => *event.pointer_mut(&place).unwrap() = instead,
            (None, Some((parent, key))) => match event.pointer_mut(parent).unwrap() {
                Value::Object(map) => drop(map.remove(key)),
                Value::Array(list) => drop(list.remove(key.parse::<usize>().unwrap())),
                _ => unreachable!("only these have places within"),
            },
            (None, None) => {}
        }
        let _ = open(&event);
        if let Err(error) = read(event.to_string().as_bytes()) {
            prop_assert!(!error.path().is_empty() && !error.problem().is_empty());
        }
    }
}
