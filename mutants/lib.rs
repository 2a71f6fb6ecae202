//! The plain rooms, and as one test program all tests of them that need no database.

#![allow(missing_docs, dead_code, unused, clippy::all, reason = "the product says what is used and documented")]

#[cfg(test)]
extern crate self as commission_bridge;

pub mod domain;
pub mod imports;
pub mod program;
pub mod sample;
pub mod stripe;

#[cfg(test)]
#[path = "../tests/golden.rs"]
mod golden_cases;
#[cfg(test)]
#[path = "../tests/oracle.rs"]
mod oracle;
