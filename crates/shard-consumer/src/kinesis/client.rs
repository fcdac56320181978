//! The AWS SDK, set up for a process that reads for ever.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::source::SourceError;

/// The SDK's own settings (environment, profile, container, instance), with the time-outs and the TLS provider of
/// this project. Serves clients of other services, too.
///
/// # Errors
/// [`SourceError::Configuration`] when no region is set anywhere.
pub async fn sdk_config() -> Result<SdkConfig, SourceError> {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let time_outs = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(20))
        .build();
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(time_outs)
        // One quick repeat only: who calls has a back-off of his own, and two of them multiply.
        .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(100)))
        .identity_cache(IdentityCache::lazy().load_timeout(Duration::from_secs(5)).build())
        .load()
        .await;
    if config.region().is_none() {
        return Err(SourceError::Configuration(
            "no AWS region is set: set AWS_REGION, or a region in the AWS profile".into(),
        ));
    }
    Ok(config)
}

/// A Kinesis client with [`sdk_config`]. `AWS_ENDPOINT_URL_KINESIS` and `AWS_ENDPOINT_URL` are honoured.
///
/// # Errors
/// As [`sdk_config`].
pub async fn kinesis_client() -> Result<aws_sdk_kinesis::Client, SourceError> {
    Ok(aws_sdk_kinesis::Client::new(&sdk_config().await?))
}
