//! The contract's server on a socket.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response as HttpResponse};
use emitter::{Header, Request};

use crate::server::Contract;

/// Serves the contract on a loopback port.
pub(crate) async fn serve(contract: Arc<Contract>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let app = Router::new().fallback(answer).with_state(contract);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn answer(State(contract): State<Arc<Contract>>, request: HttpRequest) -> HttpResponse {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 16 << 20).await.expect("a body that ends");
    let request = read(&parts.method, &parts.uri, &parts.headers, &body);
    let (answer, late) = contract.handle(&request);
    tokio::time::sleep(late).await;
    match answer {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status).expect("the contract answers with HTTP's own");
            let again = answer.ask_again_after.map(|seconds| [("Retry-After", seconds.to_string())]);
            (
                status,
                again.map_or_else(HeaderMap::new, |[(_, value)]| {
                    HeaderMap::from_iter([(
                        axum::http::header::RETRY_AFTER,
                        value.parse().expect("a number is a header's value"),
                    )])
                }),
                answer.body,
            )
                .into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Request {
    let names =
        ["JupiterOne-Account", "Authorization", "Content-Type", "Content-Encoding", "JupiterOne-Correlation-Id"];
    let header = |name: &&'static str| {
        let value = headers.get(*name)?.to_str().ok()?.to_owned();
        Some(Header { name, value, secret: false })
    };
    Request {
        method: if method == Method::GET { "GET" } else { "POST" },
        path: uri.path_and_query().expect("a request has a path").to_string(),
        headers: names.iter().filter_map(header).collect(),
        body: body.to_vec(),
    }
}
