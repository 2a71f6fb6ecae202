//! What people decide by hand: commissions rejected and restored, payments and customers given to partners.

use super::{Desk, Refused};
use crate::domain::Time;
use crate::domain::terms::{Change, PartnerKey, ProgramKey, Verdict};
use crate::program::valid;
use crate::store::{payments, refs};

/// How long a reason may be, in characters.
const LONGEST_REASON: usize = 2000;

/// Rejects a payment's commission, or restores it; tells the payment's id and main reference.
///
/// # Errors
/// [`Refused`].
pub async fn review(
    desk: &mut Desk<'_>,
    reference: &str,
    verdict: Verdict,
    reason: &str,
) -> Result<(String, String), Refused> {
    let note = prose("reason", reason)?;
    let (workspace, mode) = (desk.session.workspace, desk.session.mode);
    let found = payments::find(&mut desk.session.tx, workspace, mode, reference).await?;
    let payment = found.ok_or_else(|| Refused::Missing(format!("there is no payment {reference:?} in this book")))?;
    let main = payment.reference;
    let change = Change::Review { reference: main.clone(), verdict, note };
    desk.enter(&format!("review/{main}"), change).await?;
    Ok((payment.payment_id, main))
}

/// To whom something is given.
#[derive(Debug, Clone)]
pub struct To {
    /// Who; `None` takes an earlier attribution by hand back.
    pub partner: Option<PartnerKey>,
    /// Under which program; their earliest enrollment when `None`.
    pub program: Option<ProgramKey>,
    /// For payments from then on; for all when `None`.
    pub from: Option<Time>,
}

/// Gives a payment, or all payments of a customer or subscription, to a partner.
///
/// # Errors
/// [`Refused`].
pub async fn attribute(desk: &mut Desk<'_>, reference: &str, to: To) -> Result<(), Refused> {
    let To { partner, program, from } = to;
    if let Some(partner) = &partner
        && !desk.terms.partners.contains_key(partner)
    {
        return Err(Refused::invalid("partner_key", format!("there is no partner {partner:?}")));
    }
    if let Some(program) = &program
        && !desk.terms.programs.contains_key(program)
    {
        return Err(Refused::invalid("program", format!("there is no program {program:?}")));
    }
    let change = Change::Attribution { reference: reference.to_owned(), partner, program, from };
    Ok(desk.enter(&format!("attribution/{reference}"), change).await?)
}

/// The main reference of a payment, under which it is given to somebody.
///
/// # Errors
/// [`Refused::Missing`].
pub async fn payment(desk: &mut Desk<'_>, reference: &str) -> Result<String, Refused> {
    let (workspace, mode) = (desk.session.workspace, desk.session.mode);
    let found = payments::find(&mut desk.session.tx, workspace, mode, reference).await?;
    let missing = || Refused::Missing(format!("there is no payment {reference:?} in this book"));
    Ok(found.ok_or_else(missing)?.reference)
}

/// Checks that a Stripe customer or subscription is known in the session's book.
///
/// # Errors
/// [`Refused::Missing`].
pub async fn customer(desk: &mut Desk<'_>, reference: &str) -> Result<(), Refused> {
    let session = &mut *desk.session;
    let is_one = ["cus_", "sub_"].iter().any(|prefix| reference.starts_with(prefix));
    let owners = refs::owners(&mut session.tx, session.workspace, [(session.mode, reference)]).await?;
    if is_one && !owners.is_empty() {
        return Ok(());
    }
    let expected = "expected a Stripe customer (cus_…) or subscription (sub_…) that an event has named";
    Err(Refused::Missing(format!("there is no customer {reference:?} in this book: {expected}")))
}

/// A text that says something, for people.
pub(super) fn prose(field: &str, text: &str) -> Result<String, Refused> {
    let text = text.trim();
    let is_control = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    if text.is_empty() || text.chars().count() > LONGEST_REASON || text.chars().any(is_control) {
        return Err(Refused::invalid(field, format!("expected 1 to {LONGEST_REASON} characters that say why")));
    }
    Ok(text.to_owned())
}

/// Reads a currency.
pub(super) fn currency(text: &str) -> Result<crate::domain::currency::Currency, Refused> {
    valid::currency(text).map_err(|error| Refused::invalid("currency", error))
}
