//! Subscriptions to shards: who has one, and what there is to tell.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Kinesis;
use super::iterator::position;
use crate::clock::Now;
use crate::protocol::{Failure, Input};

/// For so long after a subscription nobody else gets one
/// (<https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>).
const EXCLUSIVE: Duration = Duration::from_secs(5);
/// The service's events hold much less than the answers of `GetRecords` may.
const RECORDS_MAX: usize = 1000;

pub(super) struct Subscription {
    since: Instant,
    superseded: CancellationToken,
}

/// A granted subscription.
pub(crate) struct Push {
    stream: String,
    shard: u64,
    /// The count from which on to go on.
    from: u64,
    pub(crate) superseded: CancellationToken,
    pub(crate) changed: watch::Receiver<()>,
}

/// What a subscription has to tell next.
pub(crate) enum Pushed {
    /// Records, or that the shard has ended.
    Event { event: Value, bytes: usize, is_last: bool },
    /// Nothing new: how far the shard was looked through.
    Beat(Value),
}

impl Kinesis {
    pub(crate) fn subscribe(&mut self, input: Input<'_>, now: Now) -> Result<Push, Failure> {
        input.only(&["ConsumerARN", "ShardId", "StartingPosition"])?;
        let arn = input.needed_text("ConsumerARN")?;
        let changed = self.changed.subscribe();
        let stream = self.stream_mut(input)?;
        let consumer = stream.consumer_of(arn)?.to_owned();
        let start = Input::new("StartingPosition", input.needed("StartingPosition", input.get("StartingPosition"))?)?;
        let shard = stream.shard(input.needed_text("ShardId")?)?;
        let from = position(shard, stream.next_count(), start, "Type", "SequenceNumber", now)?;
        let key = (consumer, shard.number);
        let mut push = Push {
            stream: stream.name.clone(),
            shard: shard.number,
            from,
            superseded: CancellationToken::new(),
            changed,
        };
        if let Some(earlier) = stream.subscriptions.get(&key) {
            if now.instant.duration_since(earlier.since) < EXCLUSIVE {
                let message = format!("Another active subscription exists for this consumer: {arn}");
                return Err(Failure::new("ResourceInUseException", message));
            }
            earlier.superseded.cancel();
        }
        push.changed.mark_unchanged();
        let subscription = Subscription { since: now.instant, superseded: push.superseded.clone() };
        stream.subscriptions.insert(key, subscription);
        Ok(push)
    }

    /// What there is to tell now; moves the subscription on.
    pub(crate) fn push(&self, push: &mut Push, now: Now) -> Result<Pushed, Failure> {
        let stream = self.streams.get(&push.stream).ok_or_else(|| super::unknown_stream(&push.stream))?;
        let shard = stream.shards.get(&push.shard);
        let shard = shard.ok_or_else(|| stream.unknown_shard(&super::shard::shard_id(push.shard)))?;
        let read = shard.read(push.from, RECORDS_MAX, now);
        let bytes = read.bytes;
        let mut event = json!({ "Records": read.records, "MillisBehindLatest": read.behind_ms });
        let Some(next) = read.next else {
            event["ChildShards"] = stream.children(push.shard);
            return Ok(Pushed::Event { event, bytes, is_last: true });
        };
        // At the tip everything that the stream has counted so far is behind the reader.
        push.from = if read.behind_ms == 0 { next.max(stream.next_count()) } else { next };
        event["ContinuationSequenceNumber"] = shard.sequence((push.from - 1).max(shard.first)).into();
        if bytes == 0 { Ok(Pushed::Beat(event)) } else { Ok(Pushed::Event { event, bytes, is_last: false }) }
    }
}
