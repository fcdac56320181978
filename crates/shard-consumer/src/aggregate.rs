//! Records that a producer packed into one: the Kinesis Producer Library's format.
//!
//! Nothing is half an aggregate: bytes that break any rule of the format are a record of their own, delivered as they
//! came.

mod message;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use md5::{Digest, Md5};

use crate::record::{Position, Record};
use message::{Aggregate, UserRecord};

/// What is done with user records whose key belongs to another shard. They are counted in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// They are delivered: nothing is lost, and what a producer sends once more comes twice.
    Deliver,
    /// They are dropped, for producers that send them once more to the right shard, as the Kinesis Producer Library
    /// does after a reshard.
    Drop,
}

/// What came of one record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unpacked {
    /// Its user records, in order. A record that is no aggregate is its own only one. The sub-sequence numbers do not
    /// depend on what was dropped.
    pub(crate) records: Vec<Record>,
    /// How many user records belong to another shard, those that were dropped among them.
    pub(crate) misplaced: u64,
    /// The position after all of it, also of what was dropped at its end.
    pub(crate) after: Position,
}

impl Unpacked {
    fn plain(record: Record, handled: &Position) -> Self {
        let after = record.position();
        if after <= *handled {
            return Self { records: Vec::new(), misplaced: 0, after: handled.clone() };
        }
        Self { records: vec![record], misplaced: 0, after }
    }
}

/// Takes the records of one shard apart.
#[derive(Clone, Debug)]
pub(crate) struct Unpacker {
    /// The hash keys of the shard; absent where keys do not decide the shard.
    range: Option<RangeInclusive<u128>>,
    misplaced: Misplaced,
}

impl Unpacker {
    /// `hash_keys` are the shard's first and last, decimal; absent where the stream ignores producers' keys.
    pub(crate) fn new(hash_keys: Option<&(String, String)>, misplaced: Misplaced) -> Self {
        let range = hash_keys.and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
        Self { range, misplaced }
    }

    /// Takes `record` apart. What does not lie behind `handled` is left out, and not counted.
    pub(crate) fn unpack(&self, record: Record, handled: &Position) -> Unpacked {
        if !message::has_magic(&record.data) {
            return Unpacked::plain(record, handled);
        }
        match Aggregate::read(&record.data) {
            Ok(aggregate) => self.take_apart(&record, aggregate, handled),
            Err(reason) => {
                let sequence_number = &record.sequence_number;
                tracing::debug!(sequence_number, %reason, "a record begins as an aggregate, but is delivered as it is");
                Unpacked::plain(record, handled)
            }
        }
    }

    fn take_apart(&self, record: &Record, aggregate: Aggregate, handled: &Position) -> Unpacked {
        let strays = self.strays(record, &aggregate);
        let mut unpacked = Unpacked { records: Vec::new(), misplaced: 0, after: handled.clone() };
        for ((sub_sequence_number, user), is_stray) in (0_u64..).zip(aggregate.users).zip(strays) {
            let user = Record {
                sequence_number: record.sequence_number.clone(),
                sub_sequence_number,
                partition_key: Some(aggregate.partition_keys[user.partition_key].clone()),
                arrived_ms: record.arrived_ms,
                data: user.data,
            };
            let after = user.position();
            if after <= *handled {
                continue;
            }
            unpacked.after = after;
            unpacked.misplaced += u64::from(is_stray);
            if !is_stray || self.misplaced == Misplaced::Deliver {
                unpacked.records.push(user);
            }
        }
        unpacked
    }

    /// For each user record, whether it belongs to another shard.
    fn strays(&self, record: &Record, aggregate: &Aggregate) -> Vec<bool> {
        let outside = match &self.range {
            // A record without a key was put where the stream pleased, and so was everything in it.
            Some(range) if record.partition_key.is_some() => |hash: &u128| !range.contains(hash),
            _ => return vec![false; aggregate.users.len()],
        };
        // Most user records of an aggregate share their keys: each is hashed once.
        let by_key: Vec<bool> = aggregate.partition_keys.iter().map(|key| outside(&hash(key))).collect();
        let by_explicit: Vec<bool> = aggregate
            .explicit_hash_keys
            .iter()
            // What is no hash key belongs to no shard, this one or another.
            .map(|key| key.parse().is_ok_and(|hash| outside(&hash)))
            .collect();
        let is_stray = |user: &UserRecord| match user.explicit_hash_key {
            Some(key) => by_explicit[key],
            None => by_key[user.partition_key],
        };
        aggregate.users.iter().map(is_stray).collect()
    }
}

/// Where a partition key belongs: its MD5, as a number.
fn hash(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}
