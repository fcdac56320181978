//! Leases that another consumer library writes as well.

use std::time::Duration;

use shard_consumer::{Change, Lease, LeaseStore, Position, ShardEvent, ShardId, Written};
use tokio::time::{Instant, interval};
use tokio_util::task::AbortOnDropHandle;

use crate::worker::{name, taken};
use crate::world::{FAILOVER, World, pass};

/// Takes the lease at once, whoever has it.
pub(crate) async fn take(world: &World, shard: u32, owner: &str) {
    let (leases, change) = (world.leases().await, Change::Take { owner: owner.into() });
    while leases.update(&world.row(shard).await, &change).await.unwrap() != Written::Landed {}
}

/// Makes the rows of the first shards, all of them `owner`'s, which renews them and does nothing else.
pub(crate) async fn holder(world: &World, shards: std::ops::Range<u32>, owner: &'static str) -> AbortOnDropHandle<()> {
    let leases = world.leases().await;
    for shard in shards {
        let lease = Lease::unowned(ShardId::from(name(shard).as_str()), Position::TrimHorizon, vec![]);
        leases.create(&lease).await.unwrap();
        take(world, shard, owner).await;
    }
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut beats = interval(Duration::from_secs(2));
        loop {
            beats.tick().await;
            for lease in leases.list().await.unwrap().leases {
                if lease.holder() == Some(owner) {
                    let renewal = Change::Renew { checkpoint: None, throughput_kbps: None };
                    let _refused = leases.update(&lease, &renewal).await.unwrap();
                }
            }
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_takes_is_given_up_at_the_next_look_and_comes_back_when_it_expires() {
    let world = World::new(1).await;
    let mut worker = world.worker("a").await;
    worker.until(|told| taken(told, 0).is_some()).await;
    // The next renewal is far.
    let counter = world.row(0).await.counter;
    world.row_that(0, |row| row.counter > counter).await;
    take(&world, 0, "other").await;
    let begun = Instant::now();
    worker.until(|told| told.iter().any(|event| matches!(event, ShardEvent::LeaseLost { .. }))).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let takes = |event: &&ShardEvent| matches!(event, ShardEvent::LeaseTaken { .. });
    worker.until(|told| told.iter().filter(takes).count() == 2).await;
    let back = begun.elapsed();
    assert!((FAILOVER..FAILOVER + Duration::from_secs(3)).contains(&back), "{back:?}");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_hands_nothing_over_is_left_alone_after_a_minute_and_not_asked_again_soon() {
    let world = World::new(4).await;
    let _other = holder(&world, 0..4, "other").await;
    let worker = world.worker("a").await;
    let is_left = |row: &Lease| (row.owner.as_deref(), row.checkpoint_owner.as_deref()) == (Some("other"), None);
    for shard in [0, 1] {
        world.row_that(shard, |row| row.checkpoint_owner.as_deref() == Some("other")).await;
    }
    let asked = Instant::now();
    for shard in [0, 1] {
        world.row_that(shard, is_left).await;
    }
    let waited = asked.elapsed().as_secs();
    assert!((59..62).contains(&waited), "{waited} s");
    for second in 0..300 {
        assert!(world.rows().await.values().all(is_left), "asked again after {second} s");
        pass(1).await;
    }
    assert!((0..4).all(|shard| taken(&worker.told(), shard).is_none()));
}
