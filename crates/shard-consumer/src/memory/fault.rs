//! Faults on demand.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::record::ShardId;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The batch is delivered twice.
    Duplicate,
    /// The lease is lost instead of the delivery, and taken again at the checkpoint. The log must be retained.
    LoseLease,
    /// The delivery is late.
    Pause(Duration),
    /// The first checkpoint of this shard after the delivery fails; nothing of it is written, for no shard.
    FailCheckpoint,
}

/// A fault and its moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultAt {
    /// The shard.
    pub shard: ShardId,
    /// Which delivery of that shard by this source: 0 is the first.
    pub delivery: u64,
    /// What happens then.
    pub fault: Fault,
}

/// The faults of one source. Each shard counts its own deliveries, so the script does not depend on scheduling.
pub(super) struct Script {
    faults: HashMap<(ShardId, u64), Fault>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    deliveries: HashMap<ShardId, u64>,
    failing: HashSet<ShardId>,
}

impl Script {
    pub(super) fn new(faults: Vec<FaultAt>) -> Self {
        let faults = faults.into_iter().map(|at| ((at.shard, at.delivery), at.fault)).collect();
        Self { faults, state: Mutex::default() }
    }

    /// The fault at the delivery that is about to be made.
    pub(super) fn at_next_delivery(&self, shard: &ShardId) -> Option<Fault> {
        if self.faults.is_empty() {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let count = state.deliveries.entry(shard.clone()).or_default();
        let fault = self.faults.get(&(shard.clone(), *count)).copied();
        *count += 1;
        if fault == Some(Fault::FailCheckpoint) {
            state.failing.insert(shard.clone());
        }
        fault
    }

    /// Whether this checkpoint of `shard` fails. The next one does not.
    pub(super) fn fails_checkpoint(&self, shard: &ShardId) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failing.remove(shard)
    }
}
