//! An end that nobody owns stands as long as an edge leads there.

use serde_json::json;

use crate::support::{create, delete, event, logging};
use crate::{World, arn, emission, find};

#[tokio::test]
async fn a_removed_bucket_that_others_point_to_is_a_placeholder_until_its_last_edge_goes() {
    let world = World::new().await;
    let app = emission(1, "app", &[create("app", 1), logging("app", 2, "logs")]);
    world.replace(&[app, emission(1, "logs", &[create("logs", 1)])]).await;
    let is_shown_as = |placeholder: bool| (arn("logs"), placeholder);
    assert!(world.shown().await.0.contains(&is_shown_as(false)));

    world.replace(&[emission(2, "logs", &[create("logs", 1), delete("logs", 2)])]).await;
    assert!(world.shown().await.0.contains(&is_shown_as(true)));
    let left = "MATCH (b:aws_s3_bucket {placeholder: true}) RETURN b.region AS found";
    assert_eq!(find::<Option<String>>(left).await, [None], "nothing of the bucket is left on it");

    world.replace(&[emission(2, "app", &[create("app", 1), delete("app", 3)])]).await;
    assert_eq!(world.shown().await, (vec![], vec![]));
}

#[tokio::test]
async fn a_bucket_that_comes_takes_the_place_of_its_placeholder_and_keeps_the_edges() {
    let world = World::new().await;
    world.replace(&[emission(1, "app", &[create("app", 1), logging("app", 2, "logs")])]).await;
    world.replace(&[emission(1, "web", &[create("web", 1), logging("web", 2, "logs")])]).await;
    assert!(world.shown().await.0.contains(&(arn("logs"), true)));
    world.replace(&[emission(1, "logs", &[create("logs", 1)])]).await;
    assert!(world.shown().await.0.contains(&(arn("logs"), false)));
    let pointing = "MATCH (b)-[:LOGS]->(l:aws_s3_bucket {region: 'eu-west-1'}) RETURN b.name AS found ORDER BY b.name";
    assert_eq!(find::<String>(pointing).await, ["app", "web"]);
}

#[tokio::test]
async fn a_bucket_and_what_points_to_it_go_in_one_call() {
    let world = World::new().await;
    let app = emission(1, "app", &[create("app", 1), logging("app", 2, "logs")]);
    world.replace(&[app, emission(1, "logs", &[create("logs", 1)])]).await;
    let gone = |bucket: &str| emission(2, bucket, &[create(bucket, 1), delete(bucket, 3)]);
    world.replace(&[gone("app"), gone("logs")]).await;
    assert_eq!(world.shown().await, (vec![], vec![]));
}

#[tokio::test]
async fn a_bucket_that_logs_to_itself_comes_and_goes() {
    let world = World::new().await;
    let alone = [create("app", 1), logging("app", 2, "app")];
    world.replace(&[emission(1, "app", &alone)]).await;
    let tags = json!({"Tagging": {"TagSet": {"Tag": {"Key": "Owner", "Value": "ada"}}}});
    let tagged = [&alone[..], &[event("app", "PutBucketTagging", 3, &tags)]].concat();
    world.replace(&[emission(2, "app", &tagged)]).await;
    assert_eq!(world.shown().await.1.len(), 2);
    world.replace(&[emission(3, "app", &[create("app", 1), delete("app", 4)])]).await;
    assert_eq!(world.shown().await, (vec![], vec![]));
}
