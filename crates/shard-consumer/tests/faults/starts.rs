//! Where reading begins, when that is for a configuration or a clock to say.

use aws_sdk_dynamodb::types::AttributeValue;
use shard_consumer::{LeaseStore, Position, Start};

use crate::worker::{Worker, at_once, name, numbered, taken, texts};
use crate::world::{BEGIN_MS, TABLE, World, pass, start};

/// A row as the Kinesis Client Library leaves it before its first read.
async fn put_row(world: &World, word: &str) {
    let text = |text: &str| AttributeValue::S(text.into());
    world.leases().await;
    let put = world.dynamodb("test").put_item().table_name(TABLE).item("leaseKey", text(&name(0)));
    let put = put.item("checkpoint", text(word)).item("leaseCounter", AttributeValue::N("3".into()));
    put.send().await.unwrap();
}

async fn worker_from(world: &World, from: Start) -> Worker {
    let mut params = world.params("a").await;
    params.start = from;
    start(params, at_once())
}

#[tokio::test(start_paused = true)]
async fn from_the_latest_nothing_is_lost_by_a_restart_before_the_first_checkpoint() {
    // The row of a fleet that begins, and one that another library has made.
    for row in [None, Some("LATEST")] {
        let world = World::new(1).await;
        world.turn_to_today().await;
        if let Some(word) = row {
            put_row(&world, word).await;
        }
        let mut first = worker_from(&world, Start::Latest).await;
        first.until(|told| taken(told, 0).is_some()).await;
        let began = world.row(0).await;
        assert_eq!(began.checkpoint, Position::AtTimestamp(began.start_timestamp_ms.unwrap()));
        world.put(0, numbered("new", 0..5)).await;
        first.until_records(5).await;
        first.crash().await;
        pass(120).await;
        let mut second = worker_from(&world, Start::Latest).await;
        let told = second.until_records(5).await;
        assert_eq!(texts(&told)[&name(0)], numbered("new", 0..5).collect::<Vec<_>>());
        let now = world.row(0).await;
        assert_eq!((now.checkpoint, now.start_timestamp_ms), (began.checkpoint, began.start_timestamp_ms));
    }
}

#[tokio::test(start_paused = true)]
async fn from_the_latest_what_was_there_before_is_not_read() {
    let world = World::new(1).await;
    world.put(0, numbered("old", 0..5)).await;
    world.turn_to_today().await;
    let mut worker = worker_from(&world, Start::Latest).await;
    worker.until(|told| taken(told, 0).is_some()).await;
    world.put(0, numbered("new", 0..5)).await;
    let told = worker.until_records(5).await;
    assert_eq!(texts(&told)[&name(0)], numbered("new", 0..5).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_made_later_begins_at_the_instant_that_was_written_down_first() {
    let world = World::new(2).await;
    world.turn_to_today().await;
    let mut first = worker_from(&world, Start::Latest).await;
    first.until(|told| taken(told, 0).is_some() && taken(told, 1).is_some()).await;
    first.crash().await;
    let row = world.row(1).await;
    assert!(world.leases().await.delete(&row).await.unwrap());
    world.put(1, numbered("one", 0..3)).await;
    pass(3_600).await;
    let mut second = worker_from(&world, Start::Latest).await;
    let told = second.until_records(3).await;
    assert_eq!(texts(&told)[&name(1)], numbered("one", 0..3).collect::<Vec<_>>());
    assert_eq!(world.row(1).await.start_timestamp_ms, world.row(0).await.start_timestamp_ms);
}

#[tokio::test(start_paused = true)]
async fn a_time_that_only_the_configuration_knows_is_resolved_once_and_written_down() {
    let cases = [
        (Start::At(BEGIN_MS + 30_000), Position::AtTimestamp(BEGIN_MS + 30_000), 5..10),
        (Start::TrimHorizon, Position::TrimHorizon, 0..10),
    ];
    for (from, expected, records) in cases {
        let world = World::new(1).await;
        put_row(&world, "AT_TIMESTAMP").await;
        world.put(0, numbered("zero", 0..5)).await;
        pass(60).await;
        world.put(0, numbered("zero", 5..10)).await;
        let mut first = worker_from(&world, from).await;
        let told = first.until_records(records.len()).await;
        assert_eq!(texts(&told)[&name(0)], numbered("zero", records.clone()).collect::<Vec<_>>());
        let row = world.row(0).await;
        assert_eq!((row.checkpoint.clone(), row.start_timestamp_ms), (expected, row.checkpoint.timestamp_ms()));
        first.crash().await;
        // Another configuration does not change what is written.
        let mut second = worker_from(&world, Start::At(BEGIN_MS + 45_000)).await;
        let told = second.until_records(records.len()).await;
        assert_eq!(texts(&told)[&name(0)], numbered("zero", records).collect::<Vec<_>>());
    }
}
