//! The only room that knows a database: SQL, one file per aggregate, one text for both engines.
//!
//! [`Db::open`] gives the database; [`Db::read`] and [`Db::write`] a [`Tx`]; every function here takes a `&mut Tx`.
//! A single statement is run through [`on!`](crate::on), many rows at once through [`rows`].

mod backup;
mod db;
mod listing;
mod months;
mod tx;

pub mod adjustments;
pub mod api_keys;
pub mod archives;
pub mod asked;
pub mod audit;
pub mod backfills;
pub mod backlog;
pub mod balances;
pub mod batches;
pub mod changes;
pub mod clicks;
pub mod clock_back;
pub mod customers;
pub mod entries;
pub mod erasures;
pub mod events;
pub mod facts;
pub mod fx_rates;
pub mod idempotency;
pub mod leads;
pub mod links;
pub mod lookups;
pub mod mails;
pub mod onboardings;
pub mod parked_objects;
pub mod payments;
pub mod payout_files;
pub mod payouts;
pub mod personal;
pub mod prices;
pub mod questions;
pub mod reconciliations;
pub mod refs;
pub mod reports;
pub mod resettle;
mod resting;
pub mod rows;
mod sqlite;
pub mod statements;
pub mod stripe_accounts;
pub mod stripe_endpoints;
pub mod subscription_states;
pub mod sync_gaps;
pub mod syncs;
pub mod throwaway;
pub mod tiers;
pub mod transfers;
pub mod vault;
pub mod webhook_secrets;
pub mod workspaces;

pub use backup::{Backup, BackupError};
pub use db::{Connections, Db, Durability, Engine, OpenError};
pub use listing::Span;
pub use months::RemovedMonth;
pub use tx::{Inner, Tx, Urgency, commits, writing};

use crate::domain::Time;

/// Which of a workspace's two books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Stripe's test mode.
    Test,
    /// Real money.
    Live,
}

impl Mode {
    /// Both books.
    pub const ALL: [Self; 2] = [Self::Test, Self::Live];

    /// The book of an event.
    pub fn of(livemode: bool) -> Self {
        if livemode { Self::Live } else { Self::Test }
    }

    /// As in SQL.
    pub fn as_i64(self) -> i64 {
        match self {
            Self::Test => 0,
            Self::Live => 1,
        }
    }

    /// As in files, flags and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }

    /// From SQL.
    pub fn from_i64(value: i64) -> Self {
        if value == 0 { Self::Test } else { Self::Live }
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "test" => Ok(Self::Test),
            "live" => Ok(Self::Live),
            _ => Err(format!("{text:?} is no mode: expected live or test")),
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A workspace's number: the first part of every key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct WorkspaceId(pub i64);

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's own error.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// A row that this release cannot read.
    #[error("{what} {key}: {why}")]
    Unreadable {
        /// Which kind of row.
        what: &'static str,
        /// Which one.
        key: String,
        /// Why.
        why: String,
    },
    /// The file is not where it was opened.
    #[error("the database file {0} was moved or deleted while it was in use: put it back, or restart")]
    Gone(String),
    /// A secret is encrypted under a key that is not at hand.
    #[error("{what} {key} {why}")]
    Sealed {
        /// Which kind of secret.
        what: &'static str,
        /// Which one.
        key: String,
        /// Why it does not open, and what to do.
        why: String,
    },
    /// Two workspaces would name the same Stripe account.
    #[error(
        "account: {account} is the account of workspace {workspace:?} already: events of one Stripe account belong to one \
         workspace"
    )]
    AccountTaken {
        /// `acct_…`
        account: String,
        /// Whose it is.
        workspace: String,
    },
    /// Two writers collided and nothing was written; trying again helps.
    #[error("somebody else wrote at the same time; nothing was written, try again")]
    Conflict,
}

impl StoreError {
    /// Whether two writers got into each other's way, so that trying again at once helps.
    pub fn is_collision(&self) -> bool {
        match self {
            Self::Conflict => true,
            // PostgreSQL: serialization failure, deadlock. SQLite: busy.
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code == "40001" || code == "40P01" || primary_code(&code) == Some(5))
            }
            _ => false,
        }
    }

    /// Whether the statement itself was refused (a constraint, a value), so that trying it again cannot help; a
    /// database that is down, full or busy is not.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                error.is_unique_violation()
                    || error.is_check_violation()
                    || error.is_foreign_key_violation()
                    || {
                        // PostgreSQL's classes: data exception, integrity, syntax or type, raised by a trigger.
                        error.code().is_some_and(|code| {
                            code.len() == 5 && ["22", "23", "42", "P0"].iter().any(|class| code.starts_with(class))
                        })
                    }
                    || error.code().is_some_and(|code| matches!(primary_code(&code), Some(18..=20 | 25)))
            }
            Self::Unreadable { .. }
            | Self::AccountTaken { .. }
            | Self::Database(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_)) => {
                true
            }
            Self::Conflict | Self::Gone(_) | Self::Sealed { .. } | Self::Database(_) => false,
        }
    }
}

/// `SQLite`'s primary result code: too big, constraint, mismatch and range are refusals.
fn primary_code(code: &str) -> Option<u32> {
    code.parse::<u32>().ok().filter(|_| code.len() < 5).map(|code| code & 0xff)
}

/// Unix microseconds, as every `*_at` column has them.
pub fn micros(at: Time) -> i64 {
    at.timestamp_micros()
}

pub use crate::clock::from_micros;
