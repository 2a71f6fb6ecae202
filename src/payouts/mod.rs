//! A month's payouts: their batch, their files, their transfers.

pub mod batch;
pub mod closing;
pub mod csv_cell;
pub mod error;
pub mod formats;
pub mod generic;
pub mod item;
pub mod marks;
pub mod outcome;
pub mod readback;
pub mod rows;
pub mod transfers;
