//! Whole workers, with the real clients, on Kinesis and DynamoDB in memory and in virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use fake_aws::{Call, FakeAws, Fault};
use futures::FutureExt;
use shard_consumer::{
    DynamoLeases, DynamoLeasesParams, KinesisParams, KinesisSource, Misplaced, Reading, ShardEvent, Start,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::follow::follow;
use super::ledger::{Ledger, Left, Told};
use super::stream::{self, Producer, STREAM};

const FAILOVER: Duration = Duration::from_secs(10);
const KEYS: u64 = 40;

pub(crate) struct World {
    pub(crate) fake: FakeAws,
    begun: Instant,
    ledger: Arc<Mutex<Ledger>>,
    workers: BTreeMap<String, Worker>,
}

struct Worker {
    running: JoinHandle<()>,
    stop: CancellationToken,
}

fn config(fake: &FakeAws, caller: &str) -> (aws_sdk_kinesis::Client, aws_sdk_dynamodb::Client) {
    let credentials = Credentials::new(caller, "secret", None, None, "test");
    let region = Region::new("us-east-1");
    let kinesis = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(fake.http_client())
        .credentials_provider(credentials.clone())
        .region(region.clone())
        .endpoint_url("http://kinesis.local");
    let dynamodb = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(fake.http_client())
        .credentials_provider(credentials)
        .region(region)
        .endpoint_url("http://dynamodb.local");
    (aws_sdk_kinesis::Client::from_conf(kinesis.build()), aws_sdk_dynamodb::Client::from_conf(dynamodb.build()))
}

impl World {
    pub(crate) async fn new(shards: i32) -> Self {
        let fake = FakeAws::new();
        fake.enforce_limits(true);
        let (kinesis, _) = config(&fake, "maker");
        stream::create(&kinesis, shards).await;
        Self { fake, begun: Instant::now(), ledger: Arc::default(), workers: BTreeMap::new() }
    }

    pub(crate) async fn start(&mut self, name: &str) {
        let (kinesis, dynamodb) = config(&self.fake, name);
        let leases = loop {
            let params =
                DynamoLeasesParams { client: dynamodb.clone(), table: "numbers-leases".into(), stream: STREAM.into() };
            match DynamoLeases::open(params).await {
                Ok(leases) => break leases,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        };
        let source = KinesisSource::new(KinesisParams {
            client: kinesis,
            stream: STREAM.into(),
            leases: Arc::new(leases),
            reading: Reading::Polling,
            misplaced: Misplaced::Deliver,
            worker_id: name.into(),
            start: Start::TrimHorizon,
            failover_after: FAILOVER,
        });
        let stop = CancellationToken::new();
        let (ledger, begun, worker) = (Arc::clone(&self.ledger), self.begun, name.to_owned());
        let tell = move |event: &ShardEvent| {
            note(&ledger, begun, &worker, event);
            async { Ok(()) }.boxed()
        };
        let stopping = stop.clone();
        let running = tokio::spawn(async move {
            let followed = follow(&source, Duration::from_secs(1), stopping, tell).await;
            followed.unwrap();
        });
        self.workers.insert(name.into(), Worker { running, stop });
    }

    fn told(&self, worker: &str, told: Told) {
        let at = self.begun.elapsed().as_millis() as u64;
        self.ledger.lock().unwrap().lines.push((at, worker.into(), told));
    }

    async fn kill(&mut self, name: &str) {
        let worker = self.workers.remove(name).unwrap();
        worker.running.abort();
        let _aborted = worker.running.await;
        self.told(name, Told::Gone);
    }

    /// As ECS does it; waits until the worker has ended.
    async fn terminate(&mut self, name: &str) -> Duration {
        let worker = self.workers.remove(name).unwrap();
        self.told(name, Told::Stopping);
        let begun = Instant::now();
        worker.stop.cancel();
        worker.running.await.unwrap();
        self.told(name, Told::Gone);
        begun.elapsed()
    }

    fn client(&self, caller: &str) -> aws_sdk_kinesis::Client {
        config(&self.fake, caller).0
    }

    pub(crate) fn produce(&self, every: Duration) -> Producer {
        Producer::start(self.client("producer"), KEYS, every)
    }

    async fn open(&self) -> usize {
        stream::open_shards(&self.client("maker")).await.len()
    }

    async fn split(&self, index: usize) {
        let maker = self.client("maker");
        stream::split(&maker, &stream::open_shards(&maker).await[index]).await;
    }

    /// Merges the open shards that have the lowest keys.
    async fn merge(&self) {
        let maker = self.client("maker");
        let open = stream::open_shards(&maker).await;
        stream::merge(&maker, [&open[0], &open[1]]).await;
    }

    fn ledger(&self) -> Ledger {
        self.ledger.lock().unwrap().clone()
    }

    /// Stops the producer, and waits for what it sent: so many records of each key.
    pub(crate) async fn drain(&self, producer: Producer) -> BTreeMap<String, u64> {
        let sent = producer.stop().await;
        sleep(Duration::from_secs(30)).await;
        sent
    }
}

fn note(ledger: &Mutex<Ledger>, begun: Instant, worker: &str, event: &ShardEvent) {
    let at = begun.elapsed().as_millis() as u64;
    let mut ledger = ledger.lock().unwrap();
    let mut tell = |told| ledger.lines.push((at, worker.to_owned(), told));
    match event {
        ShardEvent::LeaseTaken { shard, .. } => tell(Told::Taken(shard.to_string())),
        ShardEvent::Leaving { shard, .. } | ShardEvent::LeaseLost { shard, .. } => tell(Told::Ended(shard.to_string())),
        ShardEvent::Finished { shard, .. } => tell(Told::Finished(shard.to_string())),
        ShardEvent::Batch(batch) => {
            for record in &batch.records {
                let text = String::from_utf8(record.data.clone()).unwrap();
                let (key, number) = text.split_once(' ').unwrap();
                tell(Told::Record { key: key.into(), number: number.parse().unwrap() });
            }
        }
        ShardEvent::HandedOver { .. } | ShardEvent::Shards { .. } => {}
    }
}

pub(crate) async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_fleet_goes_through_reshards_a_crash_a_deploy_and_a_newcomer_without_losing_or_reordering_anything() {
    let mut world = World::new(8).await;
    for worker in ["a", "b", "c"] {
        world.start(worker).await;
    }
    let producer = world.produce(Duration::from_millis(500));
    pass(20).await;
    let begun = world.ledger();
    let even = begun.held();
    world.split(0).await;
    pass(5).await;
    world.merge().await;
    pass(10).await;
    world.kill("a").await;
    pass(20).await;
    world.terminate("b").await;
    pass(5).await;
    world.start("d").await;
    pass(60).await;
    let sent = world.drain(producer).await;

    let ledger = world.ledger();
    let again = ledger.assert_whole_and_in_order(&sent);
    let (gaps, held) = (ledger.longest_gaps(), ledger.held());
    println!("longest times without a reader: {gaps:?}; leases held: {even:?}, then {held:?}");
    println!("{} records, of which {again} came again after the crash", ledger.records().count());
    assert!(ledger.contested().is_empty(), "two read {:?}", ledger.contested());
    for (after, most) in [(Left::Crashed, 13_000), (Left::Terminated, 2_000), (Left::HandedOver, 2_000)] {
        assert!(gaps[&after].ms <= most, "{gaps:?}");
    }
    assert_eq!(held.values().sum::<usize>(), world.open().await);
    for held in [even, held] {
        assert!(held.values().max().unwrap() - held.values().min().unwrap() <= 1, "{held:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_twice_where_nobody_crashes() {
    let mut world = World::new(6).await;
    world.start("a").await;
    let producer = world.produce(Duration::from_millis(700));
    pass(10).await;
    world.start("b").await;
    pass(10).await;
    world.split(2).await;
    world.start("c").await;
    pass(20).await;
    world.terminate("a").await;
    pass(10).await;
    world.merge().await;
    pass(20).await;
    let sent = world.drain(producer).await;
    assert_eq!(world.ledger().assert_whole_and_in_order(&sent), 0);
}

/// What goes wrong with a call, by chance: a twelfth of all calls.
fn misfortune(random: &mut fastrand::Rng, call: &Call) -> Option<Fault> {
    if call.caller == "maker" || call.caller == "producer" {
        return None;
    }
    let throttle = match call.operation.as_str() {
        "GetRecords" | "GetShardIterator" | "ListShards" => "ProvisionedThroughputExceededException",
        _ => "ThrottlingException",
    };
    match random.u8(..72) {
        0 => Some(Fault::Error { status: 400, code: throttle }),
        1 => Some(Fault::Error { status: 500, code: "InternalFailure" }),
        2 => Some(Fault::Reset),
        3 => Some(Fault::LoseAnswer),
        4 => Some(Fault::Late(Duration::from_millis(random.u64(..3_000)))),
        5 => Some(Fault::LateStart(Duration::from_millis(random.u64(..3_000)))),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_now_and_then_progress_resumes_and_nothing_is_lost() {
    for seed in 0..4 {
        fastrand::seed(seed);
        let mut world = World::new(4).await;
        let mut random = fastrand::Rng::with_seed(seed);
        world.fake.set_faults(move |call| misfortune(&mut random, call));
        for worker in ["a", "b", "c"] {
            world.start(worker).await;
        }
        let producer = world.produce(Duration::from_secs(1));
        pass(20).await;
        world.split(1).await;
        pass(20).await;
        world.kill("b").await;
        pass(20).await;
        world.merge().await;
        world.start("d").await;
        pass(60).await;
        let sent = world.drain(producer).await;
        world.ledger().assert_whole_and_in_order(&sent);
        let ledger = world.ledger();
        assert_eq!(ledger.held().values().sum::<usize>(), world.open().await, "seed {seed}");
        assert!(ledger.contested().is_empty(), "seed {seed}: two read {:?}", ledger.contested());
    }
}
