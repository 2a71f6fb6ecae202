//! Bodies of the size that Stripe sends: with the fields that say nothing, and indented.
//!
//! The simulated merchant's events have what is read of them. Stripe's have some fifty fields more, most of them null:
//! for measuring, and for the dictionary that bodies are packed with, they should be there.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Fields of Stripe's objects that are not read, and what most events say there.
const BESIDE: &[(&str, &str)] = &[
    (
        "invoice",
        r#"{"account_country":"US","account_name":"Example Software","account_tax_ids":null,"amount_overpaid":0,
        "amount_shipping":0,"application":null,"attempt_count":1,"attempted":true,"auto_advance":false,
        "automatic_tax":{"disabled_reason":null,"enabled":false,"liability":null,"provider":null,"status":null},
        "automatically_finalizes_at":null,"collection_method":"charge_automatically","custom_fields":null,
        "customer_account":null,"customer_address":null,"customer_name":null,"customer_phone":null,
        "customer_shipping":null,"customer_tax_exempt":"none","customer_tax_ids":[],"default_payment_method":null,
        "default_source":null,"default_tax_rates":[],"description":null,"due_date":null,"effective_at":null,
        "ending_balance":0,"footer":null,"from_invoice":null,"hosted_invoice_url":null,"invoice_pdf":null,
        "issuer":{"type":"self"},"last_finalization_error":null,"latest_revision":null,"next_payment_attempt":null,
        "number":null,"on_behalf_of":null,"payment_settings":{"default_mandate":null,"payment_method_options":null,
        "payment_method_types":null},"post_payment_credit_notes_amount":0,"pre_payment_credit_notes_amount":0,
        "receipt_number":null,"rendering":null,"shipping_cost":null,"shipping_details":null,"starting_balance":0,
        "statement_descriptor":null,"subtotal_excluding_tax":null,"test_clock":null,"webhooks_delivered_at":null}"#,
    ),
    (
        "charge",
        r#"{"application":null,"application_fee":null,"application_fee_amount":null,"billing_details":{"address":
        {"city":null,"country":null,"line1":null,"line2":null,"postal_code":null,"state":null},"email":null,
        "name":null,"phone":null,"tax_id":null},"calculated_statement_descriptor":"EXAMPLE SOFTWARE",
        "description":"Subscription update","destination":null,"failure_balance_transaction":null,
        "failure_code":null,"failure_message":null,"fraud_details":{},"on_behalf_of":null,"order":null,
        "outcome":{"advice_code":null,"network_advice_code":null,"network_decline_code":null,
        "network_status":"approved_by_network","reason":null,"risk_level":"normal","risk_score":12,
        "seller_message":"Payment complete.","type":"authorized"},"payment_method_details":{"card":
        {"amount_authorized":null,"authorization_code":null,"brand":"visa","checks":{"address_line1_check":null,
        "address_postal_code_check":null,"cvc_check":"pass"},"country":"US","exp_month":4,"exp_year":2030,
        "extended_authorization":{"status":"disabled"},"fingerprint":null,"funding":"credit",
        "incremental_authorization":{"status":"unavailable"},"installments":null,"last4":"4242","mandate":null,
        "multicapture":{"status":"unavailable"},"network":"visa","network_token":{"used":false},
        "overcapture":{"maximum_amount_capturable":null,"status":"unavailable"},"regulated_status":"unregulated",
        "three_d_secure":null,"wallet":null},"type":"card"},"radar_options":{},"receipt_email":null,
        "receipt_number":null,"receipt_url":null,"review":null,"shipping":null,"source":null,"source_transfer":null,
        "statement_descriptor":null,"statement_descriptor_suffix":null,"transfer_data":null,"transfer_group":null}"#,
    ),
    (
        "payment_intent",
        r#"{"amount_capturable":0,"amount_details":{"tip":{}},"application":null,"application_fee_amount":null,
        "automatic_payment_methods":null,"canceled_at":null,"cancellation_reason":null,"capture_method":"automatic",
        "client_secret":null,"confirmation_method":"automatic","customer_account":null,
        "description":"Subscription creation","excluded_payment_method_types":null,"last_payment_error":null,
        "next_action":null,"on_behalf_of":null,"payment_details":{"customer_reference":null,"order_reference":null},
        "payment_method":null,"payment_method_configuration_details":null,"payment_method_options":{"card":
        {"installments":null,"mandate_options":null,"network":null,"request_three_d_secure":"automatic",
        "setup_future_usage":"off_session"}},"payment_method_types":["card"],"processing":null,"receipt_email":null,
        "review":null,"setup_future_usage":"off_session","shipping":null,"source":null,"statement_descriptor":null,
        "statement_descriptor_suffix":null,"transfer_data":null,"transfer_group":null}"#,
    ),
    (
        "customer",
        r#"{"address":null,"balance":0,"currency":null,"default_source":null,"delinquent":false,"description":null,
        "invoice_prefix":"EXAMPLE1","invoice_settings":{"custom_fields":null,"default_payment_method":null,
        "footer":null,"rendering_options":null},"name":null,"next_invoice_sequence":2,"phone":null,
        "preferred_locales":[],"shipping":null,"tax_exempt":"none","test_clock":null}"#,
    ),
    (
        "subscription",
        r#"{"application":null,"application_fee_percent":null,"automatic_tax":{"disabled_reason":null,
        "enabled":false,"liability":null},"billing_cycle_anchor_config":null,"billing_mode":{"type":"classic"},
        "billing_thresholds":null,"cancellation_details":{"comment":null,"feedback":null,"reason":null},
        "collection_method":"charge_automatically","customer_account":null,"days_until_due":null,
        "default_payment_method":null,"default_source":null,"default_tax_rates":[],"description":null,
        "invoice_settings":{"account_tax_ids":null,"issuer":{"type":"self"}},"latest_invoice":null,
        "next_pending_invoice_item_invoice":null,"on_behalf_of":null,"pause_collection":null,"payment_settings":
        {"payment_method_options":null,"payment_method_types":null,"save_default_payment_method":"off"},
        "pending_invoice_item_interval":null,"pending_setup_intent":null,"pending_update":null,"schedule":null,
        "test_clock":null,"transfer_data":null,"trial_settings":{"end_behavior":
        {"missing_payment_method":"create_invoice"}}}"#,
    ),
    (
        "checkout.session",
        r#"{"adaptive_pricing":{"enabled":true},"after_expiration":null,"allow_promotion_codes":true,
        "automatic_tax":{"enabled":false,"liability":null,"provider":null,"status":null},
        "billing_address_collection":"auto","cancel_url":"https://example.com/cancel","client_secret":null,
        "collected_information":{"business_name":null,"individual_name":null,"shipping_details":null},
        "consent":null,"consent_collection":null,"currency_conversion":null,"custom_fields":[],"custom_text":
        {"after_submit":null,"shipping_address":null,"submit":null,"terms_of_service_acceptance":null},
        "customer_account":null,"customer_creation":"if_required","expires_at":1790086400,"invoice_creation":null,
        "locale":null,"origin_context":null,"payment_link":null,"payment_method_collection":"always",
        "payment_method_configuration_details":null,"payment_method_options":{"card":
        {"request_three_d_secure":"automatic"}},"payment_method_types":["card","link"],"permissions":null,
        "phone_number_collection":{"enabled":false},"recovered_from":null,"saved_payment_method_options":null,
        "setup_intent":null,"shipping_address_collection":null,"shipping_cost":null,"shipping_options":[],
        "submit_type":null,"success_url":"https://example.com/success","ui_mode":"hosted","url":null,
        "wallet_options":null}"#,
    ),
    ("line_item", r#"{"discountable":true,"pretax_credit_amounts":[],"quantity":1}"#),
    (
        "refund",
        r#"{"balance_transaction":null,"customer_account":null,"destination_details":{"card":{"reference":null,
        "reference_status":"pending","reference_type":"acquirer_reference_number","type":"refund"},"type":"card"},
        "receipt_number":null,"source_transfer_reversal":null,"transfer_reversal":null}"#,
    ),
    (
        "dispute",
        r#"{"enhanced_eligibility_types":[],"evidence":{"access_activity_log":null,"billing_address":null,
        "cancellation_policy":null,"cancellation_policy_disclosure":null,"cancellation_rebuttal":null,
        "customer_communication":null,"customer_email_address":null,"customer_name":null,
        "customer_purchase_ip":null,"customer_signature":null,"product_description":null,"receipt":null,
        "refund_policy":null,"refund_refusal_explanation":null,"service_date":null,"service_documentation":null,
        "shipping_address":null,"shipping_carrier":null,"uncategorized_text":null},"evidence_details":
        {"due_by":1790086400,"has_evidence":false,"past_due":false,"submission_count":0},
        "is_charge_refundable":false,"payment_method_details":{"card":{"brand":"visa","case_type":"chargeback",
        "network_reason_code":"83"},"type":"card"}}"#,
    ),
];

/// A body as Stripe would write it: with everything that its objects have, indented by two.
pub struct Dresser(Vec<(&'static str, Map<String, Value>)>);

impl Default for Dresser {
    fn default() -> Self {
        let fields = |(object, text): &(&'static str, &str)| {
            let fields = serde_json::from_str(text).expect("the fields beside are JSON");
            (*object, fields)
        };
        Self(BESIDE.iter().map(fields).collect())
    }
}

impl Dresser {
    /// Dresses a body.
    ///
    /// # Panics
    /// If it is no JSON.
    pub fn dress(&self, body: &[u8]) -> Vec<u8> {
        let mut body: Value = serde_json::from_slice(body).expect("a body of the sample is JSON");
        if let Some(object) = body.pointer_mut("/data/object") {
            self.fill(object);
        }
        serde_json::to_vec_pretty(&InOrder(&body)).expect("a JSON value can be written")
    }

    fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(|value| self.fill(value));
                let kind = fields.get("object").and_then(Value::as_str);
                let beside = self.0.iter().find(|(object, _)| Some(*object) == kind);
                for (key, value) in beside.into_iter().flat_map(|(_, beside)| beside) {
                    fields.entry(key.as_str()).or_insert_with(|| value.clone());
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(item)),
            _ => {}
        }
    }
}

/// In the order in which Stripe writes: what it is called and what it is, then the rest by name.
struct InOrder<'a>(&'a Value);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                const FIRST: [&str; 2] = ["id", "object"];
                let first = FIRST.iter().filter_map(|key| Some((*key, fields.get(*key)?)));
                let rest = fields.iter().map(|(key, value)| (key.as_str(), value));
                let rest = rest.filter(|(key, _)| !FIRST.contains(key));
                serializer.collect_map(first.chain(rest).map(|(key, value)| (key, InOrder(value))))
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(InOrder)),
            plain => plain.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Options, Shape, stream};
    use crate::stripe::read;

    #[test]
    fn dressed_bodies_say_the_same() {
        let dresser = Dresser::default();
        let mut sizes = Vec::new();
        for shape in Shape::ALL {
            for body in stream::bodies(&Options { customers: 5, ..Options::new(1) }, shape).take(300) {
                let dressed = dresser.dress(&body);
                assert_eq!(read(&dressed).unwrap(), read(&body).unwrap());
                if shape == Shape::Hybrid {
                    sizes.push(dressed.len());
                }
            }
        }
        let mean = sizes.iter().sum::<usize>() / sizes.len();
        assert!((3_500..7_000).contains(&mean), "{mean} bytes");
    }
}
