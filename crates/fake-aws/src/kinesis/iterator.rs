//! Iterators, which clients hand back unread.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::shard::Shard;
use super::{Kinesis, invalid_argument};
use crate::clock::Now;
use crate::protocol::{Failure, Input};

pub(super) const TOKEN_LIFE_MS: i64 = 300_000;

/// A place in a shard, at a time.
pub(super) struct ShardIterator {
    pub(super) stream: String,
    pub(super) shard: u64,
    /// The count of the first record that is to be read.
    pub(super) from: u64,
    pub(super) issued_ms: i64,
}

impl ShardIterator {
    pub(super) fn encode(&self) -> String {
        seal(&json!([self.stream, self.shard, self.from, self.issued_ms]))
    }

    pub(super) fn decode(text: &str) -> Result<Self, Failure> {
        unseal(text)
            .and_then(|token| {
                Some(Self {
                    stream: token.get(0)?.as_str()?.into(),
                    shard: token.get(1)?.as_u64()?,
                    from: token.get(2)?.as_u64()?,
                    issued_ms: token.get(3)?.as_i64()?,
                })
            })
            .ok_or_else(|| invalid_argument("Invalid ShardIterator."))
    }
}

pub(super) fn seal(token: &Value) -> String {
    BASE64_STANDARD.encode(token.to_string())
}

pub(super) fn unseal(text: &str) -> Option<Value> {
    serde_json::from_slice(&BASE64_STANDARD.decode(text).ok()?).ok()
}

impl Kinesis {
    pub(super) fn get_shard_iterator(&self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        let known = ["StreamName", "StreamARN", "ShardId", "ShardIteratorType", "StartingSequenceNumber", "Timestamp"];
        input.only(&known)?;
        let stream = self.stream(input)?;
        let shard = stream.shard(input.needed_text("ShardId")?)?;
        let from = position(shard, stream.next_count(), input, "ShardIteratorType", "StartingSequenceNumber", now)?;
        let iterator = ShardIterator { stream: stream.name.clone(), shard: shard.number, from, issued_ms: now.ms };
        Ok(json!({ "ShardIterator": iterator.encode() }))
    }
}

/// The count from which on a reader wants to read.
pub(super) fn position(
    shard: &Shard,
    next_count: u64,
    input: Input<'_>,
    kind: &str,
    sequence: &str,
    now: Now,
) -> Result<u64, Failure> {
    match input.needed_text(kind)? {
        "TRIM_HORIZON" => Ok(0),
        "LATEST" => Ok(next_count),
        "AT_TIMESTAMP" => {
            let at = input.needed("Timestamp", input.time_ms("Timestamp")?)?;
            if at > now.ms {
                return Err(invalid_argument(
                    "The timestampInMillis parameter cannot be greater than the current time",
                ));
            }
            let first = shard.records.partition_point(|record| record.at_ms < at);
            Ok(shard.records.get(first).map_or(next_count, |record| record.count))
        }
        "AT_SEQUENCE_NUMBER" => known_count(shard, next_count, input.needed_text(sequence)?),
        "AFTER_SEQUENCE_NUMBER" => Ok(known_count(shard, next_count, input.needed_text(sequence)?)? + 1),
        other => Err(Failure::invalid(format!("{kind} is {other}, which is no type of iterator"))),
    }
}

fn known_count(shard: &Shard, next_count: u64, sequence: &str) -> Result<u64, Failure> {
    let count = shard.count(sequence).filter(|count| (shard.trimmed + 1..next_count).contains(count));
    count.ok_or_else(|| {
        let message = format!("StartingSequenceNumber {sequence} is none of {}, or is trimmed", shard.id());
        invalid_argument(message)
    })
}
