//! One stream, resharded and written to, on any Kinesis.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) const STREAM: &str = "numbers";

/// A shard that takes records, with its first and last hash keys.
pub(crate) struct Open {
    pub(crate) id: String,
    first: u128,
    last: u128,
}

pub(crate) async fn create(client: &Client, shards: i32) {
    client.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
    active(client).await;
}

/// Until then, the stream cannot be resharded.
async fn active(client: &Client) {
    let is_active = async || {
        let summary = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
        summary.stream_description_summary.unwrap().stream_status == StreamStatus::Active
    };
    while !is_active().await {
        sleep(Duration::from_millis(50)).await;
    }
}

/// By their keys.
pub(crate) async fn open_shards(client: &Client) -> Vec<Open> {
    let listed = client.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap();
    let is_open = |shard: &aws_sdk_kinesis::types::Shard| {
        shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none())
    };
    let open = listed.into_iter().filter(is_open).map(|shard| {
        let range = shard.hash_key_range.unwrap();
        let key = |key: String| key.parse().unwrap();
        Open { id: shard.shard_id, first: key(range.starting_hash_key), last: key(range.ending_hash_key) }
    });
    let mut open: Vec<Open> = open.collect();
    open.sort_by_key(|shard| shard.first);
    open
}

pub(crate) async fn split(client: &Client, shard: &Open) {
    let middle = shard.first + (shard.last - shard.first) / 2;
    let split = client.split_shard().stream_name(STREAM).shard_to_split(&shard.id);
    split.new_starting_hash_key(middle.to_string()).send().await.unwrap();
    active(client).await;
}

pub(crate) async fn merge(client: &Client, [one, next]: [&Open; 2]) {
    let merge = client.merge_shards().stream_name(STREAM).shard_to_merge(&one.id);
    merge.adjacent_shard_to_merge(&next.id).send().await.unwrap();
    active(client).await;
}

/// Writes numbered records of each key, in order.
pub(crate) struct Producer {
    stop: CancellationToken,
    producing: JoinHandle<BTreeMap<String, u64>>,
}

impl Producer {
    /// Writes the next number of each key `every` so often.
    pub(crate) fn start(client: Client, keys: u64, every: Duration) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let producing = tokio::spawn(async move {
            let keys: Vec<String> = (0..keys).map(|key| format!("key-{key}")).collect();
            let mut number = 0;
            while !stopped.is_cancelled() {
                put(&client, &keys, number).await;
                number += 1;
                sleep(every).await;
            }
            keys.into_iter().map(|key| (key, number)).collect()
        });
        Self { stop, producing }
    }

    /// How many records of each key were written.
    pub(crate) async fn stop(self) -> BTreeMap<String, u64> {
        self.stop.cancel();
        self.producing.await.unwrap()
    }
}

/// Puts one record for each key, and repeats what was refused: a stream may refuse records while it is resharded.
async fn put(client: &Client, keys: &[String], number: u64) {
    let entry = |key: &String| {
        let entry = PutRecordsRequestEntry::builder().partition_key(key);
        entry.data(Blob::new(format!("{key} {number}"))).build().unwrap()
    };
    let mut entries: Vec<PutRecordsRequestEntry> = keys.iter().map(entry).collect();
    while !entries.is_empty() {
        let put = client.put_records().stream_name(STREAM).set_records(Some(entries.clone())).send().await.unwrap();
        let mut answers = put.records.into_iter();
        entries.retain(|_| answers.next().is_some_and(|answer| answer.error_code.is_some()));
        if !entries.is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}
