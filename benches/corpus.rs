//! What is measured, the same in every bench and every run; with what benches of several questions share.

pub mod bodies;
pub mod handlers;
pub mod measure;

use std::collections::HashMap;
use std::sync::LazyLock;

use bucket_state::{Delta, Deltas, Event, Parsed, Parser, ResourceId, ResourceState};
use trailgraph::generate::{Generated, Traffic};

/// Events in the corpus.
pub const EVENTS: u64 = 20_000;
/// Bucket names in the corpus. They are touched in bursts: 1,000 mutations in a row are about some 180 of them.
pub const BUCKETS: u32 = 1_000;

static TRAFFIC: LazyLock<Vec<Generated>> =
    LazyLock::new(|| Traffic { seed: 7, events: EVENTS, buckets: BUCKETS, ..Traffic::default() }.generate().collect());

/// Every record, in the order of delivery: mutations, failed calls, reads, other services, duplicates.
#[must_use]
pub fn all() -> Vec<&'static Generated> {
    TRAFFIC.iter().collect()
}

/// The records that are ignored.
#[must_use]
pub fn noise() -> Vec<&'static Generated> {
    TRAFFIC.iter().filter(|record| parse(record).is_none()).collect()
}

/// The records that change a bucket.
#[must_use]
pub fn mutations() -> Vec<&'static Generated> {
    TRAFFIC.iter().filter(|record| parse(record).is_some()).collect()
}

/// The mutations, parsed, with the times of their arrival.
#[must_use]
pub fn events() -> Vec<(Event, i64)> {
    TRAFFIC.iter().filter_map(|record| Some((parse(record)?, record.event_time_ms))).collect()
}

/// The corpus as windows of this many events: what each makes of its buckets.
#[must_use]
pub fn windows(events_each: usize) -> Vec<Vec<(ResourceId, ResourceState)>> {
    let window = |events: &[(Event, i64)]| {
        let deltas = Deltas::default();
        events.iter().for_each(|(event, arrived_ms)| deltas.fold(event.clone(), *arrived_ms));
        deltas.drain().into_iter().map(|(id, delta)| (id, delta.state)).collect()
    };
    events().chunks(events_each).map(window).collect()
}

/// Traffic for large windows: about so many buckets that all come to be, and then go on to change.
pub fn wide() -> impl Iterator<Item = Generated> {
    Traffic { seed: 7, events: 150_000, buckets: 6_000, ..Traffic::default() }.generate()
}

/// Traffic without end about ever new buckets.
pub fn endless() -> impl Iterator<Item = Generated> {
    Traffic { seed: 7, events: u64::MAX, buckets: u32::MAX, ..Traffic::default() }.generate()
}

/// A window, and what was stored before it.
#[derive(Clone, Debug, Default)]
pub struct Dirty {
    /// The states of all resources that were seen before.
    pub stored: HashMap<ResourceId, ResourceState>,
    /// The events of the window, with the times of their arrival.
    pub events: Vec<(Event, i64)>,
    /// What they make of their resources.
    pub deltas: Vec<(ResourceId, Delta)>,
}

/// The last window of the wide traffic that has this many dirty resources.
#[must_use]
pub fn dirty(resources: usize) -> Dirty {
    let (mut full, mut open) = (Dirty::default(), Vec::new());
    let mut stored: HashMap<ResourceId, ResourceState> = HashMap::new();
    let deltas = Deltas::default();
    for record in wide() {
        let Some(event) = parse(&record) else { continue };
        deltas.fold(event.clone(), record.event_time_ms);
        open.push((event, record.event_time_ms));
        if deltas.len() == resources {
            for (id, delta) in std::mem::take(&mut full.deltas) {
                stored.entry(id).or_default().merge(delta.state);
            }
            full = Dirty { events: std::mem::take(&mut open), deltas: deltas.drain(), ..Dirty::default() };
        }
    }
    Dirty { stored, ..full }
}

impl Dirty {
    /// What is to be stored of the window's resources.
    #[must_use]
    pub fn merged(self) -> Vec<(ResourceId, ResourceState)> {
        let Self { mut stored, deltas, .. } = self;
        let merged = deltas.into_iter().map(|(id, delta)| {
            let mut state = stored.remove(&id).unwrap_or_default();
            state.merge(delta.state);
            (id, state)
        });
        merged.collect()
    }
}

/// What is stored of each bucket at the end of the corpus.
#[must_use]
pub fn states() -> Vec<(ResourceId, ResourceState)> {
    windows(usize::MAX).into_iter().flatten().collect()
}

/// The bytes of the records.
#[must_use]
pub fn bytes(records: &[&Generated]) -> usize {
    records.iter().map(|record| record.body.len()).sum()
}

/// The event in a record that changes something.
#[must_use]
pub fn parse(record: &Generated) -> Option<Event> {
    let mut found = None;
    Parser::default().parse(&record.body, record.event_time_ms, &mut |parsed| {
        if let Parsed::Event(event) = parsed {
            found = Some(event);
        }
    });
    found
}
