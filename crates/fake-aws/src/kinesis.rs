//! Kinesis: streams, and the operations on them.

mod consumers;
mod iterator;
mod listing;
mod reading;
mod reshard;
mod shard;
mod stream;
mod subscribing;
mod writing;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock::Now;
use crate::protocol::{Failure, Input};
use shard::{Shard, shard_number};
use stream::Stream;
pub(crate) use subscribing::{Push, Pushed};

const ARN: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/";

#[derive(Default)]
pub(crate) struct Kinesis {
    pub(crate) limits: bool,
    streams: BTreeMap<String, Stream>,
    /// Tells subscriptions that there may be something to tell.
    changed: watch::Sender<()>,
}

impl Kinesis {
    pub(crate) fn answer(&mut self, operation: &str, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        let answer = match operation {
            "CreateStream" => self.create_stream(input, now),
            "DescribeStreamSummary" => self.describe_stream_summary(input),
            "UpdateStreamRecordDistributionStrategy" => self.update_strategy(input),
            "ListShards" => self.list_shards(input, now),
            "PutRecord" => self.put_record(input, now),
            "PutRecords" => self.put_records(input, now),
            "GetShardIterator" => self.get_shard_iterator(input, now),
            "GetRecords" => self.get_records(input, now),
            "SplitShard" => self.split_shard(input, now),
            "MergeShards" => self.merge_shards(input, now),
            "RegisterStreamConsumer" => self.register_consumer(input, now),
            "DescribeStreamConsumer" => self.describe_consumer(input),
            _ => Err(Failure::new("UnknownOperationException", format!("fake-aws does not know {operation}"))),
        };
        if ["PutRecord", "PutRecords", "SplitShard", "MergeShards"].contains(&operation) {
            self.changed.send_replace(());
        }
        answer
    }

    pub(crate) fn shard_mut(&mut self, stream: &str, shard: &str) -> Option<&mut Shard> {
        self.streams.get_mut(stream)?.shards.get_mut(&shard_number(shard)?)
    }

    pub(crate) fn forget_shard(&mut self, stream: &str, shard: &str) {
        if let (Some(stream), Some(number)) = (self.streams.get_mut(stream), shard_number(shard)) {
            stream.shards.remove(&number);
            self.changed.send_replace(());
        }
    }

    fn create_stream(&mut self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        input.only(&["StreamName", "ShardCount", "StreamModeDetails", "RecordDistributionStrategy", "Tags"])?;
        let name = input.needed_text("StreamName")?;
        // What an on-demand stream begins with.
        let shards = input.integer("ShardCount")?.unwrap_or(4);
        if !(1..=10_000).contains(&shards) {
            return Err(Failure::invalid(format!("ShardCount is {shards}: it has to be from 1 to 10,000")));
        }
        if self.streams.contains_key(name) {
            return Err(Failure::new("ResourceInUseException", format!("Stream {name} already exists")));
        }
        let strategy = input.text("RecordDistributionStrategy")?.unwrap_or("USER_PARTITION_KEY");
        self.streams.insert(name.into(), Stream::new(name, shards.unsigned_abs(), strategy, now.ms));
        Ok(json!({}))
    }

    fn update_strategy(&mut self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&["StreamARN", "RecordDistributionStrategy"])?;
        self.stream_mut(input)?.strategy = input.needed_text("RecordDistributionStrategy")?.into();
        Ok(json!({}))
    }

    fn stream(&self, input: Input<'_>) -> Result<&Stream, Failure> {
        let name = stream_name(input)?;
        self.streams.get(name).ok_or_else(|| unknown_stream(name))
    }

    fn stream_mut(&mut self, input: Input<'_>) -> Result<&mut Stream, Failure> {
        let name = stream_name(input)?;
        self.streams.get_mut(name).ok_or_else(|| unknown_stream(name))
    }
}

/// By its name, or by its ARN or that of one of its consumers.
fn stream_name(input: Input<'_>) -> Result<&str, Failure> {
    if let Some(name) = input.text("StreamName")? {
        return Ok(name);
    }
    let arn = input.text("StreamARN")?.or(input.text("ConsumerARN")?);
    let Some(arn) = arn else { return Err(Failure::invalid("StreamName and StreamARN are both missing")) };
    let name = arn.strip_prefix(ARN).ok_or_else(|| unknown_stream(arn))?;
    Ok(name.split_once('/').map_or(name, |(stream, _)| stream))
}

fn unknown_stream(name: &str) -> Failure {
    Failure::new("ResourceNotFoundException", format!("Stream {name} under account 000000000000 not found."))
}

fn invalid_argument(message: impl Into<String>) -> Failure {
    Failure::new("InvalidArgumentException", message)
}
