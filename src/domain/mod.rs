//! The pure middle: no async, no SQL, no HTTP, no clock. Everything about money is decided here.

pub mod calendar;
pub mod currency;
pub mod decision;
pub mod entry;
pub mod facts;
pub mod mask;
pub mod money;
pub mod netting;
pub mod terms;

/// A moment in UTC. Stripe speaks in whole seconds, the bridge keeps microseconds.
pub type Time = chrono::DateTime<chrono::Utc>;
