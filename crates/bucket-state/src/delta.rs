//! What the open window has seen, by resource.

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use crate::event::Event;
use crate::resource::ResourceId;
use crate::state::ResourceState;

/// An empty state plus the events of one window, with the times that freshness is measured from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The folded events.
    pub state: ResourceState,
    /// Events folded, duplicates included.
    pub events: u64,
    /// When the oldest of them arrived in the stream, in milliseconds since 1970.
    pub arrived_ms: i64,
    /// When the oldest of them happened, in milliseconds since 1970.
    pub happened_ms: i64,
}

impl Delta {
    fn of(event: Event, arrived_ms: i64) -> Self {
        let happened_ms = event.origin.stamp.happened_ms();
        Self { state: ResourceState::of(event), events: 1, arrived_ms, happened_ms }
    }

    fn fold(&mut self, event: Event, arrived_ms: i64) {
        self.events += 1;
        self.arrived_ms = self.arrived_ms.min(arrived_ms);
        self.happened_ms = self.happened_ms.min(event.origin.stamp.happened_ms());
        self.state.fold(event);
    }
}

/// The deltas of all resources that are dirty now. Readers fold into it in parallel; its size grows with the
/// number of distinct resources, never with the number of events.
#[derive(Debug, Default)]
pub struct Deltas(DashMap<ResourceId, Delta, RandomState>);

impl Deltas {
    /// Joins one event that arrived at `arrived_ms`.
    pub fn fold(&self, event: Event, arrived_ms: i64) {
        match self.0.entry(event.resource.clone()) {
            Entry::Occupied(mut entry) => entry.get_mut().fold(event, arrived_ms),
            Entry::Vacant(entry) => {
                entry.insert(Delta::of(event, arrived_ms));
            }
        }
    }

    /// Takes everything out, in the order of the resources' names, so that the same events are saved in the same order.
    /// An event that is folded meanwhile is either in the answer or still here.
    #[must_use]
    pub fn drain(&self) -> Vec<(ResourceId, Delta)> {
        let mut keys: Vec<ResourceId> = self.0.iter().map(|entry| entry.key().clone()).collect();
        keys.sort_unstable();
        keys.iter().filter_map(|key| self.0.remove(key)).collect()
    }

    /// Resources that are dirty.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is dirty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
