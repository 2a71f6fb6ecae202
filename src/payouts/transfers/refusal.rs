//! What follows from a definite refusal.

use serde_json::{Value, json};

use crate::store::transfers::Claimed;
use crate::stripe_api::Refusal;

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Consequence {
    /// This payout cannot be paid so; the reason says what to do.
    Fails(String),
    /// The next try has a new key, and may be made at once.
    NewKey,
    /// None of the batch can be paid now.
    Pauses(Value),
}

/// Sorts a refusal by Stripe's code.
pub(super) fn consequence(refusal: &Refusal, claimed: &Claimed) -> Consequence {
    let destination = claimed.destination.as_deref().unwrap_or_default();
    let said = format!("Stripe: {} ({})", refusal.message.trim_end_matches('.'), refusal.code);
    let again = "send the partner their link again with `commission-bridge partner onboard`";
    match refusal.code.as_str() {
        "balance_insufficient" | "insufficient_funds" => {
            let currency = claimed.currency().map(|currency| currency.to_string()).unwrap_or_default();
            Consequence::Pauses(json!({ "code": "balance_insufficient", "currency": currency, "missing": null }))
        }
        // The key was used with other words, by another release perhaps; the look-up showed that it paid nothing.
        "idempotency_error" | "idempotency_key_in_use" => Consequence::NewKey,
        code if is_about_the_merchant(code) => Consequence::Pauses(json!({ "code": code, "message": said })),
        "transfers_not_allowed" | "insufficient_capabilities_for_transfer" => Consequence::Fails(format!(
            "{said}. The account {destination} may not receive transfers yet: {again}, so that they complete it"
        )),
        "resource_missing" | "account_invalid" | "account_closed" => Consequence::Fails(format!(
            "{said}. Stripe knows no account {destination} that this merchant can pay: {again}, or enter another account"
        )),
        _ if refusal.message.contains("capabilities") => Consequence::Fails(format!(
            "{said}. The account {destination} may not receive transfers yet: {again}, so that they complete it"
        )),
        _ => Consequence::Fails(said),
    }
}

/// Whether every payout would be refused so.
fn is_about_the_merchant(code: &str) -> bool {
    matches!(
        code,
        "platform_account_required"
            | "platform_api_key_expired"
            | "api_key_expired"
            | "secret_key_required"
            | "livemode_mismatch"
            | "testmode_charges_only"
            | "not_allowed_on_standard_account"
            | "account_country_not_supported"
    )
}
