//! Clients of the fake and of the servers.

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use fake_aws::FakeAws;

pub(crate) fn in_process(fake: &FakeAws) -> (aws_sdk_kinesis::Client, aws_sdk_dynamodb::Client) {
    (kinesis(fake.http_client(), "http://fake"), dynamodb(fake.http_client(), "http://fake"))
}

pub(crate) fn kinesis_at(endpoint: &str) -> aws_sdk_kinesis::Client {
    kinesis(aws_smithy_http_client::Builder::new().build_http(), endpoint)
}

pub(crate) fn dynamodb_at(endpoint: &str) -> aws_sdk_dynamodb::Client {
    dynamodb(aws_smithy_http_client::Builder::new().build_http(), endpoint)
}

fn kinesis(http: SharedHttpClient, endpoint: &str) -> aws_sdk_kinesis::Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "x", None, None, "test"));
    aws_sdk_kinesis::Client::from_conf(config.endpoint_url(endpoint).build())
}

fn dynamodb(http: SharedHttpClient, endpoint: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "x", None, None, "test"));
    aws_sdk_dynamodb::Client::from_conf(config.endpoint_url(endpoint).build())
}

/// The code of a refusal, in a word: answers may be long.
pub(crate) fn refused<T, E: ProvideErrorMetadata, R>(outcome: Result<T, SdkError<E, R>>) -> String {
    match outcome {
        Ok(_) => "accepted".into(),
        Err(error) => error.code().unwrap_or("without a code").into(),
    }
}
