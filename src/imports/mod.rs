//! Moving in: partners, their customers and their codes from a CSV file, this program's own or another tool's export.
//! [`read`] turns a file into typed rows and names every fault with its row and column; [`plan`] compares them with the
//! terms in force and says what to enter. Both are pure; all or nothing is entered, and the same file twice changes
//! nothing.
//!
//! An empty cell says nothing: what is known stays. What the file does not name stays, too.

pub mod clicks;
mod columns;
pub mod fault;
mod plan;
mod row;
pub(crate) mod table;
#[cfg(test)]
mod tests;

pub use columns::{Format, Kind};
pub use fault::{Fault, ImportError};
pub use plan::{Counts, Plan, PlannedLead, plan};
pub use row::{ImportFile, read};
