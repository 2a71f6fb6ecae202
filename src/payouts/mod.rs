//! A month's payouts and their files.

pub mod batch;
pub mod closing;
pub mod csv_cell;
mod error;
pub mod generic;
pub mod outcome;
pub mod rows;
