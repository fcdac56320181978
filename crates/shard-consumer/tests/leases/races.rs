//! What every store promises to workers that act at once.

use futures::future::join_all;
use shard_consumer::{Change, Lease, Written};

use crate::World;
use crate::world::{SHARD, lease, row};

const WORKERS: usize = 8;
const ROUNDS: usize = 25;

pub(crate) async fn of_eight_workers_that_race_for_a_lease_one_wins_each_round(world: &World) {
    let stores = join_all((0..WORKERS).map(|_| world.store())).await;
    assert!(stores[0].create(&lease(SHARD)).await.unwrap());
    for round in 0..ROUNDS {
        let seen = row(&*stores[0], SHARD).await;
        let takes = stores.iter().cloned().enumerate().map(|(worker, store)| {
            let (seen, take) = (seen.clone(), Change::Take { owner: format!("worker-{worker}") });
            tokio::spawn(async move { store.update(&seen, &take).await.unwrap() })
        });
        let written: Vec<_> = join_all(takes).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<_> = (0..WORKERS).filter(|worker| written[*worker] == Written::Landed).collect();
        let [winner] = winners[..] else { panic!("round {round}: {winners:?} won") };
        let is = row(&*stores[1], SHARD).await;
        let expected = Lease { owner: Some(format!("worker-{winner}")), counter: seen.counter + 1, ..seen };
        assert_eq!(is, expected, "round {round}");
        let losers = written.into_iter().filter(|written| *written != Written::Landed);
        losers.for_each(|written| assert_eq!(written, Written::Refused(Some(Box::new(is.clone()))), "round {round}"));
    }
}

pub(crate) async fn of_eight_workers_that_create_a_row_one_does(world: &World) {
    let stores = join_all((0..WORKERS).map(|_| world.store())).await;
    for round in 0..ROUNDS {
        let creations = stores.iter().cloned().enumerate().map(|(worker, store)| {
            let lease = Lease { owner: Some(format!("worker-{worker}")), ..lease(&format!("shardId-{round:012}")) };
            tokio::spawn(async move { store.create(&lease).await.unwrap() })
        });
        let created: Vec<_> = join_all(creations).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(created.iter().filter(|created| **created).count(), 1, "round {round}");
    }
    assert_eq!(stores[0].list().await.unwrap().leases.len(), ROUNDS);
}
