//! What links, clicks and leads have in common: they name a partner, and perhaps a program.

use super::Refused;
use crate::domain::mask::mask;
use crate::domain::terms::{PartnerKey, ProgramKey, Status, Terms};
use crate::program::valid;
use crate::store::links::{self, Link};
use crate::store::{StoreError, Tx, WorkspaceId};

/// Whom evidence names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Who.
    pub partner: PartnerKey,
    /// Under which program, if it says so.
    pub program: Option<ProgramKey>,
}

/// A partner that there is.
///
/// # Errors
/// [`Refused::Invalid`] for `partner_key`.
pub fn partner(terms: &Terms, key: &str) -> Result<PartnerKey, Refused> {
    let key = valid::text(key, "a partner's key").map_err(|why| Refused::invalid("partner_key", why))?;
    if terms.partners.contains_key(&key) {
        return Ok(key);
    }
    Err(Refused::invalid("partner_key", format!("there is no partner {:?}", impersonal(&key))))
}

/// A program that there is.
///
/// # Errors
/// [`Refused::Invalid`] for `program`.
pub fn program(terms: &Terms, key: Option<&str>) -> Result<Option<ProgramKey>, Refused> {
    let Some(key) = key else { return Ok(None) };
    let key = valid::text(key, "a program's key").map_err(|why| Refused::invalid("program", why))?;
    if terms.programs.contains_key(&key) {
        return Ok(Some(key));
    }
    Err(Refused::invalid("program", format!("there is no program {:?}", impersonal(&key))))
}

/// Whom an active link names; `program` is what is asked for instead of the link's own.
///
/// # Errors
/// [`Refused::Invalid`] for `link` or `program`, or the database's.
pub async fn of_link(
    tx: &mut Tx,
    workspace: WorkspaceId,
    terms: &Terms,
    link: &str,
    asked: Option<&str>,
) -> Result<Named, Refused> {
    let found = active_link(tx, workspace, link).await?;
    let found =
        found.ok_or_else(|| Refused::invalid("link", format!("there is no active link {:?}", impersonal(link))))?;
    Ok(Named { partner: found.partner, program: program(terms, asked)?.or(found.program) })
}

/// A link that leads somewhere.
///
/// # Errors
/// The database's.
pub async fn active_link(tx: &mut Tx, workspace: WorkspaceId, link: &str) -> Result<Option<Link>, StoreError> {
    Ok(links::find(tx, workspace, link).await?.filter(|link| link.status == Status::Active))
}

/// A value that people may have mistaken for another field: an e-mail among keys is not repeated.
pub fn impersonal(value: &str) -> String {
    if value.contains('@') { mask(value) } else { value.to_owned() }
}
