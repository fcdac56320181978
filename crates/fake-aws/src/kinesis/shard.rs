//! One shard: a range of hash keys, and the records that fell into it.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::protocol::Failure;

const READS_PER_SECOND: usize = 5;
const BYTES_PER_SECOND: f64 = 2.0 * 1024.0 * 1024.0;
const SECOND: Duration = Duration::from_secs(1);

/// The sequence numbers of a stream count up over all of its shards: `count` orders them, and the last digits name
/// the shard, so that a number tells whether it came from here.
pub(crate) struct Shard {
    pub(super) number: u64,
    pub(super) first_key: u128,
    pub(super) last_key: u128,
    pub(super) parents: Vec<u64>,
    pub(super) created_ms: i64,
    /// The count with which the shard begins.
    pub(super) first: u64,
    pub(super) closed: Option<Closed>,
    pub(super) records: VecDeque<Record>,
    /// The count of the last record that is gone; 0 if all are there.
    pub(super) trimmed: u64,
    pub(super) reads: Reads,
}

pub(super) struct Closed {
    pub(super) at_ms: i64,
    /// The count with which the shard ends.
    pub(super) last: u64,
}

pub(super) struct Record {
    pub(super) count: u64,
    pub(super) at_ms: i64,
    /// In base64, as it came.
    pub(super) data: String,
    /// Of the data and the partition key.
    pub(super) bytes: usize,
    pub(super) partition_key: Option<String>,
}

impl Shard {
    pub(crate) fn trim(&mut self, keep_last: usize) {
        let gone = self.records.len().saturating_sub(keep_last);
        if let Some(last) = self.records.drain(..gone).next_back() {
            self.trimmed = last.count;
        }
    }

    pub(super) fn id(&self) -> String {
        shard_id(self.number)
    }

    pub(super) fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    pub(super) fn sequence(&self, count: u64) -> String {
        format!("49{count:042}{:012}", self.number)
    }

    /// The count of a sequence number of this shard; none if it came from elsewhere.
    pub(super) fn count(&self, sequence: &str) -> Option<u64> {
        let digits = sequence.len() == 56 && sequence.bytes().all(|byte| byte.is_ascii_digit());
        let rest = sequence.strip_prefix("49").filter(|_| digits)?;
        let (count, number) = rest.split_at(42);
        let count: u64 = count.parse().ok()?;
        let ends = self.closed.as_ref().map_or(u64::MAX, |closed| closed.last);
        (number.parse() == Ok(self.number) && (self.first..=ends).contains(&count)).then_some(count)
    }

    pub(super) fn describe(&self) -> Value {
        let mut range = json!({ "StartingSequenceNumber": self.sequence(self.first) });
        if let Some(closed) = &self.closed {
            range["EndingSequenceNumber"] = self.sequence(closed.last).into();
        }
        let mut shard = json!({
            "ShardId": self.id(),
            "HashKeyRange": self.hash_key_range(),
            "SequenceNumberRange": range,
        });
        for (name, parent) in ["ParentShardId", "AdjacentParentShardId"].into_iter().zip(&self.parents) {
            shard[name] = shard_id(*parent).into();
        }
        shard
    }

    /// As the end of a parent tells of it.
    pub(super) fn describe_as_child(&self) -> Value {
        let parents: Vec<_> = self.parents.iter().map(|parent| shard_id(*parent)).collect();
        json!({ "ShardId": self.id(), "ParentShards": parents, "HashKeyRange": self.hash_key_range() })
    }

    fn hash_key_range(&self) -> Value {
        json!({ "StartingHashKey": self.first_key.to_string(), "EndingHashKey": self.last_key.to_string() })
    }
}

pub(super) fn shard_id(number: u64) -> String {
    format!("shardId-{number:012}")
}

pub(super) fn shard_number(id: &str) -> Option<u64> {
    id.strip_prefix("shardId-")?.parse().ok()
}

/// What was read of a shard lately.
#[derive(Default)]
pub(super) struct Reads {
    calls: VecDeque<Instant>,
    /// When the bytes answered so far will have been worked off.
    paid_at: Option<Instant>,
    /// An answer of more than a second's bytes is worked off before the next one.
    shut_until: Option<Instant>,
}

impl Reads {
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Failure> {
        while self.calls.front().is_some_and(|call| now.duration_since(*call) >= SECOND) {
            self.calls.pop_front();
        }
        let exceeded = self.calls.len() >= READS_PER_SECOND
            || self.paid_at.is_some_and(|paid| paid > now + SECOND)
            || self.shut_until.is_some_and(|until| until > now);
        if exceeded {
            let message = "Rate exceeded for the shard: 5 calls and 2 MB a second";
            return Err(Failure::new("ProvisionedThroughputExceededException", message));
        }
        self.calls.push_back(now);
        Ok(())
    }

    pub(super) fn answered(&mut self, bytes: usize, now: Instant) {
        let paid = self.paid_at.map_or(now, |paid| paid.max(now));
        let cost = bytes as f64 / BYTES_PER_SECOND;
        let paid = paid + Duration::from_secs_f64(cost);
        self.paid_at = Some(paid);
        if cost > 1.0 {
            self.shut_until = Some(paid);
        }
    }
}
