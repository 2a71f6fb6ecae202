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
