//! What a source promises when the service pushes: against a server that speaks the protocol of Kinesis, and against
//! services in memory, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

#[path = "fan_out/ends.rs"]
mod ends;
#[path = "fan_out/simulated.rs"]
mod simulated;
mod world;

use std::collections::BTreeMap;

use fake_aws::FakeAws;
use shard_consumer::ShardEvent;

use ends::Ends;
use world::{Manner, World, batches, name};

fn numbered(what: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("{what}-{number}")).collect()
}

/// The texts delivered, by shard.
fn texts(told: &[ShardEvent]) -> BTreeMap<String, Vec<String>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for batch in batches(told).filter(|batch| !batch.records.is_empty()) {
        let records = batch.records.iter().map(|record| String::from_utf8(record.data.clone()).unwrap());
        texts.entry(batch.shard.to_string()).or_default().extend(records);
    }
    texts
}

async fn split(world: &World, shard: u32) {
    let [first, last] = world.hash_keys(shard).await;
    let split = world.client.split_shard().stream_name(world.stream).shard_to_split(name(shard));
    split.new_starting_hash_key((first + (last - first) / 2).to_string()).send().await.unwrap();
    world.active().await;
}

async fn merge(world: &World, shards: [u32; 2]) {
    let merge = world.client.merge_shards().stream_name(world.stream).shard_to_merge(name(shards[0]));
    merge.adjacent_shard_to_merge(name(shards[1])).send().await.unwrap();
    world.active().await;
}

async fn on_server(stream: &'static str) -> (World, Ends) {
    let ends = Ends::default();
    let http = ends.client(aws_smithy_http_client::Builder::new().build_http());
    (World::on_server(stream, 1, http).await, ends)
}

/// A split and a merge, during which records are put. The ends of the shards are told, where the stream does not.
async fn reshard(world: &World, ends: Option<&Ends>) {
    world.put(0, numbered("zero", 0..20)).await;
    let mut worker = world.worker("a", &Manner::pushed()).await;
    worker.until_records(20).await;
    world.put(0, numbered("zero", 20..40)).await;
    split(world, 0).await;
    if let Some(ends) = ends {
        ends.tell(world, &[0], &[1, 2]).await;
    }
    world.put(1, numbered("one", 0..20)).await;
    world.put(2, numbered("two", 0..20)).await;
    worker.until_records(80).await;
    world.put(1, numbered("one", 20..30)).await;
    merge(world, [1, 2]).await;
    if let Some(ends) = ends {
        ends.tell(world, &[1, 2], &[3]).await;
    }
    world.put(3, numbered("three", 0..20)).await;
    let told = worker.until_records(110).await;

    let expected = [(0, "zero", 40), (1, "one", 30), (2, "two", 20), (3, "three", 20)];
    let expected = expected.map(|(shard, what, count)| (name(shard), numbered(what, 0..count)));
    assert_eq!(texts(&told), BTreeMap::from(expected));
    let at = |wanted: &dyn Fn(&ShardEvent) -> bool| told.iter().position(wanted).unwrap();
    for (parent, child) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
        let finished =
            at(&|event| matches!(event, ShardEvent::Finished { shard, .. } if shard.as_str() == name(parent)));
        let taken = at(&|event| matches!(event, ShardEvent::LeaseTaken { shard, .. } if shard.as_str() == name(child)));
        assert!(finished < taken, "{parent} before {child}");
    }
    worker.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_comes_once_and_in_order_through_a_split_and_a_merge_and_parents_before_children() {
    let (world, ends) = on_server("fan-out-lineage").await;
    reshard(&world, Some(&ends)).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_where_the_service_itself_ends_the_subscriptions_to_closed_shards() {
    reshard(&World::in_memory("lineage", 1, &FakeAws::new()).await, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_worker_goes_on_after_the_checkpoint_with_the_same_consumer() {
    let (world, _) = on_server("fan-out-restart").await;
    world.put(0, numbered("record", 0..20)).await;
    let mut worker = world.worker("a", &Manner::pushed()).await;
    worker.until_records(20).await;
    worker.leave().await;
    world.put(0, numbered("record", 20..30)).await;
    let mut worker = world.worker("b", &Manner::pushed()).await;
    let told = worker.until_records(10).await;
    assert_eq!(texts(&told), BTreeMap::from([(name(0), numbered("record", 20..30))]));
    worker.leave().await;

    let summary = world.client.describe_stream_summary().stream_name(world.stream).send().await.unwrap();
    let arn = summary.stream_description_summary.unwrap().stream_arn;
    let consumers = world.client.list_stream_consumers().stream_arn(arn).send().await.unwrap().consumers.unwrap();
    let names: Vec<&str> = consumers.iter().map(|consumer| consumer.consumer_name.as_str()).collect();
    assert_eq!(names, ["test"]);
}
