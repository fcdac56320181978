//! A backlog is read as fast as the service allows, and no faster.

use std::time::Duration;

use shard_consumer::ShardEvent;
use tokio::time::Instant;

use crate::worker::numbered;
use crate::world::{World, pass};

/// The records of one shard, and what may be expected of reading them.
struct Backlog {
    records: usize,
    data_bytes: usize,
    key_bytes: usize,
    /// Nothing of it is throttled, and it takes no longer.
    within: Duration,
}

fn records_of(event: &ShardEvent) -> usize {
    if let ShardEvent::Batch(batch) = event { batch.records.len() } else { 0 }
}

async fn is_read_without_a_throttle(backlog: Backlog) {
    let Backlog { records, data_bytes, key_bytes, within } = backlog;
    let world = World::new(1).await;
    world.fake.enforce_limits(true);
    let key = "k".repeat(key_bytes);
    world.put_under(0, &key, std::iter::repeat_n(vec![7; data_bytes], records)).await;
    let begun = Instant::now();
    let mut worker = world.worker("a").await;
    worker.until(|told| told.iter().map(records_of).sum::<usize>() >= records).await;
    let took = begun.elapsed();
    // The last answer is not paid for yet.
    let paid = worker.told().iter().rev().map(records_of).skip_while(|read| *read == 0).skip(1).sum::<usize>();
    let bytes = paid * (data_bytes + key_bytes);
    println!(
        "{records} records of {data_bytes} and {key_bytes} bytes: {:.2} MB/s",
        bytes as f64 / 1e6 / took.as_secs_f64()
    );
    // At the tip, with something to read now and then.
    for number in 0..20 {
        world.put(0, numbered("more", number..number + 1)).await;
        pass(1).await;
    }
    let calls = world.asked("GetRecords");
    for (first, sixth) in calls.iter().zip(calls.iter().skip(5)) {
        assert!(sixth.at - first.at >= Duration::from_secs(1), "more than five calls in a second");
    }
    // A throttled call is repeated with its iterator.
    let throttled =
        calls.windows(2).filter(|two| two[0].input["ShardIterator"] == two[1].input["ShardIterator"]).count();
    assert_eq!(throttled, 0);
    assert!(took <= within, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_large_records_is_read_at_nearly_two_megabytes_a_second() {
    let within = Duration::from_secs(11);
    is_read_without_a_throttle(Backlog { records: 300, data_bytes: 100_000, key_bytes: 1, within }).await;
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_small_records_is_read_with_five_calls_a_second() {
    let within = Duration::from_millis(1_100);
    is_read_without_a_throttle(Backlog { records: 40_000, data_bytes: 20, key_bytes: 1, within }).await;
}

#[tokio::test(start_paused = true)]
async fn keys_count_as_what_is_read() {
    let within = Duration::from_millis(4_800);
    is_read_without_a_throttle(Backlog { records: 40_000, data_bytes: 10, key_bytes: 250, within }).await;
}
