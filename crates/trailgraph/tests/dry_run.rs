//! `trailgraph run --dry-run`: tells, and writes nothing.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::collections::BTreeMap;
use std::fs;

use aws_sdk_kinesis::primitives::Blob;
use serde_json::Value;
use support::Sandbox;
use support::buckets::{creations, until_buckets};
use support::proxy::Proxy;
use support::stream::{Service, Stream, eventually};
use xtask::servers::MinistackServer;

const DRY: [&str; 3] = ["--dry-run", "--flush-after", "200ms"];

/// The resources of which the log says this.
fn said(sandbox: &Sandbox, message: &str) -> Vec<String> {
    let log = fs::read_to_string(sandbox.path("run.log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = lines.filter(|line| line["message"].as_str().is_some_and(|said| said.starts_with(message)));
    told.map(|line| line["resource"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn until_read(service: &Service, records: usize) {
    let line = format!("trailgraph_records_total {records}\n");
    eventually(&line, async || service.get("/metrics").filter(|metrics| metrics.contains(&line))).await;
    // One more window: the first may have been sealed between two of them.
    eventually("a window of it is done", async || {
        let metrics = service.get("/metrics").unwrap_or_default();
        let dirty =
            metrics.lines().any(|line| line.starts_with("trailgraph_checkpoint_age_seconds") && !line.ends_with(" 0"));
        (!dirty).then_some(())
    })
    .await;
}

/// Every file with its bytes, but the log, and what SQLite's readers of one file tell each other.
fn files(sandbox: &Sandbox) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(sandbox.path("")).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    named.filter(|(name, bytes)| name != "run.log" && !name.ends_with("-shm") && !bytes.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_anything_is_stored_it_tells_of_every_bucket_and_makes_no_file() {
    let mut stream = Stream::start(2).await;
    let sandbox = Sandbox::new();
    stream.put(&creations(0..12)).await;
    let garbage = stream.client.put_record().stream_name("cloudtrail").partition_key("key");
    garbage.data(Blob::new("garbage")).send().await.unwrap();
    let service = stream.serve(&sandbox, &DRY);
    until_read(&service, 13).await;
    eventually("all of them are told", async || (said(&sandbox, "would save, and emit").len() == 12).then_some(()))
        .await;
    assert_eq!(service.stop("-TERM").0, Some(0));
    assert_eq!(said(&sandbox, "records became dead letters").len(), 1);
    assert_eq!(files(&sandbox), BTreeMap::new(), "nothing is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_service_it_tells_what_is_new_to_it_and_changes_no_byte() {
    let mut stream = Stream::start(2).await;
    let sandbox = Sandbox::new();
    let service = stream.serve(&sandbox, &["--flush-after", "200ms"]);
    stream.put(&creations(0..10)).await;
    until_buckets(&sandbox, 10).await;
    assert_eq!(service.stop("-TERM").0, Some(0));
    let before = (files(&sandbox), sandbox.export());

    // Two that are stored already, and three that are not.
    stream.put(&creations(8..13)).await;
    let dry = stream.serve(&sandbox, &DRY);
    until_read(&dry, 5).await;
    eventually("the new ones are told", async || (said(&sandbox, "would save, and emit").len() == 3).then_some(()))
        .await;
    // What it has told of is not news again.
    stream.put(&creations(12..14)).await;
    until_read(&dry, 7).await;
    eventually("the last one is told", async || (said(&sandbox, "would save, and emit").len() == 4).then_some(()))
        .await;
    assert_eq!(dry.stop("-TERM").0, Some(0));
    let told = said(&sandbox, "would save, and emit").into_iter().collect::<std::collections::BTreeSet<_>>();
    let expected = (10..14).map(|number| format!("arn:aws:s3:::acme-trigger-{number:04}"));
    assert_eq!(told, expected.collect());
    assert!((files(&sandbox), sandbox.export()) == before, "{:?}", files(&sandbox).keys());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_calls_nothing_of_dynamodb_that_writes() {
    let ministack = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
    let proxy = Proxy::before(ministack.endpoint()).await;
    let mut stream = Stream::start(1).await;
    let sandbox = Sandbox::new();
    let tables = ["--leases", "dynamodb:leases", "--state", "dynamodb:states"];
    stream.more.push(("AWS_ENDPOINT_URL_DYNAMODB", ministack.endpoint()));
    let service = stream.serve(&sandbox, &[&tables[..], &["--flush-after", "200ms"]].concat());
    stream.put(&creations(0..3)).await;
    until_buckets(&sandbox, 3).await;
    assert_eq!(service.stop("-TERM").0, Some(0));

    stream.more = vec![("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint())];
    stream.put(&creations(2..5)).await;
    let dry = stream.serve(&sandbox, &[&tables[..], &DRY].concat());
    eventually("the new ones are told", async || (said(&sandbox, "would save, and emit").len() == 2).then_some(()))
        .await;
    assert_eq!(dry.stop("-TERM").0, Some(0));
    let reads = ["DescribeTable", "Scan", "GetItem", "BatchGetItem", "Query"];
    let actions: Vec<String> = proxy.calls().into_iter().map(|call| call.action).collect();
    println!("{actions:?}");
    assert!(!actions.is_empty());
    assert!(actions.iter().all(|action| reads.contains(&action.trim_start_matches("dynamodb:"))), "{actions:?}");
}

#[test]
fn it_goes_not_with_fan_out_which_registers_a_consumer() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["run", "--stream", "cloudtrail", "--permit-any", "--dry-run", "--fan-out"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("'--dry-run' cannot be used with '--fan-out'"), "{said}");
}
