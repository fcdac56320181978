//! Any bytes as a stored state.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use trailgraph_fuzz::{mutate, stored};

fuzz_target!(|bytes: &[u8]| stored::check(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::stored(data, size, max_size, seed, fuzzer_mutate)
});
