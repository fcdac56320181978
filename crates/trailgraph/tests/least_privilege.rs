//! The roles that the templates give allow what the program calls, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aws_sdk_kinesis::primitives::Blob;
use serde_json::{Value, json};
use support::Sandbox;
use support::buckets::{creations, until_buckets};
use support::proxy::{Call, Proxy};
use support::stream::{Service, Stream, eventually};
use trailgraph::operations::OPERATIONS;
use xtask::servers::MinistackServer;

fn texts(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(values) => values.iter().map(|value| value.as_str().unwrap().to_owned()).collect(),
        one => [one.as_str().unwrap().to_owned()].into(),
    }
}

/// The actions of each statement, by its name.
fn statements<'a>(statements: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, BTreeSet<String>> {
    let named = |statement: &Value| (statement["Sid"].as_str().unwrap().to_owned(), texts(&statement["Action"]));
    statements.into_iter().map(named).collect()
}

#[test]
fn the_policy_for_workers_is_the_table_of_operations() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/worker-policy.json");
    let policy: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let table: BTreeMap<String, BTreeSet<String>> = OPERATIONS
        .iter()
        .map(|group| (group.sid.to_owned(), group.actions.iter().map(|(action, _)| (*action).to_owned()).collect()))
        .collect();
    assert_eq!(statements(policy["Statement"].as_array().unwrap()), table);
}

/// Every server behind a proxy that notes the calls.
struct World {
    stream: Stream,
    sandbox: Sandbox,
    proxies: [Proxy; 2],
    ministack: MinistackServer,
}

impl World {
    async fn start() -> Self {
        let ministack = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
        let mut stream = Stream::start(2).await;
        let proxies = [Proxy::before(stream.endpoint()).await, Proxy::before(ministack.endpoint()).await];
        stream.more.push(("AWS_ENDPOINT_URL_KINESIS", proxies[0].endpoint()));
        stream.more.push(("AWS_ENDPOINT_URL", proxies[1].endpoint()));
        Self { stream, sandbox: Sandbox::new(), proxies, ministack }
    }

    /// One call to the server, past the proxy.
    async fn ask(&self, target: &str, body: Value) -> Value {
        let request = reqwest::Client::builder().no_proxy().build().unwrap().post(self.ministack.endpoint());
        let authorization = "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/SERVICE/aws4_request";
        let service = match target.split(['.', '_']).next().unwrap() {
            "AmazonSQS" => "sqs",
            "AmazonSSM" => "ssm",
            other => other,
        };
        let request = request.header("x-amz-target", target).header("content-type", "application/x-amz-json-1.0");
        let request = request.header("authorization", authorization.replace("SERVICE", service));
        let answer = request.body(body.to_string()).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    async fn trailgraph(&self, arguments: &[&str]) -> Option<i32> {
        let mut command = self.stream.command(&self.sandbox, arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        println!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.status.code()
    }

    fn calls(&self) -> BTreeSet<Call> {
        self.proxies.iter().flat_map(Proxy::calls).collect()
    }
}

async fn until_metric(service: &Service, line: &str) {
    eventually(line, async || service.get("/metrics").filter(|metrics| metrics.contains(line))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_the_program_is_seen_to_call_is_in_the_table_under_its_resource() {
    let mut world = World::start().await;
    let queue = world.ask("AmazonSQS.CreateQueue", json!({"QueueName": "letters"})).await;
    let queue = format!("sqs:{}", queue["QueueUrl"].as_str().unwrap());
    let permit = json!({"accounts": {"111122223333": {}}}).to_string();
    world.ask("AmazonSSM.PutParameter", json!({"Name": "permit", "Type": "String", "Value": permit})).await;
    world.ask("secretsmanager.CreateSecret", json!({"Name": "key", "SecretString": "word"})).await;
    let permit = ["--permit", "ssm:permit"];
    let tables = ["--leases", "dynamodb:leases", "--state", "dynamodb:states"];
    let all = [&permit[..], &tables[..], &["--dead-letters", &queue, "--flush-after", "200ms"]].concat();

    let service = world.stream.serve_permitted(&world.sandbox, &all);
    world.stream.put(&creations(0..20)).await;
    until_buckets(&world.sandbox, 20).await;
    let garbage = world.stream.client.put_record().stream_name("cloudtrail").partition_key("key");
    garbage.data(Blob::new("garbage")).send().await.unwrap();
    until_metric(&service, "trailgraph_dead_letters_total{reason=\"not_json\"} 1\n").await;
    // An account's change is told of its buckets.
    let block = json!({
        "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "account": "111122223333",
        "region": "eu-west-1", "detail": {
            "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": "PutAccountPublicAccessBlock",
            "eventTime": "2026-03-01T12:00:00Z", "awsRegion": "eu-west-1", "eventID": "event-block",
            "recipientAccountId": "111122223333", "requestParameters": {"PublicAccessBlockConfiguration": {
                "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true,
                "RestrictPublicBuckets": true,
            }},
        },
    });
    world.stream.put(&[block.to_string().into_bytes()]).await;
    until_metric(&service, "trailgraph_saves_total{outcome=\"saved\"} 41\n").await;
    world.stream.split("shardId-000000000000").await;
    until_metric(&service, "trailgraph_leases_held 3\n").await;
    assert_eq!(service.stop("-TERM").0, Some(0));

    let fan_out = world.stream.serve_permitted(&world.sandbox, &[&all[..], &["--fan-out"]].concat());
    world.stream.put(&creations(20..30)).await;
    until_buckets(&world.sandbox, 30).await;
    assert_eq!(fan_out.stop("-TERM").0, Some(0));

    let leases = ["--stream", "cloudtrail", "--leases", "dynamodb:leases"];
    assert_eq!(world.trailgraph(&[&["leases", "show"], &leases[..]].concat()).await, Some(0));
    assert_eq!(world.trailgraph(&[&["leases", "rewind", "--to", "trim-horizon"], &leases[..]].concat()).await, Some(0));
    assert_eq!(world.trailgraph(&["republish", "--state", "dynamodb:states"]).await, Some(0));
    // There is no JupiterOne here; but its key is read.
    let jupiterone =
        ["--graph", "jupiterone:", "--jupiterone-account", "acme", "--jupiterone-url", "http://127.0.0.1:9"];
    let jupiterone = [&jupiterone[..], &["--jupiterone-api-key-secret", "key", "--dead-letters", &queue]].concat();
    let check = [&["check", "--stream", "cloudtrail"], &permit[..], &tables[..], &jupiterone[..]].concat();
    assert_eq!(world.trailgraph(&check).await, Some(1));

    let group_of = |call: &Call| match call.resource.as_str() {
        "leases-CoordinatorState" => "SeeAnotherLibrarysLeader",
        "leases" => "KeepLeases",
        "states" => "KeepStates",
        "permit" => "ReadThePermit",
        "key" => "ReadApiKeys",
        _ if call.action.starts_with("sqs:") => "WriteDeadLetters",
        _ if call.action.ends_with("Consumer") || call.action == "kinesis:SubscribeToShard" => "ReadByFanOut",
        _ if call.action.starts_with("kinesis:") => "ReadTheStream",
        other => panic!("{call:?} is about {other}, which no group names"),
    };
    let seen = world.calls().iter().map(|call| (group_of(call), call.action.clone())).collect::<BTreeSet<_>>();
    let all = OPERATIONS.iter().flat_map(|group| group.actions.iter().map(|(action, _)| (group.sid, *action)));
    let all: BTreeSet<(&str, String)> = all.map(|(sid, action)| (sid, action.to_owned())).collect();
    let beyond: Vec<_> = seen.difference(&all).collect();
    assert!(beyond.is_empty(), "called, and not in the table: {beyond:?}");
    let unseen: Vec<_> = all.difference(&seen).map(|(sid, action)| format!("{sid} {action}")).collect();
    println!("{} of {} operations were seen; never seen: {unseen:#?}", seen.len(), all.len());
    // What a new call would need is missed by no one who reads this list.
    assert_eq!(
        unseen,
        [
            // After a write that another worker's write made moot.
            "KeepLeases dynamodb:GetItem",
            // Asked for by the services, not by the program.
            "UseTheKeys kms:Decrypt",
            "UseTheKeys kms:GenerateDataKey",
        ]
    );
}
