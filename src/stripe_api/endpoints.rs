//! Whose key it is, and the webhook endpoints of that account.

use std::collections::HashMap;

use super::answer::Answer;
use super::client::{Api, part};

/// The account that a key belongs to, or that is asked in the name of.
#[derive(Debug, Clone, PartialEq, Eq, miniserde::Deserialize)]
pub struct OwnAccount {
    /// `acct_…`
    pub id: String,
}

/// A webhook endpoint as Stripe shows it.
#[derive(Debug, Clone, miniserde::Deserialize)]
pub struct Endpoint {
    /// `we_…`
    pub id: String,
    /// Where it sends to.
    pub url: String,
    /// Types of events; `*` for all.
    pub enabled_events: Vec<String>,
    /// `enabled` or `disabled`.
    pub status: String,
    /// Whether it is of the live book.
    pub livemode: bool,
    /// What its maker noted.
    pub metadata: Option<HashMap<String, String>>,
    /// `whsec_…`: only in the answer to its making.
    pub secret: Option<String>,
}

impl Endpoint {
    /// An entry of its metadata.
    pub fn noted(&self, name: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(name).map(String::as_str)
    }
}

/// A webhook endpoint to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEndpoint<'a> {
    /// Where it sends to.
    pub url: &'a str,
    /// Types of events.
    pub events: &'a [&'a str],
    /// Whether it is for the events of connected accounts.
    pub connect: bool,
    /// To find it by.
    pub metadata: &'a [(&'a str, &'a str)],
}

/// An account may have so many endpoints.
pub const MOST_ENDPOINTS: usize = 16;

#[derive(miniserde::Deserialize)]
struct Page {
    data: Vec<Endpoint>,
    has_more: bool,
}

/// What is gone.
#[derive(miniserde::Deserialize)]
struct Deleted {}

impl Api {
    /// Whose key it is; in the name of a connected account, that account.
    pub async fn own_account(&self) -> Answer<OwnAccount> {
        self.get("/account", &[]).await
    }

    /// All webhook endpoints of the key's book.
    pub async fn webhook_endpoints(&self) -> Answer<Vec<Endpoint>> {
        let mut all: Vec<Endpoint> = Vec::new();
        loop {
            let last = all.last().map(|last| last.id.clone());
            let mut query = vec![("limit", "100")];
            query.extend(last.as_deref().map(|id| ("starting_after", id)));
            match self.get::<Page>("/webhook_endpoints", &query).await {
                Answer::Done(page) => {
                    let ends = !page.has_more || page.data.is_empty();
                    all.extend(page.data);
                    if ends {
                        return Answer::Done(all);
                    }
                }
                other => return other.map(|_| Vec::new()),
            }
        }
    }

    /// Makes an endpoint, once under its key. Its secret is in this answer and in no other.
    pub async fn create_endpoint(&self, new: &NewEndpoint<'_>, idempotency_key: &str) -> Answer<Endpoint> {
        let names: Vec<String> = new.metadata.iter().map(|(name, _)| format!("metadata[{name}]")).collect();
        let mut fields = vec![("url", new.url), ("description", "commission-bridge")];
        if new.connect {
            fields.push(("connect", "true"));
        }
        fields.extend(new.events.iter().map(|event| ("enabled_events[]", *event)));
        fields.extend(names.iter().zip(new.metadata).map(|(name, (_, value))| (name.as_str(), *value)));
        self.turn().await;
        self.post("/webhook_endpoints", &fields, idempotency_key).await
    }

    /// Has an endpoint send exactly these events, and send at all.
    pub async fn update_endpoint(&self, id: &str, events: &[&str], idempotency_key: &str) -> Answer<Endpoint> {
        let mut fields = vec![("disabled", "false")];
        fields.extend(events.iter().map(|event| ("enabled_events[]", *event)));
        self.turn().await;
        self.post(&format!("/webhook_endpoints/{}", part(id)), &fields, idempotency_key).await
    }

    /// Removes an endpoint; one that is gone already is removed, too.
    pub async fn delete_endpoint(&self, id: &str) -> Answer<()> {
        match self.delete::<Deleted>(&format!("/webhook_endpoints/{}", part(id))).await {
            Answer::Refused(refusal) if refusal.http_status == 404 => Answer::Done(()),
            other => other.map(drop),
        }
    }
}
