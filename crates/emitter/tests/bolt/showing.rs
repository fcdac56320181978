//! Both sinks show the same graph, and users find their way in it.

use std::collections::BTreeMap;

use emitter::{Emission, GraphSink};
use serde_json::{Value, json};

use crate::support::{self, create, event};
use crate::{GENERATION, World, corpus, emission, find};

#[tokio::test]
async fn the_graph_over_bolt_is_the_one_in_a_file() {
    let world = World::new().await;
    let file = support::World::new().await;
    let mut versions: BTreeMap<String, u64> = BTreeMap::new();
    for (moment, snapshots) in corpus::lives(11, 120, 4).into_iter().enumerate() {
        let emissions: Vec<Emission> = snapshots
            .into_iter()
            .map(|snapshot| {
                let version = versions.entry(snapshot.resource.to_string()).or_default();
                *version += 1;
                Emission::new(*version, snapshot)
            })
            .collect();
        let verdicts = file.graph.replace(GENERATION, &emissions).await.unwrap();
        assert_eq!(world.replace(&emissions).await, verdicts);
        let (bolt, sqlite) = (world.export().await.unwrap(), file.graph.export().await.unwrap());
        assert!(sqlite.0.len() > 120 && sqlite.1.len() > 120, "{} and {}", sqlite.0.len(), sqlite.1.len());
        same(&bolt.0, &sqlite.0, moment);
        same(&bolt.1, &sqlite.1, moment);
    }
}

/// One at a time: a difference between thousands is not readable.
fn same(bolt: &[Value], sqlite: &[Value], moment: usize) {
    let keys = |parts: &[Value]| parts.iter().map(|part| part["_key"].to_string()).collect::<Vec<_>>();
    assert_eq!(keys(bolt), keys(sqlite), "at moment {moment}");
    for (bolt, sqlite) in bolt.iter().zip(sqlite) {
        assert_eq!(bolt, sqlite, "at moment {moment}");
    }
}

#[tokio::test]
async fn nodes_have_their_type_as_a_label_and_edges_their_class_as_a_type() {
    let world = World::new().await;
    let everyone = json!({"xsi:type": "Group", "URI": crate::samples::ALL_USERS});
    let grants = json!({"Grant": {"Permission": "READ", "Grantee": everyone}});
    let acl = json!({"AccessControlPolicy": {"Owner": {"ID": "c0ffee"}, "AccessControlList": grants}});
    let ownership = json!({"OwnershipControls": {"Rule": {"ObjectOwnership": "ObjectWriter"}}});
    let off = json!({"PublicAccessBlockConfiguration": {"BlockPublicAcls": false, "IgnorePublicAcls": false,
        "BlockPublicPolicy": false, "RestrictPublicBuckets": false}});
    let open = [
        create("app", 1),
        event("app", "PutBucketOwnershipControls", 2, &ownership),
        event("app", "PutBucketPublicAccessBlock", 2, &off),
        event("app", "PutBucketAcl", 3, &acl),
    ];
    world.replace(&[emission(1, "app", &open)]).await;
    let public = "MATCH (b:aws_s3_bucket {public: true})-[r:ALLOWS {permission: 'READ'}]->(:everyone) \
                  RETURN r._type AS found";
    assert_eq!(find::<String>(public).await, ["aws_s3_bucket_grant"]);
    let all = "MATCH (n:TrailgraphEntity) RETURN n._key AS found ORDER BY n._key";
    assert_eq!(find::<String>(all).await, [crate::ACCOUNT, "arn:aws:s3:::app", "global:everyone"]);
}

#[tokio::test]
async fn what_json_says_beyond_a_graph_becomes_text() {
    let world = World::new().await;
    let mut odd = crate::snapshot("app", &[create("app", 1)]);
    let bucket = odd.entities.iter_mut().find(|entity| entity.key() == "arn:aws:s3:::app").unwrap();
    for (name, value) in [
        ("empty", json!([])),
        ("whole", json!(i64::MAX)),
        ("fraction", json!(0.1)),
        ("mixed", json!([1, "a", true])),
        ("nested", json!({"a": [1, {"b": null}]})),
        ("nothing", json!(null)),
        ("huge", json!("x".repeat(1_000_000))),
        ("tag.Owner `of` \"it\" é", json!("ö\u{0}\n")),
    ] {
        bucket.0.insert(name.to_owned(), value);
    }
    world.replace(&[Emission::new(1, odd)]).await;
    let (entities, _) = world.export().await.unwrap();
    let shown = entities.iter().find(|entity| entity["_key"] == "arn:aws:s3:::app").unwrap();
    assert_eq!(shown["empty"], json!([]));
    assert_eq!(shown["whole"], json!(i64::MAX));
    assert_eq!(shown["fraction"], json!(0.1));
    assert_eq!(shown["mixed"], json!(["1", "a", "true"]));
    assert_eq!(shown["nested"], json!(r#"{"a":[1,{"b":null}]}"#));
    assert_eq!(shown.get("nothing"), None);
    assert_eq!(shown["huge"].as_str().map(str::len), Some(1_000_000));
    assert_eq!(shown["tag.Owner `of` \"it\" é"], json!("ö\u{0}\n"));
}
