//! Any text as a permit list.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trailgraph_fuzz::permits;

fuzz_target!(|bytes: &[u8]| permits::check(bytes));
