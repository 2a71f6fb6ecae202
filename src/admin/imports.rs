//! What a CSV file lists, entered: the one way for the command line and the API.

use serde_json::json;

use super::{Desk, Session};
use crate::domain::lead::NewLead;
use crate::domain::terms::Terms;
use crate::imports::{Counts, ImportError, ImportFile, Plan, plan};
use crate::store::changes::Entering;
use crate::store::{StoreError, Tx, WorkspaceId, leads};

/// What an import did, or would do.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Whether it was entered.
    pub applied: bool,
    /// What became of what the file lists.
    pub counts: Counts,
    /// The changes, for people: `+` new, `~` changed.
    pub lines: Vec<String>,
    /// What was left out, and what will not earn yet.
    pub notes: Vec<String>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// The file contradicts what is known.
    #[error(transparent)]
    File(#[from] ImportError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Imported {
    /// As in the API and on the command line.
    pub fn json(&self, file: &ImportFile) -> serde_json::Value {
        json!({
            "object": "import",
            "applied": self.applied,
            "kind": file.kind.as_str(),
            "format": file.format.as_str(),
            "created": self.counts.created,
            "updated": self.counts.updated,
            "unchanged": self.counts.unchanged,
            "changes": self.lines,
            "ignored_columns": file.ignored_columns,
            "notes": self.notes,
        })
    }
}

/// Enters what a file lists, planned against the terms as they are: all of it or nothing. The same file twice changes
/// nothing. `program` is where partners are enrolled besides the programs of their rows, and the program of customers and
/// codes whose rows name none.
///
/// # Errors
/// [`ImportFailure`].
pub async fn apply(desk: &mut Desk<'_>, file: &ImportFile, program: Option<&str>) -> Result<Imported, ImportFailure> {
    let planned = plan(file, &desk.terms, program)?;
    desk.append(&planned.changes).await?;
    let Session { tx, workspace, author, now, ids, .. } = &mut *desk.session;
    let entering = Entering { workspace: *workspace, author, now: *now, ids };
    let entered = leads::enter(tx, &entering, &leads_of(&planned)).await?;
    let imported = told(planned, true, entered.iter().map(|lead| lead.is_new));
    let Counts { created, updated, unchanged } = imported.counts;
    if created + updated > 0 {
        let what = json!({
            "kind": file.kind.as_str(),
            "format": file.format.as_str(),
            "created": created,
            "updated": updated,
            "unchanged": unchanged,
        });
        desk.session.audit(("import.applied", "import"), file.kind.as_str(), None, Some(what)).await?;
    }
    Ok(imported)
}

/// Tells what [`apply`] would do, and enters nothing.
///
/// # Errors
/// [`ImportFailure`].
pub async fn try_out(
    tx: &mut Tx,
    workspace: WorkspaceId,
    terms: &Terms,
    file: &ImportFile,
    program: Option<&str>,
) -> Result<Imported, ImportFailure> {
    let planned = plan(file, terms, program)?;
    let known = leads::known(tx, workspace, &leads_of(&planned)).await?;
    Ok(told(planned, false, known.into_iter().map(|known| !known)))
}

fn leads_of(planned: &Plan) -> Vec<NewLead> {
    planned.leads.iter().map(|planned| planned.lead.clone()).collect()
}

/// What was planned, with the leads that were new.
fn told(planned: Plan, applied: bool, is_new: impl Iterator<Item = bool>) -> Imported {
    let Plan { leads, mut counts, mut lines, notes, .. } = planned;
    for (lead, is_new) in leads.into_iter().zip(is_new) {
        if is_new {
            counts.created += 1;
            lines.push(lead.line);
        } else {
            counts.unchanged += 1;
        }
    }
    Imported { applied, counts, lines, notes }
}
