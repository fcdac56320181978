//! Records that a producer packed into one, from the stream to the caller and to the next worker.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

#[path = "aggregates/misplaced.rs"]
mod misplaced;
#[path = "aggregates/packed.rs"]
mod packed;
mod world;

use std::time::Duration;

use fake_aws::FakeAws;
use shard_consumer::{Lease, Position, Record, ShardId, ShardSource};
use tokio::time::{Instant, sleep};

use packed::{Packed, packed, packed_as};
use world::{Manner, NEVER, Worker, World, batches, name, records};

/// What of a record does not depend on the place where a test runs.
type Told = (String, u64, String, Vec<u8>);

fn told(record: &Record) -> Told {
    let key = record.partition_key.clone().unwrap();
    (record.sequence_number.to_string(), record.sub_sequence_number, key, record.data.clone())
}

fn plain(sequence: &str, text: &str) -> Told {
    (sequence.to_owned(), 0, "p".to_owned(), text.into())
}

/// Waits until the row of the first shard has this checkpoint.
async fn until_written(world: &World, checkpoint: &Position) {
    let begun = Instant::now();
    while world.rows().await[&name(0)].checkpoint != *checkpoint {
        assert!(begun.elapsed() < NEVER, "{:?} is not {checkpoint:?}", world.rows().await[&name(0)].checkpoint);
        sleep(Duration::from_millis(100)).await;
    }
}

/// Stops, and leaves the last checkpoint as it is.
async fn leave_as_it_is(mut worker: Worker) {
    worker.stop().await;
    worker.source.release().await.unwrap();
}

async fn on_server(stream: &'static str, shards: i32) -> World {
    World::on_server(stream, shards, aws_smithy_http_client::Builder::new().build_http()).await
}

async fn user_records_come_one_by_one_among_plain_ones(world: &World, manner: &Manner) {
    let mut expected = Vec::new();
    for (number, Packed { aggregate, users, .. }) in packed().into_iter().enumerate() {
        let text = format!("plain-{number}");
        let sequences = world.put(0, [text.clone().into_bytes(), aggregate]).await;
        expected.push(plain(&sequences[0], &text));
        let users = (0..).zip(users).map(|(sub, (key, data))| (sequences[1].clone(), sub, key, data));
        expected.extend(users);
    }
    let mut worker = world.worker("a", manner).await;
    let events = worker.until_records(expected.len()).await;
    assert!(records(&events).map(told).eq(expected), "as the other encoder was given them, and in order");
    assert_eq!(batches(&events).map(|batch| batch.misplaced).sum::<u64>(), 0);
    worker.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_encoder_packed_comes_one_by_one_and_in_order_among_plain_records() {
    user_records_come_one_by_one_among_plain_ones(&on_server("aggregates", 1).await, &Manner::polling()).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_however_the_records_are_fetched() {
    for (stream, manner) in [("polled", Manner::polling()), ("pushed", Manner::pushed())] {
        let world = World::in_memory(stream, 1, &FakeAws::new()).await;
        user_records_come_one_by_one_among_plain_ones(&world, &manner).await;
    }
}

enum End {
    Crash,
    Leave,
}

async fn a_checkpoint_within_an_aggregate(world: &World, manner: &Manner, end: End) {
    let Packed { aggregate, users, .. } = packed_as("keys that are shared");
    let sequences = world.put(0, [b"before".to_vec(), aggregate, b"behind".to_vec()]).await;
    let mut worker = world.worker("a", manner).await;
    let events = worker.until_records(users.len() + 2).await;
    let all: Vec<Record> = records(&events).cloned().collect();
    let third = all[3].position();
    assert_eq!(third, Position::After { sequence: sequences[1].as_str().into(), sub_sequence: 2 });
    worker.checkpoint(0, third.clone()).await;
    match end {
        End::Leave => leave_as_it_is(worker).await,
        End::Crash => {
            until_written(world, &third).await;
            worker.crash().await;
        }
    }
    assert_eq!(world.rows().await[&name(0)].checkpoint, third);
    goes_on(world.worker("b", manner).await, &all[4..]).await;
    // At the end of everything, nothing is left.
    world.put(0, [b"new".to_vec()]).await;
    let mut worker = world.worker("c", manner).await;
    let events = worker.until_records(1).await;
    assert_eq!(records(&events).map(|record| record.data.as_slice()).collect::<Vec<_>>(), [b"new"]);
    worker.leave().await;
}

/// The worker tells these records and no others.
async fn goes_on(mut worker: Worker, expected: &[Record]) {
    let events = worker.until_records(expected.len()).await;
    assert!(records(&events).eq(expected), "{:?}", records(&events).map(Record::position).collect::<Vec<_>>());
    worker.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_on_after_a_crash_within_an_aggregate_begins_with_the_next_user_record() {
    let manner = Manner { failover_after: Duration::from_secs(3), ..Manner::polling() };
    a_checkpoint_within_an_aggregate(&on_server("within-crash", 1).await, &manner, End::Crash).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_on_after_a_stop_within_an_aggregate_begins_with_the_next_user_record() {
    a_checkpoint_within_an_aggregate(&on_server("within-stop", 1).await, &Manner::polling(), End::Leave).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_in_a_lease_table_however_the_records_are_fetched() {
    let cases = [
        ("polled-crash", Manner::polling(), End::Crash),
        ("polled-stop", Manner::polling(), End::Leave),
        ("pushed-crash", Manner::pushed(), End::Crash),
        ("pushed-stop", Manner::pushed(), End::Leave),
    ];
    for (stream, manner, end) in cases {
        let world = World::in_memory(stream, 1, &FakeAws::new()).await;
        a_checkpoint_within_an_aggregate(&world, &manner, end).await;
    }
}

async fn a_row_within_an_aggregate(world: &World, manner: &Manner) {
    let Packed { aggregate, users, .. } = packed_as("a key of its own for each");
    let sequences = world.put(0, [b"before".to_vec(), aggregate, b"behind".to_vec()]).await;
    let third = Position::After { sequence: sequences[1].as_str().into(), sub_sequence: 2 };
    let row = Lease::unowned(ShardId::from(name(0).as_str()), third, Vec::new());
    assert!(world.leases().await.create(&row).await.unwrap());
    let mut worker = world.worker("a", manner).await;
    let events = worker.until_records(3).await;
    let rest = (3..).zip(&users[3..]).map(|(sub, (key, data))| (sequences[1].clone(), sub, key.clone(), data.clone()));
    assert!(records(&events).map(told).eq(rest.chain([plain(&sequences[2], "behind")])));
    worker.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_within_an_aggregate_is_continued_with_the_next_user_record() {
    a_row_within_an_aggregate(&on_server("rows", 1).await, &Manner::polling()).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_with_a_row_in_the_schema_of_the_kinesis_client_library() {
    for (stream, manner) in [("polled", Manner::polling()), ("pushed", Manner::pushed())] {
        a_row_within_an_aggregate(&World::in_memory(stream, 1, &FakeAws::new()).await, &manner).await;
    }
}
