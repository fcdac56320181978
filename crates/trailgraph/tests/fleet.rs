//! Several `trailgraph run` on one stream, with their leases in DynamoDB.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::process::Stdio;

use support::Sandbox;
use support::buckets::{creations, until_buckets};
use support::stream::{Service, Stream, eventually};
use xtask::servers::MinistackServer;

const LEASES: &str = "dynamodb:cloudtrail-leases";

/// A stream of four shards, and the server of its leases.
async fn stream() -> (Stream, MinistackServer) {
    let dynamodb = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
    let mut stream = Stream::start(4).await;
    stream.more.push(("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint()));
    (stream, dynamodb)
}

async fn until_held(service: &Service, count: usize) {
    eventually("it holds its share of the leases", async || {
        service.get("/metrics").filter(|metrics| metrics.contains(&format!("trailgraph_leases_held {count}\n")))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_share_the_shards_and_one_goes_on_with_all_of_them_when_the_other_is_stopped() {
    let (mut stream, _dynamodb) = stream().await;
    let sandbox = Sandbox::new();
    let flags = ["--leases", LEASES, "--flush-after", "200ms"];
    let one = stream.serve(&sandbox, &flags);
    until_held(&one, 4).await;
    let other = stream.serve(&sandbox, &flags);
    until_held(&other, 2).await;
    until_held(&one, 2).await;
    stream.put(&creations(0..40)).await;
    until_buckets(&sandbox, 40).await;

    let leases = |stream: &Stream, command: &[&str]| {
        let arguments = [&["leases"], command, &["--stream", &stream.name, "--leases", LEASES]].concat();
        stream.command(&sandbox, &arguments).stdout(Stdio::piped()).output().unwrap()
    };
    let shown = String::from_utf8(leases(&stream, &["show"]).stdout).unwrap();
    assert_eq!(shown.matches("reading").count(), 4, "{shown}");
    assert_eq!(leases(&stream, &["rewind", "--to", "trim-horizon"]).status.code(), Some(1), "while workers run");

    assert_eq!(one.stop("-TERM").0, Some(0));
    until_held(&other, 4).await;
    stream.put(&creations(40..60)).await;
    until_buckets(&sandbox, 60).await;
    assert_eq!(other.stop("-TERM").0, Some(0));
    let shown = String::from_utf8(leases(&stream, &["show"]).stdout).unwrap();
    assert_eq!(shown.matches("unowned").count(), 4, "{shown}");
    assert_eq!(leases(&stream, &["rewind", "--to", "trim-horizon"]).status.code(), Some(0), "nobody owns them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_reads_by_fan_out() {
    let (mut stream, _dynamodb) = stream().await;
    let sandbox = Sandbox::new();
    let service = stream.serve(&sandbox, &["--leases", LEASES, "--flush-after", "200ms", "--fan-out"]);
    until_held(&service, 4).await;
    stream.put(&creations(0..20)).await;
    until_buckets(&sandbox, 20).await;
    let consumers = stream.client.list_stream_consumers().stream_arn(stream.arn().await).send().await.unwrap();
    assert_eq!(consumers.consumers()[0].consumer_name(), "trailgraph");
    assert_eq!(service.stop("-TERM").0, Some(0));
}
