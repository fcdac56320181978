//! The graphs, each as a subject.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use bucket_state::Snapshot;
use emitter::{
    BoltGraph, BoltParams, DynamoStore, DynamoStoreParams, GraphSink, JupiterOne, JupiterOneParams, Mode, Route, Scope,
    SinkName, SqliteFile, SqliteGraph, StateStore,
};
use neo4rs::ConfigBuilder;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use xtask::servers::{ArcadeServer, MinistackServer};

use crate::server::{Contract, KEY, Wire};
use crate::subject::{Shown, Stores, Subject};
use crate::support::NOW;

/// A graph in a file of its own.
pub(crate) struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        let in_memory = std::path::Path::new("/dev/shm");
        let folder = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
        Self { folder: folder.unwrap() }
    }

    fn graph(&self) -> SqliteGraph {
        let file = SqliteFile::open(&self.folder.path().join("graph.db")).unwrap();
        SqliteGraph::open(file, SinkName::from(format!("sqlite:{}", self.folder.path().display()).as_str())).unwrap()
    }
}

#[async_trait]
impl Subject for Sqlite {
    async fn sink(&self, _worker: &str) -> Arc<dyn GraphSink> {
        Arc::new(self.graph())
    }

    async fn shown(&self) -> Shown {
        let (entities, relationships) = self.graph().export().await.unwrap();
        Shown::of(entities, relationships)
    }
}

/// One server, on which tests take turns: each begins with an empty graph.
static BOLT_SERVER: LazyLock<ArcadeServer> = LazyLock::new(|| ArcadeServer::start().unwrap());
static BOLT_TURN: Mutex<()> = Mutex::const_new(());

/// A graph on a server.
pub(crate) struct Bolt {
    reader: BoltGraph,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Bolt {
    /// An empty one.
    pub(crate) async fn new() -> Self {
        let turn = BOLT_TURN.lock().await;
        Self::emptied(Some(turn)).await
    }

    /// The turn of a test that empties the graph many times.
    pub(crate) async fn turn() -> MutexGuard<'static, ()> {
        BOLT_TURN.lock().await
    }

    /// An empty one, for a test that has the turn or is given it.
    pub(crate) async fn emptied(turn: Option<MutexGuard<'static, ()>>) -> Self {
        let server = ConfigBuilder::default().uri(BOLT_SERVER.bolt_url()).user(ArcadeServer::USER);
        let driver = neo4rs::Graph::connect(server.password(ArcadeServer::PASSWORD).build().unwrap()).await.unwrap();
        driver.run(neo4rs::query("MATCH (n) DETACH DELETE n")).await.unwrap();
        Self { reader: bolt_graph().await, _turn: turn }
    }
}

async fn bolt_graph() -> BoltGraph {
    let (url, password) = (BOLT_SERVER.bolt_url(), SecretString::from(ArcadeServer::PASSWORD));
    BoltGraph::connect(BoltParams::new(SinkName::from("bolt:test"), &url, ArcadeServer::USER, password)).await.unwrap()
}

#[async_trait]
impl Subject for Bolt {
    async fn sink(&self, _worker: &str) -> Arc<dyn GraphSink> {
        Arc::new(bolt_graph().await)
    }

    async fn shown(&self) -> Shown {
        let (entities, relationships) = self.reader.export().await.unwrap();
        Shown::of(entities, relationships)
    }
}

/// One server of DynamoDB for all tests, which have tables of their own.
static DYNAMODB: LazyLock<MinistackServer> = LazyLock::new(|| MinistackServer::start().unwrap());
static TABLES: AtomicUsize = AtomicUsize::new(0);

/// A state store in a table of its own.
pub(crate) async fn dynamodb(workers: impl IntoIterator<Item = String>) -> Stores {
    let table = format!("states-{}", TABLES.fetch_add(1, Ordering::SeqCst));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .region(Region::new("us-east-1"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(DYNAMODB.endpoint())
        .build();
    let client = Client::from_conf(config);
    let opened: Arc<std::sync::Mutex<BTreeMap<String, Arc<dyn StateStore>>>> = Arc::default();
    let mut stores = Vec::new();
    // Opening is asynchronous, and workers are few: the names that tests give them.
    for worker in workers {
        let store = DynamoStore::open(DynamoStoreParams {
            client: client.clone(),
            table: table.clone(),
            worker: worker.clone(),
            now_ms: NOW,
            cache_bytes: 1 << 20,
            sweep_every: Duration::ZERO,
        });
        stores.push((worker, Arc::new(store.await.unwrap()) as Arc<dyn StateStore>));
    }
    opened.lock().unwrap().extend(stores);
    Arc::new(move |worker: &str| Arc::clone(opened.lock().unwrap().get(worker).unwrap()))
}

/// JupiterOne, as its contract has it.
pub(crate) struct Contracted {
    pub(crate) server: Arc<Contract>,
    scope: Scope,
}

impl Contracted {
    pub(crate) fn of(scope: Scope) -> Self {
        Self { server: Contract::new(), scope }
    }
}

#[async_trait]
impl Subject for Contracted {
    async fn sink(&self, worker: &str) -> Arc<dyn GraphSink> {
        let route = Route { account: "acme".into(), key: SecretString::from(KEY) };
        let lanes = JupiterOne::lanes(&JupiterOneParams {
            name: SinkName::from("jupiterone:test"),
            host: "test".into(),
            http: Arc::new(Wire(Arc::clone(&self.server))),
            default: Some(route),
            routes: BTreeMap::new(),
            scope: self.scope,
            mode: Mode::Diff,
            requests_per_minute: 30,
            worker: worker.to_owned(),
            observe: Arc::new(|_| {}),
        });
        Arc::clone(&lanes[0])
    }

    async fn shown(&self) -> Shown {
        let (entities, relationships) = self.server.shown();
        Shown::of(entities, relationships)
    }

    fn renders(&self, mut snapshot: Snapshot) -> Snapshot {
        for entity in &mut snapshot.entities {
            if entity.0["_type"] == "aws_s3_bucket" {
                entity.0.entry("encrypted").or_insert(Value::Null);
                entity.0.entry("classification").or_insert(Value::Null);
            }
            if let Some(raw) = entity.0.get_mut("_rawData") {
                *raw = json!([{"name": "default", "rawData": raw.take()}]);
            }
        }
        snapshot
    }

    fn compares(&self) -> bool {
        false
    }
}
