//! What is held against whatever bytes a fuzzer makes. The product's own tests compile these very functions and give them
//! every file of `fuzz/corpus` and `fuzz/found`.
//!
//! A target panics where the product panics, and where what must hold does not.

pub mod archive;
pub mod decide;
mod dice;
pub mod event;
mod facts;
pub mod imports;
pub mod program;
pub mod signature;
mod terms;

#[cfg(test)]
mod replay;
