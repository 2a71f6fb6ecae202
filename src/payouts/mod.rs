//! A month's payouts and their files.

pub mod batch;
pub mod csv_cell;
pub mod formats;
pub mod generic;
pub mod item;
pub mod marks;
pub mod readback;
pub mod rows;
