//! Any bytes through the parser.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use trailgraph_fuzz::{answers, mutate};

fuzz_target!(|bytes: &[u8]| answers::check(bytes));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::form(data, size, max_size, seed, fuzzer_mutate)
});
