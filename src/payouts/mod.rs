//! A month's payouts and their files.

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
