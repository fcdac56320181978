//! The real client on a real socket.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response as HttpResponse};
use emitter::{Header, Http, Request, Reqwest};

use crate::server::Contract;
use crate::support::create;
use crate::world::World;

/// Serves the contract on a loopback port.
async fn serve(contract: Arc<Contract>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer).with_state(contract);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn answer(State(contract): State<Arc<Contract>>, request: HttpRequest) -> HttpResponse {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    let request = read(&parts.method, &parts.uri, &parts.headers, &body);
    let (answer, late) = contract.handle(&request);
    tokio::time::sleep(late).await;
    match answer {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap();
            let again = answer.ask_again_after.map(|seconds| [("Retry-After", seconds.to_string())]);
            (
                status,
                again.map_or_else(HeaderMap::new, |[(_, value)]| {
                    HeaderMap::from_iter([(axum::http::header::RETRY_AFTER, value.parse().unwrap())])
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
        path: uri.path_and_query().unwrap().to_string(),
        headers: names.iter().filter_map(header).collect(),
        body: body.to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_goes_over_a_socket() {
    let world = World::new();
    let url = serve(Arc::clone(&world.server)).await;
    let http = Reqwest::to(&url).unwrap();
    let worker = world
        .worker("worker", |params| {
            params.http = Arc::new(http);
            params.requests_per_minute = 6_000;
        })
        .await;
    worker.save(&[create("app", 1)]).await;
    assert_eq!(worker.round().await.unwrap().unwrap().cleared, 1);
    assert_eq!(world.buckets(), ["app"]);
    let log = world.server.log();
    assert!(log.iter().any(|logged| logged.headers.get("content-encoding").map(String::as_str) == Some("gzip")));
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_too_much_is_a_failure_in_words_without_the_key() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let header = Header { name: "Authorization", value: "Bearer secret-word".into(), secret: true };
    let request = Request { method: "GET", path: "/x".into(), headers: vec![header], body: vec![] };
    let error = Reqwest::to(&format!("http://{free}")).unwrap().send(&request).await.unwrap_err();
    assert!(error.contains("onnect") && !error.contains("secret-word"), "{error}");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(|| async { vec![b'x'; 2 << 20] });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let error = Reqwest::to(&url).unwrap().send(&request).await.unwrap_err();
    assert!(error.contains("larger than"), "{error}");
}
