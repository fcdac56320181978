//! The loop, on sources and stores that misbehave.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use emitter::{Limits, OutboxSettings, Window};
use shard_consumer::{
    Batch, Cut, Deliver, Fault, FaultAt, MemorySource, Position, Record, ShardEvent, ShardId, ShardSource, SourceError,
    TakenFrom,
};
use support::stream::{after, eventually};
use support::{events_of_the_fixture, worker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use trailgraph::intake::Intake;
use trailgraph::pipeline::Pipeline;

fn pipeline(folder: &std::path::Path, source: Arc<MemorySource>) -> Pipeline {
    let (store, graph) = worker::stores(folder, "worker");
    Pipeline {
        source,
        intake: Arc::new(worker::intake(folder)),
        store: Arc::new(store),
        sinks: vec![Arc::new(graph)],
        outbox: OutboxSettings { worker: "worker".into(), adopt_after: Duration::from_secs(10), batch: 100 },
        clock: trailgraph::clock::wall(),
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

/// Tells what a source tells when another worker asks for a lease; waits for a checkpoint after each word of it.
struct Left {
    shard: ShardId,
    checkpoints: watch::Sender<Vec<Cut>>,
}

impl Left {
    async fn checkpointed(&self, times: usize) {
        self.checkpoints.subscribe().wait_for(|checkpoints| checkpoints.len() >= times).await.unwrap();
    }
}

#[async_trait]
impl ShardSource for Left {
    async fn run(&self, deliver: Deliver, _stop: CancellationToken) -> Result<(), SourceError> {
        let (shard, epoch) = (self.shard.clone(), 1);
        deliver(ShardEvent::LeaseTaken { shard: shard.clone(), epoch, from: TakenFrom::Nobody }).await;
        let record = Record {
            sequence_number: "10".into(),
            sub_sequence_number: 0,
            partition_key: None,
            arrived_ms: 0,
            data: events_of_the_fixture().remove(0),
        };
        let batch = Batch {
            shard: shard.clone(),
            epoch,
            after: record.position(),
            records: vec![record],
            misplaced: 0,
            behind_latest_ms: 0,
        };
        deliver(ShardEvent::Batch(batch)).await;
        deliver(ShardEvent::Leaving { shard: shard.clone(), epoch }).await;
        self.checkpointed(1).await;
        deliver(ShardEvent::Leaving { shard: shard.clone(), epoch }).await;
        self.checkpointed(2).await;
        deliver(ShardEvent::HandedOver { shard, epoch }).await;
        Ok(())
    }

    async fn checkpoint(&self, cut: &Cut) -> Result<(), SourceError> {
        self.checkpoints.send_modify(|checkpoints| checkpoints.push(cut.clone()));
        Ok(())
    }

    async fn release(&self) -> Result<(), SourceError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_another_worker_asks_for_is_checkpointed_at_once_even_if_nothing_is_dirty() {
    let folder = tempfile::tempdir().unwrap();
    let shard = worker::shards(1).remove(0);
    let source = Arc::new(Left { shard: shard.clone(), checkpoints: watch::Sender::default() });
    let (unused, _input) = worker::source(&worker::shards(1), std::iter::empty(), vec![]).await;
    let mut pipeline = Pipeline { source: Arc::clone(&source) as _, ..pipeline(folder.path(), Arc::new(unused)) };
    // With a window of a day, only the leaving can be the reason for a checkpoint.
    let limits = Limits { flush_after: Duration::from_secs(86_400), flush_at: 1_000, dirty_max: 1_000 };
    let window = Arc::new(Window::new(limits, Cut::default()));
    pipeline.intake = Arc::new(Intake { window: Arc::clone(&window), ..worker::intake(folder.path()) });
    let stop = CancellationToken::new();
    let running = tokio::time::timeout(Duration::from_secs(60), pipeline.run(&stop));
    running.await.expect("each word is followed by a checkpoint").unwrap();

    let mut expected = Cut::default();
    expected.advance(&shard, 1, after("10"));
    assert_eq!(*source.checkpoints.borrow(), [expected.clone(), expected], "the second one of a window without news");
    window.retract(|cut| assert_eq!(*cut, Cut::default(), "who has handed over speaks no more for the shard"));
}
