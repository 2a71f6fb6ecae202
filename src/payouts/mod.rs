//! A month's payouts: their batch, their files, their transfers.

pub mod batch;
pub mod closing;
pub mod csv_cell;
pub mod error;
pub mod files;
pub mod formats;
pub mod generic;
pub mod item;
pub mod marks;
pub mod outcome;
pub mod readback;
pub mod results;
pub mod rows;
pub mod totals;
pub mod transfers;
