//! Programs and their immutable versions.

use serde_json::{Map, Value};

use super::apply::{key_of, merged, must_be_new, section};
use super::{Desk, Refused};
use crate::domain::terms::{Change, Program, Status, Terms, Version};
use crate::program::{RepriceClosed, json};

/// Makes a program with its first version; tells its key.
///
/// # Errors
/// [`Refused`].
pub async fn create(desk: &mut Desk<'_>, fields: &Map<String, Value>) -> Result<String, Refused> {
    let key = key_of(fields)?.to_owned();
    must_be_new(desk.terms.programs.contains_key(&key), "program", &key)?;
    section(desk, "program", fields, RepriceClosed::No).await?;
    Ok(key)
}

/// Publishes a program's next version. Settings that are left out stay as they are in the latest; where nothing
/// changes, nothing is published. Tells the number of the latest version.
///
/// # Errors
/// [`Refused`].
pub async fn publish(
    desk: &mut Desk<'_>,
    key: &str,
    changes: &Map<String, Value>,
    reprice: RepriceClosed,
) -> Result<u32, Refused> {
    let (_, latest) = known(desk, key)?;
    let fields = draft(&desk.terms, key, latest, changes);
    section(desk, "program", &fields, reprice).await?;
    let (_, latest) = known(desk, key)?;
    Ok(latest.number)
}

/// The latest version with changes to it, as the reader takes it.
pub fn draft(terms: &Terms, key: &str, latest: &Version, changes: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = merged(json::terms(&latest.terms), changes);
    let name = terms.programs.get(key).map(|program| program.name.clone());
    fields.insert("key".to_owned(), key.into());
    fields.insert("name".to_owned(), name.into());
    fields
}

/// Renames a program, archives it or takes it up again.
///
/// # Errors
/// [`Refused`].
pub async fn update(
    desk: &mut Desk<'_>,
    key: &str,
    name: Option<String>,
    status: Option<Status>,
) -> Result<(), Refused> {
    let (program, _) = known(desk, key)?;
    let (old_name, old_status) = (program.name.clone(), program.status.latest().copied().unwrap_or_default());
    if let Some(name) = name {
        let name = crate::program::valid::text(&name, "a name").map_err(|error| Refused::invalid("name", error))?;
        if name != old_name {
            let change = Change::ProgramName { program: key.to_owned(), name };
            desk.enter(&format!("program/{key}/name"), change).await?;
        }
    }
    if let Some(status) = status.filter(|status| *status != old_status) {
        let change = Change::ProgramStatus { program: key.to_owned(), status, from: None };
        desk.enter(&format!("program/{key}/status"), change).await?;
    }
    Ok(())
}

/// A program and its latest version.
///
/// # Errors
/// [`Refused::Missing`].
pub fn known<'a>(desk: &'a Desk<'_>, key: &str) -> Result<(&'a Program, &'a Version), Refused> {
    let program = desk.terms.programs.get(key);
    let both = program.and_then(|program| Some((program, program.latest()?)));
    both.ok_or_else(|| Refused::Missing(format!("there is no program {key:?}")))
}
