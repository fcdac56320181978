//! The bytes that all readers may hold at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use shard_consumer::ShardEvent;
use tokio::sync::watch;

use crate::worker::{Handling, numbered, shards};
use crate::world::{World, pass};

const MIB: usize = 1 << 20;
const BUDGET: usize = 64 * MIB;
/// The largest answer of the service, for which a call has to have room.
const ANSWER: usize = 10 * MIB;

/// What is being delivered at this moment: answers and their bytes; and the most bytes that ever were.
#[derive(Default)]
struct Held {
    answers: AtomicUsize,
    bytes: AtomicUsize,
    most: AtomicUsize,
}

/// Holds each delivery of records until the gate is open.
fn holding() -> (watch::Sender<bool>, Arc<Held>, Handling) {
    let (is_open, opens) = watch::channel(false);
    let held = Arc::new(Held::default());
    let counted = Arc::clone(&held);
    let handling = Arc::new(move |event: &ShardEvent| {
        let bytes = match event {
            ShardEvent::Batch(batch) => batch.records.iter().map(|record| record.data.len()).sum(),
            _ => 0,
        };
        let (mut opens, held) = (opens.clone(), Arc::clone(&counted));
        Box::pin(async move {
            if bytes > 0 {
                held.answers.fetch_add(1, Ordering::SeqCst);
                let now = held.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes;
                held.most.fetch_max(now, Ordering::SeqCst);
                opens.wait_for(|is_open| *is_open).await.unwrap();
                // A moment, in which others could go beyond.
                pass(1).await;
                held.bytes.fetch_sub(bytes, Ordering::SeqCst);
            }
        }) as _
    });
    (is_open, held, handling)
}

#[tokio::test(start_paused = true)]
async fn answers_that_wait_for_their_delivery_never_exceed_the_budget_and_all_come_in_the_end() {
    const SHARDS: usize = 8;
    let world = World::new(SHARDS as i32).await;
    for shard in 0..SHARDS {
        world.put(shard as u32, std::iter::repeat_n(vec![7; 1_000_000], 10)).await;
    }
    let (is_open, held, handling) = holding();
    let mut worker = world.worker_that("a", handling).await;
    pass(60).await;
    let (answers, bytes) = (held.answers.load(Ordering::SeqCst), held.bytes.load(Ordering::SeqCst));
    println!("{answers} answers of 10 MB, {bytes} bytes, wait at once");
    assert!(bytes <= BUDGET && bytes > BUDGET - ANSWER, "{bytes} bytes are held");
    is_open.send_replace(true);
    worker.until(|told| records(told) == 10 * SHARDS).await;
    assert!(held.most.load(Ordering::SeqCst) <= BUDGET);
}

#[tokio::test(start_paused = true)]
async fn an_answer_keeps_the_room_of_its_size_rounded_up_to_whole_mebibytes() {
    const SHARDS: usize = 60;
    let world = World::new(SHARDS as i32).await;
    for shard in 0..SHARDS {
        world.put(shard as u32, numbered("text", 0..5)).await;
    }
    let (is_open, held, handling) = holding();
    let mut worker = world.worker_that("a", handling).await;
    pass(60).await;
    // The next one would need room for the largest answer.
    assert_eq!(held.answers.load(Ordering::SeqCst), (BUDGET - ANSWER) / MIB + 1);
    is_open.send_replace(true);
    worker.until(|told| records(told) == 5 * SHARDS).await;
}

fn records(told: &[ShardEvent]) -> usize {
    let of = |event: &ShardEvent| if let ShardEvent::Batch(batch) = event { batch.records.len() } else { 0 };
    told.iter().map(of).sum()
}

#[tokio::test(start_paused = true)]
async fn readers_at_the_tip_do_not_wait_for_each_other() {
    const SHARDS: usize = 50;
    let world = World::new(SHARDS as i32).await;
    let deliveries: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let (all, mut waiting) = watch::channel(0);
    let all = Arc::new(all);
    let counted = Arc::clone(&deliveries);
    let second_waits = Arc::new(move |event: &ShardEvent| {
        let ShardEvent::Batch(batch) = event else { return Box::pin(async {}) as _ };
        let mut deliveries = counted.lock().unwrap();
        let count = deliveries.entry(batch.shard.to_string()).or_default();
        *count += 1;
        let (waits, all) = (*count == 2, Arc::clone(&all));
        Box::pin(async move {
            if waits {
                all.send_modify(|waiting| *waiting += 1);
                all.subscribe().wait_for(|waiting| *waiting == SHARDS).await.unwrap();
            }
        }) as _
    });
    let mut worker = world.worker_that("a", second_waits).await;
    worker.until(|told| shards(told, SHARDS, 0)).await;
    tokio::time::timeout(std::time::Duration::from_secs(60), waiting.wait_for(|waiting| *waiting == SHARDS))
        .await
        .expect("each delivery waits for those of all other shards")
        .unwrap();
}
