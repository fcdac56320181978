//! Processes, on protocol servers: what a fleet does when its clocks, its network and its signals are real.

mod fleet;

use std::process::Stdio;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use tempfile::TempDir;
use xtask::servers::{KinesisServer, MinistackServer};

use super::stream::{Producer, create, merge, open_shards, split};
use fleet::{Fleet, until};

const SHARDS: i32 = 8;
/// What `tail` does without being told.
const FAILOVER: Duration = Duration::from_secs(10);
/// Where nobody crashes, a busy machine may keep a process waiting without a lease being lost.
const PATIENT: Duration = Duration::from_secs(30);
const KEYS: u64 = 30;
/// 300 records a second: what the server takes with ease.
const EVERY: Duration = Duration::from_millis(100);
/// Far more than any gap on a busy machine: a shard without a reader for so long has been forgotten.
const FORGOTTEN_MS: u64 = 60_000;

/// A stream, and where its leases are.
struct World {
    kinesis: KinesisServer,
    client: Client,
    leases: Leases,
}

enum Leases {
    Dynamodb(MinistackServer),
    Folder(TempDir),
}

impl World {
    async fn on_dynamodb() -> Self {
        let server = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
        Self::new(Leases::Dynamodb(server)).await
    }

    async fn on_file() -> Self {
        Self::new(Leases::Folder(tempfile::tempdir().unwrap())).await
    }

    async fn new(leases: Leases) -> Self {
        let kinesis = tokio::task::spawn_blocking(KinesisServer::start).await.unwrap().unwrap();
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(kinesis.endpoint());
        let client = Client::from_conf(config.build());
        create(&client, SHARDS).await;
        Self { kinesis, client, leases }
    }

    /// Without processes as yet.
    fn fleet(&self, failover_after: Duration) -> Fleet {
        let mut endpoints = vec![("AWS_ENDPOINT_URL_KINESIS", self.kinesis.endpoint())];
        let leases = match &self.leases {
            Leases::Dynamodb(server) => {
                endpoints.push(("AWS_ENDPOINT_URL_DYNAMODB", server.endpoint()));
                "dynamodb:numbers-leases".to_owned()
            }
            Leases::Folder(folder) => format!("sqlite:{}", folder.path().join("leases.db").display()),
        };
        Fleet::new(leases, failover_after, endpoints)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_go_through_reshards_a_crash_a_deploy_and_a_newcomer_without_losing_or_reordering_anything() {
    let world = World::on_dynamodb().await;
    let (mut fleet, client) = (world.fleet(FAILOVER), &world.client);
    let producer = Producer::start(client.clone(), KEYS, EVERY);
    for worker in ["a", "b", "c"] {
        fleet.start(worker);
    }
    println!("three processes were balanced within {:.1?}: {:?}", fleet.balanced(8).await, fleet.held());

    let open = open_shards(client).await;
    split(client, &open[0]).await;
    merge(client, [&open[5], &open[6]]).await;
    fleet.kill("a");
    println!("a process took {:.1?} to end at SIGTERM", fleet.terminate(&["b"]).await);
    fleet.start("d");
    let open = open_shards(client).await.len();
    println!("two processes were balanced within {:.1?}: {:?}", fleet.balanced(open).await, fleet.held());

    let sent = producer.stop().await;
    println!("the last records came within {:.1?}", fleet.came(&sent).await);
    let gaps = fleet.ledger().longest_gaps();
    println!("two processes took {:.1?} to end at SIGTERM", fleet.terminate(&["c", "d"]).await);
    let ledger = fleet.ledger();
    let again = ledger.assert_whole_and_in_order(&sent);
    println!("longest times without a reader: {gaps:?}; two readers at once: {:?}", ledger.contested());
    println!("{} records, of which {again} came again", ledger.records().count());
    assert!(gaps.values().all(|gap| gap.ms < FORGOTTEN_MS), "{gaps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_leases_in_a_file_and_one_goes_at_sigterm() {
    let world = World::on_file().await;
    let mut fleet = world.fleet(PATIENT);
    let producer = Producer::start(world.client.clone(), KEYS, EVERY);
    for worker in ["a", "b", "c"] {
        fleet.start(worker);
    }
    println!("three processes were balanced within {:.1?}: {:?}", fleet.balanced(8).await, fleet.held());
    println!("a process took {:.1?} to end at SIGTERM", fleet.terminate(&["a"]).await);
    println!("two processes were balanced within {:.1?}: {:?}", fleet.balanced(8).await, fleet.held());
    let sent = producer.stop().await;
    fleet.came(&sent).await;
    let gaps = fleet.ledger().longest_gaps();
    fleet.terminate(&["b", "c"]).await;
    println!("longest times without a reader: {gaps:?}");
    assert!(gaps.values().all(|gap| gap.ms < FORGOTTEN_MS), "{gaps:?}");
    assert_eq!(fleet.ledger().assert_whole_and_in_order(&sent), 0, "nobody crashed, and some came again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_paused_knows_that_its_leases_are_gone_and_nothing_comes_out_of_order() {
    let world = World::on_dynamodb().await;
    let mut fleet = world.fleet(FAILOVER);
    let producer = Producer::start(world.client.clone(), KEYS, EVERY);
    for worker in ["a", "b"] {
        fleet.start(worker);
    }
    fleet.balanced(8).await;
    fleet.signal("a", "-STOP");
    println!("its shards were read again after {:.1?}", until("b reads all", async || fleet.held() == [0, 8]).await);
    fleet.signal("a", "-CONT");
    println!("two processes were balanced within {:.1?}: {:?}", fleet.balanced(8).await, fleet.held());
    let sent = producer.stop().await;
    fleet.came(&sent).await;
    fleet.terminate(&["a", "b"]).await;
    let again = fleet.ledger().assert_whole_and_in_order(&sent);
    println!("{} records, of which {again} came again", fleet.ledger().records().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_output_nobody_reads_fails_and_another_reads_its_shards_at_once() {
    let world = World::on_file().await;
    let mut fleet = world.fleet(PATIENT);
    let mut unheard = fleet.command("unheard").stderr(Stdio::piped()).spawn().unwrap();
    drop(unheard.stdout.take());
    let said = tokio::task::spawn_blocking(|| unheard.wait_with_output()).await.unwrap().unwrap();
    let complaint = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.code() == Some(1) && complaint.contains("Broken pipe"), "{}: {complaint}", said.status);
    fleet.start("b");
    let taken = fleet.balanced(8).await;
    assert!(taken < PATIENT, "the leases were not given up: {taken:?}");
    fleet.terminate(&["b"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_whose_output_must_wait_keep_their_leases() {
    let world = World::on_file().await;
    let mut fleet = world.fleet(FAILOVER);
    let producer = Producer::start(world.client.clone(), KEYS, EVERY);
    for worker in ["a", "b"] {
        fleet.start(worker);
    }
    fleet.balanced(8).await;
    // Pipes take what is printed in some five seconds.
    fleet.turn_away(FAILOVER * 2).await;
    let sent = producer.stop().await;
    fleet.came(&sent).await;
    fleet.terminate(&["a", "b"]).await;
    assert_eq!(fleet.ledger().assert_whole_and_in_order(&sent), 0, "a lease was lost");
}
