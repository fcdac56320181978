//! A stream on a protocol server, and the leases of its workers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, StreamStatus};
use fake_aws::FakeAws;
use shard_consumer::{KinesisParams, KinesisSource, Lease, LeaseStore, Misplaced, Reading, SqliteLeases, Start};
use tempfile::TempDir;
use xtask::servers::KinesisServer;

use crate::worker::{Worker, at_once};

/// Nothing here takes this long, unless it never happens.
const NEVER: Duration = Duration::from_secs(60);
/// Long enough that no lease expires by itself within a test.
const FAILOVER: Duration = Duration::from_secs(120);

/// What speaks the protocol. One of each for all tests of this process: each test has a stream of its own.
#[derive(Clone, Copy)]
pub(crate) enum Server {
    KinesisMock,
    Fake,
}

impl Server {
    /// Blocks.
    fn endpoint(self) -> String {
        static KINESIS_MOCK: OnceLock<KinesisServer> = OnceLock::new();
        static FAKE: OnceLock<String> = OnceLock::new();
        match self {
            Self::KinesisMock => KINESIS_MOCK.get_or_init(|| KinesisServer::start().unwrap()).endpoint(),
            Self::Fake => FAKE.get_or_init(serve_fake).clone(),
        }
    }
}

/// Serves the fake from a thread of its own, for as long as the process lives, with its clock at the time of today.
fn serve_fake() -> String {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fake = FakeAws::new();
            // It is 2026-01-01T00:00:00Z there.
            let begin = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
            tokio::time::pause();
            tokio::time::advance(SystemTime::now().duration_since(begin).unwrap()).await;
            tokio::time::resume();
            let served = fake.serve().await.unwrap();
            tell.send(served.endpoint()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.recv().unwrap()
}

fn client(server: Server) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "x", None, None, "test"))
        .endpoint_url(server.endpoint());
    Client::from_conf(config.build())
}

/// A stream of its own, and a lease file.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) stream: String,
    dir: TempDir,
}

impl World {
    pub(crate) async fn new(server: Server, stream: &str, shards: i32) -> Self {
        let client = tokio::task::spawn_blocking(move || client(server)).await.unwrap();
        client.create_stream().stream_name(stream).shard_count(shards).send().await.unwrap();
        let world = Self { client, stream: stream.into(), dir: tempfile::tempdir().unwrap() };
        world.active().await;
        world
    }

    async fn active(&self) {
        let active = async {
            loop {
                let summary = self.client.describe_stream_summary().stream_name(&self.stream).send().await.unwrap();
                if summary.stream_description_summary.unwrap().stream_status == StreamStatus::Active {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(NEVER, active).await.expect("the stream should become active");
    }

    async fn shard(&self, shard: &str) -> Shard {
        let listed = self.client.list_shards().stream_name(&self.stream).send().await.unwrap();
        listed.shards.unwrap().into_iter().find(|listed| listed.shard_id == shard).unwrap()
    }

    /// Puts records with these texts into an open shard.
    pub(crate) async fn put(&self, shard: &str, texts: impl IntoIterator<Item = String>) {
        let key = self.shard(shard).await.hash_key_range.unwrap().starting_hash_key;
        let entries = texts.into_iter().map(|text| {
            let entry = PutRecordsRequestEntry::builder().data(Blob::new(text)).partition_key("p");
            entry.explicit_hash_key(&key).build().unwrap()
        });
        let put = self.client.put_records().stream_name(&self.stream).set_records(Some(entries.collect()));
        assert_eq!(put.send().await.unwrap().failed_record_count, Some(0));
    }

    pub(crate) async fn split(&self, shard: &str) {
        let range = self.shard(shard).await.hash_key_range.unwrap();
        let [first, last]: [u128; 2] =
            [&range.starting_hash_key, &range.ending_hash_key].map(|key| key.parse().unwrap());
        let middle = first + (last - first) / 2;
        let split = self.client.split_shard().stream_name(&self.stream).shard_to_split(shard);
        split.new_starting_hash_key(middle.to_string()).send().await.unwrap();
        self.active().await;
    }

    pub(crate) async fn merge(&self, shard: &str, adjacent: &str) {
        let merge = self.client.merge_shards().stream_name(&self.stream).shard_to_merge(shard);
        merge.adjacent_shard_to_merge(adjacent).send().await.unwrap();
        self.active().await;
    }

    /// The leases of an application, in the one file.
    pub(crate) async fn leases(&self, application: &str) -> Arc<SqliteLeases> {
        Arc::new(SqliteLeases::open(self.dir.path().join("leases.db"), application, &self.stream).await.unwrap())
    }

    pub(crate) async fn rows(&self) -> BTreeMap<String, Lease> {
        let table = self.leases("test").await.list().await.unwrap();
        table.leases.into_iter().map(|lease| (lease.shard.to_string(), lease)).collect()
    }

    /// A worker with a lease store of its own on the one file.
    pub(crate) async fn worker(&self, id: &str, start: Start) -> Worker {
        self.worker_of("test", id, start).await
    }

    pub(crate) async fn worker_of(&self, application: &str, id: &str, start: Start) -> Worker {
        let source = KinesisSource::new(KinesisParams {
            client: self.client.clone(),
            stream: self.stream.clone(),
            leases: self.leases(application).await,
            reading: Reading::Polling,
            misplaced: Misplaced::Deliver,
            worker_id: id.into(),
            start,
            failover_after: FAILOVER,
        });
        Worker::start(source, NEVER, at_once())
    }
}
