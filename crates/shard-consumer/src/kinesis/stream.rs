//! The calls that reading a stream takes.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{RecordDistributionStrategy, ShardIteratorType};

use super::fault::Fault;
use super::wire::Wire;
use crate::record::{Position, Record, ShardId};

/// A shard as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) parents: Vec<ShardId>,
    pub(super) hash_keys: Option<(String, String)>,
    /// Whether it still takes records.
    pub(super) open: bool,
}

/// One answer to GetRecords.
pub(super) struct Answer {
    pub(super) records: Vec<Record>,
    pub(super) behind_latest_ms: i64,
    /// Absent at the end of a closed shard.
    pub(super) next: Option<String>,
    /// Told by some servers at the end of a shard. All of them are open as far as this answer knows.
    pub(super) children: Vec<Shard>,
}

/// What the service says of a stream as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) retention: Duration,
    /// The service distributes the records by itself: producers' keys do not decide their shards.
    pub(super) ignores_keys: bool,
}

/// A stream and the client to reach it.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) client: Client,
    /// As the user gave it: a name or an ARN.
    pub(super) name: String,
}

impl Stream {
    pub(super) fn new(client: &Client, name: String) -> Self {
        // Whoever calls has a back-off and a pace of his own; calls that the client repeats by itself exceed both.
        let config = client.config().to_builder().retry_config(RetryConfig::disabled()).protocol(Wire::default());
        Self { client: Client::from_conf(config.build()), name }
    }

    /// The region of the client, for messages.
    pub(super) fn region(&self) -> &str {
        self.client.config().region().map_or("no region", |region| region.as_ref())
    }

    pub(super) fn named(&self) -> (Option<String>, Option<String>) {
        let name = Some(self.name.clone());
        if self.name.starts_with("arn:") { (None, name) } else { (name, None) }
    }

    pub(super) async fn summary(&self) -> Result<Summary, Fault> {
        let (name, arn) = self.named();
        let call = self.client.describe_stream_summary().set_stream_name(name).set_stream_arn(arn);
        let answer = call.send().await.map_err(|error| Fault::of(&error))?;
        let summary = answer.stream_description_summary;
        let summary = summary.ok_or_else(|| Fault::Passing("DescribeStreamSummary answered without one".into()))?;
        let hours = u64::try_from(summary.retention_period_hours).unwrap_or(0);
        Ok(Summary {
            retention: Duration::from_secs(hours * 3_600),
            ignores_keys: summary.record_distribution_strategy == Some(RecordDistributionStrategy::Auto),
        })
    }

    /// Every shard that the stream still holds, closed ones too.
    pub(super) async fn shards(&self) -> Result<Vec<Shard>, Fault> {
        let mut shards = Vec::new();
        let mut token = None;
        loop {
            let call = self.client.list_shards();
            let call = match token {
                // The token stands for the stream; the service refuses both.
                Some(token) => call.next_token(token),
                None => {
                    let (name, arn) = self.named();
                    call.set_stream_name(name).set_stream_arn(arn)
                }
            };
            let answer = call.send().await.map_err(|error| Fault::of(&error))?;
            shards.extend(answer.shards.unwrap_or_default().into_iter().map(listed));
            token = answer.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    /// An iterator at `position`, that is before the record that a sequence number names: user records that were
    /// aggregated in it may follow. The end has none; nobody reads there.
    pub(super) async fn iterator(&self, shard: &ShardId, position: &Position) -> Result<String, Fault> {
        let (name, arn) = self.named();
        let call = self.client.get_shard_iterator().set_stream_name(name).set_stream_arn(arn).shard_id(shard.as_str());
        let call = match position {
            Position::AtTimestamp(ms) => {
                call.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*ms))
            }
            Position::After { sequence, .. } => call
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(sequence.as_ref()),
            _ => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
        };
        let answer = call.send().await.map_err(|error| Fault::of(&error))?;
        answer.shard_iterator.ok_or_else(|| Fault::Passing("GetShardIterator answered without an iterator".into()))
    }

    /// The records that follow `iterator`.
    pub(super) async fn records(&self, iterator: &str) -> Result<Answer, Fault> {
        let call = self.client.get_records().shard_iterator(iterator);
        // The ARN, where known, lets the service route by account; the name is not a parameter of this call.
        let answer = call.set_stream_arn(self.named().1).send().await.map_err(|error| Fault::of(&error))?;
        Ok(Answer {
            records: answer.records.into_iter().map(record).collect(),
            behind_latest_ms: answer.millis_behind_latest.unwrap_or(0),
            next: answer.next_shard_iterator,
            children: answer.child_shards.unwrap_or_default().into_iter().map(child).collect(),
        })
    }
}

fn listed(shard: aws_sdk_kinesis::types::Shard) -> Shard {
    let parents = [shard.parent_shard_id, shard.adjacent_parent_shard_id];
    Shard {
        id: ShardId::from(shard.shard_id.as_str()),
        parents: parents.into_iter().flatten().map(|parent| ShardId::from(parent.as_str())).collect(),
        hash_keys: shard.hash_key_range.map(|range| (range.starting_hash_key, range.ending_hash_key)),
        open: shard.sequence_number_range.is_none_or(|range| range.ending_sequence_number.is_none()),
    }
}

/// A child as the last answer of its parent tells it.
pub(super) fn child(child: aws_sdk_kinesis::types::ChildShard) -> Shard {
    Shard {
        id: ShardId::from(child.shard_id.as_str()),
        parents: child.parent_shards.iter().map(|parent| ShardId::from(parent.as_str())).collect(),
        hash_keys: child.hash_key_range.map(|range| (range.starting_hash_key, range.ending_hash_key)),
        open: true,
    }
}

pub(super) fn record(record: aws_sdk_kinesis::types::Record) -> Record {
    Record {
        sequence_number: record.sequence_number.into(),
        sub_sequence_number: 0,
        partition_key: record.partition_key,
        // Out of range or absent only on servers that invent it: the epoch is then as good as any.
        arrived_ms: record.approximate_arrival_timestamp.and_then(|at| at.to_millis().ok()).unwrap_or(0),
        data: record.data.into_inner(),
    }
}
