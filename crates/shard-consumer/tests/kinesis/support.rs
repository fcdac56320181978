//! A stream on the protocol server, and workers that read it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, StreamStatus};
use shard_consumer::{
    Change, Cut, KinesisParams, KinesisSource, Lease, LeaseStore, Position, ShardEvent, ShardId, ShardSource,
    SourceError, SqliteLeases, Start, Written,
};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use xtask::servers::KinesisServer;

/// Nothing here takes this long, unless it never happens.
const NEVER: Duration = Duration::from_secs(60);

/// One server for all tests of this process: each has a stream of its own.
fn endpoint() -> String {
    static SERVER: OnceLock<KinesisServer> = OnceLock::new();
    SERVER.get_or_init(|| KinesisServer::start().unwrap()).endpoint()
}

pub(crate) fn client() -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "x", None, None, "test"))
        .endpoint_url(endpoint());
    Client::from_conf(config.build())
}

/// A stream of its own, and a lease file.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) stream: String,
    dir: TempDir,
}

impl World {
    pub(crate) async fn new(stream: &str, shards: i32) -> Self {
        let client = tokio::task::spawn_blocking(client).await.unwrap();
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

    pub(crate) async fn leases(&self) -> Arc<SqliteLeases> {
        Arc::new(SqliteLeases::open(self.dir.path().join("leases.db"), "test", &self.stream).await.unwrap())
    }

    pub(crate) async fn rows(&self) -> BTreeMap<String, Lease> {
        let rows = self.leases().await.list().await.unwrap();
        rows.into_iter().map(|lease| (lease.shard.to_string(), lease)).collect()
    }

    /// A worker with a lease store of its own on the one file.
    pub(crate) async fn worker(&self, id: &str, failover_after: Duration, start: Start) -> Worker {
        self.worker_on(self.leases().await, id, failover_after, start)
    }

    pub(crate) fn worker_on(
        &self,
        leases: Arc<dyn LeaseStore>,
        id: &str,
        failover_after: Duration,
        start: Start,
    ) -> Worker {
        Worker::start(KinesisSource::new(KinesisParams {
            client: self.client.clone(),
            stream: self.stream.clone(),
            leases,
            worker_id: id.into(),
            start,
            failover_after,
        }))
    }
}

pub(crate) fn name(number: u32) -> String {
    format!("shardId-{number:012}")
}

/// A source that runs, and everything it told.
pub(crate) struct Worker {
    pub(crate) source: Arc<KinesisSource>,
    told: watch::Receiver<Vec<ShardEvent>>,
    /// When each of them was told.
    times: Arc<Mutex<Vec<Instant>>>,
    cut: Arc<Mutex<Cut>>,
    stop: CancellationToken,
    running: JoinHandle<Result<(), SourceError>>,
}

impl Worker {
    fn start(source: KinesisSource) -> Self {
        let source = Arc::new(source);
        let (tell, told) = watch::channel(Vec::new());
        let cut = Arc::new(Mutex::new(Cut::default()));
        let stop = CancellationToken::new();
        let handled = Arc::clone(&cut);
        let times = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&times);
        let deliver = Arc::new(move |event: ShardEvent| {
            match &event {
                ShardEvent::Batch(batch) => {
                    handled.lock().unwrap().advance(&batch.shard, batch.epoch, batch.after.clone());
                }
                ShardEvent::Finished { shard, epoch } => {
                    handled.lock().unwrap().advance(shard, *epoch, Position::ShardEnd);
                }
                ShardEvent::LeaseTaken { .. } | ShardEvent::LeaseLost { .. } | ShardEvent::Shards { .. } => {}
            }
            tell.send_modify(|events| {
                noted.lock().unwrap().push(Instant::now());
                events.push(event);
            });
            Box::pin(async {}) as futures::future::BoxFuture<'static, ()>
        });
        let running = tokio::spawn({
            let (source, stop) = (Arc::clone(&source), stop.clone());
            async move { source.run(deliver, stop).await }
        });
        Self { source, told, times, cut, stop, running }
    }

    /// Waits until what was told satisfies `enough`; gives all of it.
    pub(crate) async fn until(&mut self, enough: impl FnMut(&Vec<ShardEvent>) -> bool) -> Vec<ShardEvent> {
        let told = tokio::time::timeout(NEVER, self.told.wait_for(enough)).await.map(|told| told.unwrap().clone());
        told.unwrap_or_else(|_| panic!("it never came; told so far: {:#?}", self.told()))
    }

    /// Waits until so many records were told.
    pub(crate) async fn until_records(&mut self, count: usize) -> Vec<ShardEvent> {
        self.until(|told| texts(told).values().map(Vec::len).sum::<usize>() >= count).await
    }

    pub(crate) fn told(&self) -> Vec<ShardEvent> {
        self.told.borrow().clone()
    }

    /// When the first such event was told.
    pub(crate) fn when(&self, which: impl FnMut(&ShardEvent) -> bool) -> Instant {
        let first = self.told().iter().position(which).unwrap();
        self.times.lock().unwrap()[first]
    }

    pub(crate) fn cut(&self) -> Cut {
        self.cut.lock().unwrap().clone()
    }

    /// Stops reading; the leases stay.
    pub(crate) async fn drain(&mut self) {
        self.stop.cancel();
        (&mut self.running).await.unwrap().unwrap();
    }

    /// What `run` returns by itself.
    pub(crate) async fn ended(self) -> Result<(), SourceError> {
        self.running.await.unwrap()
    }

    /// Ends without a word, renewals too.
    pub(crate) async fn crash(self) -> Vec<ShardEvent> {
        self.running.abort();
        let _ = self.running.await;
        self.told.borrow().clone()
    }
}

/// The texts delivered, by shard.
pub(crate) fn texts(told: &[ShardEvent]) -> BTreeMap<String, Vec<String>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in told {
        if let ShardEvent::Batch(batch) = event {
            let records = batch.records.iter().map(|record| String::from_utf8(record.data.clone()).unwrap());
            texts.entry(batch.shard.to_string()).or_default().extend(records);
        }
    }
    texts.retain(|_, texts| !texts.is_empty());
    texts
}

/// Leases whose writes fail while it is shut.
pub(crate) struct Gate {
    pub(crate) leases: Arc<SqliteLeases>,
    pub(crate) shut: AtomicBool,
}

impl Gate {
    fn pass(&self) -> Result<(), SourceError> {
        if self.shut.load(Ordering::SeqCst) {
            return Err(SourceError::Failed { what: "write".into(), source: "the gate is shut".into() });
        }
        Ok(())
    }
}

#[async_trait]
impl LeaseStore for Gate {
    async fn list(&self) -> Result<Vec<Lease>, SourceError> {
        self.pass()?;
        self.leases.list().await
    }
    async fn create(&self, lease: &Lease) -> Result<bool, SourceError> {
        self.pass()?;
        self.leases.create(lease).await
    }
    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        self.pass()?;
        self.leases.update(seen, change).await
    }
    async fn delete(&self, shard: &ShardId) -> Result<(), SourceError> {
        self.pass()?;
        self.leases.delete(shard).await
    }
}
