//! Records, one a line, through everything: parsed, folded in several orders, stored, and projected.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use trailgraph_fuzz::{laws, mutate};

fuzz_target!(|lines: &[u8]| laws::check(lines));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::lines(data, size, max_size, seed, fuzzer_mutate)
});
