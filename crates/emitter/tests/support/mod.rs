//! Events, states and a file to keep them in.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod disturbed;
pub(crate) mod stepped;

use bucket_state::{AccountLevel, Event, Parsed, Parser, ResourceId, ResourceState, Snapshot};
use emitter::{
    Limits, ListedSink, Outbox, OutboxSettings, PendingMark, Save, SaveOutcome, Sealed, SinkName, SqliteFile,
    SqliteGraph, SqliteStore, StateStore, Window,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) const SINK: &str = "sqlite:graph";
pub(crate) const NOW: i64 = 1_772_366_400_000;

/// A successful call on a bucket, `second` seconds after noon.
pub(crate) fn event(bucket: &str, name: &str, second: u32, parameters: &Value) -> Event {
    let mut parameters = parameters.clone();
    parameters["bucketName"] = bucket.into();
    let record = json!({
        "eventVersion": "1.08", "eventSource": "s3.amazonaws.com", "eventName": name, "awsRegion": "eu-west-1",
        "eventTime": format!("2026-03-01T12:{:02}:{:02}Z", second / 60, second % 60), "recipientAccountId": "111122223333",
        "eventID": format!("{bucket}-{name}-{second}"), "requestParameters": parameters,
    });
    let mut found = None;
    Parser::default().parse(record.to_string().as_bytes(), NOW + 3_600_000, &mut |parsed| match parsed {
        Parsed::Event(event) => found = Some(event),
        other => panic!("{other:?}"),
    });
    found.unwrap()
}

pub(crate) fn create(bucket: &str, second: u32) -> Event {
    event(bucket, "CreateBucket", second, &json!({"x-amz-acl": "private"}))
}

pub(crate) fn logging(bucket: &str, second: u32, target: &str) -> Event {
    let enabled = json!({"TargetBucket": target, "TargetPrefix": ""});
    event(bucket, "PutBucketLogging", second, &json!({"BucketLoggingStatus": {"LoggingEnabled": enabled}}))
}

pub(crate) fn delete(bucket: &str, second: u32) -> Event {
    event(bucket, "DeleteBucket", second, &json!({}))
}

pub(crate) fn state(events: &[Event]) -> ResourceState {
    let mut state = ResourceState::default();
    events.iter().for_each(|event| state.fold(event.clone()));
    state
}

pub(crate) fn id(bucket: &str) -> ResourceId {
    ResourceId::bucket("eu-west-1", bucket)
}

pub(crate) fn mark(since_ms: i64) -> PendingMark {
    PendingMark { since_ms, arrived_ms: since_ms - 5, happened_ms: since_ms - 10 }
}

/// The part of the graph that a state makes, while nothing is known of its account.
pub(crate) fn project(id: &ResourceId, state: &ResourceState) -> Snapshot {
    bucket_state::project(id, state, AccountLevel::Silent)
}

/// A store and a graph in one file of a temporary folder.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: SqliteStore,
    pub(crate) graph: SqliteGraph,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteFile::open(&folder.path().join("trailgraph.db")).unwrap();
        let store = SqliteStore::open(file.clone(), "worker", NOW).unwrap();
        let graph = SqliteGraph::open(file, SinkName::from(SINK)).unwrap();
        store.add_sinks(&[listed(SINK, "first")], NOW).await.unwrap();
        Self { folder, store, graph }
    }

    /// Another worker's view of the same file.
    pub(crate) fn colleague(&self, name: &str) -> SqliteStore {
        let file = SqliteFile::open(&self.folder.path().join("trailgraph.db")).unwrap();
        SqliteStore::open(file, name, NOW + 1).unwrap()
    }

    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("trailgraph.db")).unwrap()
    }

    /// Spoils the stored state of a resource.
    pub(crate) fn damage(&self, resource: &ResourceId) {
        let spoilt = self.sql().execute("UPDATE states SET state = x'01FF00' WHERE resource = ?1", [resource.as_str()]);
        assert_eq!(spoilt.unwrap(), 1);
    }

    /// Makes the file one of before members were listed.
    pub(crate) fn forget_members(&self) {
        let forget = "DROP TABLE members; UPDATE schema_versions SET version = 1 WHERE part = 'state'";
        self.sql().execute_batch(forget).unwrap();
    }

    /// The resources whose damaged states were kept.
    pub(crate) fn set_aside(&self) -> Vec<String> {
        let sql = self.sql();
        let mut query = sql.prepare("SELECT resource FROM damaged_states").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    pub(crate) fn outbox(&self, worker: &str) -> Outbox {
        let settings = OutboxSettings { worker: worker.into(), adopt_after: Duration::from_secs(10), batch: 100 };
        Outbox::new(Arc::new(self.store.clone()), Arc::new(self.graph.clone()), settings)
    }

    /// What stands in the graph: keys of entities with whether each is a placeholder, and keys of relationships.
    pub(crate) async fn shown(&self) -> (Vec<(String, bool)>, Vec<String>) {
        let (entities, relationships) = self.graph.export().await.unwrap();
        let key = |value: &Value| value["_key"].as_str().unwrap().to_owned();
        let entities = entities.iter().map(|entity| (key(entity), entity["placeholder"] == true)).collect();
        (entities, relationships.iter().map(key).collect())
    }
}

/// A window with these events, sealed.
pub(crate) fn sealed(events: &[Event], cut: u64) -> Sealed<u64> {
    let limits = Limits { flush_after: Duration::from_secs(5), flush_at: 1_000, dirty_max: 1_000 };
    let window = Window::new(limits, 0);
    events.iter().for_each(|event| window.fold(event.clone(), NOW));
    window.advance(false, |position| *position = cut);
    window.seal()
}

pub(crate) async fn save(store: &SqliteStore, bucket: &str, based_on: u64, events: &[Event]) -> SaveOutcome {
    save_at(NOW, store, bucket, based_on, events).await
}

pub(crate) async fn save_at(
    now_ms: i64,
    store: &SqliteStore,
    bucket: &str,
    based_on: u64,
    events: &[Event],
) -> SaveOutcome {
    let (resource, state, mark) = (id(bucket), state(events), Some(mark(now_ms)));
    let account = bucket_state::account_of(&resource, &state);
    let save = Save { resource, based_on, state, account, former_account: None, mark, set_aside: false };
    store.save(vec![save]).await.unwrap()[0]
}

/// A stop that never comes.
pub(crate) fn never() -> CancellationToken {
    CancellationToken::new()
}

pub(crate) fn clock() -> i64 {
    NOW
}

pub(crate) fn listed(name: &str, instance: &str) -> ListedSink {
    ListedSink { name: SinkName::from(name), instance: instance.into() }
}
