//! Splits and merges shards. The stream is ACTIVE again at once.

use serde_json::{Value, json};

use super::stream::Stream;
use super::{Kinesis, invalid_argument};
use crate::clock::Now;
use crate::protocol::{Failure, Input};

impl Kinesis {
    pub(super) fn split_shard(&mut self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        input.only(&["StreamName", "StreamARN", "ShardToSplit", "NewStartingHashKey"])?;
        let stream = self.stream_mut(input)?;
        let (number, first, last) = stream.open_shard(input.needed_text("ShardToSplit")?)?;
        let text = input.needed_text("NewStartingHashKey")?;
        let middle = text.parse().ok().filter(|middle| (first + 1..=last).contains(middle)).ok_or_else(|| {
            invalid_argument(format!("NewStartingHashKey {text}: it has to be over {first} and at most {last}"))
        })?;
        stream.close(number, now.ms);
        stream.open(first, middle - 1, vec![number], now.ms);
        stream.open(middle, last, vec![number], now.ms);
        Ok(json!({}))
    }

    pub(super) fn merge_shards(&mut self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        input.only(&["StreamName", "StreamARN", "ShardToMerge", "AdjacentShardToMerge"])?;
        let stream = self.stream_mut(input)?;
        let (one, first, one_last) = stream.open_shard(input.needed_text("ShardToMerge")?)?;
        let (other, other_first, last) = stream.open_shard(input.needed_text("AdjacentShardToMerge")?)?;
        if one_last.checked_add(1) != Some(other_first) {
            return Err(invalid_argument(
                "the shards are not adjacent: the one to merge comes before the adjacent one",
            ));
        }
        stream.close(one, now.ms);
        stream.close(other, now.ms);
        stream.open(first, last, vec![one, other], now.ms);
        Ok(json!({}))
    }
}

impl Stream {
    /// Its number, its first and its last hash key.
    fn open_shard(&self, id: &str) -> Result<(u64, u128, u128), Failure> {
        let shard = self.shard(id)?;
        if !shard.is_open() {
            return Err(invalid_argument(format!("Shard {id} is closed: only open shards are split and merged")));
        }
        Ok((shard.number, shard.first_key, shard.last_key))
    }
}
