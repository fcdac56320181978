//! The bytes that all readers may hold at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Barrier;

use super::*;

/// As many answers of 10 MiB as fit into the budget.
const ANSWERS_MOST: usize = 6;
const SHARDS: usize = 10;

fn shards(mut page: impl FnMut() -> Value + Send + 'static) -> Behaviour {
    let names: Vec<String> = (0..SHARDS).map(|shard| format!("shard-{shard}")).collect();
    Box::new(move |operation, _| match operation {
        "ListShards" => Ok(listing(&names.iter().map(|name| (name.as_str(), None)).collect::<Vec<_>>())),
        "GetShardIterator" => Ok(json!({"ShardIterator": "any"})),
        _ => Ok(page()),
    })
}

/// Runs a source until `done`.
async fn run_until(server: &Server, deliver: Deliver, done: CancellationToken) {
    let dir = tempfile::tempdir().unwrap();
    let leases = SqliteLeases::open(dir.path().join("leases.db"), "test", "stream").await.unwrap();
    let source = source("stream", server, Arc::new(leases), Duration::from_secs(120));
    let running = source.run(deliver, done);
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("deliveries").unwrap();
}

#[tokio::test]
async fn answers_that_wait_for_their_delivery_never_exceed_the_budget() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&fetched);
    let server = Server::start(shards(move || {
        count.fetch_add(1, Ordering::SeqCst);
        json!({"Records": [], "NextShardIterator": "any", "MillisBehindLatest": 60_000})
    }))
    .await;
    let (delivered, most, done) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let deliver: Deliver = {
        let (most, done) = (Arc::clone(&most), done.clone());
        Arc::new(move |event| {
            let (fetched, delivered) = (Arc::clone(&fetched), Arc::clone(&delivered));
            let (most, done) = (Arc::clone(&most), done.clone());
            Box::pin(async move {
                if matches!(event, ShardEvent::Batch(_)) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let held = fetched.load(Ordering::SeqCst) - delivered.load(Ordering::SeqCst);
                    most.fetch_max(held, Ordering::SeqCst);
                    if delivered.fetch_add(1, Ordering::SeqCst) == 3 * SHARDS {
                        done.cancel();
                    }
                }
            })
        })
    };
    run_until(&server, deliver, done).await;
    let most = most.load(Ordering::SeqCst);
    assert!(most <= ANSWERS_MOST, "{most} answers at once");
}

#[tokio::test]
async fn readers_at_the_tip_do_not_wait_for_each_other() {
    let server =
        Server::start(shards(|| json!({"Records": [], "NextShardIterator": "any", "MillisBehindLatest": 0}))).await;
    let (all_at_once, seen, done) = (Arc::new(Barrier::new(SHARDS)), Arc::default(), CancellationToken::new());
    let seen: Arc<std::sync::Mutex<std::collections::HashSet<ShardId>>> = seen;
    let deliver: Deliver = {
        let done = done.clone();
        Arc::new(move |event| {
            let (all_at_once, seen, done) = (Arc::clone(&all_at_once), Arc::clone(&seen), done.clone());
            Box::pin(async move {
                let ShardEvent::Batch(batch) = event else { return };
                if !seen.lock().unwrap().insert(batch.shard) && !done.is_cancelled() {
                    all_at_once.wait().await;
                    done.cancel();
                }
            })
        })
    };
    run_until(&server, deliver, done).await;
}
