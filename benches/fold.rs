//! What does an event cost after it is parsed: folded, merged, stored, read back, projected?

use std::collections::HashMap;

use bucket_state::{AccountLevel, Deltas, ResourceId, ResourceState, project};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

fn main() {
    divan::main();
}

/// Items are events.
#[divan::bench]
fn events_into_deltas(bencher: Bencher<'_, '_>) {
    let events = corpus::events();
    bencher.counter(ItemsCount::new(events.len())).with_inputs(|| events.clone()).bench_local_values(|events| {
        let deltas = Deltas::default();
        for (event, arrived_ms) in events {
            deltas.fold(event, arrived_ms);
        }
        deltas
    });
}

/// Items are deltas: one for each bucket in each window, merged into what is stored of it.
#[divan::bench(args = [100, 1_000])]
fn deltas_into_states(bencher: Bencher<'_, '_>, events_each: usize) {
    let windows = corpus::windows(events_each);
    let deltas = ItemsCount::new(windows.iter().map(Vec::len).sum::<usize>());
    bencher.counter(deltas).with_inputs(|| windows.clone()).bench_local_values(|windows| {
        let mut states: HashMap<ResourceId, ResourceState> = HashMap::new();
        for (id, delta) in windows.into_iter().flatten() {
            states.entry(id).or_default().merge(delta);
        }
        states
    });
}

/// Items are states; bytes are those stored.
#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let states = corpus::states();
    let stored: usize = encoded(&states).iter().map(Vec::len).sum();
    let counted = bencher.counter(ItemsCount::new(states.len())).counter(BytesCount::new(stored));
    counted.bench_local(|| encoded(&states));
}

/// Items are states; bytes are those stored.
#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let stored = encoded(&corpus::states());
    let bytes: usize = stored.iter().map(Vec::len).sum();
    let counted = bencher.counter(ItemsCount::new(stored.len())).counter(BytesCount::new(bytes));
    counted.bench_local(|| {
        for state in &stored {
            drop(divan::black_box(ResourceState::decode(state)));
        }
    });
}

/// Items are states.
#[divan::bench]
fn project_and_digest(bencher: Bencher<'_, '_>) {
    let states = corpus::states();
    bencher.counter(ItemsCount::new(states.len())).bench_local(|| {
        for (id, state) in &states {
            divan::black_box(project(id, state, AccountLevel::Silent).digest());
        }
    });
}

fn encoded(states: &[(ResourceId, ResourceState)]) -> Vec<Vec<u8>> {
    states.iter().map(|(_, state)| state.encode()).collect()
}
