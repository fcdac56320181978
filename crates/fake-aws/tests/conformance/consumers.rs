//! What a consumer relies upon in enhanced fan-out.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream};

use crate::shards::Stream;
use crate::worlds::refused;

impl Stream {
    async fn arn(&self) -> String {
        let summary = self.client.describe_stream_summary().stream_name(self.name).send().await.unwrap();
        summary.stream_description_summary.unwrap().stream_arn
    }

    /// Registers a consumer, and waits until it may subscribe; gives its ARN.
    pub(crate) async fn register(&self, consumer: &str) -> String {
        let register = self.client.register_stream_consumer().stream_arn(self.arn().await).consumer_name(consumer);
        let arn = register.send().await.unwrap().consumer.unwrap().consumer_arn;
        for _ in 0..200 {
            let described = self.client.describe_stream_consumer().consumer_arn(&arn).send().await.unwrap();
            if described.consumer_description.unwrap().consumer_status.as_str() == "ACTIVE" {
                return arn;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the consumer does not become active")
    }
}

pub(crate) async fn a_consumer_is_registered_once(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let arn = stream.arn().await;
    let describe = |consumer| stream.client.describe_stream_consumer().stream_arn(&arn).consumer_name(consumer).send();
    assert_eq!(refused(describe("app").await), "ResourceNotFoundException");
    let consumer = stream.register("app").await;
    let described = describe("app").await.unwrap().consumer_description.unwrap();
    assert_eq!(described.consumer_arn, consumer);
    let again = stream.client.register_stream_consumer().stream_arn(&arn).consumer_name("app").send().await;
    assert_eq!(refused(again), "ResourceInUseException");
}

const FIRST: &str = "shardId-000000000000";

type EventReceiver = aws_sdk_kinesis::primitives::event_stream::EventReceiver<
    SubscribeToShardEventStream,
    aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError,
>;

fn at_horizon() -> StartingPosition {
    StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().unwrap()
}

/// Reads a subscription until it has told enough; gives the texts and the last event.
async fn told(
    events: &mut EventReceiver,
    enough: impl Fn(&[String], &SubscribeToShardEvent) -> bool,
) -> (Vec<String>, SubscribeToShardEvent) {
    let (mut texts, mut position) = (Vec::new(), String::new());
    let telling = async {
        loop {
            let event = events.recv().await.unwrap().expect("a subscription does not end before");
            let SubscribeToShardEventStream::SubscribeToShardEvent(event) = event else { panic!("{event:?}") };
            texts.extend(event.records.iter().map(|record| String::from_utf8(record.data.as_ref().to_vec()).unwrap()));
            if enough(&texts, &event) {
                return event;
            }
            assert!(event.continuation_sequence_number >= position);
            position.clone_from(&event.continuation_sequence_number);
        }
    };
    let last = tokio::time::timeout(Duration::from_secs(15), telling).await.expect("it should be told");
    (texts, last)
}

pub(crate) async fn a_subscription_tells_what_comes(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let consumer = stream.register("app").await;
    stream.put("0", &["one"]).await;
    let subscribe = stream.client.subscribe_to_shard().consumer_arn(&consumer).shard_id(FIRST);
    let mut events = subscribe.starting_position(at_horizon()).send().await.unwrap().event_stream;
    assert_eq!(told(&mut events, |texts, _| texts.len() == 1).await.0, ["one"]);
    let (_, beat) = told(&mut events, |_, event| event.records.is_empty()).await;
    assert_eq!(beat.millis_behind_latest, 0);
    stream.put("0", &["two"]).await;
    assert_eq!(told(&mut events, |texts, _| texts.len() == 1).await.0, ["two"]);
    // The place that a beat names is one to go on from.
    let get = stream.client.get_shard_iterator().stream_name(name).shard_id(FIRST);
    let get = get.shard_iterator_type(ShardIteratorType::AfterSequenceNumber);
    let got = get.starting_sequence_number(beat.continuation_sequence_number).send().await.unwrap();
    let read = stream.client.get_records().shard_iterator(got.shard_iterator.unwrap()).send().await.unwrap();
    assert_eq!(read.records.len(), 1);
}

pub(crate) async fn a_subscription_to_a_closed_shard_tells_its_children(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let consumer = stream.register("app").await;
    stream.put("0", &["one"]).await;
    stream.split(0, "1000").await;
    let subscribe = stream.client.subscribe_to_shard().consumer_arn(&consumer).shard_id(FIRST);
    let mut events = subscribe.starting_position(at_horizon()).send().await.unwrap().event_stream;
    let (texts, last) = told(&mut events, |_, event| !event.child_shards().is_empty()).await;
    assert_eq!(texts, ["one"]);
    let children: Vec<_> = last.child_shards().iter().map(|child| child.shard_id.as_str()).collect();
    assert_eq!(children, ["shardId-000000000001", "shardId-000000000002"]);
}

pub(crate) async fn a_second_subscription_is_refused_at_first(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let consumer = stream.register("app").await;
    let subscribe = || {
        let subscribe = stream.client.subscribe_to_shard().consumer_arn(&consumer).shard_id(FIRST);
        subscribe.starting_position(at_horizon()).send()
    };
    let _first = subscribe().await.unwrap();
    assert_eq!(refused(subscribe().await), "ResourceInUseException");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(refused(subscribe().await), "accepted");
}
