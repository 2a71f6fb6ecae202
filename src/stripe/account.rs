//! Partners' connected accounts: whether transfers to them arrive, and what Stripe still asks for.

use serde::Deserialize;

use super::field::{Id, List, Maybe, Text};
use super::problem::{ReadError, parse};
use crate::domain::facts::{AccountFact, Fact};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Account {
    id: Id,
    capabilities: Maybe<Capabilities>,
    requirements: Maybe<Requirements>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    transfers: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Requirements {
    currently_due: List<Text>,
}

/// Reads the account of `account.updated`.
pub(super) fn read(json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let account: Account = parse(json)?;
    let transfers = account.capabilities.or_empty().transfers.0;
    let due = account.requirements.or_empty().currently_due.data;
    let mut missing: Vec<String> = due.into_iter().filter_map(|text| text.0).collect();
    missing.sort_unstable();
    missing.dedup();
    Ok(vec![Fact::Account(AccountFact {
        id: account.id.required()?,
        transfers: transfers.unwrap_or_else(|| "unrequested".to_owned()),
        missing,
    })])
}

/// Reads `account.application.deauthorized`: it shows the application; whose account it was stands in the envelope.
#[allow(clippy::unnecessary_wraps, reason = "as every reader")]
pub(super) fn read_deauthorized(_json: &str, _event_type: &str) -> Result<Vec<Fact>, ReadError> {
    let (id, transfers) = (String::new(), "deauthorized".to_owned());
    Ok(vec![Fact::Account(AccountFact { id, transfers, missing: Vec::new() })])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{altered, fixture, only, try_facts};
    use super::*;

    #[test]
    fn ready_or_not() {
        let ready = AccountFact { id: "acct_0001".to_owned(), transfers: "active".to_owned(), missing: Vec::new() };
        assert_eq!(only!(Account, fixture("account.updated.new")), ready);
        let changes = json!({
            "capabilities": {"transfers": "inactive"},
            "requirements": {"currently_due": ["tos_acceptance.date", "external_account", "external_account"]},
        });
        let fact = only!(Account, altered("account.updated.new", &changes));
        assert_eq!(
            (fact.transfers.as_str(), fact.missing.join(" ")),
            ("inactive", "external_account tos_acceptance.date".to_owned())
        );
        let changes = json!({"capabilities": "(absent)", "requirements": null});
        assert_eq!(only!(Account, altered("account.updated.new", &changes)).transfers, "unrequested");
    }

    #[test]
    fn who_has_left_is_named_by_the_envelope() {
        let mut event = fixture("account.application.deauthorized.new");
        let gone =
            AccountFact { id: "acct_0001".to_owned(), transfers: "deauthorized".to_owned(), missing: Vec::new() };
        assert_eq!(only!(Account, event), gone);
        event.as_object_mut().unwrap().remove("account");
        assert_eq!(try_facts(&event).unwrap_err().to_string(), "account: expected an account's id, found nothing");
    }
}
