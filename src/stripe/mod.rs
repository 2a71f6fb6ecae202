//! What Stripe says, as facts, whatever API version it was written in. Plain functions: no async, SQL, HTTP or clock.
//!
//! ```text
//! webhook ─► signature::Secrets::verify ─► event::envelope (what the inbox needs) ─► stored
//! stored  ─► event::read ─► the reader of the event's object ─► domain::facts::EventFacts
//! ```
//!
//! What the bridge asks Stripe for goes the same way: [`fetched`] makes an event of an object.
//!
//! An object comes in three shapes: as before API 2025-03-31 ("basil"), as after it, and both at once (an old pin
//! rendered today). Readers never ask for the version: they look for a field at its new path, then at its old one.
//! Unknown fields are skipped; nulls and absences are accepted wherever the fact still means something without the
//! value. Any reference may be an id, an expanded object or null.

mod account;
mod charge;
mod checkout;
mod credit_note;
mod customer;
mod discount;
mod dispute;
pub mod event;
pub mod fetched;
mod field;
mod invoice;
mod invoice_line;
mod invoice_payment;
mod outer;
mod payment_intent;
mod price;
mod problem;
mod promotion_code;
pub mod redact;
mod refund;
mod shape;
pub mod signature;
mod subscription;
mod transfer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use event::{
    Envelope, IgnoredReason, OF_CONNECTED_ACCOUNTS, Opened, Reading, UNDERSTOOD, envelope, is_understood, read,
};
pub use problem::{EnvelopeError, ReadError};
pub use signature::{Secrets, SignatureError, sign, verify};
