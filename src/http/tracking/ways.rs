//! What links and partner keys lead to, remembered for a moment: visitors come often, and none of them shows a key.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use url::Url;

use super::super::{App, Problem};
use crate::admin::{Refused, evidence};
use crate::domain::Time;
use crate::domain::terms::{PartnerKey, ProgramKey, ProgramTerms, Terms};
use crate::store::{StoreError, WorkspaceId, workspaces};

/// For so long what was looked up is taken for true: a change counts that soon.
const KNOWN_FOR: Duration = Duration::from_secs(2);
/// How long the database may think about something that was known before.
const SHORT_PATIENCE: Duration = Duration::from_millis(250);
/// And about something new.
const PATIENCE: Duration = Duration::from_secs(3);
/// So many ways are remembered at most.
const MOST_KNOWN: usize = 10_000;

/// What evidence is told by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::http) enum By {
    /// What a link's address ends with.
    Link(String),
    /// A partner's key.
    Partner(String),
}

/// Whom a link or partner key names, and where it leads.
#[derive(Debug)]
pub(in crate::http) struct Way {
    /// Whose.
    pub workspace: WorkspaceId,
    /// Who is named.
    pub partner: PartnerKey,
    /// Under which program, where it is said.
    pub program: Option<ProgramKey>,
    /// The link, `lnk_…`, where it is told by one.
    pub link_id: Option<String>,
    /// A link's target.
    pub target: Option<Url>,
    /// Whether the partner earns now.
    pub earns: bool,
    /// For how many days a click counts.
    pub window_days: u32,
    since: Instant,
}

/// Why there is no way.
pub(in crate::http) enum Lost {
    /// What it is told by is not there.
    Unknown(Refused),
    /// The database does not answer, or not in time.
    Silent,
}

impl From<Lost> for Problem {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unknown(refused) => refused.into(),
            Lost::Silent => Self::unavailable("database_unavailable", "the database does not answer; try again"),
        }
    }
}

/// Ways that were looked up lately.
#[derive(Clone, Default)]
pub(in crate::http) struct Ways {
    ways: Remembered<(WorkspaceId, By, Option<String>), Arc<Way>>,
    /// Workspaces by their keys. A workspace is never renamed.
    workspaces: Remembered<String, WorkspaceId>,
}

type Remembered<K, V> = Arc<RwLock<HashMap<K, V>>>;

fn recall<K: Eq + Hash, V: Clone>(memory: &Remembered<K, V>, key: &K) -> Option<V> {
    memory.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

fn remember<K: Eq + Hash, V>(memory: &Remembered<K, V>, key: K, value: V) {
    let mut memory = memory.write().unwrap_or_else(PoisonError::into_inner);
    if memory.len() >= MOST_KNOWN {
        memory.clear();
    }
    memory.insert(key, value);
}

impl Ways {
    /// The workspace of that key.
    pub(in crate::http) async fn workspace(&self, app: &App, key: &str) -> Result<WorkspaceId, Lost> {
        let key = key.to_owned();
        if let Some(known) = recall(&self.workspaces, &key) {
            return Ok(known);
        }
        let find = async {
            let mut tx = app.db.read().await?;
            workspaces::find(&mut tx, &key).await
        };
        match tokio::time::timeout(PATIENCE, find).await {
            Ok(Ok(Some(found))) => {
                remember(&self.workspaces, key, found);
                Ok(found)
            }
            Ok(Ok(None)) => Err(Lost::Unknown(Refused::Missing("there is no such workspace".to_owned()))),
            Ok(Err(error)) => Err(silent(&error)),
            Err(_) => Err(Lost::Silent),
        }
    }

    /// Whom evidence of a workspace names; `program` is what is asked for instead of a link's own.
    pub(in crate::http) async fn find(
        &self,
        app: &App,
        workspace: WorkspaceId,
        by: By,
        program: Option<&str>,
    ) -> Result<Arc<Way>, Lost> {
        let key = (workspace, by, program.map(ToOwned::to_owned));
        let known = recall(&self.ways, &key);
        if let Some(known) = known.as_ref().filter(|known| known.since.elapsed() < KNOWN_FOR) {
            return Ok(known.clone());
        }
        let patience = if known.is_some() { SHORT_PATIENCE } else { PATIENCE };
        let found = tokio::time::timeout(patience, look_up(app, workspace, &key.1, program)).await;
        match found {
            Ok(Ok(found)) => {
                let found = Arc::new(found);
                remember(&self.ways, key, found.clone());
                Ok(found)
            }
            // What is known of it stays true while the database does not answer.
            Ok(Err(Refused::Store(error))) => known.ok_or_else(|| silent(&error)),
            Err(_) => known.ok_or(Lost::Silent),
            Ok(Err(refused)) => {
                self.ways.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
                Err(Lost::Unknown(refused))
            }
        }
    }
}

fn silent(error: &StoreError) -> Lost {
    tracing::error!(%error, "a link could not be looked up");
    Lost::Silent
}

async fn look_up(app: &App, workspace: WorkspaceId, by: &By, program: Option<&str>) -> Result<Way, Refused> {
    let mut tx = app.db.read().await?;
    let terms = app.db.terms(&mut tx, workspace).await?;
    let asked = evidence::program(&terms, program)?;
    let (partner, program, link_id, target) = match by {
        By::Partner(key) => (evidence::partner(&terms, key)?, asked, None, None),
        By::Link(link) => {
            let unknown = || {
                let link = evidence::impersonal(link);
                Refused::invalid("link", format!("there is no active link {link:?}"))
            };
            let link = evidence::active_link(&mut tx, workspace, link).await?.ok_or_else(unknown)?;
            (link.partner, asked.or(link.program), Some(link.link_id), Url::parse(&link.target).ok())
        }
    };
    tx.rollback().await?;
    let now = app.clock.now();
    let earns = terms.partners.get(&partner).is_some_and(|partner| partner.is_active(now));
    let window_days = window_days(&terms, &partner, program.as_deref(), now);
    Ok(Way { workspace, partner, program, link_id, target, earns, window_days, since: Instant::now() })
}

/// For how many days a click of the partner's counts, under the program or their earliest.
fn window_days(terms: &Terms, partner: &str, program: Option<&str>, now: Time) -> u32 {
    let earliest = || terms.partners.get(partner)?.enrollments.first().map(|(key, _)| key.as_str());
    let program = program.or_else(earliest).and_then(|key| terms.programs.get(key));
    let version = program.and_then(|program| program.version_at(now));
    version.map_or(ProgramTerms::default().attribution_window_days, |version| version.terms.attribution_window_days)
}
