//! The SDK's HTTP client without a network.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http_body::Frame;

use crate::FakeAws;
use crate::http::{Answer, Body, Outcome, Request};

pub(crate) fn client(fake: FakeAws) -> SharedHttpClient {
    http_client_fn(move |settings, _| {
        SharedHttpConnector::new(Connector { fake: fake.clone(), read_timeout: settings.read_timeout() })
    })
}

struct Connector {
    fake: FakeAws,
    read_timeout: Option<Duration>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fake-aws")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (fake, read_timeout) = (self.fake.clone(), self.read_timeout);
        HttpConnectorFuture::new(async move {
            let header = |name| request.headers().get(name).unwrap_or_default().to_owned();
            let Some(body) = request.body().bytes() else {
                return Err(ConnectorError::user("fake-aws takes requests with a body in memory only".into()));
            };
            let handled = fake.handle(Request {
                target: header("x-amz-target"),
                authorization: header("authorization"),
                body: Bytes::copy_from_slice(body),
            });
            let outcome = match read_timeout {
                None => handled.await,
                Some(limit) => tokio::time::timeout(limit, handled)
                    .await
                    .map_err(|_| ConnectorError::timeout(format!("no answer from fake-aws within {limit:?}").into()))?,
            };
            match outcome {
                Outcome::Answer(answer) => response(answer),
                Outcome::Cut => Err(ConnectorError::io("fake-aws has cut the connection".into())),
            }
        })
    }
}

fn response(answer: Answer) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(answer.status).map_err(|error| ConnectorError::user(error.into()))?;
    let body = match answer.body {
        Body::Whole(body) => SdkBody::from(body),
        Body::Stream(events) => SdkBody::from_body_1_x(Streamed(Mutex::new(events))),
    };
    let mut response = HttpResponse::new(status, body);
    response.headers_mut().insert("content-type", answer.content_type);
    Ok(response)
}

/// A body that comes bit by bit. The mutex makes it `Sync`, and is never locked.
struct Streamed(Mutex<BoxStream<'static, Bytes>>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let events = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        events.poll_next_unpin(cx).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
