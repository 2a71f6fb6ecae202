//! Calls out to Stripe: transfers, connected accounts, the balance, webhook endpoints, and objects as Stripe writes them. Every call has a time-out and one attempt, and every
//! answer is sorted into what may be concluded from it ([`Answer`]); whoever calls decides whether to try again.
//!
//! ```text
//! Keys::parse(STRIPE_API_KEY) ─► Keys::of(workspace, …) ─► Api::create_transfer(…) ─► Answer<Transfer>
//! ```

mod accounts;
mod answer;
mod client;
mod endpoints;
mod keys;
mod reading;
mod time;
mod transfers;

pub use accounts::{Account, AccountLink, NewAccount, Readiness};
pub use answer::{Answer, KeyProblem, Refusal};
pub use client::{Api, Options};
pub use endpoints::{Endpoint, MOST_ENDPOINTS, NewEndpoint, OwnAccount};
pub use keys::{BadKeys, Keys, NoKey};
pub use reading::Page;
pub use time::server_time;
pub use transfers::{Balance, Funds, NewTransfer, Transfer};
