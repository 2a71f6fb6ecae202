//! Entering what a CSV file lists: the one way for the command line and the API.

use super::Ledger;
use crate::domain::lead::NewLead;
use crate::imports::{Counts, ImportError, ImportFile, Plan, plan};
use crate::store::changes::{self, Entering};
use crate::store::{StoreError, Urgency, WorkspaceId, leads};

/// How a file is to be entered.
#[derive(Debug, Clone, Copy)]
pub struct Importing<'a> {
    /// Into which workspace.
    pub workspace: WorkspaceId,
    /// `cli`, an API key's prefix.
    pub author: &'a str,
    /// Where partners are enrolled besides the programs of their rows; the program of customers and codes whose rows
    /// name none.
    pub program: Option<&'a str>,
    /// Only tell what would be entered.
    pub dry_run: bool,
}

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
        serde_json::json!({
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

impl Ledger {
    /// Enters what a file lists, in one transaction and planned against the terms as they are at that moment: all of it
    /// or nothing. The same file twice changes nothing.
    pub async fn import(&self, file: &ImportFile, importing: &Importing<'_>) -> Result<Imported, ImportFailure> {
        if importing.dry_run {
            return self.try_import(file, importing).await;
        }
        let mut tx = self.db.write(Urgency::Now).await?;
        let mut terms = changes::terms_for_change(&mut tx, importing.workspace).await?;
        let planned = plan(file, &terms, importing.program)?;
        let Importing { workspace, author, .. } = *importing;
        let entering = Entering { workspace, author, now: self.clock.now(), ids: &self.ids };
        changes::append(&mut tx, &entering, &mut terms, &planned.changes).await?;
        let entered = leads::enter(&mut tx, &entering, &leads_of(&planned)).await?;
        tx.commit().await?;
        Ok(told(planned, true, entered.iter().map(|lead| lead.is_new)))
    }

    async fn try_import(&self, file: &ImportFile, importing: &Importing<'_>) -> Result<Imported, ImportFailure> {
        let mut tx = self.db.read().await?;
        let terms = self.db.terms(&mut tx, importing.workspace).await?;
        let planned = plan(file, &terms, importing.program)?;
        let known = leads::known(&mut tx, importing.workspace, &leads_of(&planned)).await?;
        tx.rollback().await?;
        Ok(told(planned, false, known.into_iter().map(|known| !known)))
    }
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
