//! The services over loopback TCP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body as HttpBody;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use axum::serve::{IncomingStream, Listener};
use axum::{Router, body::Bytes};
use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use crate::FakeAws;
use crate::http::{Body, Outcome, Request};

/// 10 MiB of records in base64, and room for the rest.
const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The services on a port of their own; they answer until this is dropped, which cuts every connection.
#[derive(Debug)]
pub struct Served {
    endpoint: String,
    _running: DropGuard,
}

impl Served {
    /// Where clients find it: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }
}

pub(crate) async fn serve(fake: FakeAws) -> io::Result<Served> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let running = CancellationToken::new();
    let router = Router::new().fallback(answer).layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX)).with_state(fake);
    let door = Door { listener, open: running.clone() };
    let serving = axum::serve(door, router.into_make_service_with_connect_info::<Cut>());
    tokio::spawn(running.clone().run_until_cancelled_owned(serving.into_future()));
    Ok(Served { endpoint, _running: running.drop_guard() })
}

async fn answer(
    State(fake): State<FakeAws>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<HttpBody> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let request = Request { target: header("x-amz-target"), authorization: header("authorization"), body };
    let mut response = Response::new(HttpBody::empty());
    match fake.handle(request).await {
        Outcome::Answer(answer) => {
            *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
            *response.body_mut() = match answer.body {
                Body::Whole(body) => body.into(),
                Body::Stream(events) => HttpBody::from_stream(events.map(io::Result::Ok)),
            };
        }
        Outcome::Cut => cut.0.cancel(),
    }
    response
}

/// Cuts one connection.
#[derive(Clone)]
struct Cut(CancellationToken);

impl Connected<IncomingStream<'_, Door>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().cut.clone()
    }
}

struct Door {
    listener: TcpListener,
    open: CancellationToken,
}

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let cut = self.open.child_token();
        let is_cut = Box::pin(cut.clone().cancelled_owned());
        (Wire { stream, cut: Cut(cut), is_cut }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that can be cut from outside.
struct Wire {
    stream: TcpStream,
    cut: Cut,
    is_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Wire {
    /// The stream, unless it is cut.
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if self.cut.0.is_cancelled() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Pin::new(&mut self.stream))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Wakes a connection that waits for its next request.
        if self.is_cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.stream()?.poll_read(cx, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}
