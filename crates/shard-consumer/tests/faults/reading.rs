//! Calls that fail while a shard is read.

use std::sync::Arc;
use std::time::Duration;

use fake_aws::Fault;
use serde_json::{Value, json};
use shard_consumer::ShardEvent;

use crate::wire::edited;
use crate::worker::{at_once, name, numbered, texts};
use crate::world::{World, error, kinesis, owner, pass, start};

fn is_lost(event: &ShardEvent) -> bool {
    matches!(event, ShardEvent::LeaseLost { .. })
}

#[tokio::test(start_paused = true)]
async fn no_fault_of_a_call_loses_or_repeats_a_record_and_the_next_call_goes_on_with_the_same_iterator() {
    let faults = [
        error(400, "ProvisionedThroughputExceededException"),
        error(400, "KMSThrottlingException"),
        error(400, "LimitExceededException"),
        error(500, "InternalFailure"),
        error(503, "ServiceUnavailable"),
        Some(Fault::Reset),
        Some(Fault::LoseAnswer),
        Some(Fault::Late(Duration::from_secs(15))),
        Some(Fault::LateStart(Duration::from_secs(15))),
    ];
    for fault in faults {
        let world = World::new(1).await;
        let (mut calls, script) = (0, fault.clone());
        world.faults(move |call| {
            calls += usize::from(call.operation == "GetRecords");
            if call.operation == "GetRecords" && calls.is_multiple_of(2) { script.clone() } else { None }
        });
        let mut worker = world.worker("a").await;
        for number in 0..10 {
            world.put(0, numbered("zero", number..number + 1)).await;
            pass(3).await;
        }
        let told = worker.until_records(10).await;
        assert_eq!(texts(&told)[&name(0)], numbered("zero", 0..10).collect::<Vec<_>>(), "{fault:?}");
        let iterators = world.asked_for("GetRecords", "ShardIterator");
        assert!(iterators.len() >= 4, "{fault:?}");
        assert!(
            iterators.chunks_exact(2).skip(1).all(|calls| calls[0] != calls[1]),
            "{fault:?}: each call was repeated"
        );
        assert!(iterators[1..].chunks_exact(2).all(|calls| calls[0] == calls[1]), "{fault:?}");
        assert_eq!(world.asked("GetShardIterator").len(), 1, "{fault:?}");
        assert!(!told.iter().any(is_lost), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_that_take_eight_seconds_are_waited_for() {
    let world = World::new(1).await;
    world.faults(|call| (call.operation == "GetRecords").then_some(Fault::Late(Duration::from_secs(8))));
    let mut worker = world.worker("a").await;
    for number in 0..5 {
        world.put(0, numbered("zero", number..number + 1)).await;
        pass(10).await;
    }
    let told = worker.until_records(5).await;
    assert_eq!(texts(&told)[&name(0)], numbered("zero", 0..5).collect::<Vec<_>>());
    assert!(!told.iter().any(is_lost));
}

/// The kinds of iterators that were asked for, with the records that they name.
fn iterators(world: &World) -> Vec<(Value, Value)> {
    let asked = world.asked("GetShardIterator").into_iter();
    asked
        .map(|mut call| (call.input["ShardIteratorType"].take(), call.input["StartingSequenceNumber"].take()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_iterator_that_expired_or_is_garbage_is_replaced_by_one_at_the_last_record() {
    for code in ["ExpiredIteratorException", "InvalidArgumentException"] {
        let world = World::new(1).await;
        let mut calls = 0;
        world.faults(move |call| {
            calls += usize::from(call.operation == "GetRecords");
            if call.operation == "GetRecords" && calls == 3 { error(400, code) } else { None }
        });
        world.put(0, numbered("zero", 0..2)).await;
        let mut worker = world.worker("a").await;
        let told = worker.until_records(2).await;
        let last = told.iter().rev().find_map(|event| match event {
            ShardEvent::Batch(batch) => batch.records.last().map(|record| record.sequence_number.to_string()),
            _ => None,
        });
        pass(10).await;
        world.put(0, numbered("zero", 2..3)).await;
        let told = worker.until_records(3).await;
        assert_eq!(texts(&told)[&name(0)], numbered("zero", 0..3).collect::<Vec<_>>(), "{code}");
        let expected = [(json!("TRIM_HORIZON"), Value::Null), (json!("AT_SEQUENCE_NUMBER"), json!(last))];
        assert_eq!(iterators(&world), expected, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_delivery_that_took_six_minutes_reading_goes_on_with_a_new_iterator_under_the_same_tenure() {
    let world = World::new(1).await;
    world.put(0, numbered("zero", 0..2)).await;
    let slow = Arc::new(|event: &ShardEvent| {
        let is_first = matches!(event, ShardEvent::Batch(batch) if batch.records.len() == 2);
        Box::pin(async move { pass(if is_first { 360 } else { 0 }).await }) as _
    });
    let mut worker = world.worker_that("a", slow).await;
    pass(5).await;
    world.put(0, numbered("zero", 2..5)).await;
    let told = worker.until_records(5).await;
    assert_eq!(texts(&told)[&name(0)], numbered("zero", 0..5).collect::<Vec<_>>());
    assert_eq!(iterators(&world).len(), 2);
    assert!(!told.iter().any(is_lost));
    assert_eq!(owner(&world.row(0).await), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn an_iterator_that_always_fails_is_replaced_and_the_client_repeats_nothing_by_itself() {
    let world = World::new(1).await;
    world.put(0, numbered("zero", 0..1)).await;
    let mut calls = 0;
    world.faults(move |call| {
        calls += usize::from(call.operation == "GetRecords");
        if call.operation == "GetRecords" && calls <= 3 { error(500, "InternalFailure") } else { None }
    });
    let mut worker = world.worker("a").await;
    worker.until_records(1).await;
    assert_eq!((world.asked("GetShardIterator").len(), world.asked("GetRecords").len()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn an_iterator_that_is_not_found_is_replaced_where_the_shard_is_listed() {
    let world = World::new(1).await;
    world.put(0, numbered("zero", 0..1)).await;
    let mut calls = 0;
    world.faults(move |call| {
        calls += usize::from(call.operation == "GetRecords");
        if call.operation == "GetRecords" && calls == 2 { error(400, "ResourceNotFoundException") } else { None }
    });
    let mut worker = world.worker("a").await;
    worker.until_records(1).await;
    world.put(0, numbered("zero", 1..2)).await;
    let told = worker.until_records(2).await;
    assert_eq!(texts(&told)[&name(0)], ["zero-0", "zero-1"]);
    assert_eq!(world.asked("GetShardIterator").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_last_page_of_a_shard_that_is_listed_as_open_is_not_its_end() {
    let world = World::new(1).await;
    world.put(0, numbered("zero", 0..1)).await;
    let mut pages = 0;
    let http = edited(world.fake.http_client(), move |operation, message| {
        if operation == "GetRecords" && message.get("Records").is_some() {
            pages += 1;
            if pages == 1 {
                message.as_object_mut().unwrap().remove("NextShardIterator");
            }
        }
    });
    let mut params = world.params("a").await;
    params.client = kinesis(http, "a");
    let mut worker = start(params, at_once());
    worker.until_records(1).await;
    world.put(0, numbered("zero", 1..2)).await;
    let told = worker.until_records(2).await;
    assert_eq!(texts(&told)[&name(0)], ["zero-0", "zero-1"]);
    assert!(!told.iter().any(|event| matches!(event, ShardEvent::Finished { .. })));
    assert_eq!(iterators(&world)[1].0, "AT_SEQUENCE_NUMBER");
}
