//! A stream and a lease table in memory, in virtual time, and workers with the real clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{HashKeyRange, PutRecordsRequestEntry};
use fake_aws::{Call, FakeAws, Fault};
use serde_json::Value;
use shard_consumer::{
    DynamoLeases, DynamoLeasesParams, KinesisParams, KinesisSource, Lease, LeaseStore, LeaseTable, Misplaced, Reading,
    Start,
};
use tokio::time::Instant;

use crate::worker::{Handling, Worker, at_once, name};

pub(crate) const STREAM: &str = "stream";
pub(crate) const TABLE: &str = "leases";
pub(crate) const FAILOVER: Duration = Duration::from_secs(10);

/// Nothing here takes this long, unless it never happens.
const NEVER: Duration = Duration::from_secs(900);
/// A call that puts records takes up to 10 MiB.
const PUT_BYTES: usize = 10_000_000;
/// 2026-01-01T00:00:00Z, when the services begin.
pub(crate) const BEGIN_MS: i64 = 1_767_225_600_000;
/// Signs what the tests themselves ask.
const TEST: &str = "test";

pub(crate) struct World {
    pub(crate) fake: FakeAws,
    kinesis: aws_sdk_kinesis::Client,
}

impl World {
    pub(crate) async fn new(shards: i32) -> Self {
        let fake = FakeAws::new();
        let kinesis = kinesis(fake.http_client(), TEST);
        kinesis.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
        Self { fake, kinesis }
    }

    /// Turns the services' clock from their beginning to a minute after the machine's, by which workers know what
    /// "latest" means: such a time does not lie in the services' future.
    pub(crate) async fn turn_to_today(&self) {
        let begin = UNIX_EPOCH + Duration::from_millis(BEGIN_MS as u64);
        let today = SystemTime::now().duration_since(begin).unwrap() + Duration::from_secs(60);
        tokio::time::advance(today).await;
    }

    pub(crate) fn dynamodb(&self, caller: &str) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.fake.http_client())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(caller, "secret", None, None, "test"))
            .endpoint_url("http://dynamodb.local");
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// As one worker has them.
    pub(crate) async fn leases_of(&self, worker: &str) -> Arc<DynamoLeases> {
        let params = DynamoLeasesParams { client: self.dynamodb(worker), table: TABLE.into(), stream: STREAM.into() };
        Arc::new(DynamoLeases::open(params).await.unwrap())
    }

    pub(crate) async fn leases(&self) -> Arc<DynamoLeases> {
        self.leases_of(TEST).await
    }

    pub(crate) async fn table(&self) -> LeaseTable {
        self.leases().await.list().await.unwrap()
    }

    pub(crate) async fn rows(&self) -> BTreeMap<String, Lease> {
        self.table().await.leases.into_iter().map(|lease| (lease.shard.to_string(), lease)).collect()
    }

    pub(crate) async fn row(&self, shard: u32) -> Lease {
        self.rows().await.remove(&name(shard)).unwrap()
    }

    /// Waits until the row of a shard is as wanted; gives it.
    pub(crate) async fn row_that(&self, shard: u32, is_wanted: impl Fn(&Lease) -> bool) -> Lease {
        let (leases, begun) = (self.leases().await, Instant::now());
        loop {
            let rows = leases.list().await.unwrap().leases;
            let row = rows.into_iter().find(|row| row.shard.as_str() == name(shard));
            if let Some(row) = row.filter(&is_wanted) {
                return row;
            }
            assert!(begun.elapsed() < NEVER, "the row never came to be so: {:?}", self.row(shard).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn kinesis_of(&self, worker: &str) -> aws_sdk_kinesis::Client {
        kinesis(self.fake.http_client(), worker)
    }

    pub(crate) async fn params(&self, worker: &str) -> KinesisParams {
        KinesisParams {
            client: self.kinesis_of(worker),
            stream: STREAM.into(),
            leases: self.leases_of(worker).await,
            reading: Reading::Polling,
            misplaced: Misplaced::Deliver,
            worker_id: worker.into(),
            start: Start::TrimHorizon,
            failover_after: FAILOVER,
        }
    }

    pub(crate) async fn worker(&self, name: &str) -> Worker {
        self.worker_that(name, at_once()).await
    }

    pub(crate) async fn worker_that(&self, name: &str, handling: Handling) -> Worker {
        start(self.params(name).await, handling)
    }

    /// What goes wrong with the calls of all workers, from now on.
    pub(crate) fn faults(&self, mut script: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.fake.set_faults(move |call| if call.caller == TEST { None } else { script(call) });
    }

    /// The calls of an operation that workers made.
    pub(crate) fn asked(&self, operation: &str) -> Vec<Call> {
        let calls = self.fake.asked(operation);
        calls.into_iter().filter(|call| call.caller != TEST).collect()
    }

    /// A member of the requests of an operation.
    pub(crate) fn asked_for(&self, operation: &str, member: &str) -> Vec<Value> {
        self.asked(operation).into_iter().map(|mut call| call.input[member].take()).collect()
    }

    async fn keys(&self, shard: u32) -> HashKeyRange {
        let listed = self.kinesis.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap();
        listed.into_iter().find(|listed| listed.shard_id == name(shard)).unwrap().hash_key_range.unwrap()
    }

    /// Puts records with these texts into an open shard.
    pub(crate) async fn put(&self, shard: u32, texts: impl IntoIterator<Item = impl Into<Vec<u8>>>) {
        self.put_under(shard, "p", texts).await;
    }

    pub(crate) async fn put_under(&self, shard: u32, key: &str, texts: impl IntoIterator<Item = impl Into<Vec<u8>>>) {
        let hash_key = self.keys(shard).await.starting_hash_key;
        let texts: Vec<Vec<u8>> = texts.into_iter().map(Into::into).collect();
        let most = texts.iter().map(Vec::len).max().unwrap_or(0).max(1);
        for texts in texts.chunks((PUT_BYTES / most).clamp(1, 500)) {
            let entries = texts.iter().map(|text| {
                let entry = PutRecordsRequestEntry::builder().data(Blob::new(text.clone())).partition_key(key);
                entry.explicit_hash_key(&hash_key).build().unwrap()
            });
            let put = self.kinesis.put_records().stream_name(STREAM).set_records(Some(entries.collect()));
            assert_eq!(put.send().await.unwrap().failed_record_count, Some(0));
        }
    }

    pub(crate) async fn split(&self, shard: u32) {
        let range = self.keys(shard).await;
        let [first, last]: [u128; 2] =
            [&range.starting_hash_key, &range.ending_hash_key].map(|key| key.parse().unwrap());
        let split = self.kinesis.split_shard().stream_name(STREAM).shard_to_split(name(shard));
        split.new_starting_hash_key((first + (last - first) / 2).to_string()).send().await.unwrap();
    }

    pub(crate) async fn merge(&self, shard: u32, adjacent: u32) {
        let merge = self.kinesis.merge_shards().stream_name(STREAM).shard_to_merge(name(shard));
        merge.adjacent_shard_to_merge(name(adjacent)).send().await.unwrap();
    }
}

pub(crate) fn start(params: KinesisParams, handling: Handling) -> Worker {
    Worker::start(KinesisSource::new(params), NEVER, handling)
}

/// A client with the time-outs of production, and with repeats of its own: the source must not let it.
pub(crate) fn kinesis(http: SharedHttpClient, caller: &str) -> aws_sdk_kinesis::Client {
    let time_outs = TimeoutConfig::builder()
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(20))
        .build();
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(time_outs)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(caller, "secret", None, None, "test"))
        .endpoint_url("http://kinesis.local");
    aws_sdk_kinesis::Client::from_conf(config.build())
}

pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(crate) fn error(status: u16, code: &'static str) -> Option<Fault> {
    Some(Fault::Error { status, code })
}

/// The worker that owns the lease, without the mark of its run.
pub(crate) fn owner(lease: &Lease) -> Option<&str> {
    lease.owner.as_deref().map(|owner| owner.split('/').next().unwrap_or(owner))
}
