//! Runs of one worker that follow each other, and workers whose names are alike.

use std::time::Duration;

use shard_consumer::{ShardEvent, TakenFrom};
use tokio::time::Instant;

use crate::strangers::holder;
use crate::worker::{at_once, taken};
use crate::world::{World, pass, start};

#[tokio::test(start_paused = true)]
async fn a_worker_that_starts_again_takes_all_that_its_former_run_had_at_its_first_look() {
    let world = World::new(6).await;
    let _other = holder(&world, 5..6, "b/00000001").await;
    let mut a = world.worker("a").await;
    a.until(|told| (0..5).all(|shard| taken(told, shard).is_some())).await;
    a.crash().await;
    let crashed = Instant::now();
    let mut a = world.worker("a").await;
    let told = a.until(|told| (0..5).all(|shard| taken(told, shard).is_some())).await;
    // More than its fair share of what is free, a worker takes later than that.
    assert!(crashed.elapsed() < Duration::from_millis(200), "{:?}", crashed.elapsed());
    let is_free = |event: &ShardEvent| match event {
        ShardEvent::LeaseTaken { from, .. } => *from == TakenFrom::Nobody,
        _ => true,
    };
    assert!(told.iter().all(is_free));
    pass(30).await;
    assert_eq!(taken(&a.told(), 5), None, "another worker's");
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_name_begins_like_anothers_does_not_take_its_leases() {
    let world = World::new(1).await;
    let mut params = world.params("ab").await;
    params.worker_id = "a/b".into();
    let mut holder = start(params, at_once());
    holder.until(|told| taken(told, 0).is_some()).await;
    let other = world.worker("a").await;
    pass(60).await;
    assert_eq!(taken(&other.told(), 0), None);
    assert!(!holder.told().iter().any(|event| matches!(event, ShardEvent::LeaseLost { .. })));
}
