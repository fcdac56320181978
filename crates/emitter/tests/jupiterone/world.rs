//! A store, a contract's server, and workers that emit to it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bucket_state::{Event, ResourceId};
use emitter::{
    EmitReport, GraphSink, JupiterOne, JupiterOneParams, ListedSink, Mode, Outbox, OutboxError, OutboxSettings, Route,
    Scope, SinkEvent, SinkName, SqliteFile, SqliteStore, StateStore,
};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;

use crate::server::{Contract, KEY, Wire};
use crate::support::{NOW, never, sealed};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const OTHER: &str = "444455556666";

thread_local! {
    static START: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The time of a test, which is virtual.
pub(crate) fn clock() -> i64 {
    let start = START.get().unwrap_or_else(Instant::now);
    START.set(Some(start));
    NOW + i64::try_from(start.elapsed().as_millis()).unwrap()
}

pub(crate) struct World {
    pub(crate) server: Arc<Contract>,
    folder: tempfile::TempDir,
    pub(crate) waited: Arc<Mutex<Duration>>,
}

impl World {
    pub(crate) fn new() -> Self {
        START.set(Some(Instant::now()));
        Self { server: Contract::new(), folder: tempfile::tempdir().unwrap(), waited: Arc::default() }
    }

    pub(crate) fn store(&self, worker: &str) -> SqliteStore {
        let file = SqliteFile::open(&self.folder.path().join("state.db")).unwrap();
        SqliteStore::open(file, worker, NOW).unwrap()
    }

    pub(crate) fn params(&self, worker: &str) -> JupiterOneParams {
        let waited = Arc::clone(&self.waited);
        JupiterOneParams {
            name: SinkName::from("jupiterone:test"),
            host: "test".into(),
            http: Arc::new(Wire(Arc::clone(&self.server))),
            default: Some(route("acme")),
            routes: BTreeMap::new(),
            scope: Scope::Account,
            mode: Mode::Diff,
            requests_per_minute: 30,
            worker: worker.to_owned(),
            observe: Arc::new(move |event| {
                if let SinkEvent::Waited(time) = event {
                    *waited.lock().unwrap() += time;
                }
            }),
        }
    }

    pub(crate) async fn worker(&self, name: &str, change: impl FnOnce(&mut JupiterOneParams)) -> Worker {
        let mut params = self.params(name);
        change(&mut params);
        let store = Arc::new(self.store(name));
        let lanes = JupiterOne::lanes(&params);
        let listed = ListedSink { name: params.name.clone(), instance: lanes[0].instance().into() };
        store.add_sinks(&[listed], NOW).await.unwrap();
        Worker { name: name.to_owned(), store, lanes }
    }

    /// Makes the bytes of a stored state unreadable.
    pub(crate) fn damage(&self, resource: &ResourceId) {
        let sql = rusqlite::Connection::open(self.folder.path().join("state.db")).unwrap();
        let changed = sql.execute("UPDATE states SET state = x'00ff' WHERE resource = ?1", [resource.as_str()]);
        assert_eq!(changed.unwrap(), 1);
    }

    /// By key.
    pub(crate) fn entities(&self) -> BTreeMap<String, Value> {
        let entities = self.server.shown().0.into_iter();
        entities.map(|entity| (entity["_key"].as_str().unwrap().to_owned(), entity)).collect()
    }

    /// Names of the buckets that are shown.
    pub(crate) fn buckets(&self) -> Vec<String> {
        let entities = self.entities().into_values();
        let buckets = entities.filter(|entity| entity["_type"] == "aws_s3_bucket");
        buckets.map(|bucket| bucket["name"].as_str().unwrap().to_owned()).collect()
    }
}

pub(crate) fn route(account: &str) -> Route {
    Route { account: account.into(), key: SecretString::from(KEY) }
}

/// One worker on the store.
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) lanes: Vec<Arc<dyn GraphSink>>,
}

impl Worker {
    pub(crate) async fn save(&self, events: &[Event]) {
        let saved = sealed(events, 1).save(self.store.as_ref(), clock).await.unwrap();
        saved.checkpoint(async |_| Ok::<_, Infallible>(())).await.unwrap();
    }

    pub(crate) fn outbox(&self, lane: usize) -> Outbox {
        let settings = OutboxSettings { worker: self.name.clone(), adopt_after: Duration::from_secs(10), batch: 100 };
        Outbox::new(Arc::clone(&self.store) as _, Arc::clone(&self.lanes[lane]), settings)
    }

    pub(crate) async fn round(&self) -> Result<Option<EmitReport>, OutboxError> {
        self.outbox(0).round(clock(), &never()).await
    }

    /// Emits until nothing waits, however often another worker is at it.
    pub(crate) async fn settle(&self) {
        while self.waiting().await > 0 {
            for lane in 0..self.lanes.len() {
                while self.outbox(lane).round(clock() + 3_600_000, &never()).await.unwrap().is_some() {}
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    pub(crate) async fn waiting(&self) -> u64 {
        self.store.backlog(self.lanes[0].name()).await.unwrap().rows
    }

    pub(crate) async fn claim(&self) -> Value {
        let words = self.store.claim("jupiterone:test/acme").await.unwrap();
        words.map_or(Value::Null, |words| serde_json::from_str(&words).unwrap())
    }
}
