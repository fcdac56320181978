//! Rows that may be neither made nor cleared away.

use std::time::Duration;

use shard_consumer::{Lease, LeaseStore, Position, ShardEvent, ShardId};
use tokio::time::Instant;

use crate::worker::{name, taken};
use crate::world::{FAILOVER, World, error, pass};

fn lease(shard: u32, checkpoint: Position) -> Lease {
    Lease::unowned(ShardId::from(name(shard).as_str()), checkpoint, vec![])
}

fn is_taken(event: &ShardEvent) -> bool {
    matches!(event, ShardEvent::LeaseTaken { .. })
}

#[tokio::test(start_paused = true)]
async fn leases_are_shared_and_taken_over_though_rows_may_be_neither_made_nor_deleted() {
    for denied in ["PutItem", "DeleteItem"] {
        let world = World::new(3).await;
        // Two shards have a row, one lacks it, and the row of one that is long gone is to be cleared away.
        let leases = world.leases().await;
        for lease in [lease(0, Position::TrimHorizon), lease(1, Position::TrimHorizon), lease(7, Position::ShardEnd)] {
            leases.create(&lease).await.unwrap();
        }
        world.faults(move |call| if call.operation == denied { error(400, "AccessDeniedException") } else { None });
        let mut a = world.worker("a").await;
        a.until(|told| taken(told, 0).is_some() && taken(told, 1).is_some()).await;
        // Rows are cleared away after the second listing.
        pass(40).await;
        assert!(world.asked(denied).iter().any(|call| call.caller == "a"), "{denied} was never tried");
        let begun = Instant::now();
        let mut b = world.worker("b").await;
        b.until(|told| told.iter().any(is_taken)).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "{denied}: asked for {:?}", begun.elapsed());
        pass(40).await;
        assert!(world.asked(denied).iter().any(|call| call.caller == "b"), "{denied} was never tried");
        a.crash().await;
        let crashed = Instant::now();
        b.until(|told| taken(told, 0).is_some() && taken(told, 1).is_some()).await;
        assert!(crashed.elapsed() < FAILOVER + Duration::from_secs(3), "{denied}: {:?}", crashed.elapsed());
        assert_eq!(world.rows().await.contains_key(&name(2)), denied != "PutItem");
        assert_eq!(world.rows().await.contains_key(&name(7)), denied == "DeleteItem");
    }
}
