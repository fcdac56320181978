//! A graph under test, and what must stand in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bucket_state::{AccountLevel, Entity, Event, ResourceId, ResourceState, Snapshot, account_of, project};
use emitter::{
    FanOutWork, GraphSink, ListedSink, Outbox, OutboxSettings, SinkName, SqliteFile, SqliteStore, StateStore,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::{NOW, clock, never};

/// A graph under test.
#[async_trait]
pub(crate) trait Subject: Send + Sync {
    /// A worker's hands on it.
    async fn sink(&self, worker: &str) -> Arc<dyn GraphSink>;

    /// What a user sees.
    async fn shown(&self) -> Shown;

    /// What of a snapshot it shows, and how.
    fn renders(&self, snapshot: Snapshot) -> Snapshot {
        snapshot
    }

    /// Whether it refuses what is older by itself, so that an emission of a dead worker may land at any time.
    fn compares(&self) -> bool {
        true
    }
}

/// Owned entities and all relationships, by key.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shown {
    pub(crate) entities: BTreeMap<String, Value>,
    pub(crate) relationships: BTreeMap<String, Value>,
}

impl Shown {
    /// Of what an export prints: without placeholders.
    pub(crate) fn of(entities: Vec<Value>, relationships: Vec<Value>) -> Self {
        let keyed = |value: Value| (value["_key"].as_str().unwrap().to_owned(), value);
        let owned = entities.into_iter().filter(|entity| entity["placeholder"] != true);
        Self { entities: owned.map(keyed).collect(), relationships: relationships.into_iter().map(keyed).collect() }
    }

    /// What all of these events make, folded plainly.
    pub(crate) fn of_events(events: &[Event], subject: &dyn Subject) -> Self {
        let mut states: BTreeMap<ResourceId, ResourceState> = BTreeMap::new();
        events.iter().for_each(|event| states.entry(event.resource.clone()).or_default().fold(event.clone()));
        let mut shown = Self::default();
        for (id, state) in &states {
            let owner = account_of(id, state).and_then(|owner| states.get_key_value(&owner));
            let level = owner.map_or(AccountLevel::Silent, |(owner, state)| AccountLevel::Told(owner, state));
            let Snapshot { entities, relationships, .. } = subject.renders(project(id, state, level));
            shown.entities.extend(entities.into_iter().map(|Entity(map)| (text(&map["_key"]), Value::Object(map))));
            let relationships = relationships.into_iter().map(|edge| edge.properties);
            shown.relationships.extend(relationships.map(|map| (text(&map["_key"]), Value::Object(map))));
        }
        shown
    }

    /// Says what differs, and in few lines.
    pub(crate) fn assert_is(&self, expected: &Self, why: &str) {
        for (what, is, should) in [
            ("entity", &self.entities, &expected.entities),
            ("relationship", &self.relationships, &expected.relationships),
        ] {
            for key in is.keys().chain(should.keys()) {
                let (is, should) = (is.get(key), should.get(key));
                assert_eq!(is, should, "{why}: {what} {key}");
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The state store of a test: a file, in memory where the system has a place for that.
pub(crate) struct Store {
    folder: tempfile::TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        let in_memory = std::path::Path::new("/dev/shm");
        let folder = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
        Self { folder: folder.unwrap() }
    }

    /// A worker's own connection to it.
    pub(crate) fn of(&self, worker: &str) -> SqliteStore {
        let file = SqliteFile::open(&self.folder.path().join("state.db")).unwrap();
        SqliteStore::open(file, worker, NOW).unwrap()
    }
}

/// Opens the store for a worker of this name.
pub(crate) type Stores = Arc<dyn Fn(&str) -> Arc<dyn StateStore> + Send + Sync>;

/// A state store of its own, in a file.
pub(crate) fn embedded() -> Stores {
    let store = Store::new();
    Arc::new(move |worker: &str| Arc::new(store.of(worker)) as Arc<dyn StateStore>)
}

pub(crate) fn settings(worker: &str, adopt_after: Duration) -> OutboxSettings {
    OutboxSettings { worker: worker.into(), adopt_after, batch: 100 }
}

pub(crate) async fn list(store: &dyn StateStore, sink: &dyn GraphSink) {
    let listed = ListedSink { name: sink.name().clone(), instance: sink.instance().into() };
    store.add_sinks(&[listed], NOW).await.unwrap();
}

/// Marks and emits, as a worker that adopts everything, until nothing is pending.
pub(crate) async fn settle(store: Arc<dyn StateStore>, sink: Arc<dyn GraphSink>, look_again: Duration) {
    let later = || clock() + 3_600_000;
    let work = FanOutWork { store: store.as_ref(), worker: "last", adopt_after: Duration::ZERO, clock: &later };
    let outbox = Outbox::new(Arc::clone(&store), Arc::clone(&sink), settings("last", Duration::ZERO));
    loop {
        while work.pass(&CancellationToken::new()).await.unwrap().accounts > 0 {}
        // What was marked this very moment is adopted, too.
        while outbox.round(later() + 1, &never()).await.unwrap().is_some() {}
        if waiting(store.as_ref(), sink.name()).await == 0 {
            return;
        }
        tokio::time::sleep(look_again).await;
    }
}

pub(crate) async fn waiting(store: &dyn StateStore, sink: &SinkName) -> u64 {
    store.backlog(sink).await.unwrap().rows
}
