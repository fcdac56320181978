//! Two writers at once.

use std::collections::BTreeMap;
use std::time::Duration;

use emitter::{BoltGraph, Emission, GraphSink, SinkError, Verdict};

use crate::support::{self, create, delete, logging};
use crate::{GENERATION, World, connect, emission};

const RUNS: u64 = 20;
const BUCKETS: [&str; 6] = ["app", "web", "logs", "shop", "mail", "docs"];

/// A version of a bucket: it may log to any other, or be gone.
fn version_of(bucket: &str, version: u64, random: &mut fastrand::Rng) -> Emission {
    let other = BUCKETS[random.usize(..BUCKETS.len())];
    let events = match random.u8(..4) {
        0 => vec![create(bucket, 1), delete(bucket, 2)],
        1 => vec![create(bucket, 1)],
        _ => vec![create(bucket, 1), logging(bucket, 2, other)],
    };
    emission(version, bucket, &events)
}

/// Writes all of it in random order, a few at a time, again when the server was too busy.
async fn write(graph: &BoltGraph, versions: &[Emission], seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut versions = versions.to_vec();
    random.shuffle(&mut versions);
    for some in versions.chunks(4) {
        loop {
            match graph.replace(GENERATION, some).await {
                Ok(verdicts) => {
                    assert!(!verdicts.iter().any(|verdict| matches!(verdict, Verdict::Rejected(_))), "{verdicts:?}");
                    break;
                }
                Err(SinkError::Down { .. }) => tokio::time::sleep(Duration::from_millis(random.u64(..20))).await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_the_same_buckets_leave_the_newest_of_each() {
    let world = World::new().await;
    let other = connect().await;
    for run in 0..RUNS {
        let before = run * 100;
        let mut random = fastrand::Rng::with_seed(run);
        let versions: Vec<Emission> = (1..=5)
            .flat_map(|version| BUCKETS.map(|bucket| (version, bucket)))
            .map(|(version, bucket)| version_of(bucket, before + version, &mut random))
            .collect();
        let (ours, theirs) = (random.u64(..), random.u64(..));
        tokio::join!(write(&world, &versions, ours), write(&other, &versions, theirs));

        let newest: BTreeMap<&str, &Emission> =
            versions.iter().map(|emission| (emission.snapshot.resource.as_str(), emission)).collect();
        let file = support::World::new().await;
        let newest: Vec<Emission> = newest.into_values().cloned().collect();
        file.graph.replace(GENERATION, &newest).await.unwrap();
        assert_eq!(world.export().await.unwrap(), file.graph.export().await.unwrap(), "in run {run}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_buckets_that_point_to_one_place_lose_no_edge() {
    let world = World::new().await;
    let other = connect().await;
    let some = |letter: char| {
        let names: Vec<String> = (0..40).map(|number| format!("{letter}-{number}")).collect();
        let log = |name: &String| emission(1, name, &[create(name, 1), logging(name, 2, "logs")]);
        names.iter().map(log).collect::<Vec<_>>()
    };
    let (ours, theirs) = (some('a'), some('b'));
    tokio::join!(write(&world, &ours, 1), write(&other, &theirs, 2));
    let (entities, relationships) = world.shown().await;
    assert_eq!((entities.len(), relationships.len()), (82, 160), "80 buckets, an account, a place for logs");
}
