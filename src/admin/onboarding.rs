//! Partners open their Stripe account by a link: who gets one, and what comes of it.

use chrono::TimeDelta;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Refused, Session};
use crate::domain::Time;
use crate::domain::terms::{Change, Method, PayoutMethod, Profile, Terms};
use crate::store::onboardings::{self, Onboarding};
use crate::store::stripe_accounts::{self, Said};
use crate::store::{Mode, StoreError, Tx, entries};
use crate::stripe_api::{NewAccount, Readiness};

/// How long a link works.
const LASTS: TimeDelta = TimeDelta::days(14);
/// Who enters what a partner does with their link.
pub const AUTHOR: &str = "onboarding";

/// A new link. Its token is shown this once.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Nobody can guess it.
    pub token: String,
    /// Until when it works.
    pub expires_at: Time,
}

/// The SHA-256 of a token.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// Makes a link for a partner, in the session's book.
///
/// # Errors
/// [`Refused`].
pub async fn open(session: &mut Session, partner: &str) -> Result<Opened, Refused> {
    let terms = session.terms().await?;
    if !terms.partners.contains_key(partner) {
        return Err(Refused::Missing(format!("there is no partner {partner:?}")));
    }
    let token = session.ids.secret().map_err(|error| Refused::conflict("no_random_numbers", error.to_string()))?;
    let (now, expires_at) = (session.now, session.now + LASTS);
    let link = Onboarding::new(session.workspace, hash(&token), session.mode, partner, (now, expires_at));
    onboardings::insert(&mut session.tx, &link).await?;
    let after = json!({ "mode": session.mode.as_str(), "expires_at": expires_at });
    session.audit(("partner.invited", "partner"), partner, None, Some(after)).await?;
    Ok(Opened { token, expires_at })
}

/// The link of a token, as long as it works.
///
/// # Errors
/// The database's.
pub async fn find(tx: &mut Tx, token: &str, now: Time) -> Result<Option<Onboarding>, StoreError> {
    Ok(onboardings::find(tx, &hash(token)).await?.filter(|link| link.expires_at() > now))
}

/// The account that a link leads to: its own, or the one that the partner has in this book.
pub fn known_account(link: &Onboarding, terms: &Terms) -> Option<String> {
    let entered = || {
        let payout = terms.partners.get(&link.partner_key)?.profile.payout.as_ref()?;
        let is_this_books = link.mode() == Mode::Live && payout.method == Method::Stripe;
        payout.account.clone().filter(|_| is_this_books)
    };
    link.account.clone().or_else(entered)
}

/// The account to make for a partner, and the key under which it is made once.
pub fn new_account<'a>(link: &'a Onboarding, profile: &'a Profile) -> (NewAccount<'a>, String) {
    let new = NewAccount {
        email: profile.email.as_deref(),
        country: profile.country.as_deref(),
        partner_key: &link.partner_key,
    };
    // The same words under the same key, whichever of the partner's links is used.
    let words = format!("{:?}", (link.workspace_id.0, link.mode().as_str(), &new));
    (new, format!("account/{}", hash(&words)))
}

/// Enters an account as the way in which a partner is paid. In the test book only until there is live money: a way to pay
/// belongs to both books.
///
/// # Errors
/// [`Refused`].
pub async fn enter_account(session: &mut Session, link: &Onboarding, account: &str) -> Result<(), Refused> {
    onboardings::note_account(&mut session.tx, link, account).await?;
    if link.mode() == Mode::Test && entries::any(&mut session.tx, session.workspace, Mode::Live).await? {
        return Ok(());
    }
    let mut desk = session.desk().await?;
    let Some(partner) = desk.terms.partners.get(&link.partner_key) else { return Ok(()) };
    let before = &partner.profile.payout;
    let currency = before.as_ref().and_then(|payout| payout.currency);
    let payout = PayoutMethod { method: Method::Stripe, account: Some(account.to_owned()), currency };
    if before.as_ref() == Some(&payout) {
        return Ok(());
    }
    let profile = Profile { payout: Some(payout), ..partner.profile.clone() };
    let change = Change::Partner { partner: link.partner_key.clone(), profile };
    desk.enter(&format!("partner/{}/profile", link.partner_key), change).await?;
    Ok(())
}

/// Keeps what Stripe says of the account that a link led to.
///
/// # Errors
/// The database's.
pub async fn note_readiness(
    session: &mut Session,
    link: &Onboarding,
    account: &str,
    readiness: &Readiness,
) -> Result<(), StoreError> {
    let said = Said {
        mode: link.mode(),
        account: account.to_owned(),
        transfers: readiness.transfers.clone(),
        missing: readiness.missing.clone(),
        at: session.now,
    };
    stripe_accounts::learn(&mut session.tx, session.workspace, &[said], session.now).await?;
    if readiness.is_ready() && link.completed_at().is_none() {
        onboardings::complete(&mut session.tx, link, session.now).await?;
    }
    Ok(())
}
