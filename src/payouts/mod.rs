//! A month's payouts: their batch, their files, their transfers.

pub mod batch;
pub mod closing;
pub mod csv_cell;
mod error;
pub mod generic;
pub mod outcome;
pub mod rows;
pub mod transfers;
