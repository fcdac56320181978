//! A request as it comes in, through whichever door, and what becomes of it.

use bytes::Bytes;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::faults::{Call, Fault};
use crate::protocol::{Failure, Input};
use crate::{FakeAws, push};

/// A request without its transport.
pub(crate) struct Request {
    /// `x-amz-target`: the service's name with its version, a dot, and the operation.
    pub(crate) target: String,
    /// The `Authorization` header.
    pub(crate) authorization: String,
    pub(crate) body: Bytes,
}

/// What the caller gets.
pub(crate) enum Outcome {
    Answer(Answer),
    /// No answer: the connection is cut.
    Cut,
}

/// An answer without its transport.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Whole(Bytes),
    Stream(BoxStream<'static, Bytes>),
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/x-amz-json-1.1", body: Body::Whole(body.to_string().into()) }
    }

    fn of(result: Result<Value, Failure>) -> Self {
        match result {
            Ok(body) => Self::json(200, &body),
            Err(failure) => Self::json(failure.status, &failure.body()),
        }
    }
}

impl FakeAws {
    /// Does what is asked, unless the script says otherwise.
    pub(crate) async fn handle(&self, request: Request) -> Outcome {
        let (service, operation) = request.target.split_once('.').unwrap_or(("", &request.target));
        let service = if service.starts_with("DynamoDB") { Service::DynamoDb } else { Service::Kinesis };
        let Ok(input) = serde_json::from_slice::<Value>(&request.body) else {
            return Outcome::Answer(Answer::of(Err(Failure::new("SerializationException", "the body is no JSON"))));
        };
        let call = Call {
            operation: operation.into(),
            input,
            at: tokio::time::Instant::now(),
            caller: access_key(&request.authorization).into(),
        };
        match self.faults().of(&call) {
            None => Outcome::Answer(self.perform(service, &call)),
            Some(Fault::Error { status, code }) => {
                let failure = Failure::new(code, "the script of faults says so").with_status(status);
                Outcome::Answer(Answer::of(Err(failure)))
            }
            Some(Fault::Reset) => Outcome::Cut,
            Some(Fault::LoseAnswer) => {
                self.perform(service, &call);
                Outcome::Cut
            }
            Some(Fault::Late(by)) => {
                let answer = self.perform(service, &call);
                tokio::time::sleep(by).await;
                Outcome::Answer(answer)
            }
            Some(Fault::LateStart(by)) => {
                let fake = self.clone();
                let late = tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    fake.perform(service, &call)
                });
                late.await.map_or(Outcome::Cut, Outcome::Answer)
            }
        }
    }

    fn perform(&self, service: Service, call: &Call) -> Answer {
        let now = self.clock().now();
        if call.operation == "SubscribeToShard" {
            let subscribed = Input::new(&call.operation, &call.input).and_then(|input| self.subscribe(input, now));
            return match subscribed {
                Ok(events) => Answer { status: 200, content_type: push::CONTENT_TYPE, body: Body::Stream(events) },
                Err(failure) => Answer::of(Err(failure)),
            };
        }
        let answer = Input::new(&call.operation, &call.input).and_then(|input| match service {
            Service::Kinesis => self.kinesis().answer(&call.operation, input, now),
            Service::DynamoDb => self.dynamodb().answer(&call.operation, input, now),
        });
        Answer::of(answer)
    }
}

#[derive(Clone, Copy)]
enum Service {
    Kinesis,
    DynamoDb,
}

/// `AKID` of `AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, ...`.
fn access_key(authorization: &str) -> &str {
    let credential = authorization.split_once("Credential=").map_or("", |(_, credential)| credential);
    credential.split_once('/').map_or("", |(key, _)| key)
}
