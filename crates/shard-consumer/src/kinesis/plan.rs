//! What to do about the leases, given the shards: decisions without side effects.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::stream::Shard;
use crate::leases::Lease;
use crate::record::{Position, ShardId};

/// The row of a shard that has none yet.
pub(super) fn new_lease(shard: &Shard, checkpoint: Position) -> Lease {
    let mut lease = Lease::unowned(shard.id.clone(), checkpoint, shard.parents.clone());
    lease.hash_keys.clone_from(&shard.hash_keys);
    lease
}

/// The rows that are missing, parents before their children: at `start`, or at the oldest record where a parent has
/// a row, for what such a child holds came after what was there to be read.
pub(super) fn missing(shards: &[Shard], leases: &[Lease], start: &Position) -> Vec<Lease> {
    let known: HashSet<&ShardId> = leases.iter().map(|lease| &lease.shard).collect();
    let mut followed = known.clone();
    let mut missing = Vec::new();
    for shard in parents_first(shards).into_iter().filter(|shard| !known.contains(&shard.id)) {
        let follows = shard.parents.iter().any(|parent| followed.contains(parent));
        if follows {
            followed.insert(&shard.id);
        }
        missing.push(new_lease(shard, if follows { Position::TrimHorizon } else { start.clone() }));
    }
    missing
}

fn parents_first(shards: &[Shard]) -> Vec<&Shard> {
    let mut waiting: BTreeMap<&ShardId, &Shard> = shards.iter().map(|shard| (&shard.id, shard)).collect();
    let mut ordered = Vec::with_capacity(shards.len());
    while !waiting.is_empty() {
        let ready = |shard: &&Shard| !shard.parents.iter().any(|parent| waiting.contains_key(parent));
        let mut next: Vec<&Shard> = waiting.values().copied().filter(ready).collect();
        if next.is_empty() {
            // A listing in which shards descend from themselves is no reason not to read them.
            next = waiting.values().copied().collect();
        }
        for shard in &next {
            waiting.remove(&shard.id);
        }
        ordered.append(&mut next);
    }
    ordered
}

/// The rows that nobody needs any more: finished, and absent from two listings in a row, so never to be created again.
pub(super) fn obsolete<'a>(listings: [&[Shard]; 2], leases: &'a [Lease]) -> Vec<&'a ShardId> {
    let listed: HashSet<&ShardId> = listings.into_iter().flatten().map(|shard| &shard.id).collect();
    let finished = leases.iter().filter(|lease| lease.checkpoint == Position::ShardEnd);
    finished.map(|lease| &lease.shard).filter(|shard| !listed.contains(shard)).collect()
}

/// The leases to take now: those not being read, that are free and whose parents with a row are all read to their end.
pub(super) fn to_take(
    leases: &[Lease],
    is_reading: impl Fn(&ShardId) -> bool,
    is_free: impl Fn(&Lease) -> bool,
    is_finished: impl Fn(&ShardId) -> bool,
) -> Vec<&Lease> {
    let unread = not_at_the_end(leases, is_finished);
    leases
        .iter()
        .filter(|lease| unread.contains(&lease.shard) && !is_reading(&lease.shard) && is_free(lease))
        .filter(|lease| !lease.parents.iter().any(|parent| unread.contains(parent)))
        .collect()
}

/// The shards with a row that are not read to their end.
fn not_at_the_end(leases: &[Lease], is_finished: impl Fn(&ShardId) -> bool) -> HashSet<&ShardId> {
    let going_on = leases.iter().filter(|lease| lease.checkpoint != Position::ShardEnd && !is_finished(&lease.shard));
    going_on.map(|lease| &lease.shard).collect()
}

/// When each counter was last seen to move, by this process's own clock: clocks of other machines are not trusted.
#[derive(Debug, Default)]
pub(super) struct Sightings(HashMap<ShardId, (u64, Instant)>);

impl Sightings {
    pub(super) fn observe(&mut self, leases: &[Lease], now: Instant) {
        let mut before = std::mem::take(&mut self.0);
        for lease in leases {
            let since = before.remove(&lease.shard).filter(|(counter, _)| *counter == lease.counter);
            self.0.insert(lease.shard.clone(), (lease.counter, since.map_or(now, |(_, since)| since)));
        }
    }

    /// Whether the counter has not moved for `failover_after`.
    pub(super) fn is_expired(&self, lease: &Lease, failover_after: Duration, now: Instant) -> bool {
        self.0.get(&lease.shard).is_some_and(|(_, since)| now.duration_since(*since) >= failover_after)
    }
}

/// Each of `shards`, which nobody reads, with the reason.
pub(super) fn why_unread(shards: &[&ShardId], leases: &[Lease], is_finished: impl Fn(&ShardId) -> bool) -> Vec<String> {
    let going_on = not_at_the_end(leases, is_finished);
    let why = |shard: &ShardId| {
        let Some(lease) = leases.iter().find(|lease| lease.shard == *shard) else { return "no lease yet".to_owned() };
        if let Some(parent) = lease.parents.iter().find(|parent| going_on.contains(parent)) {
            return format!("waits for the end of {parent}");
        }
        match &lease.owner {
            Some(owner) => format!("not renewed by {owner}"),
            None => "no owner".to_owned(),
        }
    };
    shards.iter().map(|shard| format!("{shard}: {}", why(shard))).collect()
}

#[cfg(test)]
mod tests;
