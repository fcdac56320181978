use std::sync::Mutex;
use std::time::Duration;

use super::*;

/// What a source told, one line each.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn deliver(&self) -> Deliver {
        let lines = Arc::clone(&self.0);
        Arc::new(move |event| {
            let line = match event {
                ShardEvent::LeaseTaken { epoch, .. } => format!("taken {epoch}"),
                ShardEvent::Batch(batch) => {
                    let numbers: Vec<&str> = batch.records.iter().map(|r| r.sequence_number.as_ref()).collect();
                    format!("{} {}", batch.epoch, numbers.join(","))
                }
                ShardEvent::Finished { epoch, .. } => format!("finished {epoch}"),
                ShardEvent::LeaseLost { epoch, .. } => format!("lost {epoch}"),
                ShardEvent::Leaving { epoch, .. } => format!("leaving {epoch}"),
                ShardEvent::HandedOver { epoch, .. } => format!("handed over {epoch}"),
                ShardEvent::Shards { open, .. } => format!("open {open}"),
            };
            lines.lock().unwrap().push(line);
            Box::pin(async {})
        })
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn shard() -> ShardId {
    ShardId::from("shard-0")
}

fn record(sequence: u32) -> Record {
    Record {
        sequence_number: sequence.to_string().into(),
        sub_sequence_number: 0,
        partition_key: None,
        arrived_ms: 0,
        data: vec![],
    }
}

fn params(waiting: usize, retain: bool, faults: &[(u64, Fault)]) -> MemoryParams {
    let faults = faults.iter().map(|&(delivery, fault)| FaultAt { shard: shard(), delivery, fault }).collect();
    let waiting_records_most = NonZeroUsize::new(waiting).unwrap();
    MemoryParams { shards: vec![shard()], waiting_records_most, retain, faults }
}

/// A source over records 1 to 6 in three batches, finished.
async fn filled(retain: bool, faults: &[(u64, Fault)]) -> MemorySource {
    let (source, input) = MemorySource::new(params(100, retain, faults));
    for first in [1, 3, 5] {
        input.push_batch(&shard(), vec![record(first), record(first + 1)]).await;
    }
    source
}

async fn run(source: &MemorySource) -> Vec<String> {
    let told = Told::default();
    source.run(told.deliver(), CancellationToken::new()).await.unwrap();
    told.take()
}

fn cut(epoch: Epoch, sequence: u32) -> Cut {
    let mut cut = Cut::default();
    cut.advance(&shard(), epoch, record(sequence).position());
    cut
}

#[tokio::test]
async fn batches_come_in_order_as_they_were_pushed_and_then_the_end() {
    let source = filled(false, &[]).await;
    assert_eq!(run(&source).await, ["open 1", "taken 1", "1 1,2", "1 3,4", "1 5,6", "finished 1"]);
}

#[tokio::test]
async fn a_restarted_source_resumes_exactly_after_the_checkpoint_also_within_a_batch() {
    let source = filled(true, &[]).await;
    run(&source).await;
    source.checkpoint(&cut(1, 3)).await.unwrap();
    let next = source.restarted(vec![]);
    assert_eq!(run(&next).await, ["open 1", "taken 2", "2 4", "2 5,6", "finished 2"]);

    source.checkpoint(&cut(1, 6)).await.unwrap();
    assert_eq!(next.checkpoints()[&shard()], record(3).position(), "a late checkpoint of the former worker");
    let mut end = Cut::default();
    end.advance(&shard(), 2, Position::ShardEnd);
    next.checkpoint(&end).await.unwrap();
    assert_eq!(run(&next.restarted(vec![])).await, ["open 0"]);
}

#[tokio::test]
async fn a_lost_lease_is_taken_again_at_the_checkpoint() {
    let source = filled(true, &[(1, Fault::LoseLease)]).await;
    let lines = run(&source).await;
    assert_eq!(lines, ["open 1", "taken 1", "1 1,2", "lost 1", "taken 3", "3 1,2", "3 3,4", "3 5,6", "finished 3"]);
}

#[tokio::test(start_paused = true)]
async fn faults_happen_at_the_delivery_that_the_script_names() {
    let pause = Duration::from_secs(60);
    let source = filled(false, &[(0, Fault::Duplicate), (2, Fault::Pause(pause))]).await;
    let started = tokio::time::Instant::now();
    assert_eq!(run(&source).await, ["open 1", "taken 1", "1 1,2", "1 1,2", "1 3,4", "1 5,6", "finished 1"]);
    assert_eq!(started.elapsed(), pause);
}

#[tokio::test]
async fn a_failed_checkpoint_writes_nothing_and_the_next_one_goes_well() {
    let source = filled(false, &[(1, Fault::FailCheckpoint)]).await;
    run(&source).await;
    source.checkpoint(&cut(1, 4)).await.unwrap_err();
    assert_eq!(source.checkpoints()[&shard()], Position::TrimHorizon);
    source.checkpoint(&cut(1, 4)).await.unwrap();
    assert_eq!(source.checkpoints()[&shard()], record(4).position());
}

#[tokio::test(start_paused = true)]
async fn a_push_waits_while_too_many_records_wait() {
    let (source, input) = MemorySource::new(params(2, false, &[]));
    input.push(&shard(), record(1)).await;
    input.push(&shard(), record(2)).await;
    let late = tokio::time::timeout(Duration::from_secs(1), input.push(&shard(), record(3))).await;
    late.expect_err("a third record found room");

    let told = Told::default();
    let stop = CancellationToken::new();
    let running = source.run(told.deliver(), stop.clone());
    let pushing = async {
        input.push(&shard(), record(3)).await;
        input.finish(&shard());
    };
    let (ran, ()) = tokio::join!(running, pushing);
    ran.unwrap();
    assert_eq!(told.take(), ["open 1", "taken 1", "1 1", "1 2", "1 3", "finished 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_source_returns_and_what_it_released_cannot_be_checkpointed() {
    let (source, _input) = MemorySource::new(params(2, true, &[]));
    let stop = CancellationToken::new();
    let told = Told::default();
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    let (ran, ()) = tokio::join!(source.run(told.deliver(), stop.clone()), stopping);
    ran.unwrap();
    source.release().await.unwrap();
    source.checkpoint(&cut(1, 4)).await.unwrap();
    assert_eq!(source.checkpoints()[&shard()], Position::TrimHorizon);
}
