//! Shards and the rows that they call for: which are missing, which nobody needs, which part of the keys has none.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::stream::Shard;
use crate::leases::{Lease, UnreadableLease};
use crate::record::{Position, ShardId};

/// The row of a shard that has none yet.
fn new_lease(shard: &Shard, checkpoint: Position) -> Lease {
    let mut lease = Lease::unowned(shard.id.clone(), checkpoint, shard.parents.clone());
    lease.hash_keys.clone_from(&shard.hash_keys);
    lease
}

/// The rows that are missing, parents before their children: at `start`, or at the oldest record where a parent has
/// a row, for what such a child holds came after what was there to be read.
///
/// No row is missing before one that reading has passed: whoever wrote that one had done with its ancestors.
///
/// A child whose parent waits to be read from a time begins at that time, too: making the rows may have been cut short.
pub(super) fn missing(
    shards: &[Shard],
    leases: &[Lease],
    unreadable: &[UnreadableLease],
    start: &Position,
) -> Vec<Lease> {
    let read = leases.iter().map(|lease| &lease.shard);
    let known: HashSet<&ShardId> = read.chain(unreadable.iter().map(|lease| &lease.shard)).collect();
    let mut times: HashMap<&ShardId, i64> =
        leases.iter().filter_map(|lease| Some((&lease.shard, lease.checkpoint.timestamp_ms()?))).collect();
    let done = ancestors_of_the_begun(shards, leases);
    let mut followed = known.clone();
    let mut missing = Vec::new();
    for shard in parents_first(shards) {
        if known.contains(&shard.id) || done.contains(&shard.id) {
            continue;
        }
        let follows = shard.parents.iter().any(|parent| followed.contains(parent) || done.contains(parent));
        if follows {
            followed.insert(&shard.id);
        }
        let time = shard.parents.iter().filter_map(|parent| times.get(parent)).min();
        let time = time.copied().filter(|_| follows);
        times.extend(time.map(|ms| (&shard.id, ms)));
        let after_parents = time.map_or(Position::TrimHorizon, Position::AtTimestamp);
        missing.push(new_lease(shard, if follows { after_parents } else { start.clone() }));
    }
    missing
}

/// The ancestors of shards that have been read from, or of which only the latest records are wanted.
fn ancestors_of_the_begun<'a>(shards: &'a [Shard], leases: &'a [Lease]) -> HashSet<&'a ShardId> {
    let mut parents: HashMap<&ShardId, Vec<&ShardId>> = HashMap::new();
    for shard in shards {
        parents.entry(&shard.id).or_default().extend(&shard.parents);
    }
    for lease in leases {
        parents.entry(&lease.shard).or_default().extend(&lease.parents);
    }
    let begun = leases.iter().filter(|lease| !lease.checkpoint.is_start() || lease.checkpoint == Position::Latest);
    let mut next: Vec<&ShardId> = begun.flat_map(|lease| parents[&lease.shard].iter().copied()).collect();
    let mut ancestors = HashSet::new();
    while let Some(shard) = next.pop() {
        if ancestors.insert(shard) {
            next.extend(parents.get(shard).into_iter().flatten());
        }
    }
    ancestors
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
pub(super) fn obsolete<'a>(listings: [&[Shard]; 2], leases: &'a [Lease]) -> Vec<&'a Lease> {
    let listed: HashSet<&ShardId> = listings.into_iter().flatten().map(|shard| &shard.id).collect();
    leases.iter().filter(|lease| lease.is_finished() && !listed.contains(&lease.shard)).collect()
}

/// The hash keys, first and last inclusive, that no unfinished lease covers. None where some lease does not tell its
/// keys: then there is no knowing.
pub(super) fn holes(shards: &[Shard], leases: &[Lease]) -> Vec<(u128, u128)> {
    let listed: HashMap<&ShardId, &Shard> = shards.iter().map(|shard| (&shard.id, shard)).collect();
    let keys = |lease: &Lease| {
        let of_shard = || listed.get(&lease.shard).and_then(|shard| shard.hash_keys.clone());
        let (first, last) = lease.hash_keys.clone().or_else(of_shard)?;
        Some((first.parse::<u128>().ok()?, last.parse::<u128>().ok()?))
    };
    let unfinished = leases.iter().filter(|lease| !lease.is_finished());
    let Some(mut covered) = unfinished.map(keys).collect::<Option<Vec<_>>>() else { return Vec::new() };
    covered.sort_unstable();
    let mut holes = Vec::new();
    let mut next = Some(0);
    for (first, last) in covered {
        let Some(from) = next else { break };
        if first > from {
            holes.push((from, first - 1));
        }
        next = if last >= from { last.checked_add(1) } else { next };
    }
    holes.extend(next.map(|from| (from, u128::MAX)));
    holes
}

#[cfg(test)]
mod tests;
