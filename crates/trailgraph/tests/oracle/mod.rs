//! What the graph must be after a set of events, by definition rather than by folding.
//!
//! All events of a bucket are looked at together, as often as needed: no order, no windows, no merging. It is slow,
//! and it shares nothing with the crates under test, so that a mistake would have to be made twice.

mod access;
mod document;
mod event;
mod export;
mod facets;
mod life;
mod settings;
mod tags;

use std::collections::BTreeMap;

use serde_json::Value;

use self::event::Event;
use self::export::Graph;

/// The expected `graph export --format json` after these events, one JSON envelope each, in whatever order.
pub(crate) fn expected_export(lines: impl Iterator<Item = Vec<u8>>) -> Value {
    let mut buckets: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in lines.filter_map(|line| Event::read(&line)) {
        buckets.entry(event.arn.clone()).or_default().push(event);
    }
    let mut graph = Graph::default();
    for (arn, events) in &buckets {
        facets::describe(arn, events, &mut graph);
    }
    graph.export()
}
