//! What this process has seen of others, by its own clock: clocks of other machines are not trusted.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::leases::{Leader, Lease};
use crate::record::ShardId;

/// Who did not hand over what it was asked for is not asked again for so long.
const DEAF_FOR: Duration = Duration::from_secs(600);

/// When each counter was last seen to move, how long each request has stood, and the heartbeat of a leader.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    counters: HashMap<ShardId, (u64, Instant)>,
    asked: HashMap<ShardId, (String, Instant)>,
    /// When those were last seen that had been asked in vain.
    deaf: HashMap<String, Instant>,
    leader: Option<(Leader, Instant)>,
}

impl Sightings {
    /// Notes the table as it is now. `patience` is how long a request may stand.
    pub(super) fn observe(
        &mut self,
        leases: &[Lease],
        leader: Option<&Leader>,
        (me, patience): (&str, Duration),
        now: Instant,
    ) {
        let mut counters = std::mem::take(&mut self.counters);
        let mut asked = std::mem::take(&mut self.asked);
        for lease in leases {
            let since = counters.remove(&lease.shard).filter(|(counter, _)| *counter == lease.counter);
            self.counters.insert(lease.shard.clone(), (lease.counter, since.map_or(now, |(_, since)| since)));
            let Some(holder) = lease.checkpoint_owner.as_ref().filter(|_| lease.owner.as_deref() == Some(me)) else {
                continue;
            };
            let since = asked.remove(&lease.shard).filter(|(known, _)| known == holder).map_or(now, |(_, since)| since);
            if since + patience <= now {
                self.deaf.insert(holder.clone(), now);
            }
            self.asked.insert(lease.shard.clone(), (holder.clone(), since));
        }
        self.deaf.retain(|_, at| *at + DEAF_FOR > now);
        let since = |seen: &Leader| self.leader.as_ref().filter(|(known, _)| known == seen).map_or(now, |(_, at)| *at);
        self.leader = leader.map(|seen| (seen.clone(), since(seen)));
    }

    /// Since when the row has been as it is now, as far as this process knows.
    pub(super) fn since(&self, lease: &Lease) -> Option<Instant> {
        self.counters.get(&lease.shard).filter(|(counter, _)| *counter == lease.counter).map(|(_, since)| *since)
    }

    /// When the lease expires, or has expired, if its counter does not move.
    pub(super) fn expires(&self, lease: &Lease, failover_after: Duration) -> Option<Instant> {
        self.since(lease).map(|since| since + failover_after)
    }

    /// Since when this worker has been asking for the lease.
    pub(super) fn asked_since(&self, lease: &Lease) -> Option<Instant> {
        self.asked.get(&lease.shard).map(|(_, since)| *since)
    }

    /// Whether the worker was asked in vain not long ago.
    pub(super) fn is_deaf(&self, worker: &str) -> bool {
        self.deaf.contains_key(worker)
    }

    /// The leader that may be alive: one that has just been seen for the first time may.
    pub(super) fn live_leader(&self, now: Instant) -> Option<&str> {
        let (leader, since) = self.leader.as_ref()?;
        (now < *since + leader.lasts).then_some(&leader.name)
    }
}
