//! Leases under which nobody reads any more, in workers that live on.

use std::time::Duration;

use fake_aws::{Call, Fault};
use shard_consumer::{ShardEvent, ShardSource};
use tokio::time::{Instant, timeout};

use crate::worker::{Worker, name, numbered, shards, taken, texts};
use crate::world::{FAILOVER, STREAM, World, error, pass};

fn is_lost(event: &ShardEvent) -> bool {
    matches!(event, ShardEvent::LeaseLost { .. })
}

/// Worker `a` has read two records; then the stream holds no more than the last one of five, and its iterator
/// expires. `script` tells what goes wrong with its other calls.
async fn trimmed(world: &World, mut script: impl FnMut(&Call) -> Option<Fault> + Send + 'static) -> Worker {
    world.put(0, numbered("zero", 0..2)).await;
    let mut a = world.worker("a").await;
    a.until_records(2).await;
    world.put(0, numbered("zero", 2..5)).await;
    world.fake.trim(STREAM, &name(0), 1);
    let mut has_expired = false;
    world.faults(move |call| match call.caller == "a" {
        true if call.operation == "GetRecords" && !std::mem::replace(&mut has_expired, true) => {
            error(400, "ExpiredIteratorException")
        }
        true => script(call),
        false => None,
    });
    a
}

/// What a worker cannot do, in the seconds to come.
fn failing(seconds: u64, operation: &'static str) -> impl FnMut(&Call) -> Option<Fault> {
    let until = Instant::now() + Duration::from_secs(seconds);
    move |call| if call.at < until && call.operation == operation { error(400, "ThrottlingException") } else { None }
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_position_was_trimmed_in_an_outage_is_taken_again_once_and_read_from_the_oldest_record() {
    let world = World::new(1).await;
    let ends = Instant::now() + Duration::from_secs(5);
    let mut a = trimmed(&world, failing(5, "UpdateItem")).await;
    let told = a.until_records(3).await;
    assert_eq!(texts(&told)[&name(0)], ["zero-0", "zero-1", "zero-4"]);
    assert!(Instant::now() < ends + Duration::from_secs(3), "{:?}", ends.elapsed());
    pass(60).await;
    let told = a.told();
    assert_eq!(told.iter().filter(|event| is_lost(event)).count(), 1);
    assert_eq!(told.iter().filter(|event| matches!(event, ShardEvent::LeaseTaken { .. })).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_reads_is_not_renewed_and_another_worker_takes_it() {
    let world = World::new(1).await;
    // So long it cannot see that the lease is its own.
    let (mut writes, mut looks) = (failing(3, "UpdateItem"), failing(60, "Scan"));
    let mut a = trimmed(&world, move |call| writes(call).or_else(|| looks(call))).await;
    a.until(|told| told.iter().any(is_lost)).await;
    let lost = Instant::now();
    let mut b = world.worker("b").await;
    let told = b.until_records(1).await;
    assert!(lost.elapsed() < FAILOVER + Duration::from_secs(3), "{:?}", lost.elapsed());
    assert_eq!(texts(&told)[&name(0)], ["zero-4"]);
    pass(90).await;
    assert!(!b.told().iter().any(is_lost));
}

#[tokio::test(start_paused = true)]
async fn leases_whose_release_is_given_up_half_way_are_not_renewed_any_more() {
    let world = World::new(1).await;
    let mut a = world.worker("a").await;
    a.until(|told| taken(told, 0).is_some()).await;
    let mut b = world.worker("b").await;
    b.until(|told| shards(told, 1, 0)).await;
    a.drain().await;
    let hangs = Fault::LateStart(Duration::from_secs(3_600));
    world.faults(move |call| (call.caller == "a" && call.operation == "UpdateItem").then(|| hangs.clone()));
    timeout(Duration::from_millis(100), a.source.release()).await.unwrap_err();
    world.faults(|_| None);
    let given_up = Instant::now();
    b.until(|told| taken(told, 0).is_some()).await;
    assert!(given_up.elapsed() < FAILOVER + Duration::from_secs(3), "{:?}", given_up.elapsed());
    let renewed = world.asked("UpdateItem").into_iter().filter(|call| call.caller == "a" && call.at >= given_up);
    assert_eq!(renewed.count(), 0);
    drop(a);
}
