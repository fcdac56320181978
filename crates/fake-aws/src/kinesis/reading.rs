//! Gets records out of shards.

use serde_json::{Value, json};

use super::iterator::{ShardIterator, TOKEN_LIFE_MS};
use super::shard::Shard;
use super::stream::Stream;
use super::{Kinesis, unknown_stream};
use crate::clock::Now;
use crate::protocol::{Failure, Input, seconds};

const RECORDS_MAX: i64 = 10_000;
const ANSWER_BYTES_MAX: usize = 10 * 1024 * 1024;

/// A stretch of a shard.
pub(super) struct Read {
    pub(super) records: Vec<Value>,
    pub(super) bytes: usize,
    /// The count from which on to go on; none at the end of a closed shard.
    pub(super) next: Option<u64>,
    pub(super) behind_ms: i64,
}

impl Kinesis {
    pub(super) fn get_records(&mut self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        input.only(&["ShardIterator", "Limit", "StreamARN"])?;
        let limit = input.integer("Limit")?.unwrap_or(RECORDS_MAX);
        if !(1..=RECORDS_MAX).contains(&limit) {
            return Err(Failure::invalid(format!("Limit is {limit}: it has to be from 1 to 10,000")));
        }
        let iterator = ShardIterator::decode(input.needed_text("ShardIterator")?)?;
        if now.ms - iterator.issued_ms > TOKEN_LIFE_MS {
            let message = "Iterator expired. An iterator is good for 300 s: get another one.";
            return Err(Failure::new("ExpiredIteratorException", message));
        }
        let stream = self.streams.get_mut(&iterator.stream).ok_or_else(|| unknown_stream(&iterator.stream))?;
        let Some(shard) = stream.shards.get_mut(&iterator.shard) else {
            return Err(stream.unknown_shard(&super::shard::shard_id(iterator.shard)));
        };
        if self.limits {
            shard.reads.admit(now.instant)?;
        }
        let read = shard.read(iterator.from, limit.unsigned_abs() as usize, now);
        shard.reads.answered(read.bytes, now.instant);
        let mut answer = json!({ "Records": read.records, "MillisBehindLatest": read.behind_ms });
        if let Some(from) = read.next {
            let next = ShardIterator { from, issued_ms: now.ms, ..iterator };
            answer["NextShardIterator"] = next.encode().into();
        } else {
            answer["ChildShards"] = stream.children(iterator.shard);
        }
        Ok(answer)
    }
}

impl Shard {
    pub(super) fn read(&self, from: u64, limit: usize, now: Now) -> Read {
        let first = self.records.partition_point(|record| record.count < from);
        let mut read = Read { records: Vec::new(), bytes: 0, next: Some(from), behind_ms: 0 };
        let mut last_at_ms = None;
        for record in self.records.iter().skip(first).take(limit) {
            if read.bytes + record.bytes > ANSWER_BYTES_MAX && !read.records.is_empty() {
                break;
            }
            let mut told = json!({
                "SequenceNumber": self.sequence(record.count),
                "ApproximateArrivalTimestamp": seconds(record.at_ms),
                "Data": record.data,
            });
            if let Some(key) = &record.partition_key {
                told["PartitionKey"] = key.as_str().into();
            }
            read.records.push(told);
            read.bytes += record.bytes;
            read.next = Some(record.count + 1);
            last_at_ms = Some(record.at_ms);
        }
        if first + read.records.len() < self.records.len() {
            // Whoever has records before him is behind, also in the millisecond in which they came.
            read.behind_ms = (now.ms - last_at_ms.unwrap_or(now.ms)).max(1);
        } else if self.closed.is_some() {
            read.next = None;
        }
        read
    }
}

impl Stream {
    /// The children of a shard that are still known.
    pub(super) fn children(&self, parent: u64) -> Value {
        let children = self.shards.values().filter(|shard| shard.parents.contains(&parent));
        children.map(Shard::describe_as_child).collect()
    }
}
