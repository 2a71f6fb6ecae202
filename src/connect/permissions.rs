//! What a key may do, tried one by one: a small GET for everything that is read. What may be written is known only once
//! it is done.

use serde::Serialize;

use super::ConnectError;
use crate::stripe_api::{Answer, Api};

/// Whether a key has a permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "answer", content = "said")]
pub enum Has {
    /// It has.
    Yes,
    /// It has not; Stripe's words.
    No(String),
    /// It could not be told; why.
    Unclear(String),
}

/// One permission of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// Short and stable: `invoices`.
    pub name: &'static str,
    /// What the bridge reads it for.
    pub purpose: &'static str,
    /// What to switch on in Stripe, in the words of its form for restricted keys.
    pub switch_on: &'static str,
    /// Without it the bridge cannot keep the books by asking Stripe; without the others something is left out.
    pub needed: bool,
    /// Whether the key has it.
    pub has: Has,
}

/// Name, path, further query, purpose, what to switch on, whether it is needed.
type Line = (&'static str, &'static str, &'static str, &'static str, &'static str, bool);

const LINES: &[Line] = &[
    ("events", "/events", "", "missed webhooks (sync)", "Events: Read", true),
    ("invoices", "/invoices", "", "subscription payments", "Invoices: Read", true),
    ("invoice_payments", "/invoice_payments", "", "which charge paid an invoice", "Invoices: Read", true),
    ("checkout_sessions", "/checkout/sessions", "", "one-off payments, evidence", "Checkout Sessions: Read", true),
    ("payment_intents", "/payment_intents", "", "direct payments, evidence", "PaymentIntents: Read", true),
    ("charges", "/charges", "", "money received, refunds", "Charges: Read", true),
    ("balance_transactions", "/balance_transactions", "", "Stripe's fees", "Balance transaction sources: Read", false),
    ("refunds", "/refunds", "", "money given back", "Charges and Refunds: Read", true),
    ("disputes", "/disputes", "", "money taken back", "Disputes: Read", true),
    ("credit_notes", "/credit_notes", "", "invoices lowered later", "Credit notes: Read", true),
    ("subscriptions", "/subscriptions", "status", "plans and cancellations", "Subscriptions: Read", true),
    ("customers", "/customers", "", "who pays, evidence", "Customers: Read", true),
    ("promotion_codes", "/promotion_codes", "", "codes that name partners", "Promotion codes: Read", true),
    ("prices", "/prices", "", "rules by product", "Prices: Read", true),
    ("products", "/products", "", "rules by product", "Products: Read", true),
    ("transfers", "/transfers", "", "paying partners: looking before paying", "Transfers: Write", false),
    ("accounts", "/accounts", "", "whether partners can be paid", "Connect, Accounts: Write", false),
    ("webhook_endpoints", "/webhook_endpoints", "", "making the endpoint", "Webhook Endpoints: Write", false),
];

/// Tries every permission.
///
/// # Errors
/// [`ConnectError::Key`] where the key itself is not accepted.
pub async fn check(api: &Api) -> Result<Vec<Permission>, ConnectError> {
    let mut found = Vec::with_capacity(LINES.len());
    for (name, path, all_of, purpose, switch_on, needed) in LINES.iter().copied() {
        let mut query = vec![("limit", "1")];
        if !all_of.is_empty() {
            query.push((all_of, "all"));
        }
        let has = match api.page(path, &query).await {
            Answer::Done(_) => Has::Yes,
            Answer::KeyProblem(problem) if problem.code == "key_lacks_permission" => Has::No(problem.message),
            Answer::KeyProblem(problem) => return Err(ConnectError::Key(problem)),
            other => Has::Unclear(other.map(drop).done().err().unwrap_or_default()),
        };
        found.push(Permission { name, purpose, switch_on, needed, has });
    }
    Ok(found)
}

/// Whether the one of this name is there.
pub fn has(permissions: &[Permission], name: &str) -> bool {
    permissions.iter().any(|permission| permission.name == name && permission.has == Has::Yes)
}

/// Whether a key without [`Permission::needed`] ones was found.
pub fn lacks_needed(permissions: &[Permission]) -> bool {
    permissions.iter().any(|permission| permission.needed && matches!(permission.has, Has::No(_)))
}
