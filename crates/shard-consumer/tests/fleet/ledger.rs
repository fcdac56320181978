//! What a fleet told, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// Something that a worker told, or that was done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Taken(String),
    /// Nothing more is read from the shard, for one reason or another.
    Ended(String),
    /// Read to its end.
    Finished(String),
    /// A key and its number.
    Record {
        key: String,
        number: u64,
    },
    /// The worker was told to stop.
    Stopping,
    /// The worker was killed, or has ended.
    Gone,
}

/// Everything that was told, in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Milliseconds, worker, what.
    pub(crate) lines: Vec<(u64, String, Told)>,
}

/// How a reader leaves a shard that is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Left {
    /// Another worker asked for the lease, or it was lost.
    HandedOver,
    Terminated,
    Crashed,
}

/// The time between two readers of a shard.
#[derive(Clone)]
pub(crate) struct Gap {
    shard: String,
    pub(crate) ms: u64,
    after: Left,
}

impl fmt::Debug for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms ({})", self.ms, self.shard)
    }
}

/// What follows from the lines so far.
#[derive(Default)]
struct Readers<'a> {
    /// By shard. Of two that believe to read it, the later.
    reading: BTreeMap<&'a str, &'a str>,
    /// By shard: since when nobody reads it.
    left: BTreeMap<&'a str, (u64, Left)>,
    live: BTreeSet<&'a str>,
    stopping: BTreeSet<&'a str>,
    gaps: Vec<Gap>,
    /// The shards that a second worker took while the first believed to read them.
    contested: Vec<&'a str>,
}

impl<'a> Readers<'a> {
    fn of(ledger: &'a Ledger) -> Self {
        let mut readers = Self::default();
        ledger.lines.iter().for_each(|(at, worker, told)| readers.note(*at, worker, told));
        readers
    }

    fn note(&mut self, at: u64, worker: &'a str, told: &'a Told) {
        self.live.insert(worker);
        match told {
            Told::Taken(shard) => {
                if self.reading.insert(shard, worker).is_some_and(|other| other != worker) {
                    self.contested.push(shard);
                }
                if let Some((since, after)) = self.left.remove(shard.as_str()) {
                    self.gaps.push(Gap { shard: shard.clone(), ms: at - since, after });
                }
            }
            Told::Ended(shard) => self.leave(at, Left::HandedOver, |read, by| read == shard && by == worker),
            Told::Finished(shard) => {
                if self.reading.get(shard.as_str()) == Some(&worker) {
                    self.reading.remove(shard.as_str());
                }
            }
            Told::Stopping => {
                self.stopping.insert(worker);
                self.leave(at, Left::Terminated, |_, by| by == worker);
            }
            Told::Gone => {
                self.live.remove(worker);
                let is_told = self.stopping.contains(worker);
                let how = if is_told { Left::Terminated } else { Left::Crashed };
                self.leave(at, how, |_, by| by == worker);
            }
            Told::Record { .. } => {}
        }
    }

    fn leave(&mut self, at: u64, how: Left, is_left: impl Fn(&str, &str) -> bool) {
        let left = self.reading.extract_if(.., |shard, by| is_left(shard, by));
        self.left.extend(left.map(|(shard, _)| (shard, (at, how))));
    }
}

impl Ledger {
    pub(crate) fn records(&self) -> impl Iterator<Item = (&str, u64)> {
        self.lines.iter().filter_map(|(_, _, told)| match told {
            Told::Record { key, number } => Some((key.as_str(), *number)),
            _ => None,
        })
    }

    /// Asserts that of each key the numbers below its count came, each for the first time after the one before it.
    /// Returns how many came more than once.
    pub(crate) fn assert_whole_and_in_order(&self, sent: &BTreeMap<String, u64>) -> usize {
        let mut next: HashMap<&str, u64> = HashMap::new();
        let mut again = 0;
        for (key, number) in self.records() {
            let expected = next.entry(key).or_default();
            assert!(number <= *expected, "of {key}, {number} came before {expected}");
            if number == *expected {
                *expected += 1;
            } else {
                again += 1;
            }
        }
        for (key, count) in sent {
            assert_eq!(next.get(key.as_str()).copied().unwrap_or(0), *count, "of {key}, some never came");
        }
        again
    }

    /// Whether each key has come as far as it was sent.
    pub(crate) fn has_all(&self, sent: &BTreeMap<String, u64>) -> bool {
        let mut came: HashMap<&str, u64> = HashMap::new();
        for (key, number) in self.records() {
            let reached = came.entry(key).or_default();
            *reached = (number + 1).max(*reached);
        }
        sent.iter().all(|(key, count)| came.get(key.as_str()).copied().unwrap_or(0) >= *count)
    }

    /// How many shards each live worker reads at the end.
    pub(crate) fn held(&self) -> BTreeMap<&str, usize> {
        let Readers { reading, live, .. } = Readers::of(self);
        let of = |worker: &str| reading.values().filter(|by| **by == worker).count();
        live.into_iter().map(|worker| (worker, of(worker))).collect()
    }

    /// The shards that two workers believed to read at the same time. Of processes, only their own clocks tell it: the
    /// word of one that was stopped comes late.
    pub(crate) fn contested(&self) -> Vec<&str> {
        Readers::of(self).contested
    }

    /// Every time between two readers of a shard. Each that was left must have had a next one.
    fn gaps(&self) -> Vec<Gap> {
        let Readers { left, gaps, .. } = Readers::of(self);
        assert!(left.is_empty(), "nobody reads them any more: {left:?}");
        gaps
    }

    /// The longest gap after each way to leave.
    pub(crate) fn longest_gaps(&self) -> BTreeMap<Left, Gap> {
        let mut longest: BTreeMap<Left, Gap> = BTreeMap::new();
        for gap in self.gaps() {
            let known = longest.entry(gap.after).or_insert_with(|| gap.clone());
            if known.ms < gap.ms {
                *known = gap;
            }
        }
        longest
    }
}
