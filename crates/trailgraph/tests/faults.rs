//! Services on wires that trouble every byte, between servers that go away and come back: when all is calm again, the
//! graph is what the events say.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;
#[path = "support/wire.rs"]
mod wire;

use std::process::Command;
use std::time::Duration;

use fastrand::Rng;
use support::Sandbox;
use support::stream::{Service, Stream, eventually};
use trailgraph::generate::Traffic;
use wire::Wire;
use xtask::servers::MinistackServer;

const LEASES: &str = "dynamodb:leases";
const FLAGS: [&str; 10] = [
    "--leases",
    LEASES,
    "--state",
    "dynamodb:states",
    "--flush-after",
    "200ms",
    "--flush-at",
    "30",
    "--failover-after",
    "2s",
];
/// Longer than the leases last, so that a worker which goes on has lost them, or shorter.
const PAUSE_MS: std::ops::Range<u64> = 100..4_000;
const ROUNDS: usize = 16;
const SERVICES: usize = 2;

/// Two services on one stream, and what they must make of it.
struct World {
    stream: Stream,
    dynamodb: MinistackServer,
    sandbox: Sandbox,
    events: Vec<Vec<u8>>,
    services: Vec<Service>,
    rng: Rng,
}

impl World {
    async fn start(seed: u64) -> Self {
        let dynamodb = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
        let mut stream = Stream::start(4).await;
        stream.more.push(("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint()));
        let traffic = Traffic { seed, events: 1_200, buckets: 60, ..Traffic::default() };
        let events = traffic.generate().map(|event| event.body).collect();
        Self { stream, dynamodb, sandbox: Sandbox::new(), events, services: Vec::new(), rng: Rng::with_seed(seed) }
    }

    /// Sees to it that there are two services, as ECS does: one that finds no server when it begins has ended.
    fn keep_running(&mut self) {
        self.services.retain_mut(|service| match service.child.try_wait().unwrap() {
            Some(status) => {
                assert_eq!(status.code(), Some(1), "it ended in order: {}", last_lines(&self.sandbox));
                false
            }
            None => true,
        });
        while self.services.len() < SERVICES {
            self.services.push(self.stream.serve(&self.sandbox, &FLAGS));
        }
    }

    /// Puts the share of one round.
    async fn put(&mut self, round: usize) {
        let share = self.events.len().div_ceil(ROUNDS);
        let events: Vec<Vec<u8>> = self.events.iter().skip(round * share).take(share).cloned().collect();
        self.stream.put(&events).await;
    }

    /// Kills one of the services, which another follows, or stops it for a while: it wakes as one that was thought dead.
    async fn trouble_a_service(&mut self) {
        let victim = self.rng.usize(..self.services.len());
        if self.rng.bool() {
            return self.services.remove(victim).kill();
        }
        signal(&self.services[victim], "-STOP");
        self.pause().await;
        signal(&self.services[victim], "-CONT");
    }

    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(PAUSE_MS))).await;
    }

    /// The graph becomes what a replay in peace makes of the same events, and nothing is left to be done.
    async fn must_converge(mut self) {
        let undisturbed = Sandbox::new();
        undisturbed.replay(&self.events, &[]);
        let expected = undisturbed.export();
        let shown = |sandbox: &Sandbox| String::from_utf8(sandbox.run(&["graph", "export"]).stdout).unwrap();
        eventually("the graph shows what the events say", async || {
            self.keep_running();
            (shown(&self.sandbox) == expected).then_some(())
        })
        .await;
        eventually("no service has anything left to emit", async || {
            self.keep_running();
            let mut metrics = self.services.iter().map(|service| service.get("/metrics"));
            metrics.all(|text| text.and_then(|text| pending(&text)) == Some(0.0)).then_some(())
        })
        .await;
        for service in self.services.drain(..) {
            assert_eq!(service.stop("-TERM").0, Some(0));
        }
        assert_eq!(shown(&self.sandbox), expected, "what ended late has changed nothing");
        assert!(!self.sandbox.path("dead-letters.jsonl").exists(), "no byte that was troubled was taken for a record");
    }
}

/// Rows that wait for the graph.
fn pending(metrics: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.starts_with("trailgraph_pending_resources{"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// What the services said last.
fn last_lines(sandbox: &Sandbox) -> String {
    let log = std::fs::read_to_string(sandbox.path("run.log")).unwrap();
    log.lines().skip(log.lines().count().saturating_sub(20)).collect::<Vec<_>>().join("\n")
}

fn signal(service: &Service, signal: &str) {
    let id = service.child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

async fn is_unharmed_by_wires(seed: u64) {
    let mut world = World::start(seed).await;
    let kinesis = Wire::before(&world.stream.endpoint(), seed).await;
    let dynamodb = Wire::before(&world.dynamodb.endpoint(), !seed).await;
    world.stream.more.push(("AWS_ENDPOINT_URL_KINESIS", kinesis.endpoint()));
    world.stream.more.push(("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint()));
    for round in 0..ROUNDS {
        world.keep_running();
        world.put(round).await;
        world.pause().await;
        if round % 4 == 3 {
            world.trouble_a_service().await;
        }
    }
    for (name, wire) in [("Kinesis", &kinesis), ("DynamoDB", &dynamodb)] {
        eventually("each kind of trouble strikes", async || {
            world.keep_running();
            (wire.struck() >= 4).then_some(())
        })
        .await;
        println!("seed {seed}: {} troubles on the wire to {name}", wire.struck());
    }
    kinesis.calm();
    dynamodb.calm();
    world.must_converge().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wires_that_delay_cut_truncate_and_freeze_lose_nothing() {
    is_unharmed_by_wires(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wires_that_do_so_in_another_order_lose_nothing() {
    is_unharmed_by_wires(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dynamodb_that_starts_again_and_a_kinesis_that_freezes_lose_nothing() {
    let mut world = World::start(3).await;
    for round in 0..ROUNDS {
        world.keep_running();
        world.put(round).await;
        let down = Duration::from_millis(world.rng.u64(PAUSE_MS));
        if round % 2 == 0 {
            world = tokio::task::spawn_blocking(move || {
                world.dynamodb.restart(down).unwrap();
                world
            })
            .await
            .unwrap();
        } else {
            world.stream.freeze();
            tokio::time::sleep(down).await;
            world.stream.thaw();
        }
        if round % 4 == 3 {
            world.trouble_a_service().await;
        }
    }
    world.must_converge().await;
}
