//! A Stripe event without what is personal in it: everything that readers and the ledger's proof need stays, whatever
//! else is text goes.
//!
//! It is a list of what stays, not of what goes, so that a field which Stripe invents tomorrow is erased, too. What is not
//! null stays not null, so that an event keeps its shape. Reading the result says exactly what reading the original said,
//! with pseudonyms for addresses; where it would not, nothing is erased and the caller is told.

use serde_json::{Number, Value};

use super::event::{Reading, envelope, read};
use crate::domain::pseudonym::{ERASED, Eraser};

/// Objects that are about a person, or about what they pay with: nothing in them stays but addresses' pseudonyms.
const PERSONAL: [&str; 38] = [
    "address",
    "address_kana",
    "address_kanji",
    "bank_account",
    "bank_transfer",
    "billing_address",
    "billing_details",
    "business_profile",
    "card",
    "collected_information",
    "company",
    "custom_fields",
    "customer_address",
    "customer_details",
    "customer_shipping",
    "customer_tax_ids",
    "default_source",
    "dob",
    "documents",
    "evidence",
    "external_accounts",
    "fraud_details",
    "individual",
    "network_details",
    "outcome",
    "owner",
    "payment_method_details",
    "payment_method_options",
    "person",
    "shipping",
    "shipping_address",
    "shipping_details",
    "source",
    "sources",
    "tax_ids",
    "tos_acceptance",
    "verification",
    "verification_data",
];

/// Texts that stay: what readers read, and Stripe's own words.
const KEPT: [&str; 67] = [
    "aggregate_usage",
    "amount_decimal",
    "api_version",
    "billing",
    "billing_reason",
    "billing_scheme",
    "cancellation_reason",
    "card_payments",
    "charge",
    "charges_enabled",
    "code",
    "collection_method",
    "coupon",
    "created",
    "currency",
    "currently_due",
    "customer",
    "customer_account",
    "destination",
    "discount",
    "discounts",
    "duration",
    "effective_at",
    "eventually_due",
    "failure_code",
    "failure_reason",
    "id",
    "interval",
    "invoice",
    "invoice_item",
    "latest_charge",
    "latest_invoice",
    "mode",
    "object",
    "out_of_band",
    "past_due",
    "pause_collection",
    "payment_intent",
    "payment_status",
    "percent_off",
    "plan",
    "presentment_currency",
    "price",
    "product",
    "promotion_code",
    "proration_behavior",
    "quantity_decimal",
    "reason",
    "refund",
    "reporting_category",
    "schedule",
    "setup_intent",
    "source_type",
    "status",
    "subscription",
    "subscription_item",
    "tax_behavior",
    "tiers_mode",
    "transfer_data",
    "transfer_group",
    "transfers",
    "trial_end_behavior",
    "type",
    "unit_amount_decimal",
    "usage_type",
    "account",
    "version",
];

/// How Stripe's ids begin that the ledger knows buyers' objects by.
const IDS: [&str; 29] = [
    "acct", "ch", "cn", "coupon", "cs", "cus", "di", "dp", "du", "evt", "ii", "il", "in", "inpay", "li", "pi", "plan",
    "po", "price", "prod", "promo", "py", "pyr", "re", "seti", "si", "sub", "tr", "txn",
];

/// Why an event was not erased. Says nothing of what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactError {
    /// It is no JSON.
    #[error("the event is no JSON")]
    NotJson,
    /// It would say something else.
    #[error("the event would no longer say what it says: please report this release and the event's type")]
    SaysOtherwise,
}

/// An event without what is personal in it; none where there is nothing to erase.
///
/// # Errors
/// [`RedactError`].
pub fn redact(body: &[u8], eraser: &Eraser<'_>) -> Result<Option<Vec<u8>>, RedactError> {
    let original: Value = serde_json::from_slice(body).map_err(|_| RedactError::NotJson)?;
    let mut erased = original.clone();
    walk(&mut erased, "", false, eraser);
    if erased == original {
        return Ok(None);
    }
    let erased = serde_json::to_vec(&erased).map_err(|_| RedactError::NotJson)?;
    if says_the_same(body, &erased, eraser) { Ok(Some(erased)) } else { Err(RedactError::SaysOtherwise) }
}

fn walk(value: &mut Value, key: &str, is_personal: bool, eraser: &Eraser<'_>) {
    match value {
        Value::Object(fields) if key == "metadata" => {
            for (key, value) in fields.iter_mut() {
                match value {
                    Value::String(text) => *text = eraser.entry(key, text),
                    other => walk(other, key, true, eraser),
                }
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                // Where a discount comes from is no means of payment.
                let is_coupon = key == "source" && value.get("coupon").is_some();
                let is_personal = is_personal || (PERSONAL.contains(&key.as_str()) && !is_coupon);
                walk(value, key, is_personal, eraser);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, key, is_personal, eraser)),
        Value::String(text) => {
            if key == "email" || key.ends_with("_email") {
                *text = eraser.email(text);
            } else if key == "client_reference_id" {
                *text = eraser.reference(text);
            } else if !text.is_empty() && (is_personal || !is_kept(key, text)) {
                ERASED.clone_into(text);
            }
        }
        Value::Number(number) if is_personal => *number = Number::from(0),
        Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn is_kept(key: &str, text: &str) -> bool {
    // The ids of what was fetched hold one: an object's id, and a digest.
    if key == "id" {
        return text.len() <= 255;
    }
    let is_word = !text.contains('@') && (key == "code" || !text.contains(char::is_whitespace));
    (is_word && KEPT.contains(&key)) || is_id(text)
}

fn is_id(text: &str) -> bool {
    let Some((prefix, rest)) = text.split_once('_') else { return false };
    IDS.contains(&prefix)
        && rest.len() >= 4
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && rest.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether an erased event has the envelope and facts of the original, but for what was to be erased.
fn says_the_same(original: &[u8], erased: &[u8], eraser: &Eraser<'_>) -> bool {
    match (envelope(original), envelope(erased)) {
        (Ok(original), Ok(erased)) if original == erased => {}
        _ => return false,
    }
    match (read(original), read(erased)) {
        (Ok(Reading::Facts(original)), Ok(Reading::Facts(erased))) => eraser.facts(&original) == erased,
        (Ok(Reading::Ignored(original)), Ok(Reading::Ignored(erased))) => original == erased,
        // What could not be read before may be read by a later release, from what is left.
        (Err(_), _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{event, fixtures};
    use super::*;
    use crate::domain::pseudonym::Pseudonyms;
    use crate::domain::terms::Terms;

    fn erased(name: &str, event: &Value) -> Value {
        let (pseudonyms, terms) = (Pseudonyms::new([1; 32]), Terms::default());
        let eraser = Eraser { pseudonyms: &pseudonyms, terms: &terms };
        let body = serde_json::to_vec(event).unwrap();
        let once = redact(&body, &eraser).unwrap_or_else(|error| panic!("{name}: {error}")).unwrap_or(body);
        assert_eq!(redact(&once, &eraser).unwrap(), None, "erased twice is erased once");
        serde_json::from_slice(&once).unwrap()
    }

    #[test]
    fn every_shape_keeps_what_it_says() {
        let mut seen = 0;
        for (name, event) in fixtures() {
            let text = erased(&name, &event).to_string();
            for personal in ["buyer.example", "Ada ", "Buyer", "4242"] {
                assert!(!text.contains(personal), "{name}: {personal} in {text}");
            }
            seen += 1;
        }
        assert!(seen > 20, "{seen} fixtures");
    }

    #[test]
    fn whatever_is_personal_goes_and_evidence_stays() {
        let event = json!({
            "id": "evt_1", "object": "event", "type": "charge.succeeded", "created": 1_790_000_000, "livemode": true,
            "request": {"id": "req_1", "idempotency_key": "ann@buyer.example"},
            "data": {
                "previous_attributes": {"receipt_email": "Old@Buyer.example", "description": "for Ann"},
                "object": {
                    "id": "ch_1234", "object": "charge", "amount": 100, "currency": "usd", "status": "succeeded",
                    "customer": "cus_1234", "payment_intent": "pi_1234", "description": "Ann Lee", "new_field": "Ann",
                    "billing_details": {"name": "Ann Lee", "phone": "+1 555", "email": "Ann@Buyer.example",
                        "address": {"line1": "1 High Street", "postal_code": "12345"}},
                    "payment_method_details": {"card": {"last4": "4242", "exp_year": 2030, "wallet": null}},
                    "metadata": {"partner_key": "acme", "customer_key": "ann@buyer.example", "full_name": "Ann Lee"},
                },
            },
        });
        let erased = erased("charge", &event);
        let object = &erased["data"]["object"];
        assert_eq!(object["metadata"]["partner_key"], "acme");
        assert_eq!(object["metadata"]["full_name"], ERASED);
        assert_eq!(
            (&object["amount"], &object["customer"], &object["payment_intent"]),
            (&json!(100), &json!("cus_1234"), &json!("pi_1234"))
        );
        assert_eq!(object["payment_method_details"]["card"], json!({"last4": ERASED, "exp_year": 0, "wallet": null}));
        let text = erased.to_string().to_lowercase();
        for personal in ["ann", "lee", "buyer.example", "555", "high", "12345", "4242", "2030"] {
            assert!(!text.contains(personal), "{personal}: {text}");
        }
    }

    /// What is left of a field of an object that no reader knows.
    fn left_of(field: &str, value: &Value) -> Value {
        let event = event("thing.created", &json!({"id": "thing_1", field: value}));
        erased(field, &event)["data"]["object"][field].take()
    }

    #[test]
    fn stripes_ids_stay_wherever_they_stand() {
        for id in ["cus_1234", "cs_test_a1B2", "in_1Nabc", "evt_1234", "sub_sched_1Nabc"] {
            assert_eq!(left_of("brand_new", &json!(id)), id);
        }
        for text in
            ["1234", "cus_123", "cus_Anna", "ann_1234", "cus_Ann-1234", "cus_Ann Lee 1234", "in_ann@b2b.example"]
        {
            assert_eq!(left_of("brand_new", &json!(text)), ERASED, "{text}");
        }
    }

    #[test]
    fn where_a_word_belongs_a_sentence_or_an_address_goes() {
        assert_eq!(left_of("reason", &json!("duplicate")), "duplicate");
        for text in ["Ann asked for it", "ann@buyer.example"] {
            assert_eq!(left_of("reason", &json!(text)), ERASED);
        }
        assert_eq!(left_of("code", &json!("SUMMER SALE")), "SUMMER SALE", "a promotion code's text");
        assert_eq!(left_of("code", &json!("ann@buyer.example")), ERASED);
    }

    #[test]
    fn a_source_is_a_means_of_payment_or_a_coupon() {
        let card = json!({"id": "card_1", "brand": "Visa", "exp_year": 2030});
        assert_eq!(left_of("source", &card), json!({"id": ERASED, "brand": ERASED, "exp_year": 0}));
        let coupon = json!({"type": "coupon", "coupon": {"id": "SUMMER", "percent_off": 25}});
        assert_eq!(left_of("discount", &json!({"source": coupon})), json!({"source": coupon}));
    }

    #[test]
    fn what_cannot_be_read_is_erased_all_the_same() {
        let charge = json!({"id": "ch_1234", "currency": "usd", "amount": true, "description": "Ann Lee"});
        let event = event("charge.succeeded", &charge);
        assert!(read(event.to_string().as_bytes()).is_err());
        assert_eq!(erased("unreadable", &event)["data"]["object"]["description"], ERASED);
    }

    #[test]
    fn what_would_say_something_else_is_not_erased() {
        let (pseudonyms, terms) = (Pseudonyms::new([1; 32]), Terms::default());
        let eraser = Eraser { pseudonyms: &pseudonyms, terms: &terms };
        let refused = |event: &Value| redact(event.to_string().as_bytes(), &eraser);
        let code = json!({"id": "promo_1234", "code": "ann@buyer.example", "coupon": {"id": "SUMMER"}});
        assert_eq!(refused(&event("promotion_code.updated", &code)), Err(RedactError::SaysOtherwise), "in its facts");
        let odd = event("Ann asked", &json!({"id": "ch_1234"}));
        assert_eq!(refused(&odd), Err(RedactError::SaysOtherwise), "in its envelope");
        assert_eq!(redact(b"Ann Lee", &eraser), Err(RedactError::NotJson));
    }
}
