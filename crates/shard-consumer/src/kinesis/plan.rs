//! Which leases this worker takes and which it asks for: a decision without side effects.
//!
//! Nobody leads. Every worker looks at the same table and follows the same rules: what nobody reads is taken by whoever
//! sees it, its fair share at once and the rest a moment later; what another live worker reads is asked for, only while
//! that one has at least two more. Workers that ask the same one ask for the same leases in the same order, so of two
//! that do so at once, one is refused and looks again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::RUN_DIGITS;
use super::sightings::Sightings;
use crate::leases::Lease;
use crate::record::ShardId;
use crate::source::TakenFrom;

/// Before it takes more than its fair share of what is free, a worker leaves the others this long.
const SPARE_AFTER: Duration = Duration::from_millis(250);

/// No more leases than this are on their way to a worker at once.
const ASKED_MOST: usize = 8;

/// A lease that was asked for is looked at this often.
const ASKED_LOOK: Duration = Duration::from_millis(250);

/// A holder that has not handed a lease over by then never will: it does not know of hand-overs. The lease stays its
/// own, and it is not asked again for some time.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a worker knows when it decides.
pub(super) struct View<'a, 'l> {
    /// The name under which this run of the worker owns leases: no other run has it.
    pub(super) me: &'a str,
    /// At the first look: how the names of this worker's earlier runs begin, which own nothing any more.
    pub(super) earlier: Option<&'a str>,
    pub(super) now: Instant,
    pub(super) failover_after: Duration,
    pub(super) leases: &'l [Lease],
    pub(super) sightings: &'a Sightings,
    /// What this worker does with shards at this moment.
    pub(super) here: &'a HashMap<ShardId, Here>,
    /// Shards of which nobody can say how far they were read: they have no row yet, or one that is not understood.
    pub(super) unknown: &'a HashSet<ShardId>,
}

/// What a worker does with a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    /// It reads the shard, or some last delivery of a lost tenure is not over yet.
    Reading,
    /// It has read the shard to its end and told so, though that is not checkpointed.
    ReadToEnd,
}

/// What to do with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action<'a> {
    Take(&'a Lease, TakenFrom),
    Ask(&'a Lease),
    Withdraw(&'a Lease),
}

/// What to do now, and when to look again at the latest.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    pub(super) actions: Vec<Action<'a>>,
    pub(super) look_again: Option<Duration>,
}

impl<'a, 'l: 'a> View<'a, 'l> {
    pub(super) fn plan(&self) -> Plan<'l> {
        let mut plan = Plan::default();
        let mut counts = self.counts();
        self.take(&mut plan, &mut counts);
        self.ask(&mut plan, &mut counts);
        let live = self.leases.iter().filter(|lease| lease.holder().is_some() && !lease.is_finished());
        let expiries = live.filter_map(|lease| self.sightings.expires(lease, self.failover_after));
        plan.look_by(expiries.filter(|at| *at > self.now).min().map(|at| at - self.now));
        plan
    }

    /// Why the lease may be taken without asking; none if a live worker holds it, or this one reads it.
    pub(super) fn free(&self, lease: &Lease) -> Option<TakenFrom> {
        if self.here.contains_key(&lease.shard) {
            return None;
        }
        match lease.holder() {
            None => Some(TakenFrom::Nobody),
            // Handed over, or taken by a write without an answer; perhaps asked for since then.
            Some(holder) if holder == self.me => Some(TakenFrom::HandOver),
            Some(_) if self.is_of_an_earlier_run(lease) => Some(TakenFrom::Nobody),
            Some(_) => self.is_expired(lease).then_some(TakenFrom::Expired),
        }
    }

    fn is_of_an_earlier_run(&self, lease: &Lease) -> bool {
        let run = self.earlier.zip(lease.holder()).and_then(|(earlier, holder)| holder.strip_prefix(earlier));
        // Another worker's name may begin like this one's.
        run.is_some_and(|run| run.len() == RUN_DIGITS && run.bytes().all(|digit| digit.is_ascii_hexdigit()))
    }

    fn is_expired(&self, lease: &Lease) -> bool {
        self.sightings.expires(lease, self.failover_after).is_some_and(|at| at <= self.now)
    }

    fn is_unread(&self, lease: &Lease) -> bool {
        !lease.is_finished() && self.here.get(&lease.shard) != Some(&Here::ReadToEnd)
    }

    /// The shards that have a row and are not read to their end.
    pub(super) fn unread(&self) -> HashSet<&'l ShardId> {
        self.leases.iter().filter(|lease| self.is_unread(lease)).map(|lease| &lease.shard).collect()
    }

    /// How many leases each live worker has, those included that are on their way to it. This one is always there.
    fn counts(&self) -> BTreeMap<&'a str, usize> {
        let mut counts = BTreeMap::from([(self.me, 0)]);
        for lease in self.leases.iter().filter(|lease| self.is_unread(lease) && self.free(lease).is_none()) {
            if let Some(owner) = &lease.owner {
                *counts.entry(owner).or_default() += 1;
            }
            if let Some(giver) = &lease.checkpoint_owner {
                counts.entry(giver).or_default();
            }
        }
        counts
    }

    /// Takes what is free, once every parent with a row is read to its end.
    fn take(&self, plan: &mut Plan<'l>, counts: &mut BTreeMap<&'a str, usize>) {
        let unread = self.unread();
        let mut free: Vec<(&Lease, TakenFrom)> = self
            .leases
            .iter()
            .filter(|lease| {
                unread.contains(&lease.shard) && !lease.parents.iter().any(|parent| unread.contains(parent))
            })
            // What has been read from has no ancestor left to be read.
            .filter(|lease| !lease.checkpoint.is_start() || !lease.parents.iter().any(|p| self.unknown.contains(p)))
            .filter_map(|lease| Some((lease, self.free(lease)?)))
            .collect();
        // What is this worker's already comes first, then what is its turn: workers begin at different leases.
        let is_mine = |lease: &Lease, from| from == TakenFrom::HandOver || self.is_of_an_earlier_run(lease);
        free.sort_by_cached_key(|(lease, from)| (!is_mine(lease, *from), turn(self.me, &lease.shard)));
        let held: usize = counts.values().sum();
        let share = (held + free.len()).div_ceil(counts.len());
        for (lease, from) in free {
            let mine = counts.entry(self.me).or_default();
            let since = match from {
                TakenFrom::Expired => self.sightings.expires(lease, self.failover_after),
                TakenFrom::Nobody | TakenFrom::HandOver => self.sightings.since(lease),
            };
            let spare_at = since.unwrap_or(self.now) + SPARE_AFTER;
            if *mine < share || is_mine(lease, from) || spare_at <= self.now {
                *mine += 1;
                plan.actions.push(Action::Take(lease, from));
            } else {
                plan.look_by(Some(spare_at - self.now));
            }
        }
    }

    /// Asks the most loaded worker, while it has at least two more than this one. Never while a leader of another
    /// library lives, which balances by rules of its own.
    fn ask(&self, plan: &mut Plan<'l>, counts: &mut BTreeMap<&'a str, usize>) {
        let is_coming = |lease: &&Lease| {
            lease.owner.as_deref() == Some(self.me) && lease.checkpoint_owner.is_some() && self.free(lease).is_none()
        };
        let mut coming = 0;
        for lease in self.leases.iter().filter(is_coming) {
            if self.sightings.asked_since(lease).is_some_and(|since| since + PATIENCE <= self.now) {
                plan.actions.push(Action::Withdraw(lease));
            } else {
                coming += 1;
            }
        }
        if self.sightings.live_leader(self.now).is_none() {
            let mut others = self.others();
            while coming < ASKED_MOST {
                let mine = counts[self.me];
                let loaded = counts.iter().filter(|(worker, _)| others.get(*worker).is_some_and(|l| !l.is_empty()));
                let Some((worker, count)) = loaded.max_by_key(|(worker, count)| (**count, std::cmp::Reverse(**worker)))
                else {
                    break;
                };
                if *count < mine + 2 {
                    break;
                }
                let worker = *worker;
                let Some(lease) = others.get_mut(worker).and_then(Vec::pop) else { break };
                counts.entry(worker).and_modify(|count| *count -= 1);
                counts.entry(self.me).and_modify(|count| *count += 1);
                plan.actions.push(Action::Ask(lease));
                coming += 1;
            }
        }
        if coming > 0 {
            plan.look_by(Some(ASKED_LOOK));
        }
    }

    /// The leases that may be asked for, by owner, the first by name last.
    fn others(&self) -> BTreeMap<&'l str, Vec<&'l Lease>> {
        let mut others: BTreeMap<&str, Vec<&Lease>> = BTreeMap::new();
        for lease in self.leases.iter().filter(|lease| self.is_unread(lease) && self.free(lease).is_none()) {
            if let Some(owner) = lease.owner.as_deref()
                && owner != self.me
                && lease.checkpoint_owner.is_none()
                && !self.sightings.is_deaf(owner)
            {
                others.entry(owner).or_default().push(lease);
            }
        }
        others.values_mut().for_each(|leases| leases.sort_by(|a, b| b.shard.cmp(&a.shard)));
        others
    }

    /// Each of `shards`, which nobody reads, with the reason.
    pub(super) fn why_unread(&self, shards: &[&ShardId]) -> Vec<String> {
        let unread = self.unread();
        let why = |shard: &ShardId| {
            let Some(lease) = self.leases.iter().find(|lease| lease.shard == *shard) else {
                return "no lease yet".to_owned();
            };
            if lease.is_finished() {
                return "its lease says that it is finished, though the shard is open".to_owned();
            }
            if let Some(parent) = lease.parents.iter().find(|parent| unread.contains(parent)) {
                return format!("waits for the end of {parent}");
            }
            if let Some(parent) = lease.parents.iter().find(|parent| self.unknown.contains(parent)) {
                return format!("waits for {parent}, which has no lease that can be read");
            }
            match lease.holder() {
                Some(holder) => format!("not renewed by {holder}"),
                None => "no owner".to_owned(),
            }
        };
        shards.iter().map(|shard| format!("{shard}: {}", why(shard))).collect()
    }
}

impl Plan<'_> {
    fn look_by(&mut self, wait: Option<Duration>) {
        self.look_again = self.look_again.into_iter().chain(wait).min();
    }
}

/// An order of the shards that differs from worker to worker.
fn turn(worker: &str, shard: &ShardId) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (worker, shard).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
