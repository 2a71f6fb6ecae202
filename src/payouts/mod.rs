//! A month's payouts and their files.

pub mod batch;
pub mod csv_cell;
pub mod generic;
pub mod rows;
