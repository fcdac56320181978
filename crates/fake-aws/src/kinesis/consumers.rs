//! Registered consumers of enhanced fan-out.

use serde_json::{Value, json};

use super::Kinesis;
use super::stream::Stream;
use crate::clock::Now;
use crate::protocol::{Failure, Input, seconds};

const CONSUMERS_MAX: usize = 20;

pub(super) struct Consumer {
    created_ms: i64,
}

impl Kinesis {
    pub(super) fn register_consumer(&mut self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        input.only(&["StreamARN", "ConsumerName"])?;
        let name = input.needed_text("ConsumerName")?;
        let stream = self.stream_mut(input)?;
        if stream.consumers.contains_key(name) {
            return Err(Failure::new("ResourceInUseException", format!("Consumer {name} already exists")));
        }
        if stream.consumers.len() == CONSUMERS_MAX {
            return Err(Failure::new("LimitExceededException", "a stream has 20 consumers at most"));
        }
        stream.consumers.insert(name.into(), Consumer { created_ms: now.ms });
        Ok(json!({ "Consumer": stream.describe_consumer(name, "CREATING")? }))
    }

    pub(super) fn describe_consumer(&self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&["StreamARN", "ConsumerName", "ConsumerARN"])?;
        let stream = self.stream(input)?;
        let name = match input.text("ConsumerARN")? {
            Some(arn) => stream.consumer_of(arn)?,
            None => input.needed_text("ConsumerName")?,
        };
        let mut consumer = stream.describe_consumer(name, "ACTIVE")?;
        consumer["StreamARN"] = stream.arn().into();
        Ok(json!({ "ConsumerDescription": consumer }))
    }
}

impl Stream {
    fn consumer_arn(&self, name: &str, consumer: &Consumer) -> String {
        format!("{}/consumer/{name}:{}", self.arn(), consumer.created_ms / 1000)
    }

    /// The name of the consumer with this ARN.
    pub(super) fn consumer_of(&self, arn: &str) -> Result<&str, Failure> {
        let found = self.consumers.iter().find(|(name, consumer)| self.consumer_arn(name, consumer) == arn);
        found.map(|(name, _)| name.as_str()).ok_or_else(|| unknown_consumer(arn))
    }

    fn describe_consumer(&self, name: &str, status: &str) -> Result<Value, Failure> {
        let consumer = self.consumers.get(name).ok_or_else(|| unknown_consumer(name))?;
        Ok(json!({
            "ConsumerName": name,
            "ConsumerARN": self.consumer_arn(name, consumer),
            "ConsumerStatus": status,
            "ConsumerCreationTimestamp": seconds(consumer.created_ms),
        }))
    }
}

fn unknown_consumer(name: &str) -> Failure {
    Failure::new("ResourceNotFoundException", format!("Consumer {name} under account 000000000000 not found."))
}
