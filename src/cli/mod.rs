//! What commands print.

pub mod table;
