//! A stream, the leases on it, and workers that read it: on a protocol server, or in memory and in virtual time.

mod worker;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use fake_aws::FakeAws;
use shard_consumer::{
    DynamoLeases, DynamoLeasesParams, KinesisParams, KinesisSource, Lease, LeaseStore, Misplaced, Reading,
    SqliteLeases, Start,
};
use tempfile::TempDir;
use xtask::servers::KinesisServer;

pub(crate) use worker::{Worker, batches, by_batch, records};

/// Nothing here takes this long, unless it never happens.
pub(crate) const NEVER: Duration = Duration::from_secs(90);

/// A stream of its own.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) stream: &'static str,
    place: Place,
}

enum Place {
    /// Leases in a file.
    Server { http: SharedHttpClient, endpoint: String, dir: TempDir },
    /// Leases in a table.
    Memory(FakeAws),
}

/// How a worker reads.
#[derive(Clone)]
pub(crate) struct Manner {
    pub(crate) reading: Reading,
    pub(crate) misplaced: Misplaced,
    pub(crate) failover_after: Duration,
}

impl Manner {
    pub(crate) fn polling() -> Self {
        Self { reading: Reading::Polling, misplaced: Misplaced::Deliver, failover_after: Duration::from_secs(10) }
    }

    pub(crate) fn pushed() -> Self {
        Self { reading: Reading::FanOut { consumer: "test".into() }, ..Self::polling() }
    }
}

fn client(http: SharedHttpClient, endpoint: &str, caller: &str) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(caller, "x", None, None, "test"))
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

impl World {
    /// On the protocol server, which all tests of this process share, with this HTTP client.
    pub(crate) async fn on_server(stream: &'static str, shards: i32, http: SharedHttpClient) -> Self {
        static SERVER: OnceLock<KinesisServer> = OnceLock::new();
        let start = || SERVER.get_or_init(|| KinesisServer::start().unwrap()).endpoint();
        let endpoint = tokio::task::spawn_blocking(start).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        Self::on(client(http.clone(), &endpoint, "maker"), stream, shards, Place::Server { http, endpoint, dir }).await
    }

    pub(crate) async fn in_memory(stream: &'static str, shards: i32, fake: &FakeAws) -> Self {
        let client = client(fake.http_client(), "http://kinesis", "maker");
        Self::on(client, stream, shards, Place::Memory(fake.clone())).await
    }

    async fn on(client: Client, stream: &'static str, shards: i32, place: Place) -> Self {
        client.create_stream().stream_name(stream).shard_count(shards).send().await.unwrap();
        let world = Self { client, stream, place };
        world.active().await;
        world
    }

    pub(crate) async fn active(&self) {
        let active = async {
            loop {
                let answer = self.client.describe_stream_summary().stream_name(self.stream).send().await.unwrap();
                if answer.stream_description_summary.unwrap().stream_status == StreamStatus::Active {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(NEVER, active).await.expect("the stream should become active");
    }

    pub(crate) async fn hash_keys(&self, shard: u32) -> [u128; 2] {
        let listed = self.client.list_shards().stream_name(self.stream).send().await.unwrap();
        let shard = listed.shards.unwrap().into_iter().find(|listed| listed.shard_id == name(shard)).unwrap();
        let range = shard.hash_key_range.unwrap();
        [range.starting_hash_key.parse().unwrap(), range.ending_hash_key.parse().unwrap()]
    }

    /// Puts records into an open shard; gives their sequence numbers.
    pub(crate) async fn put<T: Into<Vec<u8>>>(&self, shard: u32, data: impl IntoIterator<Item = T>) -> Vec<String> {
        let [key, _] = self.hash_keys(shard).await;
        let entries = data.into_iter().map(|data| {
            let entry = PutRecordsRequestEntry::builder().data(Blob::new(data)).partition_key("p");
            entry.explicit_hash_key(key.to_string()).build().unwrap()
        });
        let put = self.client.put_records().stream_name(self.stream).set_records(Some(entries.collect()));
        let put = put.send().await.unwrap();
        assert_eq!(put.failed_record_count, Some(0));
        put.records.into_iter().map(|record| record.sequence_number.unwrap()).collect()
    }

    pub(crate) async fn leases(&self) -> Arc<dyn LeaseStore> {
        match &self.place {
            Place::Server { dir, .. } => {
                Arc::new(SqliteLeases::open(dir.path().join("leases.db"), "test", self.stream).await.unwrap())
            }
            Place::Memory(fake) => {
                let config = aws_sdk_dynamodb::Config::builder()
                    .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::v2026_01_12())
                    .http_client(fake.http_client())
                    .region(Region::new("us-east-1"))
                    .credentials_provider(Credentials::new("leases", "x", None, None, "test"))
                    .endpoint_url("http://dynamodb");
                let client = aws_sdk_dynamodb::Client::from_conf(config.build());
                Arc::new(
                    DynamoLeases::open(DynamoLeasesParams {
                        client,
                        table: self.stream.into(),
                        stream: self.stream.into(),
                    })
                    .await
                    .unwrap(),
                )
            }
        }
    }

    pub(crate) async fn rows(&self) -> BTreeMap<String, Lease> {
        let listed = self.leases().await.list().await.unwrap();
        assert_eq!(listed.unreadable, []);
        listed.leases.into_iter().map(|lease| (lease.shard.to_string(), lease)).collect()
    }

    /// A source whose calls can be told from those of others.
    pub(crate) async fn source(&self, id: &str, manner: &Manner) -> KinesisSource {
        let client = match &self.place {
            Place::Server { http, endpoint, .. } => client(http.clone(), endpoint, id),
            Place::Memory(fake) => client(fake.http_client(), "http://kinesis", id),
        };
        let Manner { reading, misplaced, failover_after } = manner.clone();
        KinesisSource::new(KinesisParams {
            client,
            stream: self.stream.into(),
            leases: self.leases().await,
            reading,
            misplaced,
            worker_id: id.into(),
            start: Start::TrimHorizon,
            failover_after,
        })
    }

    pub(crate) async fn worker(&self, id: &str, manner: &Manner) -> Worker {
        Worker::start(self.source(id, manner).await, |_| Duration::ZERO, by_batch)
    }
}

pub(crate) fn name(number: u32) -> String {
    format!("shardId-{number:012}")
}
