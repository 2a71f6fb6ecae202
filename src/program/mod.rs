//! The program file: programs, rules and partners as code. [`parse`] reads it and names every fault with its line;
//! [`plan`](plan::plan) compares it with the terms in force and says what to enter. Both are pure.

mod checks;
mod currencies;
mod describe;
pub mod fault;
pub mod file;
pub mod json;
pub mod plan;
mod read;
#[cfg(test)]
mod tests;
pub mod valid;

pub use fault::{FileError, Problem};
pub use file::{ProgramFile, parse};
pub use plan::{Plan, RepriceClosed, plan};

/// The fields that the reader takes, for whoever describes them.
#[cfg(test)]
pub(crate) mod fields {
    pub(crate) use super::read::PROGRAM;
    pub(crate) use super::read::group::GROUP;
    pub(crate) use super::read::month_end::{MAIL, MONTH_END, SEPA};
    pub(crate) use super::read::overriding::OVERRIDE;
    pub(crate) use super::read::partner::PARTNER;
    pub(crate) use super::read::rule::RULE;
    pub(crate) use super::read::workspace::WORKSPACE;
}
