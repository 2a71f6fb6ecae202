//! The append-only log of what people entered, and the terms folded from it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use super::audit::{self, Act, By};
use super::resettle::Whom;
use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::workspaces::{CHANGES, RECORDER, lock, name_account, used};
use super::{StoreError, Tx, WorkspaceId, customers, erasures, from_micros, lookups, micros, refs, resettle};
use crate::domain::Time;
use crate::domain::evidence::{Wakes, wakes};
use crate::domain::terms::{Change, Entered, Terms};
use crate::ids::Ids;
use crate::on;

/// A change, and the key that makes entering it twice the same as once.
pub type Keyed = (String, Change);

/// Who enters something, when.
#[derive(Debug)]
pub struct Entering<'a> {
    /// Into whose log.
    pub workspace: WorkspaceId,
    /// `cli`, an API key's prefix.
    pub author: &'a str,
    /// When.
    pub now: Time,
    /// For the jobs that changes make.
    pub ids: &'a Ids,
}

impl Entering<'_> {
    /// The same, for the audit log.
    pub fn by(&self) -> By<'_> {
        By { workspace: self.workspace, author: self.author, now: self.now, ids: self.ids }
    }
}

/// Takes the log's lock until the transaction ends and gives the terms as they are: what a change is checked against.
pub async fn terms_for_change(tx: &mut Tx, workspace: WorkspaceId) -> Result<Terms, StoreError> {
    hold(tx, workspace).await?;
    folded(tx, workspace).await
}

/// Takes the log's lock until the transaction ends.
pub async fn hold(tx: &mut Tx, workspace: WorkspaceId) -> Result<(), StoreError> {
    lock(tx, workspace, CHANGES).await.map(drop)
}

/// Appends changes to the log and has the customers settled again whose answers they may alter. A change whose natural
/// key is in the log already is left out. `terms` are those of [`terms_for_change`] in the same transaction, and contain
/// the changes afterwards. Tells how many were appended.
pub async fn append(
    tx: &mut Tx,
    entering: &Entering<'_>,
    terms: &mut Terms,
    changes: &[Keyed],
) -> Result<usize, StoreError> {
    let known = known_keys(tx, entering.workspace, changes).await?;
    let before = terms.current_settings().account;
    let mut rows = Rows::new(&[("seq", Int), ("natural_key", Text), ("body", Text)]);
    let mut woken = Woken::default();
    let mut taken = known;
    let mut acts = Vec::new();
    for (key, change) in changes {
        if !taken.insert(key.clone()) {
            continue;
        }
        let change = with_stripes_reference(tx, entering.workspace, change.clone()).await?;
        woken.add(wakes(&change, terms));
        let body = serde_json::to_string(&change).map_err(|error| StoreError::Unreadable {
            what: "the change",
            key: key.clone(),
            why: error.to_string(),
        })?;
        let seq = terms.seq + 1;
        rows.push([seq.into(), key.into(), body.into()]);
        let (subject, before) = (change.subject(), terms.state_of(&change));
        terms.enter(Entered { seq, at: entering.now, author: entering.author.to_owned(), change: change.clone() });
        let after = terms.state_of(&change);
        acts.push(Act { action: subject.action, object: subject.object, object_id: subject.id, before, after });
    }
    if rows.is_empty() {
        return Ok(0);
    }
    let version = lock(tx, entering.workspace, CHANGES).await?;
    used(tx, entering.workspace, CHANGES, version).await?;
    let text = "INSERT INTO changes (workspace_id, seq, entered_at, author, natural_key, body)
                SELECT $1, seq, $2, $3, natural_key, body
                FROM v";
    let args = [entering.workspace.0.into(), micros(entering.now).into(), entering.author.into()];
    rows.execute(tx, text, &args).await?;
    audit::append(tx, entering.by(), &acts).await?;
    let account = terms.current_settings().account;
    if account != before {
        name_account(tx, entering.workspace, account.as_deref()).await?;
    }
    woken.wake(tx, entering).await?;
    Ok(rows.len())
}

/// The terms as the whole log says.
async fn folded(tx: &mut Tx, workspace: WorkspaceId) -> Result<Terms, StoreError> {
    let mut terms = Terms::from_log(since(tx, workspace, 0).await?);
    if terms.has_erasures {
        terms.pseudonyms = erasures::pseudonyms(tx, workspace).await?;
    }
    Ok(terms)
}

/// The log after `seq`, in order.
pub async fn since(tx: &mut Tx, workspace: WorkspaceId, seq: i64) -> Result<Vec<Entered>, StoreError> {
    let rows: Vec<(i64, i64, String, String)> = on!(tx, conn => {
        sqlx::query_as(
            "SELECT seq, entered_at, author, body FROM changes
             WHERE workspace_id = $1 AND seq > $2
             ORDER BY seq",
        )
        .bind(workspace.0)
        .bind(seq)
        .fetch_all(conn)
        .await?
    });
    rows.into_iter()
        .map(|(seq, at, author, body)| {
            let change = serde_json::from_str(&body).map_err(|error| StoreError::Unreadable {
                what: "change number",
                key: seq.to_string(),
                why: error.to_string(),
            })?;
            Ok(Entered { seq, at: from_micros(at), author, change })
        })
        .collect()
}

/// The terms of every workspace, kept in memory and brought up to date by the tail of the log.
#[derive(Debug, Clone, Default)]
pub struct TermsCache(Arc<Mutex<HashMap<WorkspaceId, Arc<Terms>>>>);

impl TermsCache {
    /// The terms as the transaction sees them. Not for a transaction that itself appends changes: what it sees may yet
    /// be undone.
    pub async fn get(&self, tx: &mut Tx, workspace: WorkspaceId) -> Result<Arc<Terms>, StoreError> {
        let mut terms = self.locked().get(&workspace).cloned().unwrap_or_default();
        let tail = since(tx, workspace, terms.seq).await?;
        if tail.is_empty() {
            return Ok(terms);
        }
        if tail.iter().any(|entered| matches!(entered.change, Change::Erasure { .. })) {
            // What was known before it is no longer what the log says.
            terms = Arc::new(folded(tx, workspace).await?);
        } else {
            let newer = Arc::make_mut(&mut terms);
            for entered in tail {
                newer.enter(entered);
            }
        }
        let mut cache = self.locked();
        let kept = cache.entry(workspace).or_default();
        if kept.seq < terms.seq {
            *kept = terms.clone();
        }
        Ok(terms)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<WorkspaceId, Arc<Terms>>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn known_keys(tx: &mut Tx, workspace: WorkspaceId, changes: &[Keyed]) -> Result<BTreeSet<String>, StoreError> {
    let text = "SELECT c.natural_key
                FROM changes c
                WHERE c.workspace_id = $1 AND c.natural_key $in(natural_key)";
    let rows = Rows::texts(&[("natural_key", Text)], changes.iter().map(|(key, _)| key.as_str()));
    let known: Vec<(String,)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(known.into_iter().map(|(key,)| key).collect())
}

/// Deciding knows payments by Stripe's ids: a `pay_…` is entered as the payment's main reference.
async fn with_stripes_reference(tx: &mut Tx, workspace: WorkspaceId, mut change: Change) -> Result<Change, StoreError> {
    if let Change::Attribution { reference, .. } | Change::Review { reference, .. } = &mut change
        && reference.starts_with("pay_")
    {
        let known: Option<String> = on!(tx, conn => {
            sqlx::query_scalar("SELECT ref FROM payments WHERE workspace_id = $1 AND payment_id = $2")
                .bind(workspace.0)
                .bind(&*reference)
                .fetch_optional(conn)
                .await?
        });
        if let Some(known) = known {
            *reference = known;
        }
    }
    Ok(change)
}

/// Whom the changes of one append wake, each once.
#[derive(Default)]
struct Woken {
    everyone: bool,
    anew: bool,
    clues: BTreeSet<String>,
    references: BTreeSet<String>,
}

impl Woken {
    fn add(&mut self, wakes: Wakes) {
        match wakes {
            Wakes::Nobody => {}
            Wakes::Clues(clues) => self.clues.extend(clues),
            Wakes::Reference(reference) => {
                self.references.insert(reference);
            }
            Wakes::Everyone => self.everyone = true,
            Wakes::EveryoneAnew => self.anew = true,
        }
    }

    async fn wake(self, tx: &mut Tx, entering: &Entering<'_>) -> Result<(), StoreError> {
        let workspace = entering.workspace;
        let whom = if self.anew {
            vec![Whom::EveryoneAnew]
        } else if self.everyone {
            vec![Whom::Everyone]
        } else {
            let mut whom: Vec<Whom> = self.clues.iter().map(|clue| Whom::Clue(None, clue.clone())).collect();
            whom.extend(promotion_ids(tx, workspace, &self.clues).await?);
            whom
        };
        resettle::add_once(tx, workspace, &whom, entering.ids, entering.now).await?;
        if self.references.is_empty() || self.anew || self.everyone {
            return Ok(());
        }
        // Nobody records meanwhile, or a reference that is just becoming known would be missed.
        lock(tx, workspace, RECORDER).await?;
        let asked =
            self.references.iter().flat_map(|reference| super::Mode::ALL.map(|mode| (mode, reference.as_str())));
        let owners = refs::owners(tx, workspace, asked).await?;
        let owners: BTreeSet<&str> = owners.iter().map(|(_, owner)| owner.as_str()).collect();
        let owners: Vec<&str> = owners.into_iter().collect();
        customers::lock(tx, workspace, &owners).await?;
        customers::touch(tx, workspace, &owners, entering.now).await
    }
}

/// Customers with a promotion code's id are found by the id, whereas people enter its text.
async fn promotion_ids(tx: &mut Tx, workspace: WorkspaceId, clues: &BTreeSet<String>) -> Result<Vec<Whom>, StoreError> {
    if !clues.iter().any(|clue| clue.starts_with("promotion_code:")) {
        return Ok(Vec::new());
    }
    let codes = lookups::promotion_codes(tx, workspace).await?;
    Ok(codes
        .into_iter()
        .filter(|(_, _, text)| clues.contains(&format!("promotion_code:{}", text.trim().to_lowercase())))
        .map(|(mode, id, _)| Whom::Clue(Some(mode), format!("promotion_code:{}", id.to_lowercase())))
        .collect())
}
