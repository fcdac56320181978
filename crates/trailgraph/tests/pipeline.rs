//! The loop, on sources and stores that misbehave.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emitter::OutboxSettings;
use shard_consumer::{Cut, Deliver, Fault, FaultAt, MemorySource, Position, ShardSource, SourceError};
use support::stream::{after, eventually};
use support::{events_of_the_fixture, worker};
use tokio_util::sync::CancellationToken;
use trailgraph::pipeline::Pipeline;

fn pipeline(folder: &std::path::Path, source: Arc<MemorySource>) -> Pipeline {
    let (store, graph) = worker::stores(folder, "worker");
    Pipeline {
        source,
        intake: Arc::new(worker::intake(folder)),
        store: Arc::new(store),
        sinks: vec![Arc::new(graph)],
        outbox: OutboxSettings { worker: "worker".into(), adopt_after: Duration::from_secs(10), batch: 100 },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_failed_is_repeated_although_nothing_new_comes() {
    let folder = tempfile::tempdir().unwrap();
    let shards = worker::shards(1);
    let fault = FaultAt { shard: shards[0].clone(), delivery: 0, fault: Fault::FailCheckpoint };
    let (source, input) = worker::source(&shards, events_of_the_fixture().into_iter().take(10), vec![fault]).await;
    let source = Arc::new(source);
    let pipeline = pipeline(folder.path(), Arc::clone(&source));
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { pipeline.run(&stop).await }
    });
    eventually("the last record is checkpointed", async || {
        (source.checkpoints()[&shards[0]] == after("10")).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
    drop(input);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_is_taken_again_and_nothing_is_lost_with_it() {
    let events = events_of_the_fixture();
    let graph_of = async |faults| {
        let folder = tempfile::tempdir().unwrap();
        let shards = worker::shards(2);
        let (source, input) = worker::source(&shards, events.iter().take(400).cloned(), faults).await;
        drop(input);
        let source = Arc::new(source);
        let pipeline = pipeline(folder.path(), Arc::clone(&source));
        pipeline.run(&CancellationToken::new()).await.unwrap();
        pipeline.settle().await.unwrap();
        assert!(source.checkpoints().values().all(|position| *position == Position::ShardEnd));
        worker::stores(folder.path(), "reader").1.export().await.unwrap()
    };
    let undisturbed = graph_of(vec![]).await;
    let at = |shard: usize, delivery, fault| FaultAt { shard: worker::shards(2)[shard].clone(), delivery, fault };
    let pause = Fault::Pause(Duration::from_millis(3));
    let faults = vec![
        at(0, 0, Fault::Duplicate),
        at(0, 2, Fault::LoseLease),
        at(0, 4, pause),
        at(0, 6, Fault::LoseLease),
        at(1, 1, pause),
        at(1, 3, Fault::FailCheckpoint),
        at(1, 5, Fault::LoseLease),
        at(1, 7, Fault::Duplicate),
    ];
    assert_eq!(graph_of(faults).await, undisturbed);
}

/// A source that does not hear of a stop.
struct Deaf;

#[async_trait]
impl ShardSource for Deaf {
    async fn run(&self, _deliver: Deliver, _stop: CancellationToken) -> Result<(), SourceError> {
        std::future::pending().await
    }

    async fn checkpoint(&self, _cut: &Cut) -> Result<(), SourceError> {
        Ok(())
    }

    async fn release(&self) -> Result<(), SourceError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_stop_ends_in_time_whatever_the_source_and_the_leases_do() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = Pipeline {
        source: Arc::new(Deaf),
        ..pipeline(folder.path(), Arc::new(worker::source(&worker::shards(1), std::iter::empty(), vec![]).await.0))
    };
    let stop = CancellationToken::new();
    stop.cancel();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let ended = pipeline.run(&stop).await;
    assert_eq!(ended.unwrap_err().to_string(), "reading did not end in time");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}
