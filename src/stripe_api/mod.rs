//! Calls out to Stripe: transfers, connected accounts, the balance. Every call has a time-out and one attempt, and every
//! answer is sorted into what may be concluded from it ([`Answer`]); whoever calls decides whether to try again.
//!
//! ```text
//! Keys::parse(STRIPE_API_KEY) ─► Keys::of(livemode) ─► Api::create_transfer(…) ─► Answer<Transfer>
//! ```

mod accounts;
mod answer;
mod client;
mod keys;
mod reading;
mod transfers;

pub use accounts::{Account, AccountLink, NewAccount, Readiness};
pub use answer::{Answer, KeyProblem, Refusal};
pub use client::{Api, Options};
pub use keys::{BadKeys, Keys, NoKey};
pub use reading::Page;
pub use transfers::{Balance, Funds, NewTransfer, Transfer};
