//! Transfers to connected accounts, and the balance that they are taken from.

use super::answer::Answer;
use super::client::Api;
use crate::domain::currency::Currency;

/// A transfer to make. All of it must be the same whenever it is tried again under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransfer<'a> {
    /// Minor units, as Stripe counts them.
    pub amount: i64,
    /// In what.
    pub currency: Currency,
    /// `acct_…`
    pub destination: &'a str,
    /// By what it is found again.
    pub transfer_group: &'a str,
    /// For people.
    pub description: &'a str,
    /// For programs.
    pub metadata: &'a [(&'a str, &'a str)],
}

/// A transfer, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, miniserde::Deserialize)]
pub struct Transfer {
    /// `tr_…`
    pub id: String,
    /// Minor units.
    pub amount: i64,
    /// What was taken back since.
    pub amount_reversed: Option<i64>,
    /// In what.
    pub currency: String,
    /// `acct_…`
    pub destination: Option<String>,
    /// Whether it is of the live book.
    pub livemode: Option<bool>,
}

#[derive(miniserde::Deserialize)]
struct Page {
    data: Vec<Transfer>,
    has_more: bool,
}

/// One currency of a balance.
#[derive(Debug, Clone, PartialEq, Eq, miniserde::Deserialize)]
pub struct Funds {
    /// Minor units; may be negative.
    pub amount: i64,
    /// In what.
    pub currency: String,
}

/// What the merchant has at Stripe.
#[derive(Debug, Clone, PartialEq, Eq, miniserde::Deserialize)]
pub struct Balance {
    /// What transfers can be made from now.
    pub available: Vec<Funds>,
}

impl Balance {
    /// What is available in a currency, in minor units.
    pub fn available(&self, currency: Currency) -> i64 {
        let of_currency = |funds: &&Funds| funds.currency.eq_ignore_ascii_case(currency.as_str());
        self.available.iter().filter(of_currency).fold(0, |sum, funds| sum.saturating_add(funds.amount))
    }
}

impl Api {
    /// Makes a transfer, once under its key, at once: who calls has waited for [`Api::turn`].
    pub async fn create_transfer(&self, new: &NewTransfer<'_>, idempotency_key: &str) -> Answer<Transfer> {
        let amount = new.amount.to_string();
        let names: Vec<String> = new.metadata.iter().map(|(name, _)| format!("metadata[{name}]")).collect();
        let mut fields = vec![
            ("amount", amount.as_str()),
            ("currency", new.currency.as_str()),
            ("destination", new.destination),
            ("transfer_group", new.transfer_group),
            ("description", new.description),
        ];
        fields.extend(names.iter().zip(new.metadata).map(|(name, (_, value))| (name.as_str(), *value)));
        self.post("/transfers", &fields, idempotency_key).await
    }

    /// All transfers of a group, the oldest first.
    pub async fn transfers_of_group(&self, group: &str) -> Answer<Vec<Transfer>> {
        let mut all: Vec<Transfer> = Vec::new();
        loop {
            let last = all.last().map(|last| last.id.clone());
            let mut query = vec![("transfer_group", group), ("limit", "100")];
            query.extend(last.as_deref().map(|id| ("starting_after", id)));
            match self.get::<Page>("/transfers", &query).await {
                Answer::Done(page) => {
                    let (has_more, is_empty) = (page.has_more, page.data.is_empty());
                    all.extend(page.data);
                    if !has_more || is_empty {
                        all.reverse();
                        return Answer::Done(all);
                    }
                }
                other => return other.map(|_| Vec::new()),
            }
        }
    }

    /// What the merchant has.
    pub async fn balance(&self) -> Answer<Balance> {
        self.get("/balance", &[]).await
    }
}
