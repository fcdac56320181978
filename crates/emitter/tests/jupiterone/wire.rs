//! The real client on a real socket.

use std::sync::Arc;

use axum::Router;
use emitter::{Header, Http, Request, Reqwest};

use crate::served::serve;
use crate::support::create;
use crate::world::World;

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
