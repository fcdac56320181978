//! Servers that are away, refuse, or come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use emitter::{
    BoltGraph, BoltParams, GraphSink, ListedSink, Outbox, OutboxSettings, SinkError, SinkEvent, StateStore, Verdict,
};
use secrecy::SecretString;
use tokio::net::TcpListener;
use xtask::servers::ArcadeServer;

use crate::support::{self, NOW, create, logging, never, save};
use crate::{GENERATION, SERVER, World, emission, find, params, run};

async fn error_of(params: BoltParams) -> SinkError {
    let graph = BoltGraph::connect(params).await.unwrap();
    assert_eq!(graph.instance(), "");
    graph.replace(GENERATION, &[emission(1, "app", &[create("app", 1)])]).await.unwrap_err()
}

#[tokio::test]
async fn a_wrong_password_is_denied_at_once_with_the_mend() {
    let begun = Instant::now();
    let error = error_of(BoltParams { password: SecretString::from("hunter2"), ..params(&SERVER) }).await;
    assert!(matches!(error, SinkError::Denied { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("TRAILGRAPH_BOLT_PASSWORD") && !said.contains("hunter2") && !said.contains('\n'), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let error = error_of(BoltParams { database: "nowhere".to_owned(), ..params(&SERVER) }).await;
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_down() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = error_of(BoltParams { url: format!("bolt://127.0.0.1:{port}"), ..params(&SERVER) }).await;
    assert!(matches!(error, SinkError::Down { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_down_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("bolt://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    let error = error_of(BoltParams { url, connect_within: Duration::from_millis(300), ..params(&SERVER) }).await;
    assert!(error.to_string().contains("no answer within 300ms"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_without_tls_is_asked_for_it_in_vain() {
    let url = format!("bolt+s://127.0.0.1:{}", SERVER.bolt_port());
    let error = error_of(BoltParams { url, connect_within: Duration::from_secs(2), ..params(&SERVER) }).await;
    assert!(matches!(error, SinkError::Down { .. }) && error.to_string().contains("TLS"), "{error}");
}

#[tokio::test]
async fn a_neo4j_url_is_served_like_a_bolt_url() {
    let _turn = World::new().await;
    let url = SERVER.bolt_url().replace("bolt://", "neo4j://");
    let graph = BoltGraph::connect(BoltParams { url, ..params(&SERVER) }).await.unwrap();
    graph.reach().await.unwrap();
}

#[tokio::test]
async fn a_wrong_url_is_told_before_anything_is_tried() {
    let url = "bolt://neo4j:hunter2@graph".to_owned();
    let error = BoltGraph::connect(BoltParams { url, ..params(&SERVER) }).await.err().unwrap();
    assert!(error.contains("--bolt-user") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn each_transaction_is_told_of() {
    let world = World::new().await;
    let count = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let counted = count.clone();
    let observe = move |event| match event {
        SinkEvent::Answered("ok") => drop(counted[0].fetch_add(1, Ordering::SeqCst)),
        other => panic!("{other:?}"),
    };
    let graph = BoltGraph::connect(BoltParams { observe: Arc::new(observe), ..params(&SERVER) }).await.unwrap();
    let before = count[0].load(Ordering::SeqCst);
    graph.replace(GENERATION, &[emission(1, "app", &[create("app", 1)])]).await.unwrap();
    assert_eq!(count[0].load(Ordering::SeqCst), before + 1);
    drop(world);
}

#[tokio::test]
async fn a_call_that_is_dropped_on_the_way_does_not_spoil_the_next() {
    let world = World::new().await;
    for number in 0..30 {
        let app = [emission(number + 1, "app", &[create("app", 1)])];
        let dropped = Duration::from_millis(number);
        // It may have landed all the same.
        let _ = tokio::time::timeout(dropped, world.graph.replace(GENERATION, &app)).await;
        let verdict = world.replace(&app).await;
        assert!(matches!(verdict[..], [Verdict::Applied | Verdict::Unchanged]), "{verdict:?}");
    }
    assert_eq!(world.shown().await.1.len(), 1);
}

#[tokio::test]
async fn whoever_connects_leaves_nothing_but_the_name_of_the_graph() {
    let _world = World::new().await;
    assert_eq!(find::<Vec<String>>("MATCH (n) RETURN labels(n) AS found").await, [["TrailgraphGraph"]]);
}

#[tokio::test]
async fn a_graph_is_the_same_one_until_it_is_emptied() {
    let world = World::new().await;
    let first = world.instance().to_owned();
    assert!(!first.is_empty());
    assert_eq!(crate::connect().await.instance(), first);
    run("MATCH (n) DETACH DELETE n").await;
    let refused = world.graph.replace(GENERATION, &[emission(1, "app", &[create("app", 1)])]).await.unwrap_err();
    assert!(refused.to_string().contains("emptied"), "{refused}");
    assert_ne!(crate::connect().await.instance(), first);
}

#[tokio::test]
async fn a_graph_that_is_emptied_under_a_running_worker_is_filled_anew() {
    let world = World::new().await;
    let states = support::World::new().await;
    let name = world.name().clone();
    let listed = ListedSink { name: name.clone(), instance: world.instance().to_owned() };
    states.store.add_sinks(&[listed], NOW).await.unwrap();
    for bucket in ["app", "web"] {
        save(&states.store, bucket, 0, &[create(bucket, 1)]).await;
    }
    let settings = OutboxSettings { worker: "worker".into(), adopt_after: Duration::from_secs(10), batch: 100 };
    let sink = Arc::new(crate::connect().await);
    let outbox = Outbox::new(Arc::new(states.store.clone()), sink.clone(), settings);
    let stop = never();
    let drain = || outbox.drain(&stop, Duration::from_secs(10), support::clock, |_| {});
    drain().await.unwrap();
    assert_eq!(world.shown().await.1.len(), 2);

    run("MATCH (n) DETACH DELETE n").await;
    let version = states.store.load(&[support::id("app")]).await.unwrap()[0].version();
    save(&states.store, "app", version, &[create("app", 1), logging("app", 2, "logs")]).await;
    drain().await.unwrap();
    let (_, edges) = sink.export().await.unwrap();
    assert_eq!(edges.len(), 3, "the bucket that did not change is there again, too");
}

#[tokio::test]
async fn a_server_that_was_away_is_found_again_with_what_it_held() {
    let mut server = ArcadeServer::start().unwrap();
    let graph = BoltGraph::connect(params(&server)).await.unwrap();
    let instance = graph.instance().to_owned();
    let app = emission(1, "app", &[create("app", 1)]);
    assert_eq!(graph.replace(GENERATION, std::slice::from_ref(&app)).await.unwrap(), [Verdict::Applied]);
    server.stop();
    for _ in 0..2 {
        let error = graph.replace(GENERATION, std::slice::from_ref(&app)).await.unwrap_err();
        assert!(matches!(error, SinkError::Down { .. }), "{error}");
    }
    server.start_again().unwrap();
    assert_eq!(graph.replace(GENERATION, &[app]).await.unwrap(), [Verdict::Unchanged]);
    assert_eq!(BoltGraph::connect(params(&server)).await.unwrap().instance(), instance);
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_gets_what_waits_when_it_is_there() {
    let mut server = ArcadeServer::start().unwrap();
    server.stop();
    let graph = Arc::new(BoltGraph::connect(params(&server)).await.unwrap());
    assert_eq!(graph.instance(), "");
    let states = support::World::new().await;
    let listed = ListedSink { name: graph.name().clone(), instance: graph.instance().to_owned() };
    states.store.add_sinks(&[listed], NOW).await.unwrap();
    save(&states.store, "app", 0, &[create("app", 1)]).await;
    let settings = OutboxSettings { worker: "worker".into(), adopt_after: Duration::from_secs(10), batch: 100 };
    let outbox = Outbox::new(Arc::new(states.store.clone()), graph.clone(), settings);
    outbox.drain(&never(), Duration::ZERO, support::clock, |_| {}).await.unwrap_err();
    server.start_again().unwrap();
    outbox.drain(&never(), Duration::from_secs(10), support::clock, |_| {}).await.unwrap();
    assert_eq!(graph.export().await.unwrap().1.len(), 1);
}
