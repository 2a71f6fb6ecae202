//! Gives whatever libFuzzer makes to the target of this name.
#![no_main]

use commission_bridge_fuzz::targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::program::run(bytes));
