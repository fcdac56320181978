//! User records that an aggregate brought to another shard than their keys call for.

use std::time::Duration;

use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::RecordDistributionStrategy;
use fake_aws::{FakeAws, Fault};
use shard_consumer::{Cut, Misplaced, Position, Record, ShardEvent};
use tokio::time::{Instant, sleep};

use super::packed::{Packed, packed, packed_as};
use super::world::{Manner, Worker, World, batches, name, records};
use super::{Told, leave_as_it_is, on_server, plain, told};

/// All of it belongs to the second of two shards.
const ALL_ELSEWHERE: &str = "a large record";
/// As all of this does, of which there is more.
const SEVEN_ELSEWHERE: &str = "keys that are shared";
/// Of this, the third belongs to the first shard.
const ONE_HERE: &str = "a key of its own for each";
/// All of it belongs to the first shard.
const ALL_HERE: &str = "some with an explicit hash key";

fn dropping(manner: Manner) -> Manner {
    Manner { misplaced: Misplaced::Drop, ..manner }
}

fn misplaced(told: &[ShardEvent]) -> u64 {
    batches(told).map(|batch| batch.misplaced).sum()
}

fn after(sequence: &str, sub_sequence: u64) -> Position {
    Position::After { sequence: sequence.into(), sub_sequence }
}

async fn the_keys_of_another_shard(stream: &'static str, policy: Misplaced) {
    let world = on_server(stream, 2).await;
    let mut expected: Vec<Told> = Vec::new();
    let mut elsewhere = 0;
    let [_, last] = world.hash_keys(0).await;
    for (number, Packed { aggregate, users, hashes, .. }) in packed().into_iter().enumerate() {
        let text = format!("before-{number}");
        let sequences = world.put(0, [text.clone().into_bytes(), aggregate]).await;
        expected.push(plain(&sequences[0], &text));
        for ((sub, (key, data)), hash) in (0..).zip(users).zip(hashes) {
            elsewhere += u64::from(hash > last);
            if hash <= last || policy == Misplaced::Deliver {
                expected.push((sequences[1].clone(), sub, key, data));
            }
        }
    }
    let end = world.put(0, [b"behind".to_vec()]).await;
    expected.push(plain(&end[0], "behind"));
    assert!((200..300).contains(&elsewhere), "many, and not all: {elsewhere}");

    let mut worker = world.worker("a", &Manner { misplaced: policy, ..Manner::polling() }).await;
    let events = worker.until_records(expected.len()).await;
    assert!(records(&events).map(told).eq(expected), "{policy:?}");
    assert_eq!(misplaced(&events), elsewhere, "{policy:?}");
    worker.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_delivered_and_counted() {
    the_keys_of_another_shard("misplaced-deliver", Misplaced::Deliver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_dropped_and_counted_if_so_wished_and_reading_goes_on_behind_them() {
    the_keys_of_another_shard("misplaced-drop", Misplaced::Drop).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_last_lies_behind_the_checkpoint_and_is_not_counted_again() {
    for manner in [Manner::polling(), Manner::pushed()].map(dropping) {
        for (dropped, sub, count) in [(ALL_ELSEWHERE, 1, 2), (ONE_HERE, 4, 4)] {
            let world = World::in_memory("dropped", 2, &FakeAws::new()).await;
            let sequences = world.put(0, [b"before".to_vec(), packed_as(dropped).aggregate]).await;
            let mut worker = world.worker("a", &manner).await;
            worker.until(|told| misplaced(told) == count).await;
            worker.leave().await;
            assert_eq!(world.rows().await[&name(0)].checkpoint, after(&sequences[1], sub), "{dropped}");

            world.put(0, [b"new".to_vec()]).await;
            let mut worker = world.worker("b", &manner).await;
            let events = worker.until_records(1).await;
            assert_eq!(records(&events).map(|record| record.data.as_slice()).collect::<Vec<_>>(), [b"new"]);
            assert_eq!(misplaced(&events), 0, "{dropped}");
            worker.leave().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_nothing_but_dropped_records_moves_the_position_too() {
    for manner in [Manner::polling(), Manner::pushed()].map(dropping) {
        let world = World::in_memory("only-dropped", 2, &FakeAws::new()).await;
        let mut worker = world.worker("a", &manner).await;
        for round in 1..=3 {
            let sequences = world.put(0, [packed_as(ALL_ELSEWHERE).aggregate]).await;
            let events = worker.until(|told| misplaced(told) == 2 * round).await;
            let last = batches(&events).filter(|batch| batch.shard.as_str() == name(0)).last().unwrap();
            assert!(last.records.is_empty());
            assert_eq!(last.after, after(&sequences[0], 1));
        }
        worker.leave().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_within_an_aggregate_counts_only_what_follows() {
    for manner in [Manner::polling(), Manner::pushed()] {
        let world = World::in_memory("counted", 2, &FakeAws::new()).await;
        world.put(0, [packed_as(SEVEN_ELSEWHERE).aggregate]).await;
        let mut worker = world.worker("a", &manner).await;
        let events = worker.until_records(7).await;
        assert_eq!(misplaced(&events), 7);
        let third = records(&events).nth(2).unwrap().position();
        worker.checkpoint(0, third).await;
        leave_as_it_is(worker).await;
        let mut worker = world.worker("b", &manner).await;
        let events = worker.until_records(4).await;
        assert_eq!((records(&events).count(), misplaced(&events)), (4, 4));
        worker.leave().await;
    }
}

/// As an application does that handles record by record.
fn by_record(cut: &mut Cut, event: &ShardEvent) -> bool {
    if let ShardEvent::Batch(batch) = event {
        for record in &batch.records {
            cut.advance(&batch.shard, batch.epoch, record.position());
        }
    }
    matches!(event, ShardEvent::Leaving { .. })
}

#[tokio::test(start_paused = true)]
async fn a_hand_over_waits_for_what_was_delivered_and_not_for_what_was_dropped_after_it() {
    for manner in [Manner::polling(), Manner::pushed()].map(dropping) {
        let world = World::in_memory("leaving", 2, &FakeAws::new()).await;
        for (shard, dropped) in [(0, ALL_ELSEWHERE), (1, ALL_HERE)] {
            world.put(shard, [b"before".to_vec(), packed_as(dropped).aggregate]).await;
        }
        let mut old = Worker::start(world.source("a", &manner).await, |_| Duration::ZERO, by_record);
        old.until(|told| misplaced(told) == 5).await;
        let (new, begun) = (world.worker("b", &manner).await, Instant::now());
        old.until(|told| told.iter().any(|event| matches!(event, ShardEvent::HandedOver { .. }))).await;
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        sleep(Duration::from_secs(10)).await;
        assert_eq!(records(&new.told()).count(), 0, "it was checkpointed");
        new.leave().await;
        old.leave().await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_stream_ignores_producers_keys_none_is_misplaced() {
    for (strategy, users, counted) in
        [(RecordDistributionStrategy::Auto, 14, 0), (RecordDistributionStrategy::UserPartitionKey, 0, 14)]
    {
        let world = World::in_memory("keys", 2, &FakeAws::new()).await;
        let summary = world.client.describe_stream_summary().stream_name(world.stream).send().await.unwrap();
        let arn = summary.stream_description_summary.unwrap().stream_arn;
        let update = world.client.update_stream_record_distribution_strategy().stream_arn(arn);
        update.record_distribution_strategy(strategy.clone()).send().await.unwrap();
        let Packed { aggregate, .. } = packed_as(SEVEN_ELSEWHERE);
        let mut into = Vec::new();
        for _ in 0..2 {
            let put = world.client.put_record().stream_name(world.stream).data(Blob::new(aggregate.clone()));
            // Where keys count, this is the first key of the first shard.
            into.push(put.partition_key("p").explicit_hash_key("0").send().await.unwrap().shard_id);
        }
        assert_eq!(into[0] != into[1], strategy == RecordDistributionStrategy::Auto, "put in turn");
        let mut worker = world.worker("a", &dropping(Manner::polling())).await;
        let events = worker.until(|told| records(told).count() as u64 + misplaced(told) >= 14).await;
        assert_eq!((records(&events).count(), misplaced(&events)), (users, counted), "{strategy:?}");
        assert!(records(&events).all(|record: &Record| record.partition_key.is_some()));
        worker.leave().await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_where_it_is_unknown_whether_the_stream_ignores_producers_keys() {
    let fake = FakeAws::new();
    let world = World::in_memory("unknown", 2, &fake).await;
    fake.set_faults(|call| {
        let throttled = Fault::Error { status: 400, code: "LimitExceededException" };
        (call.caller == "a" && call.operation == "DescribeStreamSummary").then_some(throttled)
    });
    world.put(0, [packed_as(SEVEN_ELSEWHERE).aggregate]).await;
    let mut worker = world.worker("a", &dropping(Manner::polling())).await;
    let events = worker.until(|told| records(told).count() as u64 + misplaced(told) >= 7).await;
    assert_eq!((records(&events).count(), misplaced(&events)), (7, 0));
    worker.leave().await;
}
