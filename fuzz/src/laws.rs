//! What folding, storing and projection promise of any records.

use std::collections::BTreeMap;

use bucket_state::AccountLevel::{Silent, Told, Unreadable};
use bucket_state::{Event, Kind, ResourceId, ResourceState, project};

use crate::{answers, graph, stored};

/// Accounts that each bucket is projected with: their number times that of the buckets is what a run takes.
const ACCOUNTS_MAX: usize = 3;

type States = BTreeMap<ResourceId, ResourceState>;

/// Folds the records in `input`, one a line, in several orders and groupings, stores the states, and projects them.
///
/// # Panics
/// Where they differ, or where what they make is no graph.
pub fn check(input: &[u8]) {
    let events: Vec<Event> = input.split(|byte| *byte == b'\n').flat_map(answers::events).collect();
    let states = fold(&events);
    assert_eq!(fold(events.iter().rev()), states, "backwards");
    let (first, last) = events.split_at(events.len() / 2);
    let (first, last) = (fold(first), fold(last));
    assert_eq!(merged(&first, &last), states, "in two halves");
    assert_eq!(merged(&last, &first), states, "in two halves, the last first");

    let accounts: Vec<_> = states.iter().filter(|(id, _)| id.kind() == Kind::Account).take(ACCOUNTS_MAX).collect();
    for (id, state) in &states {
        let stored = stored::round_trip(state);
        let told = accounts.iter().map(|(id, state)| Told(id, state));
        for level in [Silent, Unreadable].into_iter().chain(told) {
            let snapshot = project(id, state, level);
            graph::check(id, &snapshot);
            assert_eq!(project(id, &stored, level), snapshot, "{id} after it was stored");
        }
    }
}

fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> States {
    let mut states = States::new();
    events.into_iter().for_each(|event| states.entry(event.resource.clone()).or_default().fold(event.clone()));
    states
}

fn merged(into: &States, others: &States) -> States {
    let mut states = into.clone();
    for (id, other) in others {
        let state = states.entry(id.clone()).or_default();
        let before = state.clone();
        let changed = state.merge(other.clone());
        assert_eq!(changed, *state != before, "merging tells whether it changed {id}");
        assert!(!state.merge(other.clone()), "merging what is there already changes {id}");
    }
    states
}
