//! The three calls that reading a stream takes.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;

use super::fault::Fault;
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

/// A stream and the client to reach it.
#[derive(Clone)]
pub(super) struct Stream {
    client: Client,
    /// As the user gave it: a name or an ARN.
    pub(super) name: String,
}

impl Stream {
    pub(super) fn new(client: &Client, name: String) -> Self {
        // Whoever calls has a back-off and a pace of his own; calls that the client repeats by itself exceed both.
        let config = client.config().to_builder().retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), name }
    }

    /// The region of the client, for messages.
    pub(super) fn region(&self) -> &str {
        self.client.config().region().map_or("no region", |region| region.as_ref())
    }

    fn named(&self) -> (Option<String>, Option<String>) {
        let name = Some(self.name.clone());
        if self.name.starts_with("arn:") { (None, name) } else { (name, None) }
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

    /// An iterator at `position`. The end has none; nobody reads there.
    pub(super) async fn iterator(&self, shard: &ShardId, position: &Position) -> Result<String, Fault> {
        let (name, arn) = self.named();
        let call = self.client.get_shard_iterator().set_stream_name(name).set_stream_arn(arn).shard_id(shard.as_str());
        let call = match position {
            Position::AtTimestamp(ms) => {
                call.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*ms))
            }
            Position::After { sequence, .. } => call
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(sequence.as_ref()),
            Position::TrimHorizon | Position::ShardEnd => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
        };
        let answer = call.send().await.map_err(|error| Fault::of(&error))?;
        answer.shard_iterator.ok_or_else(|| Fault::Passing("GetShardIterator answered without an iterator".into()))
    }

    /// The records that follow `iterator`.
    pub(super) async fn records(&self, iterator: &str) -> Result<Answer, Fault> {
        let call = self.client.get_records().shard_iterator(iterator);
        // The ARN, where known, lets the service route by account; the name is not a parameter of this call.
        let answer = call.set_stream_arn(self.named().1).send().await.map_err(|error| Fault::of(&error))?;
        let children = answer.child_shards.unwrap_or_default().into_iter().map(|child| Shard {
            id: ShardId::from(child.shard_id.as_str()),
            parents: child.parent_shards.iter().map(|parent| ShardId::from(parent.as_str())).collect(),
            hash_keys: child.hash_key_range.map(|range| (range.starting_hash_key, range.ending_hash_key)),
            open: true,
        });
        Ok(Answer {
            records: answer.records.into_iter().map(record).collect(),
            behind_latest_ms: answer.millis_behind_latest.unwrap_or(0),
            next: answer.next_shard_iterator,
            children: children.collect(),
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

fn record(record: aws_sdk_kinesis::types::Record) -> Record {
    Record {
        sequence_number: record.sequence_number.into(),
        sub_sequence_number: 0,
        partition_key: record.partition_key,
        // Out of range or absent only on servers that invent it: the epoch is then as good as any.
        arrived_ms: record.approximate_arrival_timestamp.and_then(|at| at.to_millis().ok()).unwrap_or(0),
        data: record.data.into_inner(),
    }
}
