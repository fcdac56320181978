//! The graph over Bolt, on a real server.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod corpus;
mod placeholders;
mod racing;
mod reaching;
mod rejecting;
mod replacing;
#[path = "../../../bucket-state/tests/support/samples.rs"]
mod samples;
mod showing;
#[path = "../support/mod.rs"]
mod support;

use std::ops::Deref;
use std::sync::LazyLock;

use bucket_state::{Event, Snapshot};
use emitter::{BoltGraph, BoltParams, Emission, GraphSink, SinkName, Verdict};
use neo4rs::{ConfigBuilder, Graph, query};
use secrecy::SecretString;
use serde_json::Value;
use support::{id, project, state};
use tokio::sync::{Mutex, MutexGuard};
use xtask::servers::ArcadeServer;

/// The bucket of the samples.
pub(crate) const LEDGER: &str = "arn:aws:s3:::ledger";
const ACCOUNT: &str = "arn:aws:iam::111122223333:root";
const GENERATION: i64 = 7;

/// One server, and on it one graph: tests take turns.
static SERVER: LazyLock<ArcadeServer> = LazyLock::new(|| ArcadeServer::start().unwrap());
static TURN: Mutex<()> = Mutex::const_new(());

/// A graph that was empty when it was given out.
struct World {
    graph: BoltGraph,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    async fn new() -> Self {
        let turn = TURN.lock().await;
        run("MATCH (n) DETACH DELETE n").await;
        Self { graph: connect().await, _turn: turn }
    }

    /// What stands in the graph: keys of entities with whether each is a placeholder, and keys of relationships.
    async fn shown(&self) -> (Vec<(String, bool)>, Vec<String>) {
        let (entities, relationships) = self.graph.export().await.unwrap();
        let key = |value: &Value| value["_key"].as_str().unwrap().to_owned();
        let entities = entities.iter().map(|entity| (key(entity), entity["placeholder"] == true)).collect();
        (entities, relationships.iter().map(key).collect())
    }

    async fn replace(&self, emissions: &[Emission]) -> Vec<Verdict> {
        self.graph.replace(GENERATION, emissions).await.unwrap()
    }
}

impl Deref for World {
    type Target = BoltGraph;

    fn deref(&self) -> &BoltGraph {
        &self.graph
    }
}

/// The settings for a server of the tests.
fn params(server: &ArcadeServer) -> BoltParams {
    let password = SecretString::from(ArcadeServer::PASSWORD);
    BoltParams::new(SinkName::from(server.bolt_url().as_str()), &server.bolt_url(), ArcadeServer::USER, password)
}

/// Another connection to the server of all.
async fn connect() -> BoltGraph {
    BoltGraph::connect(params(&SERVER)).await.unwrap()
}

/// The driver alone.
async fn driver() -> Graph {
    let config = ConfigBuilder::default().uri(SERVER.bolt_url()).user(ArcadeServer::USER);
    Graph::connect(config.password(ArcadeServer::PASSWORD).build().unwrap()).await.unwrap()
}

/// Runs a statement of a user's own.
async fn run(statement: &str) {
    driver().await.run(query(statement)).await.unwrap();
}

/// The first column, `found`, of what a user finds.
async fn find<T: serde::de::DeserializeOwned>(statement: &str) -> Vec<T> {
    let mut rows = driver().await.execute(query(statement)).await.unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().await.unwrap() {
        found.push(row.get("found").unwrap());
    }
    found
}

fn snapshot(bucket: &str, events: &[Event]) -> Snapshot {
    project(&id(bucket), &state(events))
}

fn emission(version: u64, bucket: &str, events: &[Event]) -> Emission {
    Emission::new(version, snapshot(bucket, events))
}

fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}
