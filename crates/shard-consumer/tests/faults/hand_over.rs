//! Leases that change hands while both workers live, or one of them no longer.

use std::time::Duration;

use shard_consumer::{ShardEvent, ShardSource, TakenFrom};
use tokio::time::Instant;

use crate::worker::{Worker, name, numbered, shards, texts};
use crate::world::{FAILOVER, World, owner, pass};

fn is_lost(event: &ShardEvent) -> bool {
    matches!(event, ShardEvent::LeaseLost { .. })
}

fn leaving(told: &[ShardEvent]) -> Option<u32> {
    told.iter().find_map(|event| match event {
        ShardEvent::Leaving { shard, .. } => Some((0..).find(|number| name(*number) == shard.as_str()).unwrap()),
        _ => None,
    })
}

fn takes(told: &[ShardEvent], shard: u32) -> Vec<TakenFrom> {
    let of = |event: &ShardEvent| match event {
        ShardEvent::LeaseTaken { shard: taken, from, .. } if taken.as_str() == name(shard) => Some(*from),
        _ => None,
    };
    told.iter().filter_map(of).collect()
}

/// Worker `a` reads both shards, up to their ten records, which are not checkpointed; then `b` comes and asks for one.
async fn asked(world: &World) -> (Worker, Worker, u32) {
    for shard in 0..2 {
        world.put(shard, numbered("text", 0..10)).await;
    }
    let mut a = world.worker("a").await;
    a.until_records(20).await;
    let b = world.worker("b").await;
    let told = a.until(|told| leaving(told).is_some()).await;
    (a, b, leaving(&told).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_joins_gets_its_share_after_the_last_checkpoint_and_nothing_is_read_twice() {
    let world = World::new(2).await;
    let (mut a, mut b, moved) = asked(&world).await;
    let begun = Instant::now();
    world.put(moved, numbered("text", 10..20)).await;
    a.checkpoint().await.unwrap();
    let told = b.until_records(10).await;
    println!("an asked lease was read on by its new owner {:?} after the checkpoint", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(texts(&told)[&name(moved)], numbered("text", 10..20).collect::<Vec<_>>());
    assert_eq!(takes(&told, moved), [TakenFrom::HandOver]);
    let told_a = a.until(|told| told.iter().any(|event| matches!(event, ShardEvent::HandedOver { .. }))).await;
    assert_eq!(texts(&told_a)[&name(moved)], numbered("text", 0..10).collect::<Vec<_>>());
    pass(300).await;
    let all: Vec<ShardEvent> = a.told().into_iter().chain(b.told()).collect();
    assert!(!all.iter().any(is_lost));
    assert_eq!(takes(&all, 0).len() + takes(&all, 1).len(), 3, "the leases went on moving");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_handed_over_though_its_holder_does_not_checkpoint_and_is_then_read_again() {
    let world = World::new(2).await;
    let (mut a, mut b, moved) = asked(&world).await;
    let told = b.until_records(10).await;
    assert_eq!(texts(&told)[&name(moved)], numbered("text", 0..10).collect::<Vec<_>>());
    let told = a.until(|told| told.iter().any(|event| matches!(event, ShardEvent::HandedOver { .. }))).await;
    assert!(!told.iter().any(is_lost));
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_asker_dies_comes_back_within_the_failover_time() {
    let world = World::new(2).await;
    let (mut a, b, moved) = asked(&world).await;
    b.crash().await;
    world.put(moved, numbered("text", 10..20)).await;
    a.checkpoint().await.unwrap();
    let told = a.until_records(30).await;
    assert_eq!(texts(&told)[&name(moved)], numbered("text", 0..20).collect::<Vec<_>>());
    assert_eq!(takes(&told, moved), [TakenFrom::Nobody, TakenFrom::Expired]);
    let handed_over = a.when(|event| matches!(event, ShardEvent::HandedOver { .. }));
    let back = handed_over.elapsed();
    assert!(back < FAILOVER + Duration::from_secs(3), "{back:?}");
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_stops_withdraws_and_the_shard_is_read_on_at_once() {
    let world = World::new(2).await;
    let (mut a, mut b, moved) = asked(&world).await;
    b.drain().await;
    b.source.release().await.unwrap();
    let row = world.row(moved).await;
    assert_eq!((owner(&row), row.checkpoint_owner.as_deref()), (Some("a"), None), "withdrawn");
    let begun = Instant::now();
    world.put(moved, numbered("text", 10..20)).await;
    a.checkpoint().await.unwrap();
    let told = a.until_records(30).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(texts(&told)[&name(moved)], numbered("text", 0..20).collect::<Vec<_>>());
    assert!(!told.iter().any(is_lost));
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_stops_just_after_the_hand_over_gives_the_lease_back() {
    let world = World::new(2).await;
    let (mut a, mut b, moved) = asked(&world).await;
    // From here on, the asker does not see the hand-over.
    world.faults(|call| match (call.caller.as_str(), call.operation.as_str()) {
        ("b", "Scan") => Some(fake_aws::Fault::Late(Duration::from_secs(2))),
        _ => None,
    });
    pass(3).await;
    a.checkpoint().await.unwrap();
    world.row_that(moved, |row| row.checkpoint_owner.is_none()).await;
    world.faults(|_| None);
    b.drain().await;
    b.source.release().await.unwrap();
    let begun = Instant::now();
    world.put(moved, numbered("text", 10..20)).await;
    let told = a.until_records(30).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(texts(&told)[&name(moved)], numbered("text", 0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_dies_while_handing_over_is_followed_by_the_worker_that_asked() {
    let world = World::new(2).await;
    let (a, mut b, moved) = asked(&world).await;
    a.crash().await;
    let crashed = Instant::now();
    let told = b.until_records(20).await;
    assert!(crashed.elapsed() < FAILOVER + Duration::from_secs(3), "{:?}", crashed.elapsed());
    assert_eq!(texts(&told)[&name(moved)], numbered("text", 0..10).collect::<Vec<_>>());
    b.until(|told| shards(told, 2, 0)).await;
}
