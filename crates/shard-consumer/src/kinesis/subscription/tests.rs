use bytes::Bytes;
use fake_aws::push::{event, exception, initial_response};
use futures::FutureExt;
use serde_json::{Value, json};
use tokio::time::advance;

use super::script::{Call, Reply, Service, Then, consumer, push};
use super::*;
use crate::kinesis::stream::Shard;

const IN_USE: Reply = Reply::Refusal("ResourceInUseException");
const NOT_FOUND: Reply = Reply::Refusal("ResourceNotFoundException");

fn after(sequence: &str) -> Position {
    Position::After { sequence: sequence.into(), sub_sequence: 0 }
}

/// An event with these records, to be continued after `continuation`.
fn records(sequences: &[u32], continuation: u32) -> Bytes {
    let records = sequences.iter().map(|sequence| {
        json!({
            "SequenceNumber": sequence.to_string(), "PartitionKey": "p", "Data": "eA==",
            "ApproximateArrivalTimestamp": 1.5,
        })
    });
    event(&json!({
        "Records": records.collect::<Vec<Value>>(),
        "ContinuationSequenceNumber": continuation.to_string(),
        "MillisBehindLatest": 7,
    }))
}

/// A subscription that sends these messages, the first at once.
fn subscribed(messages: impl IntoIterator<Item = (u64, Bytes)>, then: Then) -> Option<Reply> {
    let first = [(0, initial_response())];
    Some(push(first.into_iter().chain(messages).collect(), then))
}

/// `calls` answers the nth call to SubscribeToShard; the consumer is there.
fn reader<F>(service: &std::sync::Arc<Service<F>>, from: Position) -> Subscription
where
    F: Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static,
{
    let stream = service.stream();
    Subscription::new(stream.clone(), Consumer::new(stream, "c"), Budget::new(), "shardId-0".into(), from)
}

/// The sequence numbers of the next page, which is one of records.
async fn next(reader: &mut Subscription) -> Vec<String> {
    match reader.next().await {
        Page::Records { records, ended: None, behind_latest_ms: 7, .. } => {
            records.into_iter().map(|record| record.sequence_number.into()).collect()
        }
        Page::Records { ended, behind_latest_ms, .. } => panic!("{ended:?} {behind_latest_ms}"),
        Page::Gone => panic!("gone"),
        Page::StartedOver => panic!("started over"),
    }
}

fn start(call: &Call) -> (&str, &str) {
    let start = &call.body["StartingPosition"];
    (start["Type"].as_str().unwrap(), start["SequenceNumber"].as_str().unwrap_or(""))
}

/// When the calls were made, in whole seconds.
fn seconds(calls: &[Call]) -> Vec<u64> {
    calls.iter().map(|call| call.at.as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_ends_after_five_minutes_is_renewed_at_once_where_it_has_come_to() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", 0) => {
            let empty = (1..=60).map(|beat| (5, records(&[], 100 + beat)));
            subscribed([(0, records(&[3, 4], 4))].into_iter().chain(empty), Then::Close)
        }
        ("SubscribeToShard", _) => subscribed([(0, records(&[200], 200))], Then::Silence),
        _ => None,
    });
    let mut reader = reader(&service, after("3"));
    assert_eq!(next(&mut reader).await, ["3", "4"]);
    for _ in 0..60 {
        assert!(next(&mut reader).await.is_empty());
    }
    // The continuation is not a position: no record has it.
    assert_eq!(reader.position, after("4"));
    assert_eq!(next(&mut reader).await, ["200"]);
    assert_eq!(reader.position, after("200"));
    let calls = service.calls("SubscribeToShard");
    assert_eq!(seconds(&calls), [0, 300]);
    assert_eq!([start(&calls[0]), start(&calls[1])], [("AT_SEQUENCE_NUMBER", "3"), ("AFTER_SEQUENCE_NUMBER", "160")]);
    assert_eq!(calls[0].body["ConsumerARN"], script::CONSUMER);
}

#[tokio::test(start_paused = true)]
async fn half_a_minute_of_silence_is_a_dead_connection_and_less_is_not() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", 0) => subscribed([(29, records(&[1], 1)), (29, records(&[2], 2))], Then::Silence),
        ("SubscribeToShard", _) => subscribed([(0, records(&[3], 3))], Then::Silence),
        _ => None,
    });
    let mut reader = reader(&service, Position::TrimHorizon);
    for sequence in ["1", "2", "3"] {
        assert_eq!(next(&mut reader).await, [sequence]);
    }
    let calls = service.calls("SubscribeToShard");
    assert_eq!(seconds(&calls), [0, 29 + 29 + 30]);
    assert_eq!([start(&calls[0]), start(&calls[1])], [("TRIM_HORIZON", ""), ("AFTER_SEQUENCE_NUMBER", "2")]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_waits_for_minutes_is_not_silence() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", 0) => subscribed((1..=20).map(|n| (0, records(&[n], n))), Then::Silence),
        _ => None,
    });
    let mut reader = reader(&service, Position::TrimHorizon);
    for sequence in 1..=20 {
        assert_eq!(next(&mut reader).await, [sequence.to_string()]);
        advance(Duration::from_secs(200)).await;
    }
    assert_eq!(service.calls("SubscribeToShard").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_another_subscription_stands_there_is_one_call_every_one_to_two_seconds() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", ..20) => Some(IN_USE),
        // Some refusals come as an event.
        ("SubscribeToShard", 20) => {
            subscribed([(0, exception("ResourceInUseException", "another took over"))], Then::Close)
        }
        ("SubscribeToShard", _) => subscribed([(0, records(&[1], 1))], Then::Silence),
        _ => None,
    });
    assert_eq!(next(&mut reader(&service, Position::TrimHorizon)).await, ["1"]);
    let at: Vec<u128> = service.calls("SubscribeToShard").iter().map(|call| call.at.as_millis()).collect();
    let waits: Vec<u128> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The last of the calls that were refused had gone well at first.
    let (last, refused) = waits.split_last().unwrap();
    assert!(refused.len() == 20 && refused.iter().all(|wait| (1050..=2051).contains(wait)), "{waits:?}");
    assert_eq!(*last, 5000);
}

#[tokio::test(start_paused = true)]
async fn errors_resets_and_broken_messages_lose_nothing() {
    let broken = records(&[9], 9).slice(..20);
    let cases: [(Option<Bytes>, Then); 6] = [
        (Some(exception("InternalFailureException", "oh")), Then::Close),
        (Some(exception("KMSThrottlingException", "slow")), Then::Close),
        (Some(exception("SomethingNew", "?")), Then::Close),
        (Some(broken), Then::Close),
        (None, Then::Reset),
        (None, Then::Close),
    ];
    for (last, then) in cases {
        let named = format!("{last:?}");
        let service = Service::new(move |operation, before| match (operation, before) {
            ("SubscribeToShard", 0) => {
                let last = last.clone().map(|last| (6, last));
                subscribed([(0, records(&[1], 1)), (0, records(&[], 5))].into_iter().chain(last), then)
            }
            ("SubscribeToShard", 1) => Some(Reply::Refusal("LimitExceededException")),
            ("SubscribeToShard", _) => subscribed([(0, records(&[6], 6))], Then::Silence),
            _ => None,
        });
        let mut reader = reader(&service, Position::AtTimestamp(1500));
        assert_eq!(next(&mut reader).await, ["1"], "{named}");
        assert_eq!(next(&mut reader).await, [""; 0], "{named}");
        assert_eq!(next(&mut reader).await, ["6"], "{named}");
        let calls = service.calls("SubscribeToShard");
        assert_eq!(calls[0].body["StartingPosition"], json!({"Type": "AT_TIMESTAMP", "Timestamp": 1.5}));
        assert_eq!(calls[1..].iter().map(start).collect::<Vec<_>>(), [("AFTER_SEQUENCE_NUMBER", "5"); 2], "{named}");
        assert!(calls[2].at < Duration::from_secs(9), "{named}: {:?}", calls[2].at);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_given_up_after_ten_seconds() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", 0) => Some(Reply::Never),
        // Headers, but no message.
        ("SubscribeToShard", 1) => Some(push(vec![], Then::Silence)),
        ("SubscribeToShard", _) => subscribed([(0, records(&[1], 1))], Then::Silence),
        _ => None,
    });
    assert_eq!(next(&mut reader(&service, Position::TrimHorizon)).await, ["1"]);
    let at = seconds(&service.calls("SubscribeToShard"));
    assert!(at[1] == 10 && (20..=21).contains(&at[2]), "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_shard_tells_its_children() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", 0) => {
            let child = json!({
                "ShardId": "shardId-2", "ParentShards": ["shardId-0", "shardId-1"],
                "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
            });
            let end = event(&json!({"Records": [], "MillisBehindLatest": 0, "ChildShards": [child]}));
            subscribed([(0, records(&[1], 1)), (0, end)], Then::Close)
        }
        // Should the shard not have ended after all.
        ("SubscribeToShard", _) => subscribed([(0, records(&[2], 2))], Then::Silence),
        _ => None,
    });
    let mut reader = reader(&service, Position::TrimHorizon);
    assert_eq!(next(&mut reader).await, ["1"]);
    let Page::Records { ended, .. } = reader.next().await else { panic!("an event") };
    let hash_keys = Some(("0".into(), "9".into()));
    let parents = vec!["shardId-0".into(), "shardId-1".into()];
    assert_eq!(ended, Some(vec![Shard { id: "shardId-2".into(), parents, hash_keys, open: true }]));
    assert_eq!(reader.position, after("1"));
    assert_eq!(next(&mut reader).await, ["2"]);
    assert_eq!(start(&service.calls("SubscribeToShard")[1]), ("AFTER_SEQUENCE_NUMBER", "1"));
}

#[tokio::test(start_paused = true)]
async fn a_sequence_number_that_is_gone_starts_over_and_a_time_in_the_future_is_waited_for() {
    let service = || {
        Service::new(|operation, before| match (operation, before) {
            ("SubscribeToShard", ..3) => Some(Reply::Refusal("InvalidArgumentException")),
            ("SubscribeToShard", _) => subscribed([(0, records(&[8], 8))], Then::Silence),
            _ => None,
        })
    };
    let mut trimmed = reader(&service(), after("5"));
    assert!(matches!(trimmed.next().await, Page::StartedOver));
    assert_eq!(trimmed.position, Position::TrimHorizon);
    assert_eq!(next(&mut trimmed).await, ["8"]);
    assert_eq!(next(&mut reader(&service(), Position::AtTimestamp(9))).await, ["8"]);
}

#[tokio::test(start_paused = true)]
async fn the_record_that_a_tenure_starts_at_does_not_take_the_position_back_within_it() {
    let service = Service::new(|operation, _| match operation {
        "SubscribeToShard" => subscribed([(0, records(&[5], 5)), (0, records(&[6], 6))], Then::Silence),
        _ => None,
    });
    let within = Position::After { sequence: "5".into(), sub_sequence: 2 };
    let mut reader = reader(&service, within.clone());
    assert_eq!(next(&mut reader).await, ["5"]);
    assert_eq!(reader.position, within);
    assert_eq!(next(&mut reader).await, ["6"]);
    assert_eq!(reader.position, after("6"));
}

#[tokio::test(start_paused = true)]
async fn a_continuation_that_is_refused_falls_back_to_the_position() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", 0) => subscribed([(0, records(&[4], 6))], Then::Close),
        ("SubscribeToShard", 1) => Some(Reply::Refusal("InvalidArgumentException")),
        ("SubscribeToShard", _) => subscribed([(0, records(&[4, 5], 5))], Then::Silence),
        _ => None,
    });
    let mut reader = reader(&service, Position::TrimHorizon);
    assert_eq!(next(&mut reader).await, ["4"]);
    assert_eq!(next(&mut reader).await, ["4", "5"]);
    let calls = service.calls("SubscribeToShard");
    assert_eq!([start(&calls[1]), start(&calls[2])], [("AFTER_SEQUENCE_NUMBER", "6"), ("AT_SEQUENCE_NUMBER", "4")]);
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_gone_only_if_the_consumer_is_there() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", 0 | 2) => Some(NOT_FOUND),
        ("SubscribeToShard", 1) => {
            subscribed([(0, exception("ResourceNotFoundException", "deregistered"))], Then::Close)
        }
        ("SubscribeToShard", _) => subscribed([(0, records(&[1], 1))], Then::Silence),
        // Asked for by name, and then after each of the three failures; registered anew after the second one.
        ("DescribeStreamConsumer", 1) => Some(Reply::Refusal("LimitExceededException")),
        ("DescribeStreamConsumer", 2 | 3) => Some(NOT_FOUND),
        ("RegisterStreamConsumer", _) => Some(consumer("CREATING")),
        _ => None,
    });
    let mut reader = reader(&service, Position::TrimHorizon);
    assert!(matches!(reader.next().await, Page::Gone));
    assert_eq!(service.calls("SubscribeToShard").len(), 3);
    assert_eq!(service.calls("RegisterStreamConsumer").len(), 1);
    // Should the shard be listed all the same.
    assert_eq!(next(&mut reader).await, ["1"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_waits_for_room_and_comes_again_if_nobody_waited_for_it() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("SubscribeToShard", 0) => subscribed((1..=65).map(|n| (0, records(&[n], n))), Then::Silence),
        ("SubscribeToShard", _) => subscribed([(0, records(&[65], 65))], Then::Silence),
        _ => None,
    });
    let mut reader = reader(&service, Position::TrimHorizon);
    let mut pages = Vec::new();
    for _ in 0..64 {
        pages.push(reader.next().await);
    }
    // A mebibyte each: the budget is used up.
    assert!(timeout(Duration::from_secs(20), reader.next()).await.is_err());
    assert_eq!(reader.position, after("64"));
    pages.pop();
    assert_eq!(next(&mut reader).await, ["65"]);
    assert_eq!(start(&service.calls("SubscribeToShard")[1]), ("AFTER_SEQUENCE_NUMBER", "64"));
    assert!(reader.next().now_or_never().is_none());
}
