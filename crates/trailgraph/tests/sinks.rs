//! `trailgraph run` with everything that a fleet has: a stream, its leases and the states in DynamoDB, and a graph of each
//! kind.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

#[path = "../../emitter/tests/jupiterone/served.rs"]
mod served;
#[expect(dead_code, reason = "its own tests ask more of it")]
#[path = "../../emitter/tests/jupiterone/server.rs"]
mod server;
mod support;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;

use emitter::{BoltGraph, BoltParams, SinkName};
use secrecy::SecretString;
use serde_json::Value;
use server::{Contract, KEY};
use support::buckets::creations;
use support::stream::{Service, Stream, eventually};
use support::{Sandbox, events_of_the_fixture, graphs};
use xtask::servers::{ArcadeServer, MinistackServer};

const EVENTS: usize = 300;

/// All servers, and the flags that name them.
struct World {
    stream: Stream,
    contract: Arc<Contract>,
    bolt: ArcadeServer,
    flags: Vec<String>,
    sandbox: Sandbox,
    _dynamodb: MinistackServer,
}

impl World {
    async fn start() -> Self {
        let dynamodb = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
        let bolt = tokio::task::spawn_blocking(ArcadeServer::start).await.unwrap().unwrap();
        let mut stream = Stream::start(2).await;
        let contract = Contract::new();
        contract.limit(6_000);
        let url = served::serve(Arc::clone(&contract)).await;
        stream.more.push(("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint()));
        stream.more.push(("TRAILGRAPH_BOLT_PASSWORD", ArcadeServer::PASSWORD.into()));
        stream.more.push(("TRAILGRAPH_JUPITERONE_API_KEY", KEY.into()));
        let flags = [
            "--state",
            "dynamodb:states",
            "--graph",
            "sqlite:graph.db",
            "--graph",
            &bolt.bolt_url(),
            "--graph",
            "jupiterone:",
            "--bolt-user",
            ArcadeServer::USER,
            "--jupiterone-url",
            &url,
            "--jupiterone-account",
            "acme",
            "--jupiterone-requests-per-minute",
            "6000",
        ];
        let flags = flags.map(str::to_owned).to_vec();
        Self { stream, contract, bolt, flags, sandbox: Sandbox::new(), _dynamodb: dynamodb }
    }

    fn flags<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.flags.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    fn serve(&self) -> Service {
        let more = ["--leases", "dynamodb:leases", "--flush-after", "300ms", "--failover-after", "1s"];
        self.stream.serve(&self.sandbox, &self.flags(&more))
    }

    /// Entities and relationships of the graph in the file.
    fn file(&self) -> Value {
        let text = self.sandbox.succeed(&["graph", "export", "--graph", "sqlite:graph.db"]);
        serde_json::from_str(&text).unwrap()
    }

    async fn server(&self) -> Value {
        let password = SecretString::from(ArcadeServer::PASSWORD);
        let (name, url) = (SinkName::from("reader"), self.bolt.bolt_url());
        let graph = BoltGraph::connect(BoltParams::new(name, &url, ArcadeServer::USER, password)).await.unwrap();
        let (entities, relationships) = graph.export().await.unwrap();
        serde_json::json!({"entities": entities, "relationships": relationships})
    }

    fn jupiterone(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let (entities, relationships) = self.contract.shown();
        (keys(&entities), keys(&relationships))
    }
}

fn keys(parts: &[Value]) -> BTreeSet<String> {
    parts.iter().map(|part| part["_key"].as_str().unwrap().to_owned()).collect()
}

fn owned(graph: &Value) -> (BTreeSet<String>, BTreeSet<String>) {
    let of = |what: &str| graph[what].as_array().unwrap().clone();
    let entities: Vec<Value> = of("entities").into_iter().filter(|entity| entity["placeholder"] != true).collect();
    (keys(&entities), keys(&of("relationships")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_keep_three_graphs_and_one_that_dies_or_stops_is_followed_by_the_other() {
    let mut world = World::start().await;
    let events: Vec<Vec<u8>> = events_of_the_fixture().into_iter().take(EVENTS).collect();
    // The same events in a file of their own, by another way.
    let alone = Sandbox::new();
    alone.replay(&events, &[]);
    let expected = alone.graph();

    let (first, second) = (world.serve(), world.serve());
    world.stream.put(&events[..100]).await;
    eventually("the first service emits", async || {
        first.get("/metrics").filter(|metrics| metrics.contains("trailgraph_leases_held 1\n"))
    })
    .await;
    first.kill();
    world.stream.put(&events[100..200]).await;
    let third = world.serve();
    world.stream.put(&events[200..]).await;
    let (stopped, took) = second.stop("-TERM");
    assert_eq!(stopped, Some(0));
    println!("stopped in {took:?}");

    let world = &world;
    eventually("the file shows all events", async || (world.file() == expected).then_some(())).await;
    eventually("the graph server does", async || (world.server().await == expected).then_some(())).await;
    let should = owned(&expected);
    eventually("JupiterOne does", async || (world.jupiterone() == should).then_some(())).await;
    graphs::assert_same(&world.file(), &expected, "the file");
    graphs::assert_same(&world.server().await, &expected, "the graph server");

    let metrics = third.get("/metrics").unwrap();
    let counted = |begins: &str| {
        let lines = metrics.lines().filter(|line| line.starts_with(begins));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>()
    };
    assert!(counted("trailgraph_sink_requests_total{sink=\"jupiterone:") > 0.0, "{metrics}");
    assert!(counted("trailgraph_sink_requests_total{sink=\"bolt:") > 0.0);
    assert!(
        metrics.contains("status=\"429\"") && metrics.contains("trailgraph_sink_wait_seconds_total{sink=\"jupiterone:")
    );
    assert_eq!(counted("trailgraph_sink_stopped"), 0.0);
    assert_eq!(third.stop("-TERM").0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_reaches_every_kind_of_store_and_graph_and_a_replay_fills_them() {
    let world = World::start().await;
    let run = |arguments: &[&str]| {
        let mut command = world.stream.command(&world.sandbox, arguments);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };

    let events: Vec<Vec<u8>> = events_of_the_fixture().into_iter().take(60).collect();
    std::fs::write(world.sandbox.path("events.jsonl"), events.join(&b'\n')).unwrap();
    let (code, said) = run(&[&["replay", "events.jsonl"][..], &world.flags(&[])].concat());
    assert_eq!(code, Some(0), "{said}");
    let file = world.file();
    graphs::assert_same(&world.server().await, &file, "the graph server");
    assert_eq!(world.jupiterone(), owned(&file));

    let (code, said) = run(&["republish", "--state", "dynamodb:states"]);
    assert!(code == Some(0) && said.contains("rows are pending for all of 3 graphs"), "{said}");
    let (code, said) = run(&[&["check", "--permit-any", "--stream", "cloudtrail"][..], &world.flags(&[])].concat());
    assert_eq!(code, Some(0), "{said}");
    for line in
        ["ok      state dynamodb:states: made 20", "ok      graph bolt:", "the key of JupiterOne account acme is taken"]
    {
        assert!(said.contains(line), "{said}");
    }
    let mut command = world.stream.command(
        &world.sandbox,
        &[&["check", "--permit-any", "--stream", "cloudtrail"][..], &world.flags(&[])].concat(),
    );
    let output =
        command.env("TRAILGRAPH_JUPITERONE_API_KEY", "wrong").env("TRAILGRAPH_BOLT_PASSWORD", "wrong").output();
    let output = output.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAILED  graph jupiterone:") && said.contains("FAILED  graph bolt:"), "{said}");
    assert!(said.contains("2 of 10 checks failed"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_routed_to_another_jupiterone_account_while_the_service_runs() {
    let mut stream = Stream::start(1).await;
    let contract = Contract::new();
    contract.limit(6_000);
    let url = served::serve(Arc::clone(&contract)).await;
    stream.more.push(("TRAILGRAPH_JUPITERONE_API_KEY", KEY.into()));
    // Where secrets would be, nobody answers.
    stream.more.push(("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9".into()));
    let sandbox = Sandbox::new();
    let permit = |text: &str| std::fs::write(sandbox.path("permit.json"), text).unwrap();
    let logged = |message: &str| std::fs::read_to_string(sandbox.path("run.log")).unwrap().contains(message);
    let accounts = || contract.log().into_iter().map(|request| request.account).collect::<BTreeSet<_>>();
    let account = |name: &str| name.to_owned();

    permit(r#"{"accounts": {"111122223333": {}}}"#);
    let graph = ["--graph", "jupiterone:", "--jupiterone-account", "acme", "--jupiterone-url", &url];
    let pace = ["--jupiterone-requests-per-minute", "6000", "--flush-after", "200ms", "--permit", "permit.json"];
    let service = stream.serve_permitted(&sandbox, &[graph, pace].concat());
    stream.put(&creations(0..2)).await;
    eventually("the first buckets are shown", async || (contract.shown().0.len() == 2).then_some(())).await;
    assert_eq!(accounts(), [account("acme")].into());

    // A key that cannot be read stops nothing.
    permit(
        r#"{"accounts": {"111122223333": {"jupiterone": {"account": "partner", "apiKeySecret": "arn:aws:secretsmanager:us-east-1:111122223333:secret:key"}}}}"#,
    );
    eventually("it is told", async || logged("the permit list cannot be used").then_some(())).await;
    stream.put(&creations(2..4)).await;
    eventually("it goes on as before", async || (contract.shown().0.len() == 4).then_some(())).await;
    assert_eq!(accounts(), [account("acme")].into());

    permit(r#"{"accounts": {"111122223333": {"jupiterone": {"account": "partner"}}}}"#);
    eventually("it begins anew", async || logged("reading goes on with the new JupiterOne routes").then_some(())).await;
    stream.put(&creations(4..6)).await;
    eventually("the new account is told", async || accounts().contains("partner").then_some(())).await;
    let metrics = service.get("/metrics").unwrap();
    assert!(metrics.contains("trailgraph_permit_reloads_total{outcome=\"changed\"} 1\n"), "{metrics}");
    assert!(metrics.contains("trailgraph_records_total 6\n"), "nothing is read twice: {metrics}");
    assert_eq!(service.stop("-TERM").0, Some(0));
}
