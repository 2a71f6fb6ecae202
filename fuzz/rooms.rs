//! The rooms that are plain functions, compiled by themselves: what the targets need of the product, built in seconds and
//! without the rest.

#![allow(dead_code, missing_docs, reason = "the product says what is used and documented")]

#[path = "../src/domain/mod.rs"]
pub mod domain;
#[path = "../src/imports/mod.rs"]
pub mod imports;
#[path = "../src/program/mod.rs"]
pub mod program;
#[path = "../src/stripe/mod.rs"]
pub mod stripe;

#[path = "../src/fx"]
pub mod fx {
    pub mod ecb;
}
#[path = "../src/intake"]
pub mod intake {
    pub mod payload;
}
#[path = "../src/payouts"]
pub mod payouts {
    pub mod marks;
    pub mod readback;
}

#[path = "targets/mod.rs"]
pub mod targets;
