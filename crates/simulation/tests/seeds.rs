//! Fleets whose every fault is drawn from a seed: none breaks an invariant, and each planted fault does.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::sync::atomic::{AtomicU64, Ordering};

use simulation::{Outcome, Planted, simulate};

const SEEDS: u64 = 200;
/// Each planted fault is found within so many seeds; most within ten.
const FOUND_WITHIN: u64 = 400;

/// Calls `each` with the outcome of every seed, until one of them says that it is enough.
fn simulate_all(seeds: u64, planted: Option<Planted>, each: impl Fn(u64, Outcome) -> bool + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || each(seed, simulate(seed, planted, false).unwrap()) {
                        next.store(seeds, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
    });
}

#[test]
fn no_seed_breaks_an_invariant() {
    let (steps, lives) = (AtomicU64::new(0), AtomicU64::new(0));
    simulate_all(SEEDS, None, |seed, outcome| {
        let again = format!("cargo run --release -p simulation -- --seed {seed}");
        assert_eq!(outcome.violation, None, "seed {seed}; once more: {again}");
        steps.fetch_add(outcome.steps, Ordering::Relaxed);
        lives.fetch_add(outcome.lives as u64, Ordering::Relaxed);
        false
    });
    let (steps, lives) = (steps.into_inner(), lives.into_inner());
    println!("{SEEDS} seeds, {lives} workers, {steps} steps");
    assert!(lives > 2 * SEEDS && steps > 100 * SEEDS, "{lives} workers and {steps} steps: hardly anything happened");
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in 0..12 {
        let (one, other) = (simulate(seed, None, true).unwrap(), simulate(seed, None, true).unwrap());
        assert!(!one.trace.is_empty());
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(simulate(1, None, false).unwrap().digest, simulate(2, None, false).unwrap().digest);
}

fn is_found(planted: Planted) {
    let found = AtomicU64::new(u64::MAX);
    simulate_all(FOUND_WITHIN, Some(planted), |seed, outcome| {
        let is_broken = outcome.violation.is_some();
        if is_broken {
            found.fetch_min(seed, Ordering::Relaxed);
            println!("{}: seed {seed}: {}", planted.name(), outcome.violation.unwrap_or_default());
        }
        is_broken
    });
    assert!(found.into_inner() < FOUND_WITHIN, "{} was not found", planted.name());
}

macro_rules! planted {
    ($($test:ident: $fault:ident,)*) => {
        $(#[test]
        fn $test() {
            is_found(Planted::$fault);
        })*

        #[test]
        fn every_planted_fault_has_a_test() {
            assert_eq!(Planted::ALL, [$(Planted::$fault),*]);
        }
    };
}

planted! {
    an_emission_before_the_save_is_found: EmitBeforeSave,
    an_emission_left_out_because_the_sink_shows_it_is_found: ElideAtEmission,
    a_checkpoint_of_the_live_cut_is_found: CheckpointOfTheLiveCut,
    a_checkpoint_before_the_save_is_found: CheckpointBeforeSave,
    an_unconditional_save_is_found: UnconditionalSave,
    a_mark_cleared_without_the_version_is_found: ClearWithoutTheVersion,
    a_deletion_by_diff_is_found: DeleteByDiff,
    a_graph_without_head_rows_is_found: NoHeadRow,
    a_worker_without_a_lease_fence_is_found: NoLeaseFence,
    a_default_stored_by_the_fold_is_found: DefaultsStoredByTheFold,
}
