//! What the tests against the simulated merchant share: its terms, its events as facts, its customers, and the
//! comparison with its books.

pub mod books;
pub mod customers;
pub mod ledger;
pub mod world;
