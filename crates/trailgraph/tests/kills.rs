//! A service that is killed two hundred times at random moments, on a stream of a real protocol server.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bucket_state::{Event, Parsed, Parser, ResourceId, ResourceState};
use emitter::{SqliteFile, SqliteStore, StateStore};
use shard_consumer::{LeaseStore, Position, SqliteLeases};
use support::stream::{Stream, after, eventually};
use support::{Sandbox, events_of_the_fixture};

const KILLS: usize = 200;
const SEED: u64 = 20_260_301;
/// A service that gets further lives this much longer than it must, at the most.
const LIFE_MAX_MS: u64 = 350;
/// And so much on the busiest machine.
const LIFE_LIMIT_MS: u64 = 5_000;

/// What the stored states must contain: everything up to the checkpoints.
#[derive(Default)]
struct Covered {
    states: BTreeMap<ResourceId, ResourceState>,
    /// By shard: how many of its records have been folded here.
    folded: BTreeMap<String, usize>,
}

impl Covered {
    fn fold_up_to(&mut self, stream: &Stream, checkpoints: &BTreeMap<String, Position>) {
        for (shard, records) in &stream.records {
            let Some(position) = checkpoints.get(shard) else { continue };
            let folded = self.folded.entry(shard.clone()).or_default();
            let new = records[*folded..].iter().take_while(|(sequence, _)| after(sequence) <= *position);
            for (_, body) in new {
                *folded += 1;
                Parser::default().parse(body, i64::MAX / 2, &mut |parsed| {
                    if let Parsed::Event(event) = parsed {
                        let Event { resource, .. } = &event;
                        self.states.entry(resource.clone()).or_default().fold(event);
                    }
                });
            }
        }
    }

    /// Folding it all into the stored states once more must change nothing.
    async fn must_be_stored(&self, store: &SqliteStore, kill: usize) {
        let ids: Vec<ResourceId> = self.states.keys().cloned().collect();
        let rows = store.load(&ids).await.unwrap();
        for ((id, state), row) in self.states.iter().zip(rows) {
            let mut stored = row.row().map(|row| row.state).unwrap_or_default();
            assert!(
                !stored.merge(state.clone()),
                "kill {kill}: a checkpoint passed events of {id} that are not stored"
            );
        }
    }
}

async fn checkpoints(leases: &SqliteLeases) -> BTreeMap<String, Position> {
    leases.list().await.unwrap().leases.into_iter().map(|lease| (lease.shard.to_string(), lease.checkpoint)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_kills_lose_nothing_and_never_checkpoint_what_is_not_stored() {
    let events = events_of_the_fixture();
    let undisturbed = Sandbox::new();
    undisturbed.replay(&events, &[]);

    let mut stream = Stream::start(4).await;
    let sandbox = Sandbox::new();
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut waiting = events.chunks(events.len().div_ceil(KILLS));
    let mut covered = Covered::default();
    let mut positions = BTreeSet::new();
    let mut life_max = LIFE_MAX_MS;
    let file = SqliteFile::open(&sandbox.path("trailgraph.db")).unwrap();
    let store = SqliteStore::open(file, "observer", 1).unwrap();
    let leases = SqliteLeases::open(sandbox.path("trailgraph.db"), "trailgraph", &stream.name).await.unwrap();

    for kill in 0..KILLS {
        stream.put(waiting.next().unwrap_or_default()).await;
        if kill == KILLS / 2 {
            stream.split("shardId-000000000001").await;
        }
        // Most often the same worker comes back; else another one, which first waits for the leases to expire.
        let worker = if kill % 5 == 4 { format!("worker-{kill}") } else { "worker".into() };
        let flags = ["--worker-id", &worker, "--flush-after", "40ms", "--flush-at", "20", "--failover-after", "300ms"];
        let service = stream.serve(&sandbox, &flags);
        tokio::time::sleep(Duration::from_millis(100 + rng.u64(..life_max))).await;
        service.kill();

        let reached = checkpoints(&leases).await;
        let known = positions.len();
        positions.extend(reached.iter().map(|(shard, position)| format!("{shard} {position:?}")));
        // On a busy machine a start takes longer than such a life, and whoever is killed in it has nothing to lose.
        let got_further = positions.len() > known;
        life_max = if got_further { LIFE_MAX_MS.max(life_max * 2 / 3) } else { LIFE_LIMIT_MS.min(life_max * 5 / 4) };
        covered.fold_up_to(&stream, &reached);
        covered.must_be_stored(&store, kill).await;
    }
    println!("seed {SEED}: {KILLS} kills at {} different checkpoints, lives up to {life_max} ms", positions.len());
    assert!(positions.len() > KILLS / 4, "the kills came while there was something to lose: {}", positions.len());

    let service =
        stream.serve(&sandbox, &["--worker-id", "worker", "--flush-after", "40ms", "--failover-after", "300ms"]);
    eventually("every record is checkpointed", async || {
        stream.is_covered_by(&checkpoints(&leases).await).then_some(())
    })
    .await;
    let sinks = store.sinks().await.unwrap();
    eventually("every snapshot is emitted", async || (store.backlog(&sinks[0]).await.unwrap().rows == 0).then_some(()))
        .await;
    let (code, _) = service.stop("-TERM");
    assert_eq!(code, Some(0));
    assert_eq!(sandbox.export(), undisturbed.export());
}
