//! Snapshots replace, and nothing older comes back.

use emitter::{Emission, GraphSink, SinkError, Verdict};

use crate::support::{create, delete, event, logging};
use crate::{ACCOUNT, GENERATION, World, arn, emission, find, snapshot};

fn edges(bucket: &str, target: Option<&str>) -> Vec<String> {
    let log = target.map(|target| format!("{}|LOGS|{}", arn(bucket), arn(target)));
    std::iter::once(format!("{ACCOUNT}|HAS|{}", arn(bucket))).chain(log).collect()
}

#[tokio::test]
async fn a_bucket_is_made_changed_deleted_and_made_again() {
    let world = World::new().await;
    let born = [create("app", 1)];
    assert_eq!(world.replace(&[emission(1, "app", &born)]).await, [Verdict::Applied]);
    let bare = (vec![(ACCOUNT.to_owned(), true), (arn("app"), false)], edges("app", None));
    assert_eq!(world.shown().await, bare);

    let logs = [create("app", 1), logging("app", 2, "logs")];
    assert_eq!(world.replace(&[emission(2, "app", &logs)]).await, [Verdict::Applied]);
    let entities = vec![(ACCOUNT.to_owned(), true), (arn("app"), false), (arn("logs"), true)];
    assert_eq!(world.shown().await, (entities, edges("app", Some("logs"))));

    assert_eq!(world.replace(&[emission(3, "app", &born)]).await, [Verdict::Applied]);
    assert_eq!(world.shown().await, bare, "the edge went, and its placeholder with it");

    let gone = [create("app", 1), delete("app", 3)];
    assert_eq!(world.replace(&[emission(4, "app", &gone)]).await, [Verdict::Applied]);
    assert_eq!(world.shown().await, (vec![], vec![]));

    let again = [create("app", 1), delete("app", 3), create("app", 4)];
    assert_eq!(world.replace(&[emission(5, "app", &again)]).await, [Verdict::Applied]);
    assert_eq!(world.shown().await, bare);
}

#[tokio::test]
async fn a_property_that_a_snapshot_does_not_have_goes() {
    let world = World::new().await;
    let tags = serde_json::json!({"Tagging": {"TagSet": {"Tag": {"Key": "Owner", "Value": "ada"}}}});
    world.replace(&[emission(1, "app", &[create("app", 1), event("app", "PutBucketTagging", 2, &tags)])]).await;
    let owner = "MATCH (b:aws_s3_bucket) RETURN b.`tag.Owner` AS found";
    assert_eq!(find::<Option<String>>(owner).await, [Some("ada".to_owned())]);
    world.replace(&[emission(2, "app", &[create("app", 1)])]).await;
    assert_eq!(find::<Option<String>>(owner).await, [None]);
}

#[tokio::test]
async fn a_late_emission_does_not_revive_a_deleted_bucket() {
    let world = World::new().await;
    let alive = emission(1, "app", &[create("app", 1)]);
    let gone = emission(2, "app", &[create("app", 1), delete("app", 2)]);
    assert_eq!(world.replace(&[alive.clone(), gone]).await, [Verdict::Applied, Verdict::Applied], "twice in one call");
    assert_eq!(world.replace(&[alive]).await, [Verdict::Newer(2)]);
    assert_eq!(world.shown().await, (vec![], vec![]));
}

#[tokio::test]
async fn the_same_snapshot_twice_is_written_once() {
    let world = World::new().await;
    let app = snapshot("app", &[create("app", 1)]);
    let at = |version| [Emission::new(version, app.clone())];
    assert_eq!(world.replace(&at(1)).await, [Verdict::Applied]);
    assert_eq!(world.replace(&at(1)).await, [Verdict::Unchanged]);
    assert_eq!(world.replace(&at(3)).await, [Verdict::Unchanged]);
    assert_eq!(world.replace(&at(2)).await, [Verdict::Newer(3)], "the version counts, too");
}

#[tokio::test]
async fn a_newer_store_takes_over_and_an_older_one_is_stopped() {
    let world = World::new().await;
    let old = emission(9, "app", &[create("app", 1), logging("app", 2, "logs")]);
    let new = emission(1, "app", &[create("app", 1)]);
    world.replace(std::slice::from_ref(&old)).await;
    assert_eq!(world.graph.replace(GENERATION + 1, &[new]).await.unwrap(), [Verdict::Applied], "a newer one wins");
    let other = emission(1, "other", &[create("other", 1)]);
    let refused = world.graph.replace(GENERATION, &[other, old]).await.unwrap_err();
    assert!(matches!(&refused, SinkError::Ahead { resource, .. } if *resource == arn("app")), "{refused}");
    assert_eq!(world.shown().await.1, edges("app", None), "nothing of the batch was written");
}

#[tokio::test]
async fn a_newer_generation_anywhere_in_a_large_call_stops_all_of_it() {
    let world = World::new().await;
    world.graph.replace(GENERATION + 1, &[emission(1, "zoo", &[create("zoo", 1)])]).await.unwrap();
    let mut many: Vec<Emission> =
        (0..250).map(|number| format!("b-{number}")).map(|name| emission(1, &name, &[create(&name, 1)])).collect();
    many.push(emission(2, "zoo", &[create("zoo", 1)]));
    let refused = world.graph.replace(GENERATION, &many).await.unwrap_err();
    assert!(matches!(refused, SinkError::Ahead { .. }), "{refused}");
    assert_eq!(world.shown().await.1, edges("zoo", None));
}

#[tokio::test]
async fn five_thousand_buckets_are_taken_in_one_go() {
    let world = World::new().await;
    let names: Vec<String> = (0..5_000).map(|number| format!("b{number:04}")).collect();
    let emissions: Vec<Emission> = names.iter().map(|name| emission(1, name, &[create(name, 1)])).collect();
    assert!(world.replace(&emissions).await.iter().all(|verdict| *verdict == Verdict::Applied));
    let (entities, relationships) = world.shown().await;
    assert_eq!((entities.len(), relationships.len()), (5_001, 5_000));
    assert!(world.replace(&emissions).await.iter().all(|verdict| *verdict == Verdict::Unchanged));
}

#[tokio::test]
async fn what_a_user_adds_beside_the_graph_stays() {
    let world = World::new().await;
    world.replace(&[emission(1, "app", &[create("app", 1)])]).await;
    crate::run("MATCH (b:aws_s3_bucket) CREATE (:Team {name: 'billing'})-[:OWNS {since: 1}]->(b)").await;
    world.replace(&[emission(2, "app", &[create("app", 1), logging("app", 2, "logs")])]).await;
    let owned = "MATCH (t:Team)-[:OWNS]->(b:aws_s3_bucket) RETURN b.loggingEnabled AS found";
    assert_eq!(find::<bool>(owned).await, [true]);
    assert_eq!(world.shown().await.1, edges("app", Some("logs")));
}
