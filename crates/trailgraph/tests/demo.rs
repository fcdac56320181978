//! What a newcomer sees first.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use support::Sandbox;
use trailgraph::generate::Traffic;

const DEMO: [&str; 9] = ["demo", "--events", "4000", "--buckets", "60", "--seed", "5", "--metrics-addr", "127.0.0.1:0"];
const GRAPH: [&str; 2] = ["--graph", "sqlite:trailgraph-demo.db"];

#[test]
fn the_demo_ends_with_the_graph_of_the_buckets_that_it_generated() {
    let sandbox = Sandbox::new();
    let first = sandbox.succeed(&DEMO);
    for line in ["records in        4000 in ", "events applied", "coalescing", "freshness         p50 ", "Look at it:"]
    {
        assert!(first.contains(line), "{line:?} in {first}");
    }
    let graph: Value = serde_json::from_str(&sandbox.succeed(&[&["graph", "export"], &GRAPH[..]].concat())).unwrap();
    let traffic = Traffic { seed: 5, events: 4_000, buckets: 60, ..Traffic::default() };
    let generated: BTreeSet<String> = traffic.generate().map(|event| event.partition_key).collect();
    let buckets = graph["entities"].as_array().unwrap().iter().filter(|entity| entity["_type"] == "aws_s3_bucket");
    let shown: BTreeSet<&str> =
        buckets.filter(|bucket| bucket["placeholder"] != true).map(|bucket| bucket["name"].as_str().unwrap()).collect();
    assert!(shown.len() > 40, "{}", shown.len());
    assert!(shown.iter().all(|name| generated.contains(*name)));

    // The file is made anew: fewer events leave a smaller graph. (Times follow the clock, so no two demos are alike.)
    let small = ["demo", "--events", "100", "--buckets", "3", "--metrics-addr", "127.0.0.1:0"];
    assert!(first.contains(&format!("graph             {} buckets", shown.len())));
    assert!(sandbox.succeed(&small).contains("graph             3 buckets"));
}

#[test]
fn a_bucket_of_the_demo_is_shown_with_where_each_facet_comes_from() {
    let sandbox = Sandbox::new();
    let printed = sandbox.succeed(&DEMO);
    let hint = printed.lines().find(|line| line.contains("graph show")).unwrap();
    let bucket = hint.split_whitespace().nth(3).unwrap();
    let text = sandbox.succeed(&[&["graph", "show", bucket], &GRAPH[..]].concat());
    for part in ["updatedOn", "facet", "creation", "publicAccessBlock", "relationships"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let json: Value =
        serde_json::from_str(&sandbox.succeed(&[&["graph", "show", bucket, "--json"], &GRAPH[..]].concat())).unwrap();
    assert_eq!(json["entity"]["name"], bucket);
    let facets: Vec<&str> =
        json["facets"].as_array().unwrap().iter().map(|facet| facet["facet"].as_str().unwrap()).collect();
    assert_eq!(
        facets,
        [
            "creation",
            "acl",
            "policy",
            "publicAccessBlock",
            "encryption",
            "versioning",
            "logging",
            "lifecycleRules",
            "replication",
            "objectLock",
            "ownership",
            "tags",
            "notification",
            "inventory",
            "analytics",
            "metrics",
            "intelligentTiering",
            "website",
            "cors",
            "requestPayment",
            "acceleration",
            "abac",
            "accountPublicAccessBlock",
        ]
    );
}
