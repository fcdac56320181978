//! A service in this process, in virtual time: a test says how each call is answered.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::kinesis::stream::Stream;

pub(in crate::kinesis) const CONSUMER: &str = "arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1";

pub(in crate::kinesis) enum Reply {
    Json(Value),
    /// Status 400 with the error of this name.
    Refusal(&'static str),
    Push(Pushed),
    Never,
}

/// The body of an event stream. Holds one message, as a connection whose reader does not read would.
pub(in crate::kinesis) struct Pushed(mpsc::Receiver<io::Result<Bytes>>);

/// What comes after the last message.
#[derive(Clone, Copy)]
pub(in crate::kinesis) enum Then {
    Close,
    Reset,
    Silence,
}

/// Sends each message so many seconds after the one before it.
pub(in crate::kinesis) fn push(messages: Vec<(u64, Bytes)>, then: Then) -> Reply {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        for (seconds, message) in messages {
            sleep(Duration::from_secs(seconds)).await;
            if send.send(Ok(message)).await.is_err() {
                return;
            }
        }
        match then {
            Then::Close => {}
            Then::Reset => drop(send.send(Err(io::ErrorKind::ConnectionReset.into())).await),
            Then::Silence => send.closed().await,
        }
    });
    Reply::Push(Pushed(receive))
}

impl Body for Pushed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|next| next.map(|sent| sent.map(Frame::data)))
    }
}

/// A call that was made.
#[derive(Clone, Debug)]
pub(in crate::kinesis) struct Call {
    pub(in crate::kinesis) operation: String,
    pub(in crate::kinesis) body: Value,
    /// Since the service began.
    pub(in crate::kinesis) at: Duration,
}

/// Answers calls, and remembers them.
pub(in crate::kinesis) struct Service<F> {
    answer: F,
    began: Instant,
    calls: Mutex<Vec<Call>>,
}

impl<F> Service<F>
where
    F: Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static,
{
    /// `answer` is given the operation and how often it was called before. What it leaves open is answered as of an
    /// active consumer.
    pub(in crate::kinesis) fn new(answer: F) -> Arc<Self> {
        Arc::new(Self { answer, began: Instant::now(), calls: Mutex::default() })
    }

    pub(in crate::kinesis) fn stream(self: &Arc<Self>) -> Stream {
        let connector = SharedHttpConnector::new(Connector(Arc::clone(self)));
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            // As the program sets it: it ends with the answer, not with the events.
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(20)).build())
            .time_source(Clock(self.began, SystemTime::now()))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("x", "x", None, None, "test"))
            .endpoint_url("http://kinesis");
        Stream::new(&aws_sdk_kinesis::Client::from_conf(config.build()), "s".into())
    }

    /// The calls of this operation.
    pub(in crate::kinesis) fn calls(&self, operation: &str) -> Vec<Call> {
        self.calls.lock().unwrap().iter().filter(|call| call.operation == operation).cloned().collect()
    }

    fn reply(&self, operation: &str, body: Value) -> Reply {
        let before = self.calls(operation).len();
        let call = Call { operation: operation.into(), body, at: self.began.elapsed() };
        self.calls.lock().unwrap().push(call);
        (self.answer)(operation, before).unwrap_or_else(|| match operation {
            "DescribeStreamSummary" => Reply::Json(json!({"StreamDescriptionSummary": {
                "StreamName": "s", "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "StreamStatus": "ACTIVE",
            }})),
            "DescribeStreamConsumer" => consumer("ACTIVE"),
            _ => panic!("nobody expects {operation}"),
        })
    }
}

/// The consumer, described.
pub(in crate::kinesis) fn consumer(status: &str) -> Reply {
    Reply::Json(json!({"ConsumerDescription": {
        "ConsumerName": "c", "ConsumerARN": CONSUMER, "ConsumerStatus": status,
    }}))
}

/// Virtual time for the client, too: should it come to take silence for a stall by itself, the tests show it.
#[derive(Debug)]
struct Clock(Instant, SystemTime);

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.1 + self.0.elapsed()
    }
}

struct Connector<F>(Arc<Service<F>>);

impl<F> fmt::Debug for Connector<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl<F> HttpConnector for Connector<F>
where
    F: Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static,
{
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap();
        let operation = target.split_once('.').unwrap().1.to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let reply = self.0.reply(&operation, body);
        HttpConnectorFuture::new(async move {
            let json = |status, value: Value| (status, "application/x-amz-json-1.1", SdkBody::from(value.to_string()));
            let (status, content_type, body) = match reply {
                Reply::Json(value) => json(200, value),
                Reply::Refusal(error) => json(400, json!({"__type": error, "message": "no"})),
                Reply::Push(pushed) => (200, fake_aws::push::CONTENT_TYPE, SdkBody::from_body_1_x(pushed)),
                Reply::Never => std::future::pending().await,
            };
            let response = http::Response::builder().status(status).header("content-type", content_type);
            Ok(HttpResponse::try_from(response.body(body).unwrap()).unwrap())
        })
    }
}
