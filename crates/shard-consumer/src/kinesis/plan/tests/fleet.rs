//! Fleets of workers on random streams: each follows its plan, on a table in memory, in time that is only counted.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::super::{lineage, stream::Shard};
use super::*;

const TICK_MS: u64 = 100;
const LOOK_MS: u64 = 800;
const RENEW_MS: u64 = 6_800;
const FENCE_MS: u64 = 9_000;
/// From a request to the hand-over, and from the end of a shard to its checkpoint.
const SAVE_MS: u64 = 400;
/// A closed shard is read to its end in this time, once somebody reads it.
const READ_MS: u64 = 1_500;

/// What happens to a fleet. Numbers choose among what is there.
#[derive(Clone, Debug)]
enum Happens {
    Joins,
    Crashes(usize),
    /// It neither writes nor looks for a while, and then goes on as if nothing had been.
    Freezes(usize, u64),
    Stops(usize),
    Splits(usize),
    Merges(usize, usize),
}

#[derive(Clone)]
struct Held {
    lease: Lease,
    proven_ms: u64,
    read_ms: u64,
    /// Since when it is being handed over, or waits for the checkpoint of its end.
    ending_ms: Option<u64>,
    is_read_to_end: bool,
}

impl Held {
    /// In good order.
    fn release(&self) -> Change {
        let end = || Checkpoint { position: Position::ShardEnd, children: vec![] };
        Change::Release { checkpoint: self.is_read_to_end.then(end) }
    }
}

struct Member {
    name: String,
    sightings: Sightings,
    held: BTreeMap<ShardId, Held>,
    frozen_until_ms: u64,
    looks_ms: u64,
}

struct Fleet {
    begun: Instant,
    ms: u64,
    shards: Vec<Shard>,
    table: BTreeMap<ShardId, Lease>,
    members: Vec<Member>,
    joined: usize,
    /// The shards that have been read to their end.
    finished: BTreeSet<ShardId>,
    actions: usize,
    /// For how long nobody has read a shard that could be read, and for how long at the most.
    unread_ms: BTreeMap<ShardId, u64>,
    longest_unread_ms: u64,
}

impl Fleet {
    fn new(shards: usize, members: usize) -> Self {
        let shards = (0..shards).map(|n| Shard { id: name(n), parents: vec![], hash_keys: None, open: true }).collect();
        let mut fleet = Self {
            begun: Instant::now(),
            ms: 0,
            shards,
            table: BTreeMap::new(),
            members: Vec::new(),
            joined: 0,
            finished: BTreeSet::new(),
            actions: 0,
            unread_ms: BTreeMap::new(),
            longest_unread_ms: 0,
        };
        fleet.make_rows();
        (0..members).for_each(|_| fleet.join());
        fleet
    }

    fn join(&mut self) {
        self.joined += 1;
        self.members.push(Member {
            name: format!("worker-{}", self.joined),
            sightings: Sightings::default(),
            held: BTreeMap::new(),
            frozen_until_ms: 0,
            looks_ms: self.ms + 170 * self.joined as u64 % 1_000,
        });
    }

    fn make_rows(&mut self) {
        let leases: Vec<Lease> = self.table.values().cloned().collect();
        for lease in lineage::missing(&self.shards, &leases, &[], &Position::TrimHorizon) {
            self.table.insert(lease.shard.clone(), lease);
        }
    }

    /// Adds children of these shards, and closes them.
    fn descend(&mut self, parents: &[ShardId], children: usize) {
        for shard in self.shards.iter_mut().filter(|shard| parents.contains(&shard.id)) {
            shard.open = false;
        }
        for _ in 0..children {
            let id = name(self.shards.len());
            self.shards.push(Shard { id, parents: parents.to_vec(), hash_keys: None, open: true });
        }
    }

    fn happen(&mut self, what: &Happens) {
        let open: Vec<ShardId> = self.shards.iter().filter(|shard| shard.open).map(|shard| shard.id.clone()).collect();
        let members = self.members.len();
        match *what {
            Happens::Joins if members < 5 => self.join(),
            Happens::Crashes(n) if members > 1 => drop(self.members.remove(n % members)),
            Happens::Freezes(n, ms) => self.members[n % members].frozen_until_ms = self.ms + ms,
            Happens::Stops(n) if members > 1 => {
                let member = self.members.remove(n % members);
                let coming = |lease: &&Lease| {
                    let is_ours = lease.owner.as_ref() == Some(&member.name) || lease.holder() == Some(&member.name);
                    is_ours && !member.held.contains_key(&lease.shard)
                };
                for lease in self.table.values().filter(coming).cloned().collect::<Vec<_>>() {
                    let is_here = lease.holder() == Some(&member.name);
                    let change = if is_here { Change::Release { checkpoint: None } } else { Change::Withdraw };
                    update(&mut self.table, &lease, &change).unwrap();
                }
                for held in member.held.into_values() {
                    let release = held.release();
                    if let Err(Some(row)) = update(&mut self.table, &held.lease, &release)
                        && row.holder() == Some(&member.name)
                    {
                        let _asked_for = update(&mut self.table, &row, &release);
                    }
                }
            }
            Happens::Splits(n) if open.len() < 12 => self.descend(&[open[n % open.len()].clone()], 2),
            Happens::Merges(a, b) if a % open.len() != b % open.len() => {
                self.descend(&[open[a % open.len()].clone(), open[b % open.len()].clone()], 1);
            }
            _ => {}
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / TICK_MS {
            self.ms += TICK_MS;
            for mut member in std::mem::take(&mut self.members) {
                if member.frozen_until_ms <= self.ms {
                    self.keep(&mut member);
                    self.look(&mut member);
                }
                self.members.push(member);
            }
            self.check();
            self.measure();
        }
    }

    /// What a member's tenures do by themselves.
    fn keep(&mut self, member: &mut Member) {
        for (shard, mut held) in std::mem::take(&mut member.held) {
            if self.ms - held.proven_ms >= FENCE_MS {
                continue;
            }
            held.read_ms += TICK_MS;
            let is_closed = self.shards.iter().any(|listed| listed.id == shard && !listed.open);
            if is_closed && held.read_ms >= READ_MS && held.ending_ms.is_none() {
                held.is_read_to_end = true;
                held.ending_ms = Some(self.ms);
                self.finished.insert(shard.clone());
                self.make_rows();
            }
            let change = match held.ending_ms {
                Some(since) if self.ms - since >= SAVE_MS => held.release(),
                _ if self.ms - held.proven_ms >= RENEW_MS => Change::Renew { checkpoint: None, throughput_kbps: None },
                _ => {
                    member.held.insert(shard, held);
                    continue;
                }
            };
            match update(&mut self.table, &held.lease, &change) {
                Ok(row) if matches!(change, Change::Renew { .. }) => {
                    member.held.insert(shard, Held { lease: row, proven_ms: self.ms, ..held });
                }
                Err(Some(row)) if row.holder() == Some(&member.name) && row.counter == held.lease.counter => {
                    // Asked for, or not any more; who has begun to leave goes on.
                    held.ending_ms.get_or_insert(self.ms);
                    member.held.insert(shard, Held { lease: *row, ..held });
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn look(&mut self, member: &mut Member) {
        if self.ms < member.looks_ms {
            return;
        }
        let now = self.begun + Duration::from_millis(self.ms);
        let leases: Vec<Lease> = self.table.values().cloned().collect();
        member.sightings.observe(&leases, None, (&member.name, PATIENCE), now);
        for lease in leases.iter().filter(|lease| lease.checkpoint_owner.as_ref() == Some(&member.name)) {
            if let Some(held) = member.held.get_mut(&lease.shard) {
                held.ending_ms.get_or_insert(self.ms);
            }
        }
        let here = |held: &Held| if held.is_read_to_end { Here::ReadToEnd } else { Here::Reading };
        let here = member.held.iter().map(|(shard, held)| (shard.clone(), here(held))).collect();
        let Member { name, sightings, .. } = &*member;
        let (here, unknown, earlier, failover_after) = (&here, &HashSet::new(), None, FAILOVER);
        let view = View { me: name, earlier, now, failover_after, leases: &leases, sightings, here, unknown };
        let plan = view.plan();
        let owner = name.clone();
        for action in &plan.actions {
            self.actions += 1;
            match action {
                Action::Take(lease, _) => {
                    if let Ok(row) = update(&mut self.table, lease, &Change::Take { owner: owner.clone() }) {
                        let mut parents = lease.parents.iter().filter(|parent| self.table.contains_key(*parent));
                        assert!(parents.all(|parent| self.finished.contains(parent)), "{} too early", lease.shard);
                        let begun = (self.ms, 0, None, false);
                        let (proven_ms, read_ms, ending_ms, is_read_to_end) = begun;
                        let held = Held { lease: row, proven_ms, read_ms, ending_ms, is_read_to_end };
                        member.held.insert(lease.shard.clone(), held);
                    }
                }
                Action::Ask(lease) => drop(update(&mut self.table, lease, &Change::Ask { owner: owner.clone() })),
                Action::Withdraw(lease) => drop(update(&mut self.table, lease, &Change::Withdraw)),
            }
        }
        let again = plan.look_again.map_or(LOOK_MS, |again| again.as_millis() as u64);
        member.looks_ms = self.ms + again.clamp(TICK_MS, LOOK_MS);
    }

    fn measure(&mut self) {
        let is_done = |shard: &ShardId| self.finished.contains(shard) || !self.table.contains_key(shard);
        for lease in self.table.values().filter(|lease| !is_done(&lease.shard) && lease.parents.iter().all(is_done)) {
            let is_reading = |held: &Held| held.ending_ms.is_none();
            let mut held = self.members.iter().filter_map(|member| member.held.get(&lease.shard));
            let unread_ms = self.unread_ms.entry(lease.shard.clone()).or_default();
            *unread_ms = if held.any(is_reading) { 0 } else { *unread_ms + TICK_MS };
            self.longest_unread_ms = self.longest_unread_ms.max(*unread_ms);
        }
    }

    /// No two workers read one shard, however long one is frozen: who wakes up looks at the clock first.
    fn check(&self) {
        let mut readers: BTreeMap<&ShardId, &str> = BTreeMap::new();
        for member in &self.members {
            for (shard, held) in &member.held {
                if self.ms - held.proven_ms < FENCE_MS {
                    let other = readers.insert(shard, &member.name);
                    assert_eq!(other, None, "{shard} is read by {} too, at {} ms", member.name, self.ms);
                }
            }
        }
    }
}

fn name(number: usize) -> ShardId {
    ShardId::from(format!("shardId-{number:012}").as_str())
}

/// The row after the write, or the row that refused it.
fn update(table: &mut BTreeMap<ShardId, Lease>, seen: &Lease, change: &Change) -> Result<Lease, Option<Box<Lease>>> {
    match table.get_mut(&seen.shard) {
        Some(row) if row.is_unchanged(seen) => {
            row.apply(change);
            Ok(row.clone())
        }
        row => Err(row.cloned().map(Box::new)),
    }
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        Just(Happens::Joins),
        (0..5_usize).prop_map(Happens::Crashes),
        (0..5_usize, 1_000..20_000_u64).prop_map(|(n, ms)| Happens::Freezes(n, ms)),
        (0..5_usize).prop_map(Happens::Stops),
        (0..12_usize).prop_map(Happens::Splits),
        (0..12_usize, 0..12_usize).prop_map(|(a, b)| Happens::Merges(a, b)),
    ]
}

fn happens_in_good_order() -> impl Strategy<Value = Happens> {
    happens().prop_filter("nobody dies", |what| !matches!(what, Happens::Crashes(_) | Happens::Freezes(..)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_every_open_shard_has_one_reader_again_after_its_parents_and_the_load_is_even(
        shards in 1..9_usize,
        members in 1..4_usize,
        story in prop::collection::vec((0..6_000_u64, happens()), 0..12),
    ) {
        let mut fleet = Fleet::new(shards, members);
        for (after_ms, what) in story {
            fleet.pass(after_ms);
            fleet.happen(&what);
        }
        // A freeze lasts up to 20 s; then the load is even within a minute.
        fleet.pass(20_000 + 60_000);
        let read: BTreeSet<&ShardId> = fleet.members.iter().flat_map(|member| member.held.keys()).collect();
        let open: BTreeSet<&ShardId> = fleet.shards.iter().filter(|s| s.open).map(|shard| &shard.id).collect();
        prop_assert_eq!(read, open);
        let counts: Vec<usize> = fleet.members.iter().map(|member| member.held.len()).collect();
        prop_assert!(counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(), "{:?}", counts);
        let actions = fleet.actions;
        fleet.pass(30_000);
        prop_assert_eq!(fleet.actions, actions, "it settles");
    }

    #[test]
    fn where_nobody_dies_no_shard_is_without_a_reader_for_more_than_two_seconds(
        shards in 1..9_usize,
        members in 1..4_usize,
        story in prop::collection::vec((0..6_000_u64, happens_in_good_order()), 0..12),
    ) {
        let mut fleet = Fleet::new(shards, members);
        for (after_ms, what) in story {
            fleet.pass(after_ms);
            fleet.happen(&what);
        }
        fleet.pass(20_000);
        prop_assert!(fleet.longest_unread_ms <= 2_000, "{} ms", fleet.longest_unread_ms);
    }
}
