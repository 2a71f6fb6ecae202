//! The committed reference is the one that the handlers make.

#![allow(clippy::unwrap_used)] // a test may end where it stands

use std::collections::BTreeSet;

use serde_json::Value;

fn made() -> String {
    commission_bridge::cli::openapi::text().unwrap()
}

#[test]
fn the_committed_reference_is_up_to_date() {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json")).unwrap_or_default();
    let same = committed == made();
    assert!(same, "openapi.json is out of date: run `cargo run -- openapi > openapi.json`");
}

/// Every `$ref` in a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_reference_refers_to_what_it_has_and_says_what_everything_is() {
    let document: Value = serde_json::from_str(&made()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is two operations");
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 4), "{method} {path}");
            if path.starts_with("/v1/") {
                for status in ["401", "403", "422", "429", "503"] {
                    assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
                }
                let parameters = operation["parameters"].to_string();
                assert_eq!(method == "post", parameters.contains("Idempotency-Key"), "{method} {path}");
            }
        }
    }
}
