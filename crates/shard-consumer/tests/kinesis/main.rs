//! What a source promises, against a server that speaks the protocol of Kinesis.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shard_consumer::{Position, ShardEvent, ShardId, ShardSource, SourceError, SqliteLeases, Start};
use support::{Gate, World, name, texts};

/// Long enough that no lease expires by itself within a test.
const LONG: Duration = Duration::from_secs(120);
/// Long enough that a busy machine renews in time.
const SHORT: Duration = Duration::from_secs(6);

fn numbered(what: &str, numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(move |number| format!("{what}-{number}"))
}

fn taken(told: &[ShardEvent], number: u32) -> Option<usize> {
    told.iter()
        .position(|event| matches!(event, ShardEvent::LeaseTaken { shard, .. } if shard.as_str() == name(number)))
}

fn finished(told: &[ShardEvent], number: u32) -> Option<usize> {
    told.iter().position(|event| matches!(event, ShardEvent::Finished { shard, .. } if shard.as_str() == name(number)))
}

fn lost(told: &[ShardEvent]) -> bool {
    told.iter().any(|event| matches!(event, ShardEvent::LeaseLost { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_delivered_once_and_in_shard_order() {
    let world = World::new("in-order", 4).await;
    for shard in 0..4 {
        world.put(&name(shard), numbered("before", 0..50)).await;
    }
    let mut worker = world.worker("a", LONG, Start::TrimHorizon).await;
    worker.until_records(200).await;
    for shard in 0..4 {
        world.put(&name(shard), numbered("while", 0..50)).await;
    }
    let told = worker.until_records(400).await;

    let all: Vec<String> = numbered("before", 0..50).chain(numbered("while", 0..50)).collect();
    let expected: BTreeMap<String, Vec<String>> = (0..4).map(|shard| (name(shard), all.clone())).collect();
    assert_eq!(texts(&told), expected);
    worker.until(|told| told.contains(&ShardEvent::Shards { open: 4, unread: 0 })).await;
    worker.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parents_are_read_to_their_end_before_the_children_of_a_split_and_of_a_merge() {
    let world = World::new("lineage", 1).await;
    let mut worker = world.worker("a", LONG, Start::TrimHorizon).await;
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
    let elsewhere = tempfile::tempdir().unwrap();
    let leases = SqliteLeases::open(elsewhere.path().join("leases.db"), "late", &world.stream).await.unwrap();
    let mut late = world.worker_on(Arc::new(leases), "late", LONG, Start::TrimHorizon);
    let late_told = late.until_records(80).await;

    for told in [live, late_told] {
        for (parent, child) in [(0, 1), (0, 2), (1, 3), (2, 3)] {
            assert!(finished(&told, parent) < taken(&told, child), "{parent} before {child}: {told:#?}");
            assert!(finished(&told, parent).is_some());
        }
        let expected = [(0, "zero"), (1, "one"), (2, "two"), (3, "three")]
            .map(|(shard, what)| (name(shard), numbered(what, 0..20).collect::<Vec<_>>()));
        assert_eq!(texts(&told), BTreeMap::from(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_children_have_rows_before_the_end_of_their_parent_is_checkpointed_and_it_is_not_read_again() {
    let world = World::new("children", 1).await;
    world.put(&name(0), numbered("zero", 0..5)).await;
    world.split(&name(0)).await;
    world.put(&name(2), numbered("two", 0..5)).await;
    let mut worker = world.worker("a", LONG, Start::TrimHorizon).await;
    worker.until(|told| finished(told, 0).is_some()).await;
    let rows = world.rows().await;
    assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), [name(0), name(1), name(2)]);
    assert_ne!(rows[&name(0)].checkpoint, Position::ShardEnd, "only the caller knows when");

    worker.until_records(10).await;
    worker.source.checkpoint(&worker.cut()).await.unwrap();
    let parent = world.rows().await.remove(&name(0)).unwrap();
    assert_eq!(parent.checkpoint, Position::ShardEnd);
    assert_eq!(parent.children, [1, 2].map(|child| ShardId::from(name(child).as_str())));
    worker.drain().await;
    worker.source.release().await.unwrap();

    let mut next = world.worker("b", LONG, Start::TrimHorizon).await;
    world.put(&name(1), numbered("one", 0..5)).await;
    let told = next.until_records(5).await;
    assert_eq!(texts(&told), BTreeMap::from([(name(1), numbered("one", 0..5).collect())]));
    assert_eq!(taken(&told, 0), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_resumes_exactly_after_the_checkpoint() {
    let world = World::new("restart", 2).await;
    world.put(&name(0), numbered("zero", 0..30)).await;
    world.put(&name(1), numbered("one", 0..30)).await;
    let mut worker = world.worker("a", LONG, Start::TrimHorizon).await;
    worker.until_records(60).await;
    let cut = worker.cut();
    world.put(&name(0), numbered("zero", 30..40)).await;
    worker.until_records(70).await;
    worker.source.checkpoint(&cut).await.unwrap();
    worker.crash().await;

    // Its own name: an earlier life of this worker, so there is nobody to wait for.
    let mut next = world.worker("a", LONG, Start::TrimHorizon).await;
    world.put(&name(1), numbered("one", 30..40)).await;
    let told = next.until_records(20).await;
    let expected = [(name(0), numbered("zero", 30..40).collect()), (name(1), numbered("one", 30..40).collect())];
    assert_eq!(texts(&told), BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leases_of_a_crashed_worker_are_taken_after_the_failover_time_and_not_before() {
    let world = World::new("failover", 2).await;
    world.put(&name(0), numbered("zero", 0..10)).await;
    let mut a = world.worker("a", SHORT, Start::TrimHorizon).await;
    a.until(|told| taken(told, 0).is_some() && taken(told, 1).is_some()).await;
    a.until_records(10).await;
    a.source.checkpoint(&a.cut()).await.unwrap();
    let mut b = world.worker("b", SHORT, Start::TrimHorizon).await;
    b.until(|told| told.contains(&ShardEvent::Shards { open: 2, unread: 0 })).await;
    tokio::time::sleep(SHORT * 3 / 2).await;
    assert_eq!(taken(&b.told(), 0), None, "a live lease was taken");
    assert!(!lost(&a.told()));

    a.crash().await;
    let crashed = Instant::now();
    world.put(&name(0), numbered("zero", 10..20)).await;
    let told = b.until_records(10).await;
    // Its last renewal was not older than its fence.
    let taken_after = b.when(|event| matches!(event, ShardEvent::LeaseTaken { .. })) - crashed;
    assert!(taken_after >= SHORT / 4, "after {taken_after:?}");
    assert_eq!(texts(&told), BTreeMap::from([(name(0), numbered("zero", 10..20).collect())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_workers_with_one_name_the_later_reads_and_they_do_not_fight() {
    let world = World::new("namesakes", 1).await;
    let mut former = world.worker("same", SHORT, Start::TrimHorizon).await;
    former.until(|told| taken(told, 0).is_some()).await;
    let mut later = world.worker("same", SHORT, Start::TrimHorizon).await;
    later.until(|told| taken(told, 0).is_some()).await;
    former.until(|told| lost(told)).await;
    tokio::time::sleep(SHORT * 3 / 2).await;
    for worker in [&former, &later] {
        let takes = worker.told().into_iter().filter(|event| matches!(event, ShardEvent::LeaseTaken { .. }));
        assert_eq!(takes.count(), 1);
    }
    assert!(!lost(&later.told()));
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_renewed_after_the_run_and_a_released_one_is_taken_at_once() {
    let world = World::new("release", 1).await;
    world.put(&name(0), numbered("zero", 0..10)).await;
    let mut a = world.worker("a", SHORT, Start::TrimHorizon).await;
    a.until_records(10).await;
    let mut b = world.worker("b", SHORT, Start::TrimHorizon).await;
    b.until(|told| told.contains(&ShardEvent::Shards { open: 1, unread: 0 })).await;

    a.drain().await;
    tokio::time::sleep(SHORT * 3 / 2).await;
    assert_eq!(taken(&b.told(), 0), None, "the lease was not renewed while its owner saved");
    a.source.checkpoint(&a.cut()).await.unwrap();
    a.source.release().await.unwrap();
    b.until(|told| taken(told, 0).is_some()).await;
    world.put(&name(0), numbered("zero", 10..12)).await;
    let told = b.until_records(2).await;
    assert_eq!(texts(&told), BTreeMap::from([(name(0), numbered("zero", 10..12).collect())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_renew_stops_before_others_start_and_its_late_checkpoint_is_refused() {
    let world = World::new("zombie", 1).await;
    world.put(&name(0), numbered("zero", 0..10)).await;
    let gate = Arc::new(Gate { leases: world.leases().await, shut: AtomicBool::new(false) });
    let mut a = world.worker_on(Arc::clone(&gate) as _, "a", SHORT, Start::TrimHorizon);
    a.until_records(10).await;
    let mut b = world.worker("b", SHORT, Start::TrimHorizon).await;
    gate.shut.store(true, Ordering::SeqCst);

    a.until(|told| lost(told)).await;
    b.until_records(10).await;
    let lost = a.when(|event| matches!(event, ShardEvent::LeaseLost { .. }));
    let taken = b.when(|event| matches!(event, ShardEvent::LeaseTaken { .. }));
    assert!(lost < taken, "two workers read one shard");
    b.source.checkpoint(&b.cut()).await.unwrap();
    let row = world.rows().await.remove(&name(0)).unwrap();

    gate.shut.store(false, Ordering::SeqCst);
    a.source.checkpoint(&a.cut()).await.unwrap();
    let now = world.rows().await.remove(&name(0)).unwrap();
    assert_eq!((now.owner, now.checkpoint), (Some("b".into()), row.checkpoint));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_latest_nothing_is_lost_by_a_restart_before_the_first_checkpoint() {
    let world = World::new("latest", 1).await;
    world.put(&name(0), numbered("old", 0..5)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut first = world.worker("a", LONG, Start::Latest).await;
    first.until(|told| taken(told, 0).is_some()).await;
    first.crash().await;
    world.put(&name(0), numbered("new", 0..5)).await;
    let mut second = world.worker("a", LONG, Start::Latest).await;
    let told = second.until_records(5).await;
    assert_eq!(texts(&told), BTreeMap::from([(name(0), numbered("new", 0..5).collect())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_there_is_named_in_one_line_with_the_mend() {
    let mut world = World::new("present", 1).await;
    world.stream = "absent".into();
    let error = world.worker("a", LONG, Start::TrimHorizon).await.ended().await.unwrap_err();
    assert!(matches!(error, SourceError::Configuration(_)));
    let said = error.to_string();
    assert!(said.contains("\"absent\"") && said.contains("us-east-1") && said.contains("check"), "{said}");
    assert_eq!(said.lines().count(), 1);
}
