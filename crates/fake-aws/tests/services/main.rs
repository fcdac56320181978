//! The services through the SDK's own clients, without sockets and in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod dynamodb;
mod faults;
mod kinesis;
mod subscription;
mod tcp;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use fake_aws::FakeAws;

/// A client of Kinesis that signs as `caller`.
fn kinesis(fake: &FakeAws, caller: &str) -> aws_sdk_kinesis::Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(fake.http_client())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(caller, "secret", None, None, "test"));
    aws_sdk_kinesis::Client::from_conf(config.build())
}

/// A client of DynamoDB that signs as `caller`.
fn dynamodb(fake: &FakeAws, caller: &str) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(fake.http_client())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(caller, "secret", None, None, "test"));
    aws_sdk_dynamodb::Client::from_conf(config.build())
}
