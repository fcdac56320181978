//! Two workers with one table and one graph, who crash, meet faults, and land late.

use std::sync::Arc;
use std::time::Duration;

use bucket_state::Event;
use emitter::{FanOutWork, Outbox, OutboxSettings, SinkName, SqliteFile, SqliteGraph, StateStore};
use fastrand::Rng;
use serde_json::json;

use crate::support::{NOW, SINK, create, delete, event, listed, logging, never, sealed};
use crate::wire::Fault;
use crate::world::{Table, World, sink};

const SEEDS: std::ops::Range<u64> = 0..10;
const STEPS: usize = 25;

fn clock() -> i64 {
    NOW + 20_000
}

/// What was saved at the very same millisecond has waited, too: by the time of fan-outs …
fn late() -> i64 {
    clock() + 1
}

/// … and what these marked by the time of outboxes.
fn later() -> i64 {
    clock() + 2
}

fn any_event(random: &mut Rng) -> Event {
    let (bucket, second) = (format!("b-{}", random.u8(..4)), random.u32(..40));
    match random.u8(..10) {
        0..3 => create(&bucket, second),
        3..6 => logging(&bucket, second, &format!("b-{}", random.u8(..4))),
        6 => delete(&bucket, second),
        7 => event(&bucket, "DeleteBucketPublicAccessBlock", second, &json!({})),
        8 => event("-", "DeleteAccountPublicAccessBlock", second, &json!({})),
        _ => {
            let all = json!({"IgnorePublicAcls": true, "RestrictPublicBuckets": true});
            event("-", "PutAccountPublicAccessBlock", second, &json!({"PublicAccessBlockConfiguration": all}))
        }
    }
}

fn outbox(store: &Arc<dyn StateStore>, graph: &SqliteGraph, worker: &str, adopt_after: Duration) -> Outbox {
    let settings = OutboxSettings { worker: worker.into(), adopt_after, batch: 3 };
    Outbox::new(Arc::clone(store), Arc::new(graph.clone()), settings)
}

fn fan_out<'a>(store: &'a Arc<dyn StateStore>, worker: &'a str) -> FanOutWork<'a> {
    FanOutWork { store: store.as_ref(), worker, adopt_after: Duration::ZERO, clock: &late }
}

async fn graph(folder: &tempfile::TempDir) -> SqliteGraph {
    let file = SqliteFile::open(&folder.path().join("graph.db")).unwrap();
    SqliteGraph::open(file, SinkName::from(SINK)).unwrap()
}

/// Emits until nothing is left.
async fn finish(store: &Arc<dyn StateStore>, graph: &SqliteGraph, worker: &str) {
    fan_out(store, worker).drain(Duration::from_secs(60)).await.unwrap();
    let last = outbox(store, graph, worker, Duration::ZERO);
    loop {
        last.drain(&never(), Duration::from_secs(60), later, |_| ()).await.unwrap();
        let left = store.backlog(&sink(SINK)).await.unwrap();
        assert_eq!(left.rejected, 0);
        if left.rows == 0 {
            break;
        }
    }
}

/// What stands in the graph, without the times at which it came to stand there.
async fn shown(graph: &SqliteGraph) -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
    let (mut entities, mut relationships) = graph.export().await.unwrap();
    for values in [&mut entities, &mut relationships] {
        values.sort_by_key(ToString::to_string);
    }
    (entities, relationships)
}

async fn live(seed: u64, faults: u8) {
    let mut random = Rng::with_seed(seed);
    let table = Table::new().await;
    let folder = tempfile::tempdir().unwrap();
    let graph = graph(&folder).await;
    let names = ["ann", "bob"];
    let mut workers: Vec<Arc<dyn StateStore>> = Vec::new();
    for name in names {
        workers.push(Arc::new(table.open(name).await));
    }
    workers[0].add_sinks(&[listed(SINK, "first")], NOW).await.unwrap();
    table.wire.seed(seed);
    for operation in ["UpdateItem", "TransactWriteItems", "PutItem", "BatchGetItem", "Query", "DeleteItem", "GetItem"] {
        for fault in [Fault::LoseAnswer, Fault::LoseRequest, Fault::Throttle, Fault::Fail] {
            table.wire.sometimes(operation, fault, faults);
        }
    }
    let mut all = Vec::new();
    let mut unsaved: Vec<Vec<Event>> = Vec::new();
    for _ in 0..STEPS {
        let place = random.usize(..2);
        let (store, worker) = (&workers[place], names[place]);
        match random.u8(..10) {
            0..5 => {
                let events: Vec<Event> = (0..random.usize(1..5)).map(|_| any_event(&mut random)).collect();
                all.extend(events.clone());
                // Some windows are cut short at any point; what was not saved whole is read again.
                let patience = if random.u8(..3) == 0 { random.u64(..12) } else { 60_000 };
                let saving = sealed(&events, 1).save(store.as_ref(), clock);
                if !matches!(tokio::time::timeout(Duration::from_millis(patience), saving).await, Ok(Ok(_))) {
                    unsaved.push(events);
                }
            }
            5..8 => {
                let adopt = Duration::from_secs(if random.bool() { 0 } else { 10 });
                let outbox = outbox(store, &graph, worker, adopt);
                let stop = never();
                let round = outbox.round(later(), &stop);
                let _ = tokio::time::timeout(Duration::from_millis(random.u64(5..200)), round).await;
            }
            8 => {
                let _ = fan_out(store, worker).pass(&never()).await;
            }
            _ => {
                // A new process of the same name.
                let reborn = loop {
                    if let Ok(store) = emitter::DynamoStore::open(table.params(worker)).await {
                        break store;
                    }
                };
                workers[place] = Arc::new(reborn);
            }
        }
    }
    for events in unsaved {
        sealed(&events, 1).save(workers[0].as_ref(), clock).await.unwrap();
    }
    table.wire.mend();
    finish(&workers[random.usize(..2)], &graph, names[0]).await;

    let (calm, calm_folder) = (World::sqlite(), tempfile::tempdir().unwrap());
    let (calm_store, calm_graph) = (calm.store().await, self::graph(&calm_folder).await);
    sealed(&all, 1).save(calm_store.as_ref(), clock).await.unwrap();
    finish(&calm_store, &calm_graph, "worker").await;
    assert_eq!(shown(&graph).await, shown(&calm_graph).await, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_leave_the_graph_that_one_calm_worker_makes() {
    for seed in SEEDS {
        live(seed, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_leave_the_same_graph_while_one_call_in_eight_goes_wrong() {
    for seed in SEEDS {
        live(100 + seed, 3).await;
    }
}
