//! What the graph must be after a set of events, by definition rather than by folding.
//!
//! All events of a bucket, an account or an access point are looked at together, as often as needed: no order, no windows, no merging. It is slow,
//! and it shares nothing with the crates under test, so that a mistake would have to be made twice.

mod access;
mod access_point;
mod account;
mod block;
mod bucket;
mod by_id;
mod calls;
mod document;
mod event;
mod export;
mod exposure;
mod facets;
mod life;
mod resource;
mod rules;
mod settings;
mod tags;
mod targets;

use std::collections::BTreeMap;

use serde_json::Value;

use self::event::Event;
use self::export::Graph;
use self::resource::Kind;

/// The expected `graph export --format json` after these events, one JSON envelope each, in whatever order.
pub(crate) fn expected_export(lines: impl Iterator<Item = Vec<u8>>) -> Value {
    let mut resources: BTreeMap<(Kind, String), Vec<Event>> = BTreeMap::new();
    for event in lines.filter_map(|line| Event::read(&line)) {
        resources.entry((event.kind, event.key.clone())).or_default().push(event);
    }
    let mut graph = Graph::default();
    let mut blocks = BTreeMap::new();
    for ((kind, key), events) in &resources {
        match kind {
            Kind::Account => drop(blocks.insert(key.as_str(), account::describe(key, events, &mut graph))),
            Kind::AccessPoint => access_point::describe(key, events, &mut graph),
            Kind::Bucket => bucket::describe(key, events, |account| blocks.get(account), &mut graph),
        }
    }
    graph.export()
}
