//! Leads: e-mails and customer keys that are tied to a partner or a click. There may be millions, which is why they are
//! a table and not part of the log of what people entered.

use std::collections::{BTreeSet, HashMap};

use sqlx::FromRow;

use super::changes::Entering;
use super::rows::Column::{Int, Text};
use super::rows::Rows;
use super::workspaces::{RECORDER, lock};
use super::{Mode, StoreError, Tx, WorkspaceId, from_micros, micros, resettle};
use crate::domain::Time;
pub use crate::domain::lead::NewLead;
use crate::domain::lead::{Lead, LeadBy, LeadTo};
use crate::ids::Ids;
use crate::on;

/// A lead as it is kept.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct StoredLead {
    /// `lead_…`
    pub lead_id: String,
    by: String,
    /// The e-mail in lower case, or the customer key. Personal: it is for whoever may see customers.
    pub value: String,
    /// Whose it is; its click's when `None`.
    pub partner_key: Option<String>,
    /// Under which program, if it says so.
    pub program_key: Option<String>,
    /// The click whose partner, program and window count.
    pub click_id: Option<String>,
    from_at: Option<i64>,
    entered_at: i64,
    /// Who entered it (`cli`, an API key's prefix).
    pub author: String,
}

impl StoredLead {
    /// What [`value`](Self::value) is.
    pub fn by(&self) -> LeadBy {
        LeadBy::parse(&self.by).unwrap_or(LeadBy::CustomerKey)
    }

    /// Counts for payments from then on; for all when `None`.
    pub fn from(&self) -> Option<Time> {
        self.from_at.map(from_micros)
    }

    /// When it was entered.
    pub fn entered(&self) -> Time {
        from_micros(self.entered_at)
    }

    /// As deciding reads it.
    fn lead(self) -> Lead {
        let (from, entered_at) = (self.from(), self.entered());
        let to = match (self.click_id, self.partner_key) {
            (Some(click), _) => LeadTo::Click(click),
            (None, partner) => LeadTo::Partner { partner: partner.unwrap_or_default(), program: self.program_key },
        };
        Lead { to, from, entered_at }
    }
}

/// A log of the program may show it: without what is personal.
impl std::fmt::Debug for StoredLead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredLead")
            .field("lead_id", &self.lead_id)
            .field("by", &self.by)
            .field("partner_key", &self.partner_key)
            .field("program_key", &self.program_key)
            .field("click_id", &self.click_id)
            .finish_non_exhaustive()
    }
}

/// What became of a lead that was to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnteredLead {
    /// `lead_…`: its own, or that of the same lead entered before.
    pub lead_id: String,
    /// Whether it was new.
    pub is_new: bool,
}

/// Enters leads and has the customers settled again whom they may credit to somebody. The same lead entered twice is
/// one. Answers in the order of `leads`.
///
/// Takes the recorder's lock until the transaction ends: nobody records meanwhile, or a customer who just shows an
/// e-mail that is just becoming known would be missed.
pub async fn enter(tx: &mut Tx, entering: &Entering<'_>, leads: &[NewLead]) -> Result<Vec<EnteredLead>, StoreError> {
    if leads.is_empty() {
        return Ok(Vec::new());
    }
    lock(tx, entering.workspace, RECORDER).await?;
    let keys: Vec<String> = leads.iter().map(natural_key).collect();
    // Whoever enters leads holds the lock: those that are known now are all that will be.
    let known = lead_ids(tx, entering.workspace, &keys).await?;
    let unknown = leads.iter().zip(&keys).filter(|(_, key)| !known.contains_key(*key));
    let new = insert(tx, entering, unknown).await?;
    let clues: BTreeSet<String> = leads
        .iter()
        .zip(&keys)
        .filter(|(_, key)| new.contains_key(*key))
        .map(|(lead, _)| lead.by.clue(&lead.by.normal(&lead.value)))
        .collect();
    let asked = clues.iter().flat_map(|clue| Mode::ALL.map(|mode| (mode, clue.as_str()))).collect();
    resettle::wake_found(tx, entering.workspace, asked, entering.ids, entering.now).await?;
    let mut told = BTreeSet::new();
    let entered = keys.iter().map(|key| match (new.get(key), known.get(key)) {
        (Some(id), _) => Ok(EnteredLead { lead_id: id.clone(), is_new: told.insert(key) }),
        (None, Some(id)) => Ok(EnteredLead { lead_id: id.clone(), is_new: false }),
        (None, None) => Err(StoreError::Conflict),
    });
    entered.collect()
}

/// Tells which of the leads are known already, without entering any.
pub async fn known(tx: &mut Tx, workspace: WorkspaceId, leads: &[NewLead]) -> Result<Vec<bool>, StoreError> {
    let keys: Vec<String> = leads.iter().map(natural_key).collect();
    let known = lead_ids(tx, workspace, &keys).await?;
    Ok(keys.iter().map(|key| known.contains_key(key)).collect())
}

/// What makes two leads the same. A text of its own, because a key with an empty column is equal to no other in SQL.
fn natural_key(lead: &NewLead) -> String {
    let (partner, program, click) = columns(&lead.to);
    let value = lead.by.normal(&lead.value);
    serde_json::json!([lead.by.as_str(), value, partner, program, click, lead.from.map(micros)]).to_string()
}

fn columns(to: &LeadTo) -> (Option<&str>, Option<&str>, Option<&str>) {
    match to {
        LeadTo::Partner { partner, program } => (Some(partner), program.as_deref(), None),
        LeadTo::Click(id) => (None, None, Some(id)),
    }
}

/// The ids of those that were new, by natural key.
async fn insert<'a>(
    tx: &mut Tx,
    entering: &Entering<'_>,
    leads: impl Iterator<Item = (&'a NewLead, &'a String)>,
) -> Result<HashMap<String, String>, StoreError> {
    let mut rows = Rows::new(&[
        ("lead_id", Text),
        ("natural_key", Text),
        ("by", Text),
        ("value", Text),
        ("partner_key", Text),
        ("program_key", Text),
        ("click_id", Text),
        ("from_at", Int),
    ]);
    for (lead, key) in leads {
        let (partner, program, click) = columns(&lead.to);
        rows.push([
            entering.ids.next("lead").into(),
            key.into(),
            lead.by.as_str().into(),
            lead.by.normal(&lead.value).into(),
            partner.into(),
            program.into(),
            click.into(),
            lead.from.map(micros).into(),
        ]);
    }
    let text = "INSERT INTO leads (workspace_id, lead_id, natural_key, by, value, partner_key, program_key, click_id,
                                   from_at, entered_at, author)
                SELECT $1, lead_id, natural_key, by, value, partner_key, program_key, click_id, from_at, $2, $3
                FROM v
                WHERE TRUE
                ON CONFLICT (workspace_id, natural_key) DO NOTHING
                RETURNING natural_key, lead_id";
    let args = [entering.workspace.0.into(), micros(entering.now).into(), entering.author.into()];
    let new: Vec<(String, String)> = rows.fetch(tx, text, &args).await?;
    Ok(new.into_iter().collect())
}

async fn lead_ids(
    tx: &mut Tx,
    workspace: WorkspaceId,
    keys: impl IntoIterator<Item = &String>,
) -> Result<HashMap<String, String>, StoreError> {
    let text = "SELECT l.natural_key, l.lead_id
                FROM leads l
                WHERE l.workspace_id = $1 AND l.natural_key $in(natural_key)";
    let rows = Rows::texts(&[("natural_key", Text)], keys.into_iter().map(String::as_str));
    let known: Vec<(String, String)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(known.into_iter().collect())
}

/// Leads by what they are known by, as they are kept.
pub async fn stored(
    tx: &mut Tx,
    workspace: WorkspaceId,
    asked: &BTreeSet<(LeadBy, String)>,
) -> Result<Vec<StoredLead>, StoreError> {
    let mut all = Vec::new();
    for by in LeadBy::ALL {
        let values: Vec<&str> =
            asked.iter().filter(|(known_by, _)| *known_by == by).map(|(_, value)| value.as_str()).collect();
        let text = "SELECT l.*
                    FROM leads l
                    WHERE l.workspace_id = $1 AND l.by = $2 AND l.value $in(value)";
        let rows = Rows::texts(&[("value", Text)], values);
        all.extend(rows.fetch::<StoredLead>(tx, text, &[workspace.0.into(), by.as_str().into()]).await?);
    }
    all.sort_unstable_by(|a, b| a.lead_id.cmp(&b.lead_id));
    Ok(all)
}

/// Leads by what they are known by, in order of entry; where there are none, there is no key.
pub async fn of(
    tx: &mut Tx,
    workspace: WorkspaceId,
    asked: &BTreeSet<(LeadBy, String)>,
) -> Result<HashMap<(LeadBy, String), Vec<Lead>>, StoreError> {
    let mut found: HashMap<(LeadBy, String), Vec<StoredLead>> = HashMap::new();
    for by in LeadBy::ALL {
        let values = asked.iter().filter(|(known_by, _)| *known_by == by).map(|(_, value)| value.as_str());
        let text = "SELECT l.*
                    FROM leads l
                    WHERE l.workspace_id = $1 AND l.by = $2 AND l.value $in(value)";
        let rows = Rows::texts(&[("value", Text)], values);
        let stored: Vec<StoredLead> = rows.fetch(tx, text, &[workspace.0.into(), by.as_str().into()]).await?;
        for lead in stored {
            found.entry((by, lead.value.clone())).or_default().push(lead);
        }
    }
    let in_order = |mut leads: Vec<StoredLead>| {
        leads.sort_unstable_by(|a, b| (a.entered_at, &a.lead_id).cmp(&(b.entered_at, &b.lead_id)));
        leads.into_iter().map(StoredLead::lead).collect()
    };
    Ok(found.into_iter().map(|(key, leads)| (key, in_order(leads))).collect())
}

/// Has the leads that are known by a value known by another one. `stays`: somebody else is known by it, so that both
/// find them. Tells how many there were.
pub async fn rename(
    tx: &mut Tx,
    (workspace, ids): (WorkspaceId, &Ids),
    by: LeadBy,
    (from, into): (&str, &str),
    stays: bool,
) -> Result<usize, StoreError> {
    let text = "SELECT l.*
                FROM leads l
                WHERE l.workspace_id = $1 AND l.by = $2 AND l.value $in(value)";
    let rows = Rows::texts(&[("value", Text)], [from]);
    let found: Vec<StoredLead> = rows.fetch(tx, text, &[workspace.0.into(), by.as_str().into()]).await?;
    for lead in &found {
        if !stays {
            on!(tx, conn => {
                sqlx::query("DELETE FROM leads WHERE workspace_id = $1 AND lead_id = $2")
                    .bind(workspace.0)
                    .bind(&lead.lead_id)
                    .execute(conn)
                    .await?;
            });
        }
        let id = if stays { ids.next("lead") } else { lead.lead_id.clone() };
        let to = (lead.partner_key.as_deref(), lead.program_key.as_deref(), lead.click_id.as_deref());
        let key = serde_json::json!([by.as_str(), into, to.0, to.1, to.2, lead.from_at]).to_string();
        on!(tx, conn => {
            sqlx::query(
                "INSERT INTO leads (workspace_id, lead_id, natural_key, by, value, partner_key, program_key, click_id,
                                    from_at, entered_at, author)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                 ON CONFLICT (workspace_id, natural_key) DO NOTHING",
            )
            .bind(workspace.0)
            .bind(id)
            .bind(key)
            .bind(by.as_str())
            .bind(into)
            .bind(to.0)
            .bind(to.1)
            .bind(to.2)
            .bind(lead.from_at)
            .bind(lead.entered_at)
            .bind(&lead.author)
            .execute(conn)
            .await?;
        });
    }
    Ok(found.len())
}

/// The clues by which those customers are found whose leads wait for one of these clicks.
pub async fn clues_waiting_for_clicks(
    tx: &mut Tx,
    workspace: WorkspaceId,
    clicks: &[String],
) -> Result<BTreeSet<String>, StoreError> {
    let text = "SELECT l.by, l.value
                FROM leads l
                WHERE l.workspace_id = $1 AND l.click_id $in(click_id)";
    let rows = Rows::texts(&[("click_id", Text)], clicks.iter().map(String::as_str));
    let found: Vec<(String, String)> = rows.fetch(tx, text, &[workspace.0.into()]).await?;
    Ok(found.into_iter().filter_map(|(by, value)| Some(LeadBy::parse(&by)?.clue(&value))).collect())
}

/// One lead.
pub async fn find(tx: &mut Tx, workspace: WorkspaceId, lead_id: &str) -> Result<Option<StoredLead>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as("SELECT * FROM leads WHERE workspace_id = $1 AND lead_id = $2")
            .bind(workspace.0)
            .bind(lead_id)
            .fetch_optional(conn)
            .await?
    }))
}

/// Which leads a page shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only those that name this partner themselves, not by a click.
    pub partner: Option<&'a str>,
    /// Only those known by this.
    pub by: Option<LeadBy>,
}

/// A page of leads, the newest first, behind `before`.
pub async fn page(
    tx: &mut Tx,
    workspace: WorkspaceId,
    filter: Filter<'_>,
    before: Option<&str>,
    limit: i64,
) -> Result<Vec<StoredLead>, StoreError> {
    let text = match filter.partner {
        None => {
            "SELECT * FROM leads
             WHERE workspace_id = $1 AND lead_id < $2 AND ($4 = '' OR by = $4)
             ORDER BY lead_id DESC
             LIMIT $3"
        }
        Some(_) => {
            "SELECT * FROM leads
             WHERE workspace_id = $1 AND lead_id < $2 AND ($4 = '' OR by = $4) AND partner_key = $5
             ORDER BY lead_id DESC
             LIMIT $3"
        }
    };
    Ok(on!(tx, conn => {
        let query = sqlx::query_as(text)
            .bind(workspace.0)
            // Behind every id.
            .bind(before.unwrap_or("lead_~"))
            .bind(limit)
            .bind(filter.by.map_or("", LeadBy::as_str));
        match filter.partner {
            None => query.fetch_all(conn).await?,
            Some(partner) => query.bind(partner).fetch_all(conn).await?,
        }
    }))
}
