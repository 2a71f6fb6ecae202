//! What most commands need: the database, the workspace, the book, and a ledger that is up to date.

use std::sync::Arc;

use clap::Args;

use super::Failure;
use super::out::note;
use crate::admin::Session;
use crate::clock::Clock;
use crate::config::Config;
use crate::connect;
use crate::domain::terms::Terms;
use crate::ids::Ids;
use crate::ledger::Ledger;
use crate::store::changes::TermsCache;
use crate::store::{Db, Mode, OpenError, Urgency, WorkspaceId, workspaces};
use crate::stripe_api::Keys;
use crate::worker::Worker;

pub use crate::http::DEFAULT_WORKSPACE;

/// Flags of commands that look at one workspace.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    pub workspace: String,
    /// Which book: live or test [default: live once it has events, else test]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
}

/// The same for commands that ask Stripe: the book is not one that is chosen by what there is already.
#[derive(Debug, Clone, Args)]
pub struct Reached {
    /// The workspace
    #[arg(long, value_name = "KEY", default_value = DEFAULT_WORKSPACE)]
    pub workspace: String,
    /// Which book: live or test [default: live where there is a key for it, else test]
    #[arg(long, value_name = "MODE")]
    pub mode: Option<Mode>,
}

/// Opens the database for a command that asks Stripe.
pub async fn reach(config: &Config, keys: &Keys, book: &Reached) -> Result<Context, Failure> {
    let which = Which { workspace: book.workspace.clone(), mode: book.mode };
    let mut context = Context::open(config, &which).await?;
    if book.mode.is_none() {
        let live = connect::way(&context.db, keys, (context.workspace, Mode::Live)).await?;
        let test = connect::way(&context.db, keys, (context.workspace, Mode::Test)).await?;
        context.mode = if live.is_err() && test.is_ok() { Mode::Test } else { Mode::Live };
    }
    Ok(context)
}

/// An open database and one workspace in it.
pub struct Context {
    /// The database.
    pub db: Db,
    /// The machine's clock.
    pub clock: Clock,
    /// Where ids come from.
    pub ids: Ids,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its key.
    pub key: String,
    /// The book.
    pub mode: Mode,
}

impl Context {
    /// Opens the database (making it, and workspace `default`, where they are missing) and finds the workspace.
    pub async fn open(config: &Config, which: &Which) -> Result<Self, Failure> {
        let db = open(config).await?;
        Self::with(db, Clock::machine(), which).await
    }

    /// The same on a database that is open.
    pub async fn with(db: Db, clock: Clock, which: &Which) -> Result<Self, Failure> {
        let workspace = find_workspace(&db, &clock, &which.workspace).await?;
        let mode = match which.mode {
            Some(mode) => mode,
            None => usual_mode(&db, workspace).await?,
        };
        Ok(Self { db, clock, ids: Ids::random(), workspace, key: which.workspace.clone(), mode })
    }

    /// One transaction of changes, entered by the command line.
    pub async fn session(&self) -> Result<Session, Failure> {
        let book = (self.workspace, self.mode);
        Ok(Session::begin(&self.db, &self.clock, &self.ids, book, "cli".to_owned()).await?)
    }

    /// Records and settles whatever is due, so that what is shown is true now.
    pub async fn catch_up(&self) -> Result<(), Failure> {
        self.worker().run_until_idle().await?;
        Ok(())
    }

    /// The ledger on this database.
    pub fn ledger(&self) -> Ledger {
        Ledger { db: self.db.clone(), clock: self.clock.clone(), ids: self.ids.clone() }
    }

    /// A worker on this database.
    pub fn worker(&self) -> Worker {
        Worker::new(self.ledger(), Arc::default())
    }

    /// The workspace's terms.
    pub async fn terms(&self) -> Result<Arc<Terms>, Failure> {
        let mut tx = self.db.read().await?;
        Ok(TermsCache::default().get(&mut tx, self.workspace).await?)
    }

    /// Says on standard error which book is shown, where nobody chose.
    pub fn say_book(&self, which: &Which) {
        if which.mode.is_none() {
            note!("workspace {}, {} book (--mode to choose)", self.key, self.mode);
        }
    }
}

/// Opens the configured database.
pub async fn open(config: &Config) -> Result<Db, OpenError> {
    Ok(Db::open(&config.database_url).await?.with_vault(config.vault.clone()))
}

/// Finds a workspace; `default` is made where it is missing.
pub async fn find_workspace(db: &Db, clock: &Clock, key: &str) -> Result<WorkspaceId, Failure> {
    let mut tx = db.read().await?;
    if let Some(found) = workspaces::find(&mut tx, key).await? {
        return Ok(found);
    }
    tx.rollback().await?;
    if key != DEFAULT_WORKSPACE {
        return Err(Failure::Said(format!("there is no workspace {key:?}")));
    }
    let mut tx = db.write(Urgency::Now).await?;
    let made = workspaces::ensure(&mut tx, key, clock.now()).await?;
    tx.commit().await?;
    Ok(made)
}

async fn usual_mode(db: &Db, workspace: WorkspaceId) -> Result<Mode, Failure> {
    let mut tx = db.read().await?;
    Ok(workspaces::usual_mode(&mut tx, workspace).await?)
}
