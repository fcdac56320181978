//! Any bytes as a record that a producer may have packed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trailgraph_fuzz::aggregates;

fuzz_target!(|bytes: &[u8]| aggregates::check(bytes));
