//! What single fields take, and in which words they refuse the rest.

use serde::de::DeserializeOwned;
use serde::de::value::{BytesDeserializer, Error};
use serde_json::{Value, json};

use super::super::testing::metadata;
use super::*;

fn refusal<T: DeserializeOwned>(value: Value) -> String {
    serde_json::from_value::<T>(value).err().unwrap().to_string()
}

#[test]
fn metadata_that_is_no_text_is_kept_as_it_would_be_shown() {
    let read: Meta = serde_json::from_value(json!({"vip": true, "seats": -5, "empty": "", "none": null})).unwrap();
    assert_eq!(read.0, metadata(&[("vip", "true"), ("seats", "-5")]));
}

#[test]
fn of_lists_only_the_empty_one_is_metadata() {
    let read: Meta = serde_json::from_value(json!([])).unwrap();
    assert_eq!(read.0, metadata(&[]));
    let read: MaybeMeta = serde_json::from_value(json!([])).unwrap();
    assert_eq!(read.0.map(|meta| meta.0), Some(metadata(&[])), "it is there");
    assert_eq!(refusal::<Meta>(json!(["partner_key"])), "expected an object of strings, found a list");
    assert_eq!(refusal::<MaybeMeta>(json!([1])), "expected an object of strings, found a list");
}

#[test]
fn decimals_are_numbers_or_texts() {
    for (value, expected) in [
        (json!(25), Some("25")),
        (json!(12.5), Some("12.5")),
        (json!(" 0.125 "), Some("0.125")),
        (json!(""), None),
        (json!(null), None),
    ] {
        let read: Exactly = serde_json::from_value(value).unwrap();
        assert_eq!(read.0, expected.map(|text| text.parse().unwrap()));
    }
    assert_eq!(refusal::<Exactly>(json!("a lot")), "expected a decimal number, found a string");
}

#[test]
fn what_json_cannot_hold_is_refused_in_the_same_words() {
    let error = Seconds::deserialize(BytesDeserializer::<Error>::new(b"5")).unwrap_err();
    assert_eq!(error.to_string(), "invalid type: byte array, expected a time in Unix seconds");
}
