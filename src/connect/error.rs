//! Why a workspace could not be connected; each says what to do.

use crate::store::StoreError;
use crate::stripe_api::{KeyProblem, NoKey};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No key.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// The key is not accepted, or may not do this.
    #[error(transparent)]
    Key(KeyProblem),
    /// The key is another account's than the book was connected to.
    #[error(
        "the key is of account {found}, and this book was connected to {known}: set the right key, or say --force where the \
         business really moved to another account"
    )]
    OtherAccount {
        /// The account that is known.
        known: String,
        /// The key's.
        found: String,
    },
    /// The address cannot be an endpoint's.
    #[error("{url} cannot be reached by Stripe: {why}. Set PUBLIC_URL, or say --url https://bridge.example.com")]
    Address {
        /// Which.
        url: String,
        /// Why.
        why: &'static str,
    },
    /// The workspace is reached by the first one's key.
    #[error(
        "this workspace is reached in the name of its connected account: its events come in at the endpoint of `default` for \
         connected accounts. Run `commission-bridge stripe connect --connected`"
    )]
    InTheNameOf,
    /// An endpoint with this address is there, whose secret is not known.
    #[error(
        "there is an endpoint for {url} already ({id}), and its signing secret is known to Stripe alone. If you entered it \
         (STRIPE_WEBHOOK_SECRET), nothing is left to do; else say --replace: a new one is made, and then that one removed"
    )]
    Foreign {
        /// `we_…`
        id: String,
        /// Its address.
        url: String,
    },
    /// No further endpoint is possible.
    #[error(
        "the account has {} webhook endpoints, and Stripe allows 16: remove one that is not needed (Developers, Webhooks), then \
         try again. There are:\n  {}",
        .0.len(),
        .0.join("\n  ")
    )]
    Limit(Vec<String>),
    /// There is no endpoint to do that with.
    #[error("this book has no webhook endpoint that the bridge made: run `commission-bridge stripe connect`")]
    NotConnected,
    /// Stripe refused.
    #[error("{0}")]
    Refused(String),
    /// It is not known whether it was done.
    #[error("{0}. What was begun is kept: run the command again, or leave it to `serve`")]
    Unclear(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ConnectError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKey(problem) => problem.code(),
            Self::Key(problem) => problem.code,
            Self::OtherAccount { .. } => "other_account",
            Self::Address { .. } => "address_unreachable",
            Self::InTheNameOf => "connected_account",
            Self::Foreign { .. } => "endpoint_exists",
            Self::Limit(_) => "too_many_endpoints",
            Self::NotConnected => "not_connected",
            Self::Refused(_) => "stripe_refused",
            Self::Unclear(_) => "stripe_unclear",
            Self::Store(_) => "database_unavailable",
        }
    }
}
