//! Connected accounts of partners: made once, completed by the partner on Stripe's own pages.

use super::answer::Answer;
use super::client::{Api, part};

/// An account to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount<'a> {
    /// Shown to the partner on Stripe's pages.
    pub email: Option<&'a str>,
    /// ISO 3166, upper case; Stripe takes the platform's own where it is `None`.
    pub country: Option<&'a str>,
    /// The partner's key, to find the account by.
    pub partner_key: &'a str,
}

/// Whether an account can be paid, and what it still lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Its capability `transfers`: `active`, `pending`, `inactive`; `unrequested` where it has none.
    pub transfers: String,
    /// What Stripe still asks the partner for (`individual.verification.document`), sorted.
    pub missing: Vec<String>,
}

impl Readiness {
    /// Whether transfers arrive.
    pub fn is_ready(&self) -> bool {
        self.transfers == "active"
    }
}

#[derive(miniserde::Deserialize)]
struct Capabilities {
    transfers: Option<String>,
}

#[derive(miniserde::Deserialize)]
struct Requirements {
    currently_due: Option<Vec<String>>,
}

/// An account, as far as it matters here.
#[derive(miniserde::Deserialize)]
pub struct Account {
    /// `acct_…`
    pub id: String,
    capabilities: Option<Capabilities>,
    requirements: Option<Requirements>,
    /// Whether the partner went through Stripe's form.
    pub details_submitted: Option<bool>,
}

impl Account {
    /// Whether it can be paid.
    pub fn readiness(&self) -> Readiness {
        let transfers = self.capabilities.as_ref().and_then(|capabilities| capabilities.transfers.clone());
        let due = self.requirements.as_ref().and_then(|requirements| requirements.currently_due.clone());
        let mut missing = due.unwrap_or_default();
        missing.sort_unstable();
        missing.dedup();
        Readiness { transfers: transfers.unwrap_or_else(|| "unrequested".to_owned()), missing }
    }
}

/// Where the partner completes their account. It works once, for a few minutes.
#[derive(miniserde::Deserialize)]
pub struct AccountLink {
    /// On Stripe's own site.
    pub url: String,
}

impl Api {
    /// Makes an account that the platform is liable for, that Stripe's own pages and dashboard serve, and that asks for
    /// transfers.
    pub async fn create_account(&self, new: &NewAccount<'_>, idempotency_key: &str) -> Answer<Account> {
        let mut fields = vec![
            ("controller[fees][payer]", "application"),
            ("controller[losses][payments]", "application"),
            ("controller[requirement_collection]", "stripe"),
            ("controller[stripe_dashboard][type]", "express"),
            ("capabilities[transfers][requested]", "true"),
            ("metadata[partner_key]", new.partner_key),
        ];
        fields.extend(new.email.map(|email| ("email", email)));
        fields.extend(new.country.map(|country| ("country", country)));
        self.turn().await;
        self.post("/accounts", &fields, idempotency_key).await
    }

    /// An account as it is now.
    pub async fn account(&self, account: &str) -> Answer<Account> {
        self.get(&format!("/accounts/{}", part(account)), &[]).await
    }

    /// A link on which the partner completes their account; Stripe sends them back to one of our addresses.
    pub async fn create_account_link(
        &self,
        account: &str,
        (return_url, refresh_url): (&str, &str),
        idempotency_key: &str,
    ) -> Answer<AccountLink> {
        let fields = [
            ("account", account),
            ("return_url", return_url),
            ("refresh_url", refresh_url),
            ("type", "account_onboarding"),
        ];
        self.turn().await;
        self.post("/account_links", &fields, idempotency_key).await
    }
}
