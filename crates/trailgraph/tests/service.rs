//! `trailgraph run` on a stream of a real protocol server.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use shard_consumer::{LeaseStore, SqliteLeases};
use support::Sandbox;
use support::buckets::{creations, until_buckets};
use support::stream::{Service, Stream, eventually, free_addr};
use trailgraph::generate::Traffic;

/// A drained service has ended within this time, emissions included.
const DRAINED_WITHIN: Duration = Duration::from_secs(25);

async fn until_ready(service: &Service) {
    eventually("the service is ready", async || service.get("/readyz").filter(|answer| answer.contains(" 200 "))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_reaches_the_graph_after_the_windows_time() {
    let mut stream = Stream::start(1).await;
    let sandbox = Sandbox::new();
    let service = stream.serve(&sandbox, &["--flush-after", "1500ms", "--flush-at", "1000000"]);
    until_ready(&service).await;
    stream.put(&creations(0..1)).await;
    until_buckets(&sandbox, 1).await;
    let metrics = service.get("/metrics").unwrap();
    let freshness = metrics.lines().find(|line| line.starts_with("trailgraph_freshness_seconds_sum{stage=\"emit\"}"));
    let seconds: f64 = freshness.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    println!("one event was in the graph after {seconds} s");
    assert!(seconds >= 1.5, "not before the window's time: {seconds}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_dirty_buckets_reach_the_graph_long_before_the_windows_time() {
    let mut stream = Stream::start(2).await;
    let sandbox = Sandbox::new();
    // With a window of a day, only the size can be the reason.
    let service = stream.serve(&sandbox, &["--flush-after", "1day", "--flush-at", "50"]);
    until_ready(&service).await;
    stream.put(&creations(0..50)).await;
    until_buckets(&sandbox, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_service_has_saved_what_it_read_and_the_next_one_goes_on() {
    let mut stream = Stream::start(2).await;
    let sandbox = Sandbox::new();
    let all = creations(0..30);
    for (signal, events) in [("-TERM", &all[..20]), ("-INT", &all[20..])] {
        // With a window of a day, only the stop can be the reason that anything is saved.
        let service = stream.serve(&sandbox, &["--flush-after", "1day"]);
        until_ready(&service).await;
        stream.put(events).await;
        eventually("the events are folded", async || {
            let line =
                format!("trailgraph_events_total{{event=\"CreateBucket\",outcome=\"applied\"}} {}", events.len());
            service.get("/metrics").filter(|metrics| metrics.contains(&line))
        })
        .await;
        let (code, took) = service.stop(signal);
        println!("{signal}: drained in {took:?}");
        assert_eq!(code, Some(0));
        assert!(took < DRAINED_WITHIN, "{took:?}");
    }
    // What was pending at the stop is emitted by whoever runs next.
    let next = stream.serve(&sandbox, &["--failover-after", "300ms"]);
    // The former one may have emitted everything: the graph does not tell that this one is up.
    until_ready(&next).await;
    until_buckets(&sandbox, 30).await;
    let metrics = next.get("/metrics").unwrap();
    assert!(metrics.contains("trailgraph_records_total 0"), "nothing was read twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_is_withdrawn_before_the_leases_are_released() {
    let mut stream = Stream::start(1).await;
    let sandbox = Sandbox::new();
    let mut service = stream.serve(&sandbox, &["--flush-after", "1day", "--leases", "sqlite:leases.db"]);
    until_ready(&service).await;
    stream.put(&creations(0..1)).await;
    eventually("the event is folded", async || {
        let line = "trailgraph_events_total{event=\"CreateBucket\",outcome=\"applied\"} 1";
        service.get("/metrics").filter(|metrics| metrics.contains(line))
    })
    .await;
    let leases = SqliteLeases::open(sandbox.path("leases.db"), "trailgraph", &stream.name).await.unwrap();
    let held = async || leases.list().await.unwrap().leases.iter().filter(|lease| lease.owner.is_some()).count();

    // While the states cannot be written, the window is not saved, and the leases wait for that.
    let states = rusqlite::Connection::open(sandbox.path("trailgraph.db")).unwrap();
    states.execute_batch("BEGIN IMMEDIATE").unwrap();
    let sent = std::process::Command::new("kill").args(["-TERM", &service.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    eventually("it is not ready", async || service.get("/readyz").filter(|answer| answer.contains(" 503 "))).await;
    assert_eq!(held().await, 1, "the lease is held while the service drains");
    assert!(service.get("/healthz").unwrap().contains(" 200 "), "and the service is healthy");
    states.execute_batch("ROLLBACK").unwrap();
    drop(states);
    let ended = eventually("it has drained", async || service.child.try_wait().unwrap()).await;
    assert_eq!((ended.code(), held().await), (Some(0), 0));
    let reached = leases.list().await.unwrap().leases.into_iter();
    let reached = reached.map(|lease| (lease.shard.to_string(), lease.checkpoint)).collect();
    assert!(stream.is_covered_by(&reached), "what was saved is checkpointed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_permitted_or_not_understood_is_counted_and_holds_nothing_back() {
    let mut stream = Stream::start(1).await;
    let sandbox = Sandbox::new();
    let permit = sandbox.path("permit.json");
    std::fs::write(&permit, r#"{"accounts": {"999988887777": {}}}"#).unwrap();
    let service = stream.serve_permitted(&sandbox, &["--permit", permit.to_str().unwrap(), "--flush-after", "100ms"]);
    until_ready(&service).await;
    stream.put(&creations(0..3)).await;
    stream.put(&[b"{\"detail\": {\"eventName\": ".to_vec(), vec![0xff, 0xfe, 0x00]]).await;
    let metrics = eventually("all five records are judged", async || {
        service
            .get("/metrics")
            .filter(|metrics| metrics.contains("trailgraph_dead_letters_total{reason=\"not_utf8\"} 1"))
    })
    .await;
    assert!(metrics.contains("trailgraph_events_total{event=\"CreateBucket\",outcome=\"not_permitted\"} 3"));
    assert!(metrics.contains("trailgraph_dead_letters_total{reason=\"not_json\"} 1"));
    assert!(metrics.contains("trailgraph_s3_reads_total 0"));
    assert!(!metrics.contains("trailgraph_lease_writes_total 0"), "taking a lease is a write");
    let letters = std::fs::read_to_string(sandbox.path("dead-letters.jsonl")).unwrap();
    let letters: Vec<Value> = letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), 2);
    for letter in &letters {
        assert_eq!((&letter["stream"], &letter["shard"]), (&"cloudtrail".into(), &"shardId-000000000000".into()));
        assert!(letter["sequenceNumber"].as_str().is_some_and(|number| !number.is_empty()), "{letter}");
    }
    assert_eq!(letters[1]["data"], "//4A");
    assert!(service.get("/healthz").unwrap().contains(" 200 "));
    assert!(sandbox.run(&["health", "--metrics-addr", &service.metrics]).status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_shard_is_read_to_its_end_and_so_are_its_children() {
    let traffic = Traffic { events: 300, buckets: 20, ..Traffic::default() };
    let events: Vec<Vec<u8>> = traffic.generate().map(|event| event.body).collect();
    let undisturbed = Sandbox::new();
    undisturbed.replay(&events, &[]);

    let mut stream = Stream::start(1).await;
    stream.put(&events[..150]).await;
    stream.split("shardId-000000000000").await;
    stream.put(&events[150..]).await;
    let sandbox = Sandbox::new();
    let service = stream.serve(&sandbox, &["--flush-after", "200ms"]);
    let expected = undisturbed.export();
    eventually("the graph is whole", async || {
        (String::from_utf8_lossy(&sandbox.run(&["graph", "export"]).stdout) == expected).then_some(())
    })
    .await;
    assert_eq!(service.stop("-TERM").0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_with_a_json_log_tells_cloudwatch_how_many_shards_there_are() {
    let stream = Stream::start(3).await;
    let sandbox = Sandbox::new();
    let arn = stream.arn().await;
    let mut command = stream.command(&sandbox, &["run", "--permit-any", "--stream", &arn, "--app-name", "second"]);
    let log = std::fs::File::create(sandbox.path("run.log")).unwrap();
    let metrics = free_addr();
    let service = stream.adopt(command.args(["--metrics-addr", &metrics]).stderr(log).spawn().unwrap(), &metrics);
    let line = eventually("the line is logged", async || {
        let log = std::fs::read_to_string(sandbox.path("run.log")).unwrap();
        log.lines().find(|line| line.contains("\"_aws\"")).map(str::to_owned)
    })
    .await;
    println!("{line}");
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["OpenShards"], &line["Stream"], &line["AppName"]),
        (&json!(3), &json!("cloudtrail"), &json!("second"))
    );
    let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
    assert!(metrics.iter().all(|metric| line[metric["Name"].as_str().unwrap()].is_number()), "{line}");
    assert_eq!(service.stop("-TERM").0, Some(0));
}
