//! A program file, or a section of one as JSON, made the terms in force.

use serde_json::{Map, Value};

use super::{Desk, Refused};
use crate::program::json::{self, Fault};
use crate::program::{FileError, Plan, ProgramFile, RepriceClosed, plan};
use crate::store::StoreError;

/// Why a file was not applied.
#[derive(Debug, thiserror::Error)]
pub enum NotApplied {
    /// It refers to what is not there.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies a file, planned against the terms as they are; tells what was entered.
///
/// # Errors
/// [`NotApplied`].
pub async fn apply(desk: &mut Desk<'_>, file: &ProgramFile, reprice: RepriceClosed) -> Result<Plan, NotApplied> {
    let closed_until = desk.closed_until().await?;
    let plan = plan(file, &desk.terms, desk.session.now, closed_until, reprice)?;
    desk.append(&plan.changes).await?;
    Ok(plan)
}

/// Applies one section that came as JSON: `kind` is `workspace`, `program`, `group` or `partner`.
///
/// # Errors
/// [`Refused::Faults`] names every field that cannot be meant.
pub async fn section(
    desk: &mut Desk<'_>,
    kind: &'static str,
    fields: &Map<String, Value>,
    reprice: RepriceClosed,
) -> Result<Plan, Refused> {
    let file = json::section(kind, fields).map_err(Refused::Faults)?;
    apply(desk, &file, reprice).await.map_err(|error| match error {
        NotApplied::File(error) => Refused::Faults(json::faults(kind, error)),
        NotApplied::Store(error @ StoreError::AccountTaken { .. }) => {
            Refused::conflict("account_taken", error.to_string())
        }
        NotApplied::Store(error) => Refused::Store(error),
    })
}

/// What is there, with what is to change: fields that are left out stay as they are, those that are null go.
pub fn merged(current: Value, changes: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = match current {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in changes {
        fields.insert(name.clone(), value.clone());
    }
    fields
}

/// Refuses to enter what is there already.
pub(super) fn must_be_new(is_known: bool, kind: &str, key: &str) -> Result<(), Refused> {
    if is_known {
        let code = "already_exists";
        return Err(Refused::conflict(code, format!("there is a {kind} {key:?} already; update that one")));
    }
    Ok(())
}

/// The one field of a body that says what it is about.
pub(super) fn key_of(fields: &Map<String, Value>) -> Result<&str, Refused> {
    match fields.get("key") {
        Some(Value::String(key)) => Ok(key.trim()),
        _ => Err(Refused::Faults(vec![Fault { field: "key".to_owned(), detail: "expected a text".to_owned() }])),
    }
}
