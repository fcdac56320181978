//! A worker in this process, on a source in memory.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use emitter::{Limits, SinkName, SqliteFile, SqliteGraph, SqliteStore, Window};
use shard_consumer::{Cut, FaultAt, MemoryInput, MemoryParams, MemorySource, Record, ShardId};
use trailgraph::dead_letters::DeadLetters;
use trailgraph::intake::Intake;
use trailgraph::metrics::Metrics;
use trailgraph::permit::{Permit, Senders};

const SINK: &str = "sqlite:trailgraph.db";

/// The stores of a worker in `folder`, in one file.
pub(crate) fn stores(folder: &Path, worker: &str) -> (SqliteStore, SqliteGraph) {
    let file = SqliteFile::open(&folder.join("trailgraph.db")).unwrap();
    let store = SqliteStore::open(file.clone(), worker, 1_000).unwrap();
    (store, SqliteGraph::open(file, SinkName::from(SINK)).unwrap())
}

/// Folds everything into small windows that are due at once.
pub(crate) fn intake(folder: &Path) -> Intake {
    let limits = Limits { flush_after: Duration::from_millis(1), flush_at: 8, dirty_max: 16 };
    let metrics = Arc::new(Metrics::new(&[SINK.to_owned()]));
    Intake {
        stream: "memory".into(),
        window: Arc::new(Window::new(limits, Cut::default())),
        senders: Arc::new(Senders::new(&Permit::Any, Arc::clone(&metrics))),
        until_ms: None,
        input_bytes_max: bucket_state::RECORD_BYTES_MAX,
        dead_letters: Arc::new(DeadLetters::file(&folder.join("dead-letters.jsonl")).unwrap()),
        metrics,
        observe: Box::new(|_| {}),
    }
}

/// Names of `count` shards.
pub(crate) fn shards(count: usize) -> Vec<ShardId> {
    (0..count).map(|number| ShardId::from(format!("shard-{number}").as_str())).collect()
}

/// A source that keeps its log, with these records dealt out to its shards in tens.
pub(crate) async fn source(
    shards: &[ShardId],
    records: impl Iterator<Item = Vec<u8>>,
    faults: Vec<FaultAt>,
) -> (MemorySource, MemoryInput) {
    let records: Vec<Record> = (1_u64..)
        .zip(records)
        .map(|(number, data)| Record {
            sequence_number: number.to_string().into(),
            sub_sequence_number: 0,
            partition_key: None,
            arrived_ms: i64::MAX / 2,
            data,
        })
        .collect();
    let waiting_records_most = NonZeroUsize::new(records.len() + 1).unwrap();
    let params = MemoryParams { shards: shards.to_vec(), waiting_records_most, retain: true, faults };
    let (source, input) = MemorySource::new(params);
    for (number, records) in records.chunks(10).enumerate() {
        input.push_batch(&shards[number % shards.len()], records.to_vec()).await;
    }
    (source, input)
}
