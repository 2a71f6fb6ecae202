//! What the readers' tests share: fixtures, events made around objects, and short ways to read them.

use serde_json::{Value, json};

use super::{ReadError, Reading, read};
use crate::domain::Time;
use crate::domain::facts::{Fact, Metadata};

/// When the fixtures' story happens.
pub(super) const T: i64 = 1_790_000_000;

pub(super) fn at(seconds: i64) -> Time {
    Time::from_timestamp(seconds, 0).unwrap()
}

fn directory() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stripe")
}

/// One event of `tests/fixtures/stripe`.
pub(super) fn fixture(name: &str) -> Value {
    let path = directory().join(name).with_added_extension("json");
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))).unwrap()
}

/// All of them, by name.
pub(super) fn fixtures() -> Vec<(String, Value)> {
    let mut names: Vec<_> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), fixture(&name))).collect()
}

/// An event of this type about this object.
pub(super) fn event(event_type: &str, object: &Value) -> Value {
    json!({
        "id": "evt_test", "object": "event", "api_version": "2026-10-28.endive", "created": T, "livemode": false,
        "type": event_type, "data": {"object": object},
    })
}

pub(super) fn try_facts(event: &Value) -> Result<Vec<Fact>, ReadError> {
    match read(event.to_string().as_bytes())? {
        Reading::Facts(facts) => Ok(facts.facts),
        Reading::Ignored(reason) => panic!("ignored: {}", reason.as_str()),
    }
}

pub(super) fn facts(event: &Value) -> Vec<Fact> {
    try_facts(event).unwrap()
}

/// The error of an event of this type about this object.
pub(super) fn error(event_type: &str, object: &Value) -> String {
    try_facts(&event(event_type, object)).unwrap_err().to_string()
}

/// The fixture with some of its object's fields replaced; a field replaced by `"(absent)"` is removed.
pub(super) fn altered(name: &str, changes: &Value) -> Value {
    let mut event = fixture(name);
    let object = event["data"]["object"].as_object_mut().unwrap();
    for (key, value) in changes.as_object().unwrap() {
        if value == "(absent)" {
            object.remove(key);
        } else {
            object.insert(key.clone(), value.clone());
        }
    }
    event
}

pub(super) fn metadata(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The only fact of an event, of the kind expected.
macro_rules! only {
    ($kind:ident, $event:expr) => {
        match <[_; 1]>::try_from($crate::stripe::testing::facts(&$event)) {
            Ok([$crate::domain::facts::Fact::$kind(fact)]) => fact,
            other => panic!("expected one {}, found {other:?}", stringify!($kind)),
        }
    };
}
pub(super) use only;
