//! Shards that end, and what follows them.

use std::sync::Arc;
use std::time::Duration;

use shard_consumer::{Change, Lease, LeaseStore, Position, ShardEvent, ShardId, Written};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::wire::edited;
use crate::worker::{Handling, at_once, finished, name, numbered, taken, texts};
use crate::world::{STREAM, World, error, kinesis, owner, pass, start};

/// Holds what is read of a shard until it is let go.
fn holding(shard: u32) -> (watch::Sender<bool>, Handling) {
    let (is_open, opens) = watch::channel(false);
    let handling = Arc::new(move |event: &ShardEvent| {
        let is_held = matches!(event, ShardEvent::Batch(batch) if batch.shard.as_str() == name(shard));
        let mut opens = opens.clone();
        Box::pin(async move {
            if is_held {
                opens.wait_for(|is_open| *is_open).await.unwrap();
            }
        }) as _
    });
    (is_open, handling)
}

/// At first there are 0 and 1. Then 1 is split into 2 and 3, and 2 is merged with 0, which ends first.
#[tokio::test(start_paused = true)]
async fn a_merged_shard_waits_for_a_parent_that_was_not_there_at_the_last_listing() {
    let world = World::new(2).await;
    let (is_open, handling) = holding(1);
    let mut worker = world.worker_that("a", handling).await;
    worker.until(|told| taken(told, 0).is_some() && taken(told, 1).is_some()).await;
    world.put(1, numbered("one", 0..3)).await;
    world.split(1).await;
    world.merge(0, 2).await;
    world.put(4, numbered("four", 0..3)).await;
    worker.until(|told| finished(told, 0).is_some()).await;
    pass(60).await;
    assert_eq!(taken(&worker.told(), 4), None, "its other parent is not read yet");
    is_open.send_replace(true);
    let told = worker.until_records(6).await;
    let order = [finished(&told, 0), finished(&told, 1), finished(&told, 2), taken(&told, 4)];
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?}");
    assert_eq!(texts(&told)[&name(4)], numbered("four", 0..3).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn children_that_the_last_answer_does_not_tell_are_found_in_a_listing() {
    let world = World::new(1).await;
    let http = edited(world.fake.http_client(), |_, message| {
        message.as_object_mut().unwrap().remove("ChildShards");
    });
    let mut params = world.params("a").await;
    params.client = kinesis(http, "a");
    let mut worker = start(params, at_once());
    worker.until(|told| taken(told, 0).is_some()).await;
    world.split(0).await;
    worker.until(|told| finished(told, 0).is_some()).await;
    let rows = world.rows().await;
    assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), [name(0), name(1), name(2)]);
    assert!([1, 2].iter().all(|child| rows[&name(*child)].parents == [ShardId::from(name(0).as_str())]));
    worker.checkpoint().await.unwrap();
    let row = world.row(0).await;
    assert_eq!((row.checkpoint, row.children.len(), row.owner), (Position::ShardEnd, 2, None));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_the_stream_no_longer_holds_has_ended_and_its_children_are_read() {
    let world = World::new(1).await;
    world.split(0).await;
    world.put(1, numbered("one", 0..3)).await;
    let row = Lease::unowned(ShardId::from(name(0).as_str()), Position::TrimHorizon, vec![]);
    world.leases().await.create(&row).await.unwrap();
    world.fake.forget_shard(STREAM, &name(0));
    let mut worker = world.worker("a").await;
    let told = worker.until_records(3).await;
    assert!(finished(&told, 0).is_some() && finished(&told, 0) < taken(&told, 1));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_the_service_does_not_know_yet_is_not_gone() {
    let world = World::new(1).await;
    let known = Instant::now() + Duration::from_secs(20);
    let http = edited(world.fake.http_client(), move |operation, message| {
        if let Some(listed) = message["Shards"].as_array_mut()
            && operation == "ListShards"
            && Instant::now() < known
        {
            listed.retain(|shard| shard["ShardId"] != name(1));
        }
    });
    world.faults(move |call| {
        let is_child = call.operation == "GetShardIterator" && call.input["ShardId"] == name(1);
        if is_child && call.at < known { error(400, "ResourceNotFoundException") } else { None }
    });
    let mut params = world.params("a").await;
    params.client = kinesis(http, "a");
    let mut worker = start(params, at_once());
    worker.until(|told| taken(told, 0).is_some()).await;
    pass(10).await;
    world.split(0).await;
    world.put(1, numbered("one", 0..3)).await;
    worker.until(|told| taken(told, 1).is_some()).await;
    assert!(Instant::now() + Duration::from_secs(8) < known, "it was to be read too early");
    let told = worker.until_records(3).await;
    assert_eq!(texts(&told)[&name(1)], numbered("one", 0..3).collect::<Vec<_>>());
    worker.checkpoint().await.unwrap();
    pass(60).await;
    assert_eq!(finished(&worker.told(), 1), None);
    assert_ne!(world.row(1).await.checkpoint, Position::ShardEnd);
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_stays_unknown_and_has_no_children_is_finished_after_forty_seconds() {
    let world = World::new(2).await;
    let mut worker = world.worker("a").await;
    worker.until(|told| taken(told, 0).is_some() && taken(told, 1).is_some()).await;
    world.fake.forget_shard(STREAM, &name(1));
    let forgotten = Instant::now();
    worker.until(|told| finished(told, 1).is_some()).await;
    let waited = forgotten.elapsed().as_secs();
    assert!((40..50).contains(&waited), "{waited} s");
    worker.checkpoint().await.unwrap();
    assert_eq!(world.row(1).await.checkpoint, Position::ShardEnd);
    assert_eq!(finished(&worker.told(), 0), None);
}

#[tokio::test(start_paused = true)]
async fn the_shards_of_a_deleted_stream_have_not_ended() {
    let world = World::new(1).await;
    let mut worker = world.worker("a").await;
    worker.until(|told| taken(told, 0).is_some()).await;
    let kinesis = ["ListShards", "GetShardIterator", "GetRecords", "DescribeStreamSummary"];
    world.faults(move |call| match kinesis.contains(&call.operation.as_str()) {
        true => error(400, "ResourceNotFoundException"),
        false => None,
    });
    pass(120).await;
    assert_eq!(finished(&worker.told(), 0), None);
    assert!(world.asked("ListShards").len() > 4);
    assert_eq!(owner(&world.row(0).await), Some("a"), "and its lease is kept");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_after_the_end_of_its_shard_is_told() {
    let world = World::new(1).await;
    let mut worker = world.worker("a").await;
    worker.until(|told| taken(told, 0).is_some()).await;
    world.split(0).await;
    worker.until(|told| finished(told, 0).is_some()).await;
    let thief = world.leases().await;
    while thief.update(&world.row(0).await, &Change::Take { owner: "other".into() }).await.unwrap() != Written::Landed {
    }
    let lost = ShardEvent::LeaseLost { shard: ShardId::from(name(0).as_str()), epoch: 1 };
    worker.until(|told| told.contains(&lost)).await;
    worker.checkpoint().await.unwrap();
    assert_ne!(world.row(0).await.checkpoint, Position::ShardEnd);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_shard_whose_checkpoint_gets_no_answer_is_checkpointed_by_the_next_attempt() {
    let world = World::new(1).await;
    let mut worker = world.worker("a").await;
    worker.until(|told| taken(told, 0).is_some()).await;
    world.split(0).await;
    worker.until(|told| finished(told, 0).is_some()).await;
    world.faults(|call| (call.operation == "UpdateItem").then_some(fake_aws::Fault::LoseAnswer));
    worker.checkpoint().await.unwrap_err();
    world.faults(|_| None);
    worker.checkpoint().await.unwrap();
    let row = world.row(0).await;
    assert_eq!((row.checkpoint, row.children.len(), row.owner, row.counter), (Position::ShardEnd, 2, None, 2));
    pass(30).await;
    assert!(!worker.told().iter().any(|event| matches!(event, ShardEvent::LeaseLost { .. })));
}
