//! Leads: an e-mail or a customer key, tied to a partner or a click. What is personal never reaches the audit log.

use serde_json::json;

use super::clicks::{click_id, moment};
use super::evidence::{self, Named};
use super::{Refused, Session};
use crate::domain::Time;
use crate::domain::lead::{LeadBy, LeadTo};
use crate::domain::mask::mask;
use crate::program::valid;
use crate::store::changes::Entering;
use crate::store::leads::{self, NewLead, StoredLead};

/// A lead as it is asked for: one of the first two, one of the three after them.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The buyer's e-mail.
    pub email: Option<&'a str>,
    /// The merchant's own key of the customer.
    pub customer_key: Option<&'a str>,
    /// Whose lead it is.
    pub partner_key: Option<&'a str>,
    /// The click whose partner, program and window count; it may become known later.
    pub click_id: Option<&'a str>,
    /// The link whose partner and program count.
    pub link: Option<&'a str>,
    /// Under which program.
    pub program: Option<&'a str>,
    /// Counts for payments from then on; from now on when `None`, so that earlier payments stay the merchant's own.
    pub from: Option<Time>,
}

/// Enters a lead; the same entered twice is one. Customers whom it may credit to somebody are due.
///
/// # Errors
/// [`Refused::Invalid`], or the database's.
pub async fn create(session: &mut Session, asked: &Asked<'_>) -> Result<StoredLead, Refused> {
    let (by, value) = known_by(asked)?;
    let to = names(session, asked).await?;
    let lead = NewLead { by, value, to, from: Some(asked.from.unwrap_or_else(|| moment(session.now))) };
    let entering =
        Entering { workspace: session.workspace, author: &session.author, now: session.now, ids: &session.ids };
    let entered = leads::enter(&mut session.tx, &entering, &[lead]).await?;
    let missing = || Refused::conflict("lead_gone", "the lead that was just entered is not there: try again");
    let entered = entered.into_iter().next().ok_or_else(missing)?;
    let stored = leads::find(&mut session.tx, session.workspace, &entered.lead_id).await?.ok_or_else(missing)?;
    if entered.is_new {
        let after = json!({
            "by": stored.by().as_str(), "value": shown(&stored), "partner_key": stored.partner_key,
            "program": stored.program_key, "click_id": stored.click_id, "from": stored.from(),
        });
        session.audit(("lead.created", "lead"), &stored.lead_id, None, Some(after)).await?;
    }
    Ok(stored)
}

/// What a lead is known by, as everybody may see it.
pub fn shown(lead: &StoredLead) -> String {
    // Merchants also use e-mails as customer keys.
    if lead.by() == LeadBy::Email || lead.value.contains('@') { mask(&lead.value) } else { lead.value.clone() }
}

fn known_by(asked: &Asked<'_>) -> Result<(LeadBy, String), Refused> {
    match (asked.email, asked.customer_key) {
        (Some(email), None) => {
            let email = valid::email(email).map_err(|why| Refused::invalid("email", why))?;
            Ok((LeadBy::Email, email))
        }
        (None, Some(key)) => {
            let what = "a customer's key of at most 200 characters";
            let key = valid::text(key, what).map_err(|why| Refused::invalid("customer_key", why))?;
            if key.chars().count() > valid::MOST_KEY {
                return Err(Refused::invalid("customer_key", format!("is too long: expected {what}")));
            }
            if crate::domain::evidence::is_placeholder(&key) {
                let why = "is a placeholder that sites send for \"nobody\": it is no key";
                return Err(Refused::invalid("customer_key", why));
            }
            Ok((LeadBy::CustomerKey, key))
        }
        (Some(_), Some(_)) => Err(Refused::invalid("customer_key", "give either email or customer_key")),
        (None, None) => Err(Refused::invalid("email", "is missing: give either email or customer_key")),
    }
}

async fn names(session: &mut Session, asked: &Asked<'_>) -> Result<LeadTo, Refused> {
    let terms = session.terms().await?;
    let of = |Named { partner, program }| LeadTo::Partner { partner, program };
    match (asked.partner_key, asked.click_id, asked.link) {
        (Some(key), None, None) => {
            let partner = evidence::partner(&terms, key)?;
            Ok(of(Named { partner, program: evidence::program(&terms, asked.program)? }))
        }
        (None, Some(_), None) if asked.program.is_some() => {
            Err(Refused::invalid("program", "cannot go with click_id: the click says which program"))
        }
        (None, Some(click), None) => Ok(LeadTo::Click(click_id(click)?)),
        (None, None, Some(link)) => {
            let workspace = session.workspace;
            Ok(of(evidence::of_link(&mut session.tx, workspace, &terms, link, asked.program).await?))
        }
        (None, None, None) => {
            Err(Refused::invalid("partner_key", "is missing: give one of partner_key, click_id and link"))
        }
        (_, Some(_), _) => Err(Refused::invalid("click_id", "give only one of partner_key, click_id and link")),
        _ => Err(Refused::invalid("link", "give only one of partner_key, click_id and link")),
    }
}
