//! Partners, and what belongs to them: enrollments, groups, promotion codes.

use serde_json::{Map, Value};

use super::apply::{key_of, merged, must_be_new, section};
use super::{Desk, Refused};
use crate::domain::Time;
use crate::domain::terms::{Change, CodeOwner, Profile, Status};
use crate::program::{RepriceClosed, json, valid};

/// Enters a partner; tells their key.
///
/// # Errors
/// [`Refused`].
pub async fn create(desk: &mut Desk<'_>, fields: &Map<String, Value>) -> Result<String, Refused> {
    let key = key_of(fields)?.to_owned();
    must_be_new(desk.terms.partners.contains_key(&key), "partner", &key)?;
    keeps_others_codes(desk, &key, fields)?;
    section(desk, "partner", fields, RepriceClosed::No).await?;
    Ok(key)
}

/// Changes a partner. Fields that are left out stay as they are.
///
/// # Errors
/// [`Refused`].
pub async fn update(desk: &mut Desk<'_>, key: &str, changes: &Map<String, Value>) -> Result<(), Refused> {
    if changes.contains_key("key") {
        return Err(Refused::invalid("key", "a partner's key never changes: payments name it"));
    }
    keeps_others_codes(desk, key, changes)?;
    let partner = desk.terms.partners.get(key).ok_or_else(|| missing(key))?;
    let fields = merged(json::partner(&desk.terms, key, partner), changes);
    section(desk, "partner", &fields, RepriceClosed::No).await?;
    if changes.get("payout") == Some(&Value::Null) {
        end_payout(desk, key).await?;
    }
    Ok(())
}

/// A file that leaves the method out keeps it; who says null means none.
async fn end_payout(desk: &mut Desk<'_>, key: &str) -> Result<(), Refused> {
    let Some(partner) = desk.terms.partners.get(key).filter(|partner| partner.profile.payout.is_some()) else {
        return Ok(());
    };
    let profile = Profile { payout: None, ..partner.profile.clone() };
    let change = Change::Partner { partner: key.to_owned(), profile };
    Ok(desk.enter(&format!("partner/{key}/profile"), change).await?)
}

/// A code is given to another partner only by saying so at the code itself.
fn keeps_others_codes(desk: &Desk<'_>, key: &str, fields: &Map<String, Value>) -> Result<(), Refused> {
    let listed = fields.get("codes").and_then(Value::as_array).into_iter().flatten();
    for (index, code) in listed.enumerate() {
        let code = code.as_str().or_else(|| code.get("code").and_then(Value::as_str)).unwrap_or_default();
        let owner = desk.terms.codes.get(&code.trim().to_lowercase()).and_then(|dated| dated.latest()?.as_ref());
        if let Some(owner) = owner.filter(|owner| owner.partner != key) {
            return Err(Refused::invalid(
                format!("codes[{index}]"),
                format!("{code:?} is partner {:?}'s: give it to another with POST /v1/codes/{code}", owner.partner),
            ));
        }
    }
    Ok(())
}

/// Lets a partner into a program, or out of it, from a moment on.
///
/// # Errors
/// [`Refused`].
pub async fn enroll(
    desk: &mut Desk<'_>,
    partner: &str,
    program: &str,
    status: Status,
    from: Option<Time>,
) -> Result<(), Refused> {
    let known = desk.terms.partners.get(partner);
    let known = known.ok_or_else(|| Refused::invalid("partner_key", format!("there is no partner {partner:?}")))?;
    must_know_program(desk, program, "program")?;
    let before = known.enrollment(program).and_then(|dated| dated.latest());
    if before == Some(&status) && from.is_none() {
        return Ok(());
    }
    if before.is_none() && status == Status::Inactive {
        return Err(Refused::invalid("status", format!("partner {partner:?} was never in program {program:?}")));
    }
    let change = Change::Enrollment { partner: partner.to_owned(), program: program.to_owned(), status, from };
    Ok(desk.enter(&format!("partner/{partner}/program/{program}"), change).await?)
}

/// Says whose a promotion code is, from a moment on; nobody's without an owner.
///
/// # Errors
/// [`Refused`].
pub async fn give_code(
    desk: &mut Desk<'_>,
    code: &str,
    owner: Option<CodeOwner>,
    from: Option<Time>,
) -> Result<String, Refused> {
    let code = valid::promotion_code(code).map_err(|error| Refused::invalid("code", error))?;
    if let Some(owner) = &owner {
        let partner = desk.terms.partners.get(&owner.partner);
        let partner = partner
            .ok_or_else(|| Refused::invalid("partner_key", format!("there is no partner {:?}", owner.partner)))?;
        if let Some(program) = &owner.program {
            let is_in = partner.enrollment(program).and_then(|dated| dated.latest()) == Some(&Status::Active);
            must_know_program(desk, program, "program")?;
            if !is_in {
                let partner = &owner.partner;
                return Err(Refused::invalid("program", format!("partner {partner:?} is not in program {program:?}")));
            }
        }
    }
    let key = code.to_lowercase();
    let before = desk.terms.codes.get(&key).and_then(|dated| dated.latest()).cloned().flatten();
    if before != owner || from.is_some() {
        desk.enter(&format!("code/{key}"), Change::Code { code, owner, from }).await?;
    }
    Ok(key)
}

/// Names a group.
///
/// # Errors
/// [`Refused`].
pub async fn group(desk: &mut Desk<'_>, fields: &Map<String, Value>) -> Result<String, Refused> {
    let key = key_of(fields)?.to_owned();
    section(desk, "group", fields, RepriceClosed::No).await?;
    Ok(key)
}

fn must_know_program(desk: &Desk<'_>, program: &str, field: &str) -> Result<(), Refused> {
    if desk.terms.programs.contains_key(program) {
        return Ok(());
    }
    Err(Refused::invalid(field, format!("there is no program {program:?}")))
}

fn missing(key: &str) -> Refused {
    Refused::Missing(format!("there is no partner {key:?}"))
}
