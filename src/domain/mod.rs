//! The pure middle: no async, no SQL, no HTTP, no clock. Everything about money is decided here.

#[cfg(test)]
mod asking_tests;
pub mod attribution;
#[cfg(test)]
mod attribution_tests;
pub mod base;
pub mod booking;
pub mod calendar;
pub mod currency;
pub mod deciding;
#[cfg(test)]
mod deciding_tests;
pub mod decision;
pub mod email;
pub mod entry;
pub mod evidence;
#[cfg(test)]
mod evidence_tests;
pub mod facts;
#[cfg(test)]
mod facts_tests;
pub mod fx;
pub mod history;
#[cfg(test)]
mod history_tests;
pub mod joining;
pub mod lead;
pub mod mask;
pub mod missing;
pub mod money;
pub mod mrr;
pub mod netting;
pub mod pricing;
pub mod pseudonym;
pub mod reconcile;
#[cfg(test)]
mod reconcile_tests;
pub mod second_level;
pub mod standing;
pub mod statement;
#[cfg(test)]
mod story;
pub mod subscribed;
pub mod taken;
pub mod terms;
#[cfg(test)]
mod terms_tests;
#[cfg(test)]
mod tests;
pub mod tiers;
pub mod timeline;
pub mod trace;
#[cfg(test)]
mod words_tests;

/// A moment in UTC. Stripe speaks in whole seconds, the bridge keeps microseconds.
pub type Time = chrono::DateTime<chrono::Utc>;
