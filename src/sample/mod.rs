//! A simulated merchant: whole businesses of Stripe events from a seed, and books that say what every partner must
//! end up with.
//!
//! [`event`] describes one event neutrally, without any API version. [`shape`] writes such a description as the JSON
//! that Stripe sends, in the three shapes that merchants meet: before 2025 ([`Shape::Legacy`]), an old pin rendered
//! today ([`Shape::Hybrid`]), and 2025 and later ([`Shape::New`]).
//!
//! Descriptions are meant to be written by hand. Whatever is left out is computed or has a sensible default:
//!
//! ```
//! use commission_bridge::sample::{Event, Shape, render_all};
//!
//! #[derive(serde::Deserialize)]
//! struct Story {
//!     event: Vec<Event>,
//! }
//!
//! let story: Story = toml::from_str(
//!     r#"
//!     [[event]]
//!     type = "customer.subscription.created"
//!     at = "2026-01-05T09:59:58Z"
//!     subscription = { id = "sub_1", customer = "cus_1", metadata = { partner_key = "acme" }, items = [
//!         { price = "price_pro", product = "prod_pro", amount = 10000, interval = "month" },
//!     ] }
//!
//!     [[event]]
//!     type = "invoice.paid"
//!     at = "2026-01-05T10:00:00Z"
//!     [event.invoice]
//!     id = "in_1"
//!     customer = "cus_1"
//!     subscription = "sub_1"
//!     billing_reason = "subscription_create"
//!     currency = "usd"
//!     lines = [{ amount = 10000, price = "price_pro", product = "prod_pro", interval = "month" }]
//!     discount = 1000
//!     promotion_code = "promo_1"
//!     tax = 1710
//!     subscription_metadata = { partner_key = "acme" }
//!     payment_intent = "pi_1"
//!     charge = "ch_1"
//!
//!     [[event]]
//!     type = "refund.created"
//!     at = "2026-01-06T10:00:00Z"
//!     refund = { id = "re_1", amount = 500, currency = "usd", charge = "ch_1", payment_intent = "pi_1" }
//!     "#,
//! )?;
//!
//! let invoice = &story.event[1];
//! let new: Vec<serde_json::Value> = render_all(invoice, Shape::New);
//! assert_eq!(new[0]["data"]["object"]["total"], 10_710);
//! assert_eq!(new[1]["type"], "invoice_payment.paid", "the new invoice cannot name its payment intent itself");
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! The types an event can have are [`Kind`]'s, and the table that describes its object is named after it: `invoice`,
//! `invoice_payment`, `session`, `payment_intent`, `charge`, `refund`, `dispute`, `credit_note`, `customer`,
//! `subscription`, `promotion_code`. Every other type takes a free `object` and is one that the bridge ignores.
//!
//! [`business`] tells the stories of a whole merchant's customers: its program file, its events in the order they
//! happened, and its [`Books`], which are kept sale by sale and share nothing with the bridge's own deciding.
//! [`stream`] shuffles, repeats and cuts events, and makes webhook bodies without end.
//!
//! ```
//! use commission_bridge::sample::{Options, business};
//!
//! let business = business(&Options { customers: 20, ..Options::new(1) });
//! let owed = business.books.owed(business.settled_at);
//! assert!(owed.values().all(|amount| *amount >= 0));
//! assert!(business.program_toml.contains("[[program]]"));
//! ```

pub mod books;
pub mod dress;
pub mod event;
pub mod merchant;
pub mod program;
pub mod random;
pub mod shape;
mod story;
pub mod stream;

pub use books::{Books, Payment};
pub use event::{Event, Kind, Object};
pub use merchant::{Business, InvoiceEvents, Options, RefundEvents, business};
pub use shape::{Shape, render, render_all};

#[cfg(test)]
mod tests;
