//! A lease table that fails for a while.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use fake_aws::{Call, Fault};
use shard_consumer::{ShardEvent, ShardSource, TakenFrom};
use tokio::time::Instant;

use crate::worker::{Worker, at_once, name, numbered, shards, taken, texts};
use crate::world::{FAILOVER, TABLE, World, error, pass, start};

const WRITES: [&str; 3] = ["UpdateItem", "PutItem", "DeleteItem"];
const TABLE_CALLS: [&str; 5] = ["UpdateItem", "PutItem", "DeleteItem", "Scan", "GetItem"];

fn is_lost(event: &ShardEvent) -> bool {
    matches!(event, ShardEvent::LeaseLost { .. })
}

/// `fault` at these calls, from so many seconds from now on for so long.
fn during(
    calls: &'static [&'static str],
    from_s: f64,
    lasts_s: f64,
    fault: Option<Fault>,
) -> impl FnMut(&Call) -> Option<Fault> {
    let from = Instant::now() + Duration::from_secs_f64(from_s);
    let until = from + Duration::from_secs_f64(lasts_s);
    move |call| {
        let is_hit = (from..until).contains(&call.at) && calls.contains(&call.operation.as_str());
        if is_hit { fault.clone() } else { None }
    }
}

/// What may go wrong, with answers that are late by so much, or calls that are.
fn faults(answer_s: u64, call_s: u64) -> [Option<Fault>; 8] {
    [
        error(400, "ThrottlingException"),
        error(400, "ProvisionedThroughputExceededException"),
        error(500, "InternalServerError"),
        error(503, "ServiceUnavailable"),
        Some(Fault::Reset),
        Some(Fault::LoseAnswer),
        Some(Fault::Late(Duration::from_secs(answer_s))),
        Some(Fault::LateStart(Duration::from_secs(call_s))),
    ]
}

/// A worker that has just taken the lease of the only shard.
async fn holder(world: &World) -> Worker {
    let mut worker = world.worker("a").await;
    worker.until(|told| taken(told, 0).is_some()).await;
    worker
}

#[tokio::test(start_paused = true)]
async fn a_lease_survives_every_fault_of_its_table_that_passes_in_time() {
    for fault in faults(3, 1) {
        let world = World::new(1).await;
        let mut worker = holder(&world).await;
        world.faults(during(&TABLE_CALLS, 5.0, 3.0, fault.clone()));
        for number in 0..6 {
            world.put(0, numbered("zero", number..number + 1)).await;
            pass(5).await;
        }
        let told = worker.until_records(6).await;
        assert_eq!(texts(&told)[&name(0)], numbered("zero", 0..6).collect::<Vec<_>>(), "{fault:?}");
        assert!(!told.iter().any(is_lost), "{fault:?}");
        worker.checkpoint().await.unwrap();
        let reached = worker.cut().iter().next().map(|(_, _, position)| position.clone()).unwrap();
        world.row_that(0, |row| row.checkpoint == reached).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_table_fails_for_longer_is_lost_before_another_worker_may_take_it_and_nothing_else_is() {
    // So late that nobody waits for it.
    for fault in faults(6, 6) {
        let world = World::new(1).await;
        let mut a = holder(&world).await;
        let mut b = world.worker("b").await;
        b.until(|told| shards(told, 1, 0)).await;
        let mut script = during(&TABLE_CALLS, 5.0, 40.0, fault.clone());
        world.faults(move |call| if call.caller == "a" { script(call) } else { None });
        world.put(0, numbered("zero", 0..3)).await;
        let told = b.until_records(3).await;
        let told_a = a.until(|told| told.iter().any(is_lost)).await;
        let (lost, taken) = (a.when(is_lost), b.when(|event| matches!(event, ShardEvent::LeaseTaken { .. })));
        assert!(lost < taken, "{fault:?}: two workers read one shard");
        assert_eq!(texts(&told)[&name(0)], numbered("zero", 0..3).collect::<Vec<_>>(), "{fault:?}");
        assert_eq!(texts(&told_a)[&name(0)], numbered("zero", 0..3).collect::<Vec<_>>(), "{fault:?}");
        pass(60).await;
        let lost = a.told().into_iter().chain(b.told()).filter(is_lost).count();
        assert_eq!(lost, 1, "{fault:?}: lost again, or by the other one, too");
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_read_for_a_minute_stops_neither_reading_nor_renewals() {
    let world = World::new(1).await;
    let mut worker = holder(&world).await;
    world.faults(during(&["Scan", "GetItem"], 0.0, 60.0, error(400, "ThrottlingException")));
    for number in 0..7 {
        world.put(0, numbered("zero", number..number + 1)).await;
        pass(10).await;
    }
    let told = worker.until_records(7).await;
    assert_eq!(texts(&told)[&name(0)], numbered("zero", 0..7).collect::<Vec<_>>());
    assert!(!told.iter().any(is_lost));
    let scans = world.asked("Scan").len();
    assert!(scans < 140, "{scans} scans in 70 s");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_the_worker_goes_on_from_its_last_checkpoint() {
    let world = World::new(1).await;
    world.put(0, numbered("zero", 0..3)).await;
    let mut worker = holder(&world).await;
    worker.until_records(3).await;
    worker.checkpoint().await.unwrap();
    world.row_that(0, |row| !row.checkpoint.is_start()).await;
    world.faults(during(&TABLE_CALLS, 0.0, 60.0, Some(Fault::Reset)));
    world.put(0, numbered("zero", 3..5)).await;
    pass(60).await;
    let lost = worker.until(|told| told.iter().any(is_lost)).await.len();
    let told = worker.until(|told| texts(&told[lost..]).contains_key(&name(0))).await;
    assert_eq!(texts(&told[lost..])[&name(0)], ["zero-3", "zero-4"]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_taking_got_no_answer_is_this_workers_own_at_the_next_look() {
    for fault in [Fault::LoseAnswer, Fault::Late(Duration::from_secs(5))] {
        let world = World::new(1).await;
        let mut failed = false;
        world.faults(move |call| {
            let fails = call.operation == "UpdateItem" && !std::mem::replace(&mut failed, true);
            fails.then(|| fault.clone())
        });
        let begun = Instant::now();
        let mut worker = world.worker("a").await;
        let told = worker.until(|told| taken(told, 0).is_some()).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert!(!told.iter().any(is_lost));
        pass(30).await;
        assert_eq!(worker.told().iter().filter(|event| matches!(event, ShardEvent::LeaseTaken { .. })).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_taking_that_lands_long_after_it_was_given_up_is_found_at_the_next_look() {
    let late = Duration::from_secs(8);
    let world = World::new(1).await;
    let mut first = None;
    world.faults(move |call| {
        let is_first = first.is_none();
        match call.operation == "UpdateItem" {
            true if is_first => {
                first = Some(call.at);
                Some(Fault::LateStart(late))
            }
            // Until it has landed, no other one does.
            true if first.is_some_and(|first| call.at < first + late + Duration::from_millis(100)) => {
                error(400, "ThrottlingException")
            }
            _ => None,
        }
    });
    let mut worker = world.worker("a").await;
    worker.until(|told| taken(told, 0).is_some()).await;
    let waited = world.asked("UpdateItem")[0].at.elapsed();
    assert!((late..late + Duration::from_secs(2)).contains(&waited), "{waited:?}");
    world.put(0, numbered("zero", 0..3)).await;
    let told = worker.until_records(3).await;
    let takes =
        |event: &&ShardEvent| matches!(event, ShardEvent::LeaseTaken { epoch: 2, from: TakenFrom::HandOver, .. });
    assert_eq!(told.iter().filter(takes).count(), 1, "the second time, after the late one");
    pass(30).await;
    assert!(!worker.told().iter().any(is_lost));
}

#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_written_hold_back_no_other() {
    for unwritable in [[0, 1], [2, 3], [4, 5]] {
        let world = World::new(6).await;
        let keys = unwritable.map(name);
        world.faults(move |call| {
            let key = call.input["Key"]["leaseKey"]["S"].as_str().unwrap_or_default().to_owned();
            if keys.contains(&key) && call.operation == "UpdateItem" { error(400, "ThrottlingException") } else { None }
        });
        let mut worker = world.worker("a").await;
        pass(8).await;
        let told = worker.told();
        let untaken: Vec<u32> = (0..6).filter(|shard| taken(&told, *shard).is_none()).collect();
        assert_eq!(untaken, unwritable);
        world.faults(|_| None);
        worker.until(|told| shards(told, 6, 0)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rows_whose_making_got_no_answer_are_there_and_made_once() {
    let world = World::new(4).await;
    world.faults(|call| (call.operation == "PutItem").then_some(Fault::LoseAnswer));
    let mut worker = world.worker("a").await;
    worker.until(|told| shards(told, 4, 0)).await;
    assert_eq!(world.rows().await.len(), 4);
    assert_eq!(world.asked("PutItem").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_release_that_gets_no_answer_frees_the_lease_all_the_same() {
    let world = World::new(1).await;
    let mut a = holder(&world).await;
    let mut b = world.worker("b").await;
    b.until(|told| shards(told, 1, 0)).await;
    a.drain().await;
    let mut script = during(&WRITES, 0.0, 60.0, Some(Fault::LoseAnswer));
    world.faults(move |call| if call.caller == "a" { script(call) } else { None });
    let released = Instant::now();
    a.source.release().await.unwrap_err();
    b.until(|told| taken(told, 0).is_some()).await;
    assert!(released.elapsed() < Duration::from_secs(2), "{:?}", released.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_release_takes_two_seconds_at_the_most_however_slow_the_table_is() {
    let world = World::new(40).await;
    let mut worker = world.worker("a").await;
    worker.until(|told| shards(told, 40, 0)).await;
    worker.drain().await;
    world.faults(during(&WRITES, 0.0, 3_600.0, Some(Fault::Late(Duration::from_secs(60)))));
    let begun = Instant::now();
    worker.source.release().await.unwrap_err();
    assert!(begun.elapsed() <= Duration::from_millis(2_050), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_at_once_though_the_table_does_not_answer() {
    let world = World::new(1).await;
    let mut params = world.params("a").await;
    // Longer than any look at the table takes.
    params.failover_after = Duration::from_secs(120);
    world.faults(during(&TABLE_CALLS, 0.0, 3_600.0, Some(Fault::Late(Duration::from_secs(3_600)))));
    let mut worker = start(params, at_once());
    pass(2).await;
    let begun = Instant::now();
    worker.drain().await;
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_is_left_alone_and_holds_back_no_other() {
    let world = World::new(3).await;
    let text = |text: &str| AttributeValue::S(text.into());
    let row = [
        ("leaseKey", text(&name(1))),
        ("checkpoint", text("yesterday")),
        ("leaseCounter", AttributeValue::N("7".into())),
    ];
    world.leases().await;
    let put = world.dynamodb("test").put_item().table_name(TABLE);
    let row = row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    put.set_item(Some(row)).send().await.unwrap();
    let mut worker = world.worker("a").await;
    worker.until(|told| shards(told, 3, 1)).await;
    for shard in 0..3 {
        world.put(shard, numbered("text", 0..3)).await;
    }
    let told = worker.until_records(6).await;
    assert_eq!(texts(&told).into_keys().collect::<Vec<_>>(), [name(0), name(2)]);
    pass(3 * FAILOVER.as_secs()).await;
    let unreadable = world.table().await.unreadable;
    assert_eq!(unreadable.len(), 1);
    assert!(unreadable[0].why.contains("yesterday"));
    assert_eq!(taken(&worker.told(), 1), None);
}
