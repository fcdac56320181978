//! One reader for each shard, whatever becomes of workers.

use std::sync::Arc;
use std::time::Duration;

use shard_consumer::{ShardEvent, ShardSource, TakenFrom};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::worker::{Worker, name, numbered, shards, taken, texts};
use crate::world::{FAILOVER, World, error, owner, pass};

fn is_lost(event: &ShardEvent) -> bool {
    matches!(event, ShardEvent::LeaseLost { .. })
}

fn is_taken(event: &ShardEvent) -> bool {
    matches!(event, ShardEvent::LeaseTaken { .. })
}

/// Two workers, of which `a` has read the first ten records of the only shard, and checkpointed them.
async fn reader_and_another(world: &World) -> (Worker, Worker) {
    world.put(0, numbered("zero", 0..10)).await;
    let mut a = world.worker("a").await;
    a.until_records(10).await;
    a.checkpoint().await.unwrap();
    world.row_that(0, |row| !row.checkpoint.is_start()).await;
    let mut b = world.worker("b").await;
    b.until(|told| shards(told, 1, 0)).await;
    (a, b)
}

#[tokio::test(start_paused = true)]
async fn the_leases_of_a_crashed_worker_are_taken_after_the_failover_time_and_not_while_it_renews() {
    let world = World::new(1).await;
    let (a, mut b) = reader_and_another(&world).await;
    pass(120).await;
    assert_eq!(taken(&b.told(), 0), None, "a live lease was taken");
    assert!(!a.told().iter().any(is_lost));
    a.crash().await;
    let crashed = Instant::now();
    world.put(0, numbered("zero", 10..20)).await;
    let told = b.until_records(10).await;
    assert_eq!(texts(&told)[&name(0)], numbered("zero", 10..20).collect::<Vec<_>>());
    let after = b.when(is_taken) - crashed;
    // It was renewed 6.8 s before the crash at the latest; another worker may see that a second later.
    let most = FAILOVER + Duration::from_secs(3);
    assert!((Duration::from_millis(3_100)..most).contains(&after), "{after:?}");
    println!("a crashed worker's lease was taken {after:?} after the crash");
    let from = b.told().into_iter().find_map(|event| match event {
        ShardEvent::LeaseTaken { from, .. } => Some(from),
        _ => None,
    });
    assert_eq!(from, Some(TakenFrom::Expired));
}

#[tokio::test(start_paused = true)]
async fn of_two_workers_with_one_name_the_later_reads_and_they_do_not_fight() {
    let world = World::new(1).await;
    let mut former = world.worker("same").await;
    former.until(|told| taken(told, 0).is_some()).await;
    let mut later = world.worker("same").await;
    later.until(|told| taken(told, 0).is_some()).await;
    former.until(|told| told.iter().any(is_lost)).await;
    pass(120).await;
    for worker in [&former, &later] {
        assert_eq!(worker.told().iter().filter(|event| is_taken(event)).count(), 1);
    }
    assert!(!later.told().iter().any(is_lost));
}

#[tokio::test(start_paused = true)]
async fn leases_are_renewed_after_the_run_and_a_released_one_is_taken_at_once() {
    let world = World::new(1).await;
    let (mut a, mut b) = reader_and_another(&world).await;
    world.put(0, numbered("zero", 10..12)).await;
    a.until_records(12).await;
    a.drain().await;
    pass(120).await;
    assert_eq!(taken(&b.told(), 0), None, "the lease was not renewed while its owner saved");
    a.checkpoint().await.unwrap();
    let released = Instant::now();
    a.source.release().await.unwrap();
    world.put(0, numbered("zero", 12..14)).await;
    let told = b.until_records(2).await;
    assert_eq!(texts(&told)[&name(0)], ["zero-12", "zero-13"]);
    let after = b.when(is_taken) - released;
    assert!(after <= Duration::from_secs(1), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_renew_stops_before_others_start_and_its_late_checkpoint_is_refused() {
    let world = World::new(1).await;
    let (mut a, mut b) = reader_and_another(&world).await;
    world.put(0, numbered("zero", 10..20)).await;
    a.until_records(20).await;
    world.faults(|call| if call.caller == "a" { error(500, "InternalServerError") } else { None });
    a.until(|told| told.iter().any(is_lost)).await;
    b.until_records(10).await;
    assert!(a.when(is_lost) < b.when(is_taken), "two workers read one shard");
    world.faults(|_| None);
    let row = world.row(0).await;
    a.checkpoint().await.unwrap();
    a.drain().await;
    a.source.release().await.unwrap();
    let now = world.row(0).await;
    assert_eq!((owner(&now), now.checkpoint.clone()), (Some("b"), row.checkpoint));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_waits_is_dropped_when_the_lease_is_lost_and_its_position_does_not_move() {
    let world = World::new(1).await;
    world.put(0, numbered("zero", 0..3)).await;
    let (begin, mut begun) = mpsc::unbounded_channel();
    let waiting = Arc::new(move |event: &ShardEvent| {
        let waits = matches!(event, ShardEvent::Batch(_));
        if waits {
            begin.send(()).unwrap();
        }
        Box::pin(async move {
            if waits {
                std::future::pending::<()>().await;
            }
        }) as _
    });
    let mut worker = world.worker_that("a", waiting).await;
    begun.recv().await.unwrap();
    world.faults(|call| if call.operation == "UpdateItem" { error(400, "ThrottlingException") } else { None });
    let told = worker.until(|told| told.iter().any(is_lost)).await;
    assert!(texts(&told).is_empty());
    assert_eq!(worker.cut().iter().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_crash_resumes_after_the_checkpoint_that_the_last_renewal_wrote() {
    let world = World::new(2).await;
    for shard in 0..2 {
        world.put(shard, numbered("text", 0..30)).await;
    }
    let mut worker = world.worker("a").await;
    worker.until_records(60).await;
    worker.checkpoint().await.unwrap();
    for shard in 0..2 {
        world.row_that(shard, |row| !row.checkpoint.is_start()).await;
        world.put(shard, numbered("text", 30..40)).await;
    }
    worker.until_records(80).await;
    worker.crash().await;
    // Its own name: an earlier life of this worker, so there is nobody to wait for.
    let begun = Instant::now();
    let mut next = world.worker("a").await;
    let told = next.until_records(20).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    for shard in 0..2 {
        assert_eq!(texts(&told)[&name(shard)], numbered("text", 30..40).collect::<Vec<_>>());
    }
}
