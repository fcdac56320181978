//! What does a window cost when it is full: sealed, merged into what is stored, projected?
//!
//! Items are dirty resources, each with about ten events of the window. Loads and saves are in `end_to_end`.

use std::time::Duration;

use bucket_state::{AccountLevel, project};
use corpus::Dirty;
use divan::Bencher;
use divan::counter::ItemsCount;
use emitter::{Limits, Window};

fn main() {
    divan::main();
}

/// Takes the deltas out of the shared map.
#[divan::bench(args = [500, 5_000])]
fn seal(bencher: Bencher<'_, '_>, resources: usize) {
    let Dirty { events, .. } = corpus::dirty(resources);
    let filled = || {
        let limits = Limits { flush_after: Duration::MAX, flush_at: usize::MAX, dirty_max: usize::MAX };
        let window = Window::new(limits, 0_usize);
        events.iter().for_each(|(event, arrived_ms)| window.fold(event.clone(), *arrived_ms));
        window
    };
    bencher
        .counter(ItemsCount::new(resources))
        .with_inputs(filled)
        .bench_local_values(|window| (window.seal(), window));
}

/// Joins each delta to the state that was stored before, where there was one.
#[divan::bench(args = [500, 5_000])]
fn merge(bencher: Bencher<'_, '_>, resources: usize) {
    let Dirty { stored, deltas, .. } = corpus::dirty(resources);
    let before =
        |(id, delta): &(_, bucket_state::Delta)| (stored.get(id).cloned().unwrap_or_default(), delta.state.clone());
    let window = || deltas.iter().map(before).collect::<Vec<_>>();
    bencher.counter(ItemsCount::new(resources)).with_inputs(window).bench_local_values(|mut window| {
        for (state, delta) in &mut window {
            divan::black_box(state.merge(std::mem::take(delta)));
        }
        window
    });
}

/// Makes of each state its part of the graph.
#[divan::bench(args = [500, 5_000])]
fn projected(bencher: Bencher<'_, '_>, resources: usize) {
    let states = corpus::dirty(resources).merged();
    bencher.counter(ItemsCount::new(resources)).bench_local(|| {
        for (id, state) in &states {
            drop(divan::black_box(project(id, state, AccountLevel::Silent)));
        }
    });
}

/// Tells whether a part of the graph is what the graph shows.
#[divan::bench(args = [500, 5_000])]
fn digest(bencher: Bencher<'_, '_>, resources: usize) {
    let states = corpus::dirty(resources).merged();
    let snapshots: Vec<_> = states.iter().map(|(id, state)| project(id, state, AccountLevel::Silent)).collect();
    bencher.counter(ItemsCount::new(resources)).bench_local(|| {
        for snapshot in &snapshots {
            divan::black_box(snapshot.digest());
        }
    });
}
