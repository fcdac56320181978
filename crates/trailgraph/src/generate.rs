//! Believable CloudTrail traffic about S3 buckets, their access points and their accounts, made from a seed: for the
//! demo, the benches and the tests.
//!
//! The history is sound (a bucket is created before it is changed, a deleted one answers `NoSuchBucket`), its delivery
//! is as bad as CloudTrail's and EventBridge's: late, repeated, in two copies, between events of no interest.

mod actor;
mod answer;
mod bodies;
mod call;
mod history;
mod mix;
mod noise;
mod policy;
mod record;
mod subject;
mod text;
mod world;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

use self::history::{Happening, History};
use self::record::Side;

/// Of 1,000 calls, how many are delivered twice. The second delivery is an event too: about 5 % of the stream.
const REPEATED_PER_MILLE: u32 = 54;
const REPEATED_WITHIN: u64 = 400;
const LATE_PER_MILLE: u32 = 100;
const LATE_BY_AT_MOST: u64 = 48;

/// What to generate. The same values give the same bytes.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Decides everything that is drawn.
    pub seed: u64,
    /// How many events to make: duplicates, copies and noise included.
    pub events: u64,
    /// How many bucket names there are. Few events may not reach all of them.
    pub buckets: u32,
    /// The time of the first event, in epoch milliseconds. Only its second counts.
    pub start_ms: i64,
    /// The event time that passes from one event to the next, on average.
    pub spacing_ms: u32,
}

impl Default for Traffic {
    /// 10,000 events about 500 buckets, ten a second, from 2026-03-01T00:00:00Z.
    fn default() -> Self {
        Self { seed: 1, events: 10_000, buckets: 500, start_ms: 1_772_323_200_000, spacing_ms: 100 }
    }
}

/// One EventBridge event, as it would be put into the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The bucket's name, or the account where the call names no bucket.
    pub partition_key: String,
    /// The event: JSON.
    pub body: Vec<u8>,
    /// Its `eventTime`: whole seconds.
    pub event_time_ms: i64,
}

impl Traffic {
    /// The accounts that receive the events: 12-digit ids, all invented.
    pub fn accounts() -> Vec<&'static str> {
        world::ACCOUNTS.iter().map(|account| account.id).collect()
    }

    /// How much event time the events cover. Bursts may run a few seconds past it.
    pub fn duration_ms(&self) -> i64 {
        i64::from(self.spacing_ms).saturating_mul(i64::try_from(self.events).unwrap_or(i64::MAX))
    }

    /// The events, in the order of their delivery. Memory grows with `buckets` only.
    pub fn generate(self) -> impl Iterator<Item = Generated> {
        // What falls into one second is drawn so: where the clock stands in its second must not show.
        let start_ms = self.start_ms - self.start_ms.rem_euclid(1_000);
        Delivery {
            rng: Rng::with_seed(self.seed),
            history: History::new(self.buckets.max(1)),
            later: BinaryHeap::new(),
            made: 0,
            delivered: 0,
            traffic: Self { start_ms, ..self },
        }
    }
}

/// Hands over what happens, and spoils the order.
struct Delivery {
    traffic: Traffic,
    rng: Rng,
    history: History,
    later: BinaryHeap<Reverse<Later>>,
    made: u64,
    delivered: u64,
}

impl Iterator for Delivery {
    type Item = Generated;

    fn next(&mut self) -> Option<Generated> {
        if self.delivered == self.traffic.events {
            return None;
        }
        self.delivered += 1;
        if self.later.peek().is_some_and(|Reverse(first)| first.at <= self.delivered) {
            return self.later.pop().map(|Reverse(first)| first.event);
        }
        loop {
            let event = self.make();
            if self.rng.u32(..1_000) < REPEATED_PER_MILLE {
                self.postpone(REPEATED_WITHIN, event.clone());
            }
            if self.rng.u32(..1_000) >= LATE_PER_MILLE {
                return Some(event);
            }
            self.postpone(LATE_BY_AT_MOST, event);
        }
    }
}

impl Delivery {
    fn make(&mut self) -> Generated {
        let passed = i64::try_from(self.delivered - 1).unwrap_or(i64::MAX);
        let now_ms = self.traffic.start_ms.saturating_add(passed.saturating_mul(self.traffic.spacing_ms.into()));
        match self.history.next(now_ms, &mut self.rng) {
            Happening::Noise(event) => event,
            Happening::Call(done) if done.is_cross_account() => {
                let ids = record::Ids::draw(&mut self.rng);
                let copy = record::write(&done, Side::Caller, &ids, &mut self.rng);
                self.postpone(LATE_BY_AT_MOST, copy);
                record::write(&done, Side::Owner, &ids, &mut self.rng)
            }
            Happening::Call(done) => record::write(&done, Side::Only, &record::Ids::draw(&mut self.rng), &mut self.rng),
        }
    }

    fn postpone(&mut self, by_at_most: u64, event: Generated) {
        self.made += 1;
        let at = self.delivered + self.rng.u64(1..=by_at_most);
        self.later.push(Reverse(Later { at, made: self.made, event }));
    }
}

/// An event on its way, due at a position of the stream.
struct Later {
    at: u64,
    made: u64,
    event: Generated,
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.made).cmp(&(other.at, other.made))
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.made == other.made
    }
}

impl Eq for Later {}

#[cfg(test)]
mod tests;
