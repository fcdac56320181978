use futures::future::join_all;

use super::*;
use crate::kinesis::subscription::script::{CONSUMER, Reply, Service, consumer};

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_there_is_used_and_looked_for_once_by_all_readers() {
    let service = Service::new(|_, _| None);
    let found = Consumer::new(service.stream(), "c");
    let readers = join_all((0..50).map(|_| found.arn())).await;
    assert!(readers.into_iter().all(|arn| arn == Ok(CONSUMER.into())));
    assert_eq!(service.calls("DescribeStreamConsumer").len(), 1);
    let asked = &service.calls("DescribeStreamConsumer")[0].body;
    assert_eq!(
        (&asked["ConsumerName"], &asked["StreamARN"]),
        (&"c".into(), &"arn:aws:kinesis:us-east-1:000000000000:stream/s".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_not_there_is_registered_and_waited_for_until_it_is_active() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("DescribeStreamConsumer", 0) => Some(Reply::Refusal("ResourceNotFoundException")),
        ("DescribeStreamConsumer", 1..5) => Some(consumer("CREATING")),
        // Another worker was faster.
        ("RegisterStreamConsumer", _) => Some(Reply::Refusal("ResourceInUseException")),
        _ => None,
    });
    assert_eq!(Consumer::new(service.stream(), "c").arn().await, Ok(CONSUMER.into()));
    assert_eq!(service.calls("RegisterStreamConsumer").len(), 1);
    assert_eq!(service.calls("DescribeStreamConsumer").len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_never_becomes_active_is_given_up_after_half_a_minute_and_tried_again() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("DescribeStreamSummary", 0) => None,
        ("DescribeStreamConsumer", _) if before < 1000 => Some(consumer("CREATING")),
        _ => None,
    });
    let consumer = Consumer::new(service.stream(), "c");
    let fault = consumer.arn().await.unwrap_err();
    assert_eq!(fault, Fault::Passing("the consumer c is still CREATING after 30 s".into()));
    let calls = service.calls("DescribeStreamConsumer");
    assert!(calls.last().unwrap().at <= Duration::from_secs(40), "{:?}", calls.last());
    // Whoever asks at once hears the same; the service does not.
    assert_eq!(consumer.arn().await, Err(fault.clone()));
    assert_eq!(service.calls("DescribeStreamConsumer").len(), calls.len());
    sleep(ASK_AGAIN_AFTER).await;
    assert_eq!(consumer.arn().await, Err(fault));
    assert!(service.calls("DescribeStreamConsumer").len() > calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_was_deregistered_is_forgotten_and_one_that_is_there_is_not() {
    let service = Service::new(|operation, before| match (operation, before) {
        ("DescribeStreamConsumer", 2) => Some(Reply::Refusal("ResourceNotFoundException")),
        ("DescribeStreamConsumer", 3) => Some(Reply::Refusal("LimitExceededException")),
        _ => None,
    });
    let consumer = Consumer::new(service.stream(), "c");
    consumer.arn().await.unwrap();
    assert_eq!(consumer.is_there(CONSUMER).await, Ok(true));
    assert_eq!(consumer.is_there(CONSUMER).await, Ok(false));
    let throttled = consumer.arn().await.unwrap_err();
    assert_eq!(throttled, Fault::Passing("LimitExceededException: no".into()));
    sleep(ASK_AGAIN_AFTER).await;
    assert_eq!(consumer.arn().await, Ok(CONSUMER.into()));
    assert_eq!(consumer.is_there("an older one").await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn without_a_stream_there_is_no_consumer() {
    let service = Service::new(|_, _| Some(Reply::Refusal("ResourceNotFoundException")));
    let fault = Consumer::new(service.stream(), "c").arn().await.unwrap_err();
    assert_eq!(fault, Fault::NotFound("ResourceNotFoundException: no".into()));
}
