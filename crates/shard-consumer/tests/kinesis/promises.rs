//! What a source promises, against a server that speaks the protocol of Kinesis.

use std::collections::BTreeMap;
use std::time::Duration;

use shard_consumer::{Position, ShardEvent, ShardId, ShardSource, SourceError, Start};

use crate::support::{Server, World};
use crate::worker::{finished, name, numbered, shards, taken, texts};

pub(crate) async fn every_record_is_delivered_once_and_in_shard_order(server: Server) {
    let world = World::new(server, "in-order", 4).await;
    for shard in 0..4 {
        world.put(&name(shard), numbered("before", 0..50)).await;
    }
    let mut worker = world.worker("a", Start::TrimHorizon).await;
    worker.until_records(200).await;
    for shard in 0..4 {
        world.put(&name(shard), numbered("while", 0..50)).await;
    }
    let told = worker.until_records(400).await;

    let all: Vec<String> = numbered("before", 0..50).chain(numbered("while", 0..50)).collect();
    let expected: BTreeMap<String, Vec<String>> = (0..4).map(|shard| (name(shard), all.clone())).collect();
    assert_eq!(texts(&told), expected);
    worker.until(|told| shards(told, 4, 0)).await;
    worker.drain().await;
}

pub(crate) async fn parents_are_read_to_their_end_before_the_children_of_a_split_and_of_a_merge(server: Server) {
    let world = World::new(server, "lineage", 1).await;
    let mut worker = world.worker("a", Start::TrimHorizon).await;
    world.put(&name(0), numbered("zero", 0..20)).await;
    worker.until_records(5).await;
    world.split(&name(0)).await;
    world.put(&name(1), numbered("one", 0..20)).await;
    world.put(&name(2), numbered("two", 0..20)).await;
    worker.until_records(60).await;
    world.merge(&name(1), &name(2)).await;
    world.put(&name(3), numbered("three", 0..20)).await;
    let live = worker.until_records(80).await;
    // A worker that comes late finds all of it at once.
    worker.crash().await;
    let mut late = world.worker_of("late", "late", Start::TrimHorizon).await;
    let late_told = late.until_records(80).await;

    for told in [live, late_told] {
        for (parent, child) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
            assert!(finished(&told, parent) < taken(&told, child), "{parent} before {child}");
            assert!(finished(&told, parent).is_some());
        }
        let expected = [(0, "zero"), (1, "one"), (2, "two"), (3, "three")]
            .map(|(shard, what)| (name(shard), numbered(what, 0..20).collect::<Vec<_>>()));
        assert_eq!(texts(&told), BTreeMap::from(expected));
    }
}

pub(crate) async fn the_children_have_rows_before_the_end_of_their_parent_is_checkpointed_and_it_is_not_read_again(
    server: Server,
) {
    let world = World::new(server, "children", 1).await;
    world.put(&name(0), numbered("zero", 0..5)).await;
    world.split(&name(0)).await;
    world.put(&name(2), numbered("two", 0..5)).await;
    let mut worker = world.worker("a", Start::TrimHorizon).await;
    worker.until(|told| finished(told, 0).is_some()).await;
    let rows = world.rows().await;
    assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), [name(0), name(1), name(2)]);
    assert_ne!(rows[&name(0)].checkpoint, Position::ShardEnd, "only the caller knows when");

    worker.until_records(10).await;
    worker.checkpoint().await.unwrap();
    let parent = world.rows().await.remove(&name(0)).unwrap();
    assert_eq!(parent.checkpoint, Position::ShardEnd, "at once");
    assert_eq!(parent.children, [1, 2].map(|child| ShardId::from(name(child).as_str())));
    worker.drain().await;
    worker.source.release().await.unwrap();

    let mut next = world.worker("b", Start::TrimHorizon).await;
    world.put(&name(1), numbered("one", 0..5)).await;
    let told = next.until_records(5).await;
    assert_eq!(texts(&told), BTreeMap::from([(name(1), numbered("one", 0..5).collect())]));
    assert_eq!(taken(&told, 0), None);
}

pub(crate) async fn a_restart_resumes_exactly_after_the_checkpoint(server: Server) {
    let world = World::new(server, "restart", 2).await;
    world.put(&name(0), numbered("zero", 0..30)).await;
    world.put(&name(1), numbered("one", 0..30)).await;
    let mut worker = world.worker("a", Start::TrimHorizon).await;
    worker.until_records(60).await;
    let cut = worker.cut();
    world.put(&name(0), numbered("zero", 30..40)).await;
    worker.until_records(70).await;
    worker.drain().await;
    worker.source.checkpoint(&cut).await.unwrap();
    worker.source.release().await.unwrap();

    let mut next = world.worker("b", Start::TrimHorizon).await;
    world.put(&name(1), numbered("one", 30..40)).await;
    let told = next.until_records(20).await;
    let expected = [(name(0), numbered("zero", 30..40).collect()), (name(1), numbered("one", 30..40).collect())];
    assert_eq!(texts(&told), BTreeMap::from(expected));
}

pub(crate) async fn a_worker_that_joins_takes_over_half_of_the_shards_where_the_other_stopped(server: Server) {
    let world = World::new(server, "share", 2).await;
    world.put(&name(0), numbered("zero", 0..10)).await;
    world.put(&name(1), numbered("one", 0..10)).await;
    let mut a = world.worker("a", Start::TrimHorizon).await;
    a.until_records(20).await;
    a.checkpoint().await.unwrap();
    let mut b = world.worker("b", Start::TrimHorizon).await;
    b.until(|told| taken(told, 0).or(taken(told, 1)).is_some()).await;
    world.put(&name(0), numbered("zero", 10..20)).await;
    world.put(&name(1), numbered("one", 10..20)).await;
    let leaving = a.when(|event| matches!(event, ShardEvent::Leaving { .. }));
    assert!(leaving < b.when(|event| matches!(event, ShardEvent::LeaseTaken { .. })));
    let (told_a, told_b) = (a.until_records(30).await, b.until_records(10).await);
    let mut all = texts(&told_a);
    for (shard, texts) in texts(&told_b) {
        all.entry(shard).or_default().extend(texts);
    }
    let expected = [(name(0), numbered("zero", 0..20).collect()), (name(1), numbered("one", 0..20).collect())];
    assert_eq!(all, BTreeMap::from(expected));
}

pub(crate) async fn from_the_latest_nothing_is_lost_by_a_restart_before_the_first_checkpoint(server: Server) {
    let world = World::new(server, "latest", 1).await;
    world.put(&name(0), numbered("old", 0..5)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut first = world.worker("a", Start::Latest).await;
    first.until(|told| taken(told, 0).is_some()).await;
    first.crash().await;
    world.put(&name(0), numbered("new", 0..5)).await;
    let mut second = world.worker("a", Start::Latest).await;
    let told = second.until_records(5).await;
    assert_eq!(texts(&told), BTreeMap::from([(name(0), numbered("new", 0..5).collect())]));
}

pub(crate) async fn a_stream_that_is_not_there_is_named_in_one_line_with_the_mend(server: Server) {
    let mut world = World::new(server, "present", 1).await;
    world.stream = "absent".into();
    let error = world.worker("a", Start::TrimHorizon).await.ended().await.unwrap_err();
    assert!(matches!(error, SourceError::Configuration(_)));
    let said = error.to_string();
    assert!(said.contains("\"absent\"") && said.contains("us-east-1") && said.contains("check"), "{said}");
    assert_eq!(said.lines().count(), 1);
}
