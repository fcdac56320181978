//! What a fleet costs in writes to its lease table.

use std::collections::BTreeMap;

use super::simulated::{World, pass};

const SHARDS: i32 = 8;
const MINUTES: u64 = 5;
/// The Kinesis Client Library renews a lease every 3.3 s; checkpoints are more writes.
const KCL_PER_MINUTE: f64 = 18.0;

/// Writes per shard in the minute, while records come so often, or never.
async fn writes_per_minute(every_ms: Option<u64>) -> f64 {
    let mut world = World::new(SHARDS).await;
    for worker in ["a", "b"] {
        world.start(worker).await;
    }
    let producer = every_ms.map(|ms| world.produce(std::time::Duration::from_millis(ms)));
    pass(30).await;
    let before = world.fake.asked("UpdateItem").len();
    pass(60 * MINUTES).await;
    let writes = world.fake.asked("UpdateItem").len() - before;
    if let Some(producer) = producer {
        world.drain(producer).await;
    }
    writes as f64 / f64::from(SHARDS) / MINUTES as f64
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_written_at_most_half_as_often_as_the_kinesis_client_library_renews_it_at_rest_and_under_load() {
    let measured = BTreeMap::from([
        ("at rest", writes_per_minute(None).await),
        ("under load, checkpointed every second", writes_per_minute(Some(2_000)).await),
    ]);
    println!("writes per shard and minute, where that library makes {KCL_PER_MINUTE}: {measured:.1?}");
    assert!(measured.values().all(|writes| *writes <= KCL_PER_MINUTE / 2.0), "{measured:?}");
}
