//! Where leases are kept, and the processes that share them.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use fake_aws::FakeAws;
use shard_consumer::{
    Checkpoint, DynamoLeases, DynamoLeasesParams, Lease, LeaseStore, LeaseTable, Position, ShardId, SqliteLeases,
    Written,
};
use tempfile::TempDir;
use xtask::servers::MinistackServer;

use crate::table::Table;
use crate::wire::Wire;

pub(crate) enum World {
    File(TempDir),
    Table(Table),
}

impl World {
    pub(crate) fn sqlite() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn table(server: Server) -> Self {
        Self::Table(server.table().await)
    }

    /// A store as one more process has it.
    pub(crate) async fn store(&self) -> Arc<dyn LeaseStore> {
        match self {
            Self::File(dir) => {
                Arc::new(SqliteLeases::open(dir.path().join("leases.db"), "app", "stream").await.unwrap())
            }
            Self::Table(table) => Arc::new(table.open().await),
        }
    }
}

/// What speaks DynamoDB's protocol.
#[derive(Clone, Copy)]
pub(crate) enum Server {
    Ministack,
    Fake,
}

impl Server {
    /// The name of a table of its own, which is not there yet.
    pub(crate) async fn table(self) -> Table {
        match self {
            Self::Ministack => {
                static SERVER: OnceLock<MinistackServer> = OnceLock::new();
                let start = || SERVER.get_or_init(|| MinistackServer::start().unwrap()).endpoint();
                let endpoint = tokio::task::spawn_blocking(start).await.unwrap();
                Table::new(Wire::new(aws_smithy_http_client::Builder::new().build_http()), &endpoint)
            }
            Self::Fake => Table::new(Wire::new(FakeAws::new().http_client()), "http://fake.invalid"),
        }
    }
}

impl Table {
    fn new(wire: Wire, endpoint: &str) -> Self {
        static TABLES: AtomicU32 = AtomicU32::new(0);
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(wire.clone())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("x", "x", None, None, "test"))
            .endpoint_url(endpoint);
        let name = format!("leases-{}", TABLES.fetch_add(1, Ordering::Relaxed));
        Self { client: Client::from_conf(config.build()), wire, name }
    }

    pub(crate) async fn open(&self) -> DynamoLeases {
        DynamoLeases::open(self.params()).await.unwrap()
    }

    pub(crate) fn params(&self) -> DynamoLeasesParams {
        DynamoLeasesParams { client: self.client.clone(), table: self.name.clone(), stream: "stream".into() }
    }
}

pub(crate) const SHARD: &str = "shardId-000000000000";

pub(crate) fn shard(number: usize) -> ShardId {
    format!("shardId-{number:012}").as_str().into()
}

pub(crate) fn lease(shard: &str) -> Lease {
    Lease::unowned(shard.into(), Position::TrimHorizon, vec![])
}

pub(crate) fn after(sequence: &str) -> Position {
    Position::After { sequence: sequence.into(), sub_sequence: 3 }
}

pub(crate) fn checkpoint(position: Position, children: &[&str]) -> Option<Checkpoint> {
    Some(Checkpoint { position, children: children.iter().map(|child| (*child).into()).collect() })
}

/// The row of the shard.
pub(crate) async fn row(store: &dyn LeaseStore, shard: &str) -> Lease {
    let LeaseTable { leases, unreadable, .. } = store.list().await.unwrap();
    assert_eq!(unreadable, []);
    leases.into_iter().find(|lease| lease.shard.as_str() == shard).unwrap()
}

/// Makes a change that must land, and returns the row that it leaves.
pub(crate) async fn land(store: &dyn LeaseStore, seen: &Lease, change: &shard_consumer::Change) -> Lease {
    assert_eq!(store.update(seen, change).await.unwrap(), Written::Landed, "{change:?} of {seen:?}");
    row(store, seen.shard.as_str()).await
}
