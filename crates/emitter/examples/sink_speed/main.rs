//! How fast each graph takes snapshots, in windows of a thousand, beside how fast its server takes the same in bulk.
//!
//! `cargo run --release -p emitter --example sink_speed [BUCKETS]` starts the servers that it needs.

#![allow(clippy::cast_precision_loss, reason = "counts of buckets are small")]

mod bolt;
mod jupiterone;
#[path = "../../tests/jupiterone/served.rs"]
mod served;
#[expect(dead_code, clippy::unwrap_used, reason = "its own tests ask more of it, and may panic")]
#[path = "../../tests/jupiterone/server.rs"]
mod server;
mod sqlite;

use std::error::Error;
use std::time::{Duration, Instant};

use bucket_state::{AccountLevel, Event, Parsed, Parser, ResourceId, ResourceState, project};
use emitter::{Emission, GraphSink};
use serde_json::json;

/// Snapshots in one call of a sink, and rows in one statement of a bulk load.
const WINDOW: usize = 1_000;

type Fallible<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Fallible<()> {
    let buckets = match std::env::args().nth(1) {
        Some(number) => number.parse().map_err(|error| format!("{number:?} is not a number of buckets: {error}"))?,
        None => 5_000,
    };
    let first: Vec<Emission> = (0..buckets).map(|number| emission(1, number)).collect();
    let second: Vec<Emission> = (0..buckets).map(|number| emission(2, number)).collect();
    sqlite::measure(&first, &second).await?;
    jupiterone::measure(buckets).await?;
    bolt::measure(&first, &second).await
}

fn report(sink: &str, what: &str, snapshots: usize, took: Duration) {
    let rate = snapshots as f64 / took.as_secs_f64();
    println!("{sink}, {what}: {snapshots} snapshots in {:.2} s, {rate:.0} a second", took.as_secs_f64());
}

async fn replace(graph: &dyn GraphSink, emissions: &[Emission]) -> Fallible<Duration> {
    let begun = Instant::now();
    for window in emissions.chunks(WINDOW) {
        graph.replace(7, window).await?;
    }
    Ok(begun.elapsed())
}

/// A bucket as terraform makes it: encrypted by a key, logged, tagged, with a policy, one of 20 accounts.
fn events(version: u64, number: usize) -> Vec<Event> {
    let (name, account) = (format!("bucket-{number:06}"), format!("1111222233{:02}", number % 20));
    let key = format!("arn:aws:kms:eu-west-1:{account}:key/1234abcd");
    let rule = json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}});
    let everyone = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}});
    let role = json!({"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{account}:role/app")},
        "Action": "s3:GetObject", "Resource": "*"});
    let tag = json!({"Key": "version", "Value": format!("v{version}")});
    let target = format!("logs-{account}");
    let mut events = Vec::new();
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
            Parsed::Event(event) => events.push(event),
            other => panic!("{other:?}"),
        });
    }
    events
}

fn emission(version: u64, number: usize) -> Emission {
    let mut state = ResourceState::default();
    events(version, number).into_iter().for_each(|event| state.fold(event));
    let id = ResourceId::bucket("eu-west-1", &format!("bucket-{number:06}"));
    Emission::new(version, project(&id, &state, AccountLevel::Silent))
}
