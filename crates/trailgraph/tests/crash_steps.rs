//! A worker that dies at any step of the protocol, and another that takes over: the graph is right each time.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

#[path = "../../emitter/tests/support/stepped.rs"]
mod stepped;
mod support;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use emitter::{Emission, GraphSink, OutboxSettings, SqliteGraph, SqliteStore, StateStore, StoreError};
use serde_json::{Value, json};
use shard_consumer::{Cut, Deliver, Fault, FaultAt, MemorySource, ShardId, ShardSource, SourceError};
use stepped::{Stepped, SteppedGraph, Steps};
use support::{events_of_the_fixture, graphs, worker};
use tokio_util::sync::CancellationToken;
use trailgraph::pipeline::Pipeline;

const EVENTS: usize = 100;

/// A step, and how often it was taken before.
type Step = (&'static str, usize);

/// Counts the steps of a worker, and stops it for ever at one of them.
#[derive(Clone)]
struct Tripwire {
    passed: Arc<AtomicUsize>,
    crash_at: Option<Step>,
    crashed: CancellationToken,
}

impl Tripwire {
    fn new(crash_at: Option<Step>) -> Self {
        Self { passed: Arc::default(), crash_at, crashed: CancellationToken::new() }
    }

    async fn pass(&self, name: &'static str) {
        if self.crashed.is_cancelled() {
            return std::future::pending().await;
        }
        let Some((step, times_before)) = self.crash_at else { return };
        if name == step && self.passed.fetch_add(1, Ordering::SeqCst) == times_before {
            self.crashed.cancel();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Steps for Tripwire {
    async fn step(&self, name: &'static str) -> Result<(), StoreError> {
        self.pass(name).await;
        Ok(())
    }
}

struct WiredSource {
    inner: Arc<MemorySource>,
    wire: Tripwire,
}

#[async_trait]
impl ShardSource for WiredSource {
    async fn run(&self, deliver: Deliver, stop: CancellationToken) -> Result<(), SourceError> {
        self.inner.run(deliver, stop).await
    }

    async fn checkpoint(&self, cut: &Cut) -> Result<(), SourceError> {
        self.wire.pass("before checkpoint").await;
        let kept = self.inner.checkpoint(cut).await;
        self.wire.pass("after checkpoint").await;
        kept
    }

    async fn release(&self) -> Result<(), SourceError> {
        self.inner.release().await
    }
}

/// One worker on the files in `folder`.
struct Worker {
    pipeline: Pipeline,
    graph: SqliteGraph,
    store: SqliteStore,
    wire: Tripwire,
    in_flight: Arc<Mutex<Vec<Emission>>>,
}

impl Worker {
    fn new(name: &str, folder: &Path, source: Arc<MemorySource>, wire: Tripwire) -> Self {
        let (store, graph) = worker::stores(folder, name);
        let in_flight = Arc::default();
        let inner = Arc::new(graph.clone());
        let wired_graph = SteppedGraph { inner, steps: wire.clone(), in_flight: Arc::clone(&in_flight) };
        let pipeline = Pipeline {
            source: Arc::new(WiredSource { inner: source, wire: wire.clone() }),
            intake: Arc::new(worker::intake(folder)),
            store: Arc::new(Stepped { inner: Arc::new(store.clone()), steps: wire.clone() }),
            sinks: vec![Arc::new(wired_graph)],
            outbox: OutboxSettings { worker: name.into(), adopt_after: Duration::from_millis(1), batch: 5 },
            clock: trailgraph::clock::wall(),
        };
        Self { pipeline, graph, store, wire, in_flight }
    }

    /// Runs to the end, or to the crash. Tells whether it crashed.
    async fn crashes(&self) -> bool {
        let work = async {
            self.pipeline.run(&CancellationToken::new()).await.unwrap();
            self.pipeline.settle().await.unwrap();
        };
        tokio::select! {
            () = work => false,
            () = self.wire.crashed.cancelled() => true,
        }
    }

    async fn graph(&self) -> Value {
        let (entities, relationships) = self.graph.export().await.unwrap();
        json!({"entities": entities, "relationships": relationships})
    }

    /// What the dead worker had sent arrives after all.
    async fn land_late(&self) {
        let late = std::mem::take(&mut *self.in_flight.lock().unwrap());
        if !late.is_empty() {
            self.graph.replace(self.store.generation(), &late).await.unwrap();
        }
    }
}

/// Some buckets that are public by their policies, and at the end the account closes all of them at once.
const OPEN_BUCKETS: usize = 7;
const ACCOUNT: &str = "777788889999";

fn events() -> Vec<Vec<u8>> {
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"});
    let open = |number: usize| {
        let policy = json!({"bucketName": format!("open-{number}"), "bucketPolicy": {"Statement": statement}});
        let unblocked = json!({"bucketName": format!("open-{number}")});
        [call("DeleteBucketPublicAccessBlock", number, &unblocked), call("PutBucketPolicy", number + 50, &policy)]
    };
    let all = json!({"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true});
    let closed = call("PutAccountPublicAccessBlock", 0, &json!({"PublicAccessBlockConfiguration": all}));
    let fixture = events_of_the_fixture().into_iter().take(EVENTS);
    (0..OPEN_BUCKETS).flat_map(open).chain(fixture).chain([closed]).collect()
}

fn call(name: &str, number: usize, parameters: &Value) -> Vec<u8> {
    let record = json!({
        "eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "eventName": name, "awsRegion": "eu-west-1",
        "eventTime": "2026-03-01T12:00:00Z", "recipientAccountId": ACCOUNT, "eventID": format!("{name}-{number}"),
        "requestParameters": parameters,
    });
    record.to_string().into_bytes()
}

fn exposures(graph: &Value) -> Vec<&Value> {
    let entities = graph["entities"].as_array().unwrap().iter();
    let buckets = entities.filter(|entity| entity["_type"] == "aws_s3_bucket");
    let opened = buckets.filter(|bucket| bucket["name"].as_str().is_some_and(|name| name.starts_with("open-")));
    opened.map(|bucket| &bucket["public"]).collect()
}

/// The events in a log that outlives a worker; pauses spread them over many windows.
async fn source() -> MemorySource {
    let shards = worker::shards(2);
    let pause = |shard: &ShardId, delivery| {
        let fault = Fault::Pause(Duration::from_millis(4));
        FaultAt { shard: shard.clone(), delivery, fault }
    };
    let faults = shards.iter().flat_map(|shard| (0..EVENTS as u64).map(move |delivery| pause(shard, delivery)));
    worker::source(&shards, events().into_iter(), faults.collect()).await.0
}

/// A worker that crashes at a step, and one that takes over; then what was in flight lands. Tells whether there was
/// such a step.
async fn crashes_at(step: Step, expected: &Value) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let source = source().await;
    let successor_source = source.restarted(vec![]);
    let first = Worker::new("first", folder.path(), Arc::new(source), Tripwire::new(Some(step)));
    if !first.crashes().await {
        return false;
    }
    let second = Worker::new("second", folder.path(), Arc::new(successor_source), Tripwire::new(None));
    assert!(!second.crashes().await);
    graphs::assert_same(&second.graph().await, expected, &format!("after a crash at {step:?}"));
    first.land_late().await;
    graphs::assert_same(&second.graph().await, expected, &format!("after a late landing of {step:?}"));
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_leaves_the_graph_that_the_events_make() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = Worker::new("only", folder.path(), Arc::new(source().await), Tripwire::new(None));
    assert!(!undisturbed.crashes().await);
    let expected = undisturbed.graph().await;
    assert!(expected["entities"].as_array().is_some_and(|entities| entities.len() > 10));
    assert_eq!(exposures(&expected), [false; OPEN_BUCKETS], "the account closes its buckets");

    for step in [
        "loaded",
        "before save",
        "after save",
        "before checkpoint",
        "after checkpoint",
        "before a fan-out marks",
        "after a fan-out marks",
        "before the end of a fan-out",
        "after the end of a fan-out",
        "before emit",
        "after emit",
        "before clear",
        "after clear",
    ] {
        let mut times = 0;
        while crashes_at((step, times), &expected).await {
            times += 1;
        }
        println!("{step}: {times}");
        assert!(times > 0, "{step}");
    }
}
