//! One stream: its shards and their sequence numbers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::consumers::Consumer;
use super::shard::{Closed, Shard, shard_number};
use super::subscribing::Subscription;
use super::{ARN, Kinesis};
use crate::protocol::{Failure, Input, seconds};

pub(super) struct Stream {
    pub(super) name: String,
    pub(super) created_ms: i64,
    /// `USER_PARTITION_KEY`, or `AUTO`, where the service ignores the producers' keys.
    pub(super) strategy: String,
    /// By number. Forgotten ones are missing.
    pub(super) shards: BTreeMap<u64, Shard>,
    pub(super) consumers: BTreeMap<String, Consumer>,
    /// By the consumer's name and the shard's number.
    pub(super) subscriptions: BTreeMap<(String, u64), Subscription>,
    shards_made: u64,
    counted: u64,
    /// Counts the records of `AUTO`, which go to the open shards in turn.
    pub(super) turn: usize,
}

impl Stream {
    pub(super) fn new(name: &str, shards: u64, strategy: &str, now_ms: i64) -> Self {
        let mut stream = Self {
            name: name.into(),
            created_ms: now_ms,
            strategy: strategy.into(),
            shards: BTreeMap::new(),
            consumers: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            shards_made: 0,
            counted: 0,
            turn: 0,
        };
        // 2^128 / shards; nothing for a single shard, which needs no width.
        let width = ((u128::MAX - u128::from(shards - 1)) / u128::from(shards)).wrapping_add(1);
        for number in 0..shards {
            let first = width * u128::from(number);
            let last = if number + 1 == shards { u128::MAX } else { first + width - 1 };
            stream.open(first, last, Vec::new(), now_ms);
        }
        stream
    }

    pub(super) fn arn(&self) -> String {
        format!("{ARN}{}", self.name)
    }

    /// The next count of the stream.
    pub(super) fn count(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    /// The count that comes next.
    pub(super) fn next_count(&self) -> u64 {
        self.counted + 1
    }

    pub(super) fn open(&mut self, first_key: u128, last_key: u128, parents: Vec<u64>, now_ms: i64) {
        let (number, first) = (self.shards_made, self.count());
        self.shards_made += 1;
        self.shards.insert(
            number,
            Shard {
                number,
                first_key,
                last_key,
                parents,
                created_ms: now_ms,
                first,
                closed: None,
                records: std::collections::VecDeque::new(),
                trimmed: 0,
                reads: Default::default(),
            },
        );
    }

    pub(super) fn close(&mut self, number: u64, now_ms: i64) {
        let last = self.count();
        if let Some(shard) = self.shards.get_mut(&number) {
            shard.closed = Some(Closed { at_ms: now_ms, last });
        }
    }

    pub(super) fn shard(&self, id: &str) -> Result<&Shard, Failure> {
        shard_number(id).and_then(|number| self.shards.get(&number)).ok_or_else(|| self.unknown_shard(id))
    }

    pub(super) fn unknown_shard(&self, id: &str) -> Failure {
        let message = format!("Shard {id} in stream {} under account 000000000000 does not exist", self.name);
        Failure::new("ResourceNotFoundException", message)
    }
}

impl Kinesis {
    pub(super) fn describe_stream_summary(&self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&["StreamName", "StreamARN"])?;
        let stream = self.stream(input)?;
        Ok(json!({ "StreamDescriptionSummary": {
            "StreamName": stream.name,
            "StreamARN": stream.arn(),
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": { "StreamMode": "PROVISIONED" },
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": seconds(stream.created_ms),
            "EnhancedMonitoring": [{ "ShardLevelMetrics": [] }],
            "EncryptionType": "NONE",
            "OpenShardCount": stream.shards.values().filter(|shard| shard.is_open()).count(),
            "ConsumerCount": stream.consumers.len(),
            "RecordDistributionStrategy": stream.strategy,
        }}))
    }
}
