//! Whose events count: permitted while the service runs, refused, and forged.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::fs;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::{BehaviorVersion, Credentials, Region};
use serde_json::{Value, json};
use support::Sandbox;
use support::buckets::until_buckets;
use support::stream::{Service, Stream, eventually};
use xtask::servers::MinistackServer;

const ACME: &str = "111122223333";
const PARTNER: &str = "444455556666";

/// `CreateBucket` of this account in eu-west-1, as EventBridge sends it, with these members of the envelope.
fn created(account: &str, bucket: &str, envelope: &Value) -> Vec<u8> {
    let mut event = json!({
        "version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "account": account,
        "region": "eu-west-1", "time": "2026-03-01T12:00:01Z", "resources": [],
        "detail": {
            "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": "CreateBucket",
            "eventTime": "2026-03-01T12:00:00Z", "awsRegion": "eu-west-1", "eventID": format!("event-{bucket}"),
            "recipientAccountId": account, "requestParameters": {"bucketName": bucket},
        },
    });
    event.as_object_mut().unwrap().extend(envelope.as_object().unwrap().clone());
    event.to_string().into_bytes()
}

fn permit(accounts: &[&str]) -> String {
    let accounts: serde_json::Map<String, Value> = accounts.iter().map(|id| ((*id).to_owned(), json!({}))).collect();
    json!({"accounts": accounts}).to_string()
}

async fn until_metric(service: &Service, line: &str) {
    eventually(line, async || service.get("/metrics").filter(|metrics| metrics.lines().any(|found| found == line)))
        .await;
}

/// The lines of the log with this message.
fn logged(sandbox: &Sandbox, message: &str) -> Vec<Value> {
    let log = fs::read_to_string(sandbox.path("run.log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &Value| line["message"].as_str().is_some_and(|said| said.starts_with(message))).collect()
}

/// What becomes of events while an account is permitted by the document that `write` writes.
async fn an_account_is_permitted_while_the_service_runs(
    stream: &mut Stream,
    sandbox: &Sandbox,
    service: &Service,
    write: impl AsyncFn(String),
) {
    stream.put(&[created(ACME, "acme-one", &json!({})), created(PARTNER, "partner-one", &json!({}))]).await;
    until_buckets(sandbox, 1).await;
    until_metric(service, "trailgraph_events_total{event=\"CreateBucket\",outcome=\"not_permitted\"} 1").await;
    until_metric(service, "trailgraph_refused_accounts_total 1").await;
    let refused = logged(sandbox, "events of an account or Region that is not permitted are refused");
    assert_eq!(refused.len(), 1);
    println!("refused:   {}", refused[0]);
    assert_eq!((&refused[0]["account"], &refused[0]["region"]), (&json!(PARTNER), &json!("eu-west-1")));

    write(permit(&[ACME, PARTNER])).await;
    until_metric(service, "trailgraph_permit_reloads_total{outcome=\"changed\"} 1").await;
    until_metric(service, &format!("trailgraph_account_last_seen_timestamp_seconds{{account=\"{PARTNER}\"}} 0")).await;
    let changed = logged(sandbox, "the permit list has changed");
    println!("permitted: {}", changed[0]);
    assert_eq!(changed[0]["permitted"], "2 accounts");
    stream.put(&[created(PARTNER, "partner-two", &json!({}))]).await;
    until_buckets(sandbox, 2).await;

    // Cut in the middle, as by an editor: what was permitted stays so.
    write("{\"accounts\": {".into()).await;
    until_metric(service, "trailgraph_permit_reloads_total{outcome=\"failed\"} 1").await;
    assert_eq!(logged(sandbox, "the permit list cannot be used")[0]["level"], "ERROR");
    stream.put(&[created(PARTNER, "partner-three", &json!({}))]).await;
    until_buckets(sandbox, 3).await;

    write(permit(&[ACME])).await;
    until_metric(service, "trailgraph_permit_reloads_total{outcome=\"changed\"} 2").await;
    stream.put(&[created(PARTNER, "partner-four", &json!({}))]).await;
    until_metric(service, "trailgraph_refused_accounts_total 2").await;
    until_metric(service, "trailgraph_events_total{event=\"CreateBucket\",outcome=\"not_permitted\"} 2").await;
    let seen = "trailgraph_account_last_seen_timestamp_seconds{";
    let metrics = service.get("/metrics").unwrap();
    let watched: Vec<&str> = metrics.lines().filter_map(|line| line.strip_prefix(seen)).collect();
    assert!(watched.len() == 1 && watched[0].starts_with(&format!("account=\"{ACME}\"}} ")), "{watched:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_permitted_by_a_file_while_the_service_runs() {
    let mut stream = Stream::start(1).await;
    let sandbox = Sandbox::new();
    let write = async |text: String| fs::write(sandbox.path("permit.json"), text).unwrap();
    write(permit(&[ACME])).await;
    let service = stream.serve_permitted(&sandbox, &["--permit", "permit.json", "--flush-after", "200ms"]);
    an_account_is_permitted_while_the_service_runs(&mut stream, &sandbox, &service, write).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_permitted_by_a_parameter_while_the_service_runs() {
    let server = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
    let config = aws_sdk_ssm::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .region(Region::new("us-east-1"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(server.endpoint());
    let ssm = Client::from_conf(config.build());
    let mut stream = Stream::start(1).await;
    stream.more.push(("AWS_ENDPOINT_URL_SSM", server.endpoint()));
    let sandbox = Sandbox::new();
    let flags = ["--permit", "ssm:/trailgraph/permit", "--flush-after", "200ms"];

    let output = stream.command(&sandbox, &[&["run", "--stream", "cloudtrail"], &flags[..]].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("--permit ssm:/trailgraph/permit: there is no such parameter"), "{said}");

    let write = async |text: String| {
        let put = ssm.put_parameter().name("/trailgraph/permit").overwrite(true).value(text);
        put.r#type(aws_sdk_ssm::types::ParameterType::String).send().await.unwrap();
    };
    write(permit(&[ACME])).await;
    let service = stream.serve_permitted(&sandbox, &flags);
    an_account_is_permitted_while_the_service_runs(&mut stream, &sandbox, &service, write).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_event_changes_no_bucket_and_is_kept_as_evidence() {
    let mut stream = Stream::start(1).await;
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("permit.json"), permit(&[ACME, PARTNER])).unwrap();
    let service = stream.serve_permitted(&sandbox, &["--permit", "permit.json", "--flush-after", "200ms"]);
    let forgeries = [
        ("account", json!({"account": PARTNER}), "the envelope's account is \"444455556666\", but recipientAccountId"),
        ("Region", json!({"region": "us-east-1"}), "the envelope's region is \"us-east-1\", but awsRegion is"),
        ("source", json!({"source": "acme.tools"}), "the envelope's source is \"acme.tools\""),
    ];
    for (number, (what, envelope, expected)) in forgeries.into_iter().enumerate() {
        stream.put(&[created(ACME, &format!("acme-forged-{number}"), &envelope)]).await;
        until_metric(&service, &format!("trailgraph_dead_letters_total{{reason=\"forged\"}} {}", number + 1)).await;
        let letters = fs::read_to_string(sandbox.path("dead-letters.jsonl")).unwrap();
        let letter: Value = serde_json::from_str(letters.lines().last().unwrap()).unwrap();
        assert!(letter["message"].as_str().unwrap().starts_with(expected), "{what}: {letter}");
        let logged = logged(&sandbox, "records became dead letters");
        println!("forged by its {what}: {}", logged.last().unwrap());
        assert_eq!((logged.len(), &logged[number]["reason"]), (number + 1, &json!("forged")));
    }
    stream.put(&[created(ACME, "acme-one", &json!({}))]).await;
    until_buckets(&sandbox, 1).await;
    // Nor does a replay of the letters believe them.
    let summary = sandbox.succeed(&["replay", "dead-letters.jsonl", "--dead-letters", "file:again.jsonl"]);
    assert!(summary.contains("forged"), "{summary}");
    until_buckets(&sandbox, 1).await;
}
