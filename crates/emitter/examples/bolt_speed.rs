//! How fast a graph server takes snapshots, beside how fast it takes the same nodes and edges in bulk.
//!
//! `cargo run --release -p emitter --example bolt_speed [BUCKETS]` starts a server of its own.

#![allow(clippy::unwrap_used, reason = "an example that panics has said what is wrong")]

use std::time::{Duration, Instant};

use bucket_state::{AccountLevel, Parsed, Parser, ResourceId, ResourceState, project};
use emitter::{BoltGraph, BoltParams, Emission, GraphSink, SinkName};
use neo4rs::{BoltMap, BoltType, ConfigBuilder, Graph, query};
use secrecy::SecretString;
use serde_json::{Value, json};
use xtask::servers::ArcadeServer;

/// Snapshots in one call of the sink, and rows in one statement of the bulk load.
const WINDOW: usize = 1_000;

#[tokio::main]
async fn main() {
    let buckets: usize = std::env::args().nth(1).map_or(5_000, |number| number.parse().unwrap());
    let server = ArcadeServer::start().unwrap();
    let first: Vec<Emission> = (0..buckets).map(|number| emission(1, number)).collect();
    let second: Vec<Emission> = (0..buckets).map(|number| emission(2, number)).collect();

    // The server's machine warms up on the same work, which is then taken away.
    let bulk = driver(&server).await;
    load(&bulk, &first[..first.len().min(2 * WINDOW)], "Warm").await;
    bulk.run(query("MATCH (n:Warm) DETACH DELETE n")).await.unwrap();

    let password = SecretString::from(ArcadeServer::PASSWORD);
    let url = server.bolt_url();
    let params = BoltParams::new(SinkName::from(url.as_str()), &url, ArcadeServer::USER, password);
    let graph = BoltGraph::connect(params).await.unwrap();
    report("bulk load", buckets, load(&bulk, &first, "Bulk").await);
    bulk.run(query("MATCH (n:Bulk) DETACH DELETE n")).await.unwrap();
    report("new buckets", buckets, replace(&graph, &first).await);
    report("the same again", buckets, replace(&graph, &first).await);
    report("changed buckets", buckets, replace(&graph, &second).await);
}

fn report(what: &str, buckets: usize, took: Duration) {
    let rate = buckets as f64 / took.as_secs_f64();
    println!("{what}: {buckets} snapshots in {:.2} s, {rate:.0} a second", took.as_secs_f64());
}

async fn replace(graph: &BoltGraph, emissions: &[Emission]) -> Duration {
    let begun = Instant::now();
    for window in emissions.chunks(WINDOW) {
        graph.replace(7, window).await.unwrap();
    }
    begun.elapsed()
}

async fn driver(server: &ArcadeServer) -> Graph {
    let config = ConfigBuilder::default().uri(server.bolt_url()).user(ArcadeServer::USER);
    Graph::connect(config.password(ArcadeServer::PASSWORD).build().unwrap()).await.unwrap()
}

/// Creates the same nodes and edges, without heads, comparison or a look at what is there.
async fn load(graph: &Graph, emissions: &[Emission], label: &str) -> Duration {
    let index = format!("CREATE CONSTRAINT {label} IF NOT EXISTS FOR (n:{label}) REQUIRE n._key IS UNIQUE");
    graph.run(query(&index)).await.unwrap();
    let begun = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    for window in emissions.chunks(WINDOW) {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for Emission { snapshot, .. } in window {
            nodes.extend(snapshot.entities.iter().map(|entity| entity.0.clone()));
            for edge in &snapshot.relationships {
                nodes.extend(edge.far_key().map(|key| bucket_state::placeholder(key).0));
                edges.push(edge.properties.clone());
            }
        }
        nodes.retain(|node| seen.insert(node["_key"].to_string()));
        let create = format!("UNWIND $rows AS row CREATE (n:{label}) SET n = row");
        graph.run(query(&create).param("rows", rows(nodes))).await.unwrap();
        let tie = format!(
            "UNWIND $rows AS row MATCH (a:{label} {{_key: row._fromEntityKey}}) \
             MATCH (b:{label} {{_key: row._toEntityKey}}) CREATE (a)-[r:BULK]->(b) SET r = row"
        );
        graph.run(query(&tie).param("rows", rows(edges))).await.unwrap();
    }
    begun.elapsed()
}

fn rows(maps: Vec<serde_json::Map<String, Value>>) -> BoltType {
    let row = |map: serde_json::Map<String, Value>| {
        let pairs = map.into_iter().map(|(name, value)| (name.as_str().into(), plain(&value)));
        BoltType::Map(pairs.collect::<BoltMap>())
    };
    BoltType::List(maps.into_iter().map(row).collect::<Vec<_>>().into())
}

fn plain(value: &Value) -> BoltType {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => value.as_i64().map_or_else(|| value.as_f64().unwrap().into(), Into::into),
        Value::Array(values) => BoltType::List(values.iter().map(plain).collect::<Vec<_>>().into()),
        other => other.as_str().unwrap_or_default().into(),
    }
}

/// A bucket as terraform makes it: encrypted by a key, logged, tagged, with a policy, one of 20 accounts.
fn emission(version: u64, number: usize) -> Emission {
    let (name, account) = (format!("bucket-{number:06}"), format!("1111222233{:02}", number % 20));
    let key = format!("arn:aws:kms:eu-west-1:{account}:key/1234abcd");
    let rule = json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}});
    let everyone = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
    let role = json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{account}:role/app")},
        "Action": "s3:GetObject", "Resource": "*"});
    let tag = json!({"Key": "version", "Value": format!("v{version}")});
    let target = format!("logs-{account}");
    let mut state = ResourceState::default();
    for (call, parameters) in [
        ("CreateBucket", json!({"x-amz-acl": "private"})),
        ("PutBucketEncryption", json!({"ServerSideEncryptionConfiguration": {"Rule": rule}})),
        (
            "PutBucketLogging",
            json!({"BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": ""}}}),
        ),
        ("PutBucketPolicy", json!({"bucketPolicy": {"Version": "2012-10-17", "Statement": [everyone, role]}})),
        ("PutBucketTagging", json!({"Tagging": {"TagSet": {"Tag": tag}}})),
        ("PutBucketVersioning", json!({"VersioningConfiguration": {"Status": "Enabled"}})),
    ] {
        let mut parameters = parameters;
        parameters["bucketName"] = name.as_str().into();
        let record = json!({
            "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": call, "awsRegion": "eu-west-1",
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::{account}:user/ada")},
            "eventTime": "2026-03-01T12:00:00Z", "recipientAccountId": account,
            "eventID": format!("{name}-{call}-{version}"), "requestParameters": parameters,
        });
        Parser::default().parse(record.to_string().as_bytes(), 1_772_366_400_000, &mut |parsed| match parsed {
            Parsed::Event(event) => state.fold(&event),
            other => panic!("{other:?}"),
        });
    }
    Emission::new(version, project(&ResourceId::bucket("eu-west-1", &name), &state, AccountLevel::Silent))
}
