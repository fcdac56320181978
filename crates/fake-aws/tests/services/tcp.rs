//! The services over TCP.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use fake_aws::{FakeAws, Fault};

/// A client that does not repeat.
fn client(endpoint: String) -> Client {
    let config = super::kinesis(&FakeAws::new(), "tcp").config().to_builder();
    let http = aws_smithy_http_client::Builder::new().build_http();
    Client::from_conf(config.http_client(http).endpoint_url(endpoint).retry_config(RetryConfig::disabled()).build())
}

#[tokio::test]
async fn the_services_answer_until_they_are_dropped() {
    let fake = FakeAws::new();
    let served = fake.serve().await.unwrap();
    let client = client(served.endpoint());
    client.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
    let entry = PutRecordsRequestEntry::builder().data(Blob::new(vec![7; 900_000])).partition_key("p").build().unwrap();
    let put = client.put_records().stream_name("s").set_records(Some(vec![entry; 10]));
    assert_eq!(put.send().await.unwrap().records.len(), 10);
    // The in-process door leads to the same stream.
    assert_eq!(super::kinesis(&fake, "x").list_shards().stream_name("s").send().await.unwrap().shards().len(), 1);

    drop(served);
    let late = tokio::time::timeout(Duration::from_secs(60), client.list_shards().stream_name("s").send()).await;
    assert!(matches!(late.unwrap(), Err(SdkError::DispatchFailure(_))));
}

#[tokio::test]
async fn a_cut_connection_gives_no_answer() {
    let fake = FakeAws::new();
    let served = fake.serve().await.unwrap();
    let client = client(served.endpoint());
    for (name, fault) in [("reset", Fault::Reset), ("lost", Fault::LoseAnswer)] {
        let mut once = Some(fault);
        fake.set_faults(move |_| once.take());
        let cut = client.create_stream().stream_name(name).shard_count(1).send().await.unwrap_err();
        assert!(matches!(cut, SdkError::DispatchFailure(_)), "{cut:?}");
        let found = client.list_shards().stream_name(name).send().await.is_ok();
        assert_eq!(found, name == "lost");
    }
}
