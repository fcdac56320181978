//! The registered consumer of a stream, to which the service pushes.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::types::ConsumerStatus;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::fault::Fault;
use super::pace::back_off;
use super::stream::Stream;

/// A consumer of that name is made within seconds, and takes as long to go.
const ACTIVE_WITHIN: Duration = Duration::from_secs(30);
/// Having failed, the consumer is not looked for again sooner, however many readers ask: each of them repeats its
/// question, and the service takes 20 a second from a whole account.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Shared by the readers of a worker. Looked for, or registered, at the first use; never deregistered, since other
/// workers use it and the next start finds it ready.
#[derive(Clone)]
pub(super) struct Consumer {
    stream: Stream,
    name: Arc<str>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
enum Known {
    #[default]
    Nothing,
    Arn(String),
    Failed(Fault, Instant),
}

/// A consumer as the service describes it.
#[derive(Debug)]
struct Described {
    arn: String,
    status: ConsumerStatus,
}

impl Consumer {
    pub(super) fn new(stream: Stream, name: &str) -> Self {
        Self { stream, name: name.into(), known: Arc::default() }
    }

    /// The ARN of the consumer, which is active. [`Fault::NotFound`] if there is no such stream.
    pub(super) async fn arn(&self) -> Result<String, Fault> {
        // Held while looking, so that one reader looks for all.
        let mut known = self.known.lock().await;
        match &*known {
            Known::Arn(arn) => return Ok(arn.clone()),
            Known::Failed(fault, at) if at.elapsed() < ASK_AGAIN_AFTER => return Err(fault.clone()),
            Known::Nothing | Known::Failed(..) => {}
        }
        let found = self.find().await;
        *known = match &found {
            Ok(arn) => Known::Arn(arn.clone()),
            Err(fault) => Known::Failed(fault.clone(), Instant::now()),
        };
        found
    }

    /// Whether the consumer with this ARN is there. One that is not is forgotten, and registered anew at the next use.
    pub(super) async fn is_there(&self, arn: &str) -> Result<bool, Fault> {
        let mut known = self.known.lock().await;
        // Another reader found this out, and perhaps has found a new one, too.
        if !matches!(&*known, Known::Arn(current) if current == arn) {
            return Ok(false);
        }
        let is_there = match self.stream.describe_consumer_by_arn(arn).await {
            Ok(described) => described.status != ConsumerStatus::Deleting,
            Err(Fault::NotFound(_)) => false,
            Err(fault) => return Err(fault),
        };
        if !is_there {
            tracing::warn!(consumer = %self.name, arn, "the stream's consumer is gone; registering it anew");
            *known = Known::Nothing;
        }
        Ok(is_there)
    }

    async fn find(&self) -> Result<String, Fault> {
        let stream = self.stream.arn().await?;
        let deadline = Instant::now() + ACTIVE_WITHIN;
        let mut attempts = 0;
        loop {
            let status = match self.stream.describe_consumer(&stream, &self.name).await {
                Ok(Described { arn, status: ConsumerStatus::Active }) => {
                    tracing::info!(consumer = %self.name, arn, "the stream's consumer is active");
                    return Ok(arn);
                }
                Ok(Described { status, .. }) => status,
                Err(Fault::NotFound(_)) => {
                    self.stream.register_consumer(&stream, &self.name).await?;
                    ConsumerStatus::Creating
                }
                Err(fault) => return Err(fault),
            };
            if Instant::now() >= deadline {
                let (name, within) = (&self.name, ACTIVE_WITHIN.as_secs());
                return Err(Fault::Passing(format!("the consumer {name} is still {status} after {within} s")));
            }
            attempts += 1;
            sleep(back_off(attempts, fastrand::f64())).await;
        }
    }
}

impl Stream {
    async fn arn(&self) -> Result<String, Fault> {
        if let (_, Some(arn)) = self.named() {
            return Ok(arn);
        }
        let call = self.client.describe_stream_summary().stream_name(&self.name);
        let answer = call.send().await.map_err(|error| Fault::of(&error))?;
        let arn = answer.stream_description_summary.map(|summary| summary.stream_arn);
        arn.ok_or_else(|| Fault::Passing("DescribeStreamSummary answered without a summary".into()))
    }

    async fn describe_consumer(&self, stream: &str, name: &str) -> Result<Described, Fault> {
        described(self.client.describe_stream_consumer().stream_arn(stream).consumer_name(name)).await
    }

    async fn describe_consumer_by_arn(&self, arn: &str) -> Result<Described, Fault> {
        described(self.client.describe_stream_consumer().consumer_arn(arn)).await
    }

    /// Goes well, too, if another worker registers it at this moment.
    async fn register_consumer(&self, stream: &str, name: &str) -> Result<(), Fault> {
        match self.client.register_stream_consumer().stream_arn(stream).consumer_name(name).send().await {
            Err(error) if error.code() != Some("ResourceInUseException") => Err(Fault::of(&error)),
            _ => Ok(()),
        }
    }
}

type Describe = aws_sdk_kinesis::operation::describe_stream_consumer::builders::DescribeStreamConsumerFluentBuilder;

async fn described(call: Describe) -> Result<Described, Fault> {
    let answer = call.send().await.map_err(|error| Fault::of(&error))?;
    let described =
        answer.consumer_description.map(|it| Described { arn: it.consumer_arn, status: it.consumer_status });
    described.ok_or_else(|| Fault::Passing("DescribeStreamConsumer answered without a description".into()))
}

#[cfg(test)]
mod tests;
