//! Where states are kept, and the workers that share them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bucket_state::{Event, ResourceId};
use emitter::{
    Backlog, DynamoStore, DynamoStoreParams, PendingMark, PendingQuery, Row, Save, SaveOutcome, SinkName, SqliteFile,
    SqliteStore, StateStore,
};
use tempfile::TempDir;
use xtask::servers::MinistackServer;

use crate::support::{NOW, SINK, id, listed, state};
use crate::wire::Wire;

pub(crate) enum World {
    File(TempDir),
    Table(Table),
}

/// A table of its own, which is not there yet.
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) wire: Wire,
    pub(crate) name: String,
}

impl World {
    pub(crate) fn sqlite() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn table() -> Self {
        Self::Table(Table::new().await)
    }

    /// A store as the worker of this name has it.
    pub(crate) async fn worker(&self, name: &str) -> Arc<dyn StateStore> {
        match self {
            Self::File(_) => {
                let file = SqliteFile::open(&self.path()).unwrap();
                Arc::new(SqliteStore::open(file, name, NOW).unwrap())
            }
            Self::Table(table) => Arc::new(table.open(name).await),
        }
    }

    /// The store of a worker, with one sink.
    pub(crate) async fn store(&self) -> Arc<dyn StateStore> {
        let store = self.worker("worker").await;
        store.add_sinks(&[listed(SINK, "first")], NOW).await.unwrap();
        store
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::File(folder) => folder.path().join("trailgraph.db"),
            Self::Table(_) => unreachable!("a table is no file"),
        }
    }

    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    /// Puts these bytes in the place of a stored state.
    pub(crate) async fn overwrite(&self, resource: &ResourceId, bytes: &[u8]) {
        match self {
            Self::File(_) => {
                let write = "UPDATE states SET state = ?2 WHERE resource = ?1";
                assert_eq!(self.sql().execute(write, (resource.as_str(), bytes)).unwrap(), 1);
            }
            Self::Table(table) => {
                let update = table.client.update_item().table_name(&table.name);
                let update = update.key("pk", AttributeValue::S(resource.to_string()));
                let update = update.key("sk", AttributeValue::S("state".into()));
                let update =
                    update.update_expression("SET #state = :state").expression_attribute_names("#state", "state");
                let update = update.expression_attribute_values(":state", AttributeValue::B(Blob::new(bytes)));
                update.send().await.unwrap();
            }
        }
    }

    /// The damaged states of a resource that were kept.
    pub(crate) async fn set_aside(&self, resource: &ResourceId) -> Vec<Vec<u8>> {
        match self {
            Self::File(_) => {
                let sql = self.sql();
                let mut query = sql.prepare("SELECT state FROM damaged_states WHERE resource = ?1").unwrap();
                query.query_map([resource.as_str()], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
            }
            Self::Table(table) => {
                let items = table.items(resource.as_str(), "damaged#").await;
                items.iter().map(|item| item["bytes"].as_b().unwrap().as_ref().to_vec()).collect()
            }
        }
    }
}

impl Table {
    pub(crate) async fn new() -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        Self::named(format!("states-{}", TABLES.fetch_add(1, Ordering::Relaxed))).await
    }

    /// The same table over a connection with faults of its own.
    pub(crate) async fn again(&self) -> Self {
        Self::named(self.name.clone()).await
    }

    async fn named(name: String) -> Self {
        static SERVER: OnceLock<MinistackServer> = OnceLock::new();
        let start = || SERVER.get_or_init(|| MinistackServer::start().unwrap()).endpoint();
        let endpoint = tokio::task::spawn_blocking(start).await.unwrap();
        let wire = Wire::new(aws_smithy_http_client::Builder::new().build_http());
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(wire.clone())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("x", "x", None, None, "test"))
            .endpoint_url(endpoint);
        Self { client: Client::from_conf(config.build()), wire, name }
    }

    pub(crate) fn params(&self, worker: &str) -> DynamoStoreParams {
        DynamoStoreParams {
            client: self.client.clone(),
            table: self.name.clone(),
            worker: worker.into(),
            now_ms: NOW,
            cache_bytes: 16 << 20,
            sweep_every: Duration::ZERO,
        }
    }

    pub(crate) async fn open(&self, worker: &str) -> DynamoStore {
        DynamoStore::open(self.params(worker)).await.unwrap()
    }

    /// The items of a partition whose sort keys begin so.
    pub(crate) async fn items(&self, pk: &str, begin: &str) -> Vec<std::collections::HashMap<String, AttributeValue>> {
        let query = self.client.query().table_name(&self.name).consistent_read(true);
        let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :begin)");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(pk.into()));
        let query = query.expression_attribute_values(":begin", AttributeValue::S(begin.into()));
        query.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }
}

/// A save of a bucket's events.
pub(crate) fn of(bucket: &str, based_on: u64, events: &[Event], mark: Option<PendingMark>) -> Save {
    let (resource, state) = (id(bucket), state(events));
    let account = bucket_state::belongs_to(&resource, &state);
    Save { resource, based_on, state, account, former_account: None, mark, set_aside: false }
}

pub(crate) async fn save(store: &dyn StateStore, save: Save) -> SaveOutcome {
    store.save(vec![save]).await.unwrap()[0]
}

pub(crate) async fn row(store: &dyn StateStore, resource: &ResourceId) -> Row {
    store.load(std::slice::from_ref(resource)).await.unwrap().remove(0).row().unwrap()
}

pub(crate) fn sink(name: &str) -> SinkName {
    SinkName::from(name)
}

pub(crate) async fn pending(store: &dyn StateStore, worker: &str, others_before_ms: i64) -> Vec<ResourceId> {
    let query = PendingQuery { sink: sink(SINK), worker: worker.into(), others_before_ms, limit: 100 };
    store.pending(&query).await.unwrap()
}

pub(crate) fn backlog(rows: u64, oldest_ms: Option<i64>, rejected: u64) -> Backlog {
    Backlog { rows, oldest_ms, rejected }
}
