//! Subscriptions to shards, in virtual time.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::subscribe_to_shard::{SubscribeToShardError, SubscribeToShardOutput};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream};
use fake_aws::FakeAws;
use tokio::time::Instant;

const SHARD: &str = "shardId-000000000000";

struct World {
    client: Client,
    consumer: String,
}

impl World {
    async fn new() -> Self {
        let client = super::kinesis(&FakeAws::new(), "reader");
        client.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
        let summary = client.describe_stream_summary().stream_name("s").send().await.unwrap();
        let arn = summary.stream_description_summary.unwrap().stream_arn;
        let registered = client.register_stream_consumer().stream_arn(arn).consumer_name("app").send().await.unwrap();
        Self { client, consumer: registered.consumer.unwrap().consumer_arn }
    }

    async fn subscribe(&self) -> Result<SubscribeToShardOutput, SubscribeToShardError> {
        let start = StartingPosition::builder().r#type(ShardIteratorType::Latest).build().unwrap();
        let subscribe = self.client.subscribe_to_shard().consumer_arn(&self.consumer).shard_id(SHARD);
        subscribe.starting_position(start).send().await.map_err(|error| error.into_service_error())
    }

    async fn put(&self) {
        self.client.put_record().stream_name("s").partition_key("p").data(Blob::new("x")).send().await.unwrap();
    }
}

/// The next event; none when the subscription is over.
async fn next(subscription: &mut SubscribeToShardOutput) -> Option<SubscribeToShardEvent> {
    match subscription.event_stream.recv().await.unwrap()? {
        SubscribeToShardEventStream::SubscribeToShardEvent(event) => Some(event),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_beats_each_second_for_five_minutes() {
    let world = World::new().await;
    let start = Instant::now();
    let mut subscription = world.subscribe().await.unwrap();
    let mut beats = 0;
    while let Some(event) = next(&mut subscription).await {
        assert!(event.records.is_empty());
        beats += 1;
    }
    assert_eq!((beats, start.elapsed().as_secs()), (300, 300));
}

#[tokio::test(start_paused = true)]
async fn a_record_is_pushed_at_once_and_the_end_too() {
    let world = World::new().await;
    let mut subscription = world.subscribe().await.unwrap();
    next(&mut subscription).await.unwrap();
    let start = Instant::now();
    world.put().await;
    assert_eq!(next(&mut subscription).await.unwrap().records.len(), 1);
    world.client.split_shard().stream_name("s").shard_to_split(SHARD).new_starting_hash_key("9").send().await.unwrap();
    assert_eq!(next(&mut subscription).await.unwrap().child_shards().len(), 2);
    assert!(next(&mut subscription).await.is_none());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_later_subscription_takes_over_after_five_seconds() {
    let world = World::new().await;
    let mut first = world.subscribe().await.unwrap();
    next(&mut first).await.unwrap();
    tokio::time::sleep(Duration::from_millis(4999)).await;
    assert!(world.subscribe().await.unwrap_err().is_resource_in_use_exception());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut second = world.subscribe().await.unwrap();
    world.put().await;
    let over = loop {
        match first.event_stream.recv().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ends without a word"),
            Err(error) => break error.into_service_error(),
        }
    };
    assert!(matches!(over, SubscribeToShardEventStreamError::ResourceInUseException(_)), "{over:?}");
    assert_eq!(next(&mut second).await.unwrap().records.len(), 1);
}
