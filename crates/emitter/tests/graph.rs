//! What a graph promises: snapshots replace, and nothing older comes back.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use bucket_state::Snapshot;
use emitter::{Emission, GraphSink, SinkError, Verdict};
use support::{World, create, delete, id, logging, project, state};

fn snapshot(bucket: &str, events: &[bucket_state::Event]) -> Snapshot {
    project(&id(bucket), &state(events))
}

fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

const ACCOUNT: &str = "arn:aws:iam::111122223333:root";

#[tokio::test]
async fn a_snapshot_replaces_all_of_the_one_before() {
    let world = World::new().await;
    let logs = snapshot("app", &[create("app", 1), logging("app", 2, "logs")]);
    assert_eq!(world.graph.replace(7, &[Emission::new(1, logs)]).await.unwrap(), [Verdict::Applied]);
    let edges = [format!("{ACCOUNT}|HAS|{}", arn("app")), format!("{}|LOGS|{}", arn("app"), arn("logs"))];
    let entities = vec![(ACCOUNT.to_owned(), true), (arn("app"), false), (arn("logs"), true)];
    assert_eq!(world.shown().await, (entities, edges.to_vec()));

    let plain = snapshot("app", &[create("app", 1)]);
    assert_eq!(world.graph.replace(7, &[Emission::new(2, plain)]).await.unwrap(), [Verdict::Applied]);
    let entities = vec![(ACCOUNT.to_owned(), true), (arn("app"), false)];
    assert_eq!(world.shown().await, (entities, edges[..1].to_vec()), "the edge went, and its placeholder with it");
}

#[tokio::test]
async fn a_removed_bucket_that_others_point_to_is_a_placeholder_until_its_last_edge_goes() {
    let world = World::new().await;
    let app = snapshot("app", &[create("app", 1), logging("app", 2, "logs")]);
    let logs = snapshot("logs", &[create("logs", 1)]);
    world.graph.replace(7, &[Emission::new(1, app), Emission::new(1, logs)]).await.unwrap();
    let is_shown_as = |placeholder: bool| (arn("logs"), placeholder);
    assert!(world.shown().await.0.contains(&is_shown_as(false)));

    let gone = snapshot("logs", &[create("logs", 1), delete("logs", 2)]);
    world.graph.replace(7, &[Emission::new(2, gone)]).await.unwrap();
    assert!(world.shown().await.0.contains(&is_shown_as(true)));

    let gone = snapshot("app", &[create("app", 1), delete("app", 3)]);
    world.graph.replace(7, &[Emission::new(2, gone)]).await.unwrap();
    assert_eq!(world.shown().await, (vec![], vec![]));
}

#[tokio::test]
async fn a_late_emission_does_not_revive_a_deleted_bucket() {
    let world = World::new().await;
    let alive = snapshot("app", &[create("app", 1)]);
    let gone = snapshot("app", &[create("app", 1), delete("app", 2)]);
    world.graph.replace(7, &[Emission::new(1, alive.clone()), Emission::new(2, gone)]).await.unwrap();
    assert_eq!(world.graph.replace(7, &[Emission::new(1, alive)]).await.unwrap(), [Verdict::Newer(2)]);
    assert_eq!(world.shown().await, (vec![], vec![]));
}

#[tokio::test]
async fn the_same_snapshot_twice_is_written_once() {
    let world = World::new().await;
    let app = snapshot("app", &[create("app", 1)]);
    assert_eq!(world.graph.replace(7, &[Emission::new(1, app.clone())]).await.unwrap(), [Verdict::Applied]);
    assert_eq!(world.graph.replace(7, &[Emission::new(1, app.clone())]).await.unwrap(), [Verdict::Unchanged]);
    assert_eq!(world.graph.replace(7, &[Emission::new(3, app.clone())]).await.unwrap(), [Verdict::Unchanged]);
    assert_eq!(
        world.graph.replace(7, &[Emission::new(2, app)]).await.unwrap(),
        [Verdict::Newer(3)],
        "the version counts, too"
    );
}

#[tokio::test]
async fn a_newer_store_takes_over_and_an_older_one_is_stopped() {
    let world = World::new().await;
    let old = snapshot("app", &[create("app", 1), logging("app", 2, "logs")]);
    let new = snapshot("app", &[create("app", 1)]);
    world.graph.replace(7, &[Emission::new(9, old.clone())]).await.unwrap();
    assert_eq!(
        world.graph.replace(8, &[Emission::new(1, new)]).await.unwrap(),
        [Verdict::Applied],
        "a newer generation wins"
    );
    let refused = world.graph.replace(7, &[Emission::new(10, old)]).await.unwrap_err();
    assert!(matches!(refused, SinkError::Ahead { .. }), "{refused}");
    assert_eq!(world.shown().await.1.len(), 1, "nothing of the batch was written");
}
