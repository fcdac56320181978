//! The call that subscribes, and what its failures mean.

use std::fmt;
use std::time::Duration;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardError;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::primitives::event_stream::EventReceiver;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition, SubscribeToShardEventStream};
use tokio::time::timeout;

use crate::kinesis::fault::Fault;
use crate::kinesis::stream::Stream;
use crate::record::{Position, ShardId};

/// The service answers in milliseconds; the client has no time-out for the first message of a stream of events.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(super) type Events = EventReceiver<SubscribeToShardEventStream, SubscribeToShardEventStreamError>;

/// Why there are no events, by what the reader can do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another subscription of this consumer to this shard stands, or did a moment ago.
    InUse(String),
    /// The shard is not there, or the consumer is not.
    Missing(String),
    /// The stream is not there.
    NoStream(String),
    /// The service does not take the place to start at.
    Refused(String),
    /// It may go well later.
    Other(Fault),
}

impl Trouble {
    /// Of looking for the consumer.
    pub(super) fn of_consumer(fault: Fault) -> Self {
        match fault {
            Fault::NotFound(text) => Self::NoStream(text),
            fault => Self::Other(fault),
        }
    }

    fn of_call(error: &SdkError<SubscribeToShardError>) -> Self {
        let fault = Fault::of(error);
        if error.code() == Some("ResourceInUseException") {
            return Self::InUse(fault.to_string());
        }
        match fault {
            Fault::NotFound(text) => Self::Missing(text),
            Fault::Invalid(text) => Self::Refused(text),
            fault => Self::Other(fault),
        }
    }

    /// Of an error in place of an event. Unlike an answer, it has no code: its type is all it has.
    pub(super) fn of_event<R: fmt::Debug>(error: &SdkError<SubscribeToShardEventStreamError, R>) -> Self {
        use SubscribeToShardEventStreamError as Error;
        let fault = Fault::of(error);
        match error.as_service_error() {
            Some(Error::ResourceInUseException(_)) => Self::InUse(fault.to_string()),
            Some(Error::ResourceNotFoundException(_)) => Self::Missing(fault.to_string()),
            Some(Error::KmsAccessDeniedException(_)) => Self::Other(Fault::Denied(fault.to_string())),
            _ => Self::Other(fault),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(text) | Self::Missing(text) | Self::NoStream(text) | Self::Refused(text) => f.write_str(text),
            Self::Other(fault) => fault.fmt(f),
        }
    }
}

/// Where a subscription starts.
pub(super) fn starting(position: &Position, continuation: Option<&str>) -> (ShardIteratorType, Option<String>) {
    match (continuation, position) {
        (Some(continuation), _) => (ShardIteratorType::AfterSequenceNumber, Some(continuation.to_owned())),
        // At it, not after it: of an aggregated record, only a part may be handled.
        (None, Position::After { sequence, .. }) => {
            (ShardIteratorType::AtSequenceNumber, Some(sequence.clone().into_string()))
        }
        (None, Position::AtTimestamp(_)) => (ShardIteratorType::AtTimestamp, None),
        // The end and unresolved places have no events; nobody reads there.
        (None, _) => (ShardIteratorType::TrimHorizon, None),
    }
}

impl Stream {
    /// Subscribes after `continuation`, else at `position`, and returns when the service has answered.
    pub(super) async fn subscribe(
        &self,
        consumer: &str,
        shard: &ShardId,
        position: &Position,
        continuation: Option<&str>,
    ) -> Result<Events, Trouble> {
        let (kind, sequence) = starting(position, continuation);
        let timestamp = match kind {
            ShardIteratorType::AtTimestamp => position.timestamp_ms().map(DateTime::from_millis),
            _ => None,
        };
        let start = StartingPosition::builder().r#type(kind).set_sequence_number(sequence).set_timestamp(timestamp);
        let start = start.build().map_err(|error| Trouble::Other(Fault::Passing(error.to_string())))?;
        let call = self.client.subscribe_to_shard().consumer_arn(consumer).shard_id(shard.as_str());
        match timeout(ANSWER_WITHIN, call.starting_position(start).send()).await {
            Ok(Ok(answer)) => Ok(answer.event_stream),
            Ok(Err(error)) => Err(Trouble::of_call(&error)),
            Err(_) => {
                let within = ANSWER_WITHIN.as_secs();
                Err(Trouble::Other(Fault::Passing(format!("SubscribeToShard did not answer within {within} s"))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenure_starts_at_the_record_of_its_position_and_goes_on_after_the_continuation() {
        use ShardIteratorType::{AfterSequenceNumber, AtSequenceNumber, AtTimestamp, TrimHorizon};
        let after = Position::After { sequence: "5".into(), sub_sequence: 2 };
        let cases = [
            (&Position::TrimHorizon, None, TrimHorizon, None),
            (&Position::AtTimestamp(7), None, AtTimestamp, None),
            (&after, None, AtSequenceNumber, Some("5")),
            (&after, Some("6"), AfterSequenceNumber, Some("6")),
            (&Position::TrimHorizon, Some("6"), AfterSequenceNumber, Some("6")),
            (&Position::AtTimestamp(7), Some("6"), AfterSequenceNumber, Some("6")),
        ];
        for (position, continuation, kind, sequence) in cases {
            assert_eq!(starting(position, continuation), (kind, sequence.map(str::to_owned)), "{position:?}");
        }
    }
}
