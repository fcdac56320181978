//! Any row of a lease table.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trailgraph_fuzz::rows;

fuzz_target!(|bytes: &[u8]| rows::check(bytes));
