//! What is measured: one corpus, the same in every bench and every run.

use std::sync::LazyLock;

use bucket_state::{Deltas, Event, Parsed, Parser, ResourceId, ResourceState};
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
        events.iter().for_each(|(event, arrived_ms)| deltas.fold(event, *arrived_ms));
        deltas.drain().into_iter().map(|(id, delta)| (id, delta.state)).collect()
    };
    events().chunks(events_each).map(window).collect()
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

fn parse(record: &Generated) -> Option<Event> {
    let mut found = None;
    Parser::default().parse(&record.body, record.event_time_ms, &mut |parsed| {
        if let Parsed::Event(event) = parsed {
            found = Some(event);
        }
    });
    found
}
