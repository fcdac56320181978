//! Two workers write the same buckets on purpose: a stream that is not partitioned by bucket. They pause, die, are
//! taken for dead and go on, and what they had sent lands when it likes. The graph is the fold of all events.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bucket_state::Event;
use emitter::{Emission, FanOutWork, GraphSink, Outbox, Scope, StateStore, StoreError};
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::history;
use crate::subject::{Shown, Stores, Subject, embedded, list, settings, settle};
use crate::subjects::{Bolt, Contracted, Sqlite, dynamodb};
use crate::support::stepped::{Stepped, SteppedGraph, Steps};
use crate::support::{NOW, clock, never, sealed};

const EVENTS: usize = 24;
/// Workers that may die, or be taken for dead, in one run.
const ENDS: usize = 4;
/// A pending row of another worker is adopted after this time.
const ADOPT_AFTER: Duration = Duration::from_secs(10);

/// A stream of two shards, with what is checkpointed of each.
struct Stream {
    shards: [Vec<Event>; 2],
    checkpoints: [AtomicUsize; 2],
}

impl Stream {
    /// Every event is in one of the shards, some in both.
    fn of(events: &[Event], rng: &mut Rng) -> Self {
        let mut shards = [vec![], vec![]];
        for event in events {
            let either = rng.usize(..2);
            shards[either].push(event.clone());
            if rng.u32(..5) == 0 {
                shards[1 - either].push(event.clone());
            }
        }
        Self { shards, checkpoints: Default::default() }
    }
}

/// What may happen to a worker at each step.
struct Fate {
    rng: Mutex<Rng>,
    pause_most: Duration,
    ends_left: Arc<AtomicUsize>,
    dead: CancellationToken,
    thought_dead: CancellationToken,
}

#[async_trait]
impl Steps for Arc<Fate> {
    async fn step(&self, _name: &'static str) -> Result<(), StoreError> {
        let (choice, share) = {
            let mut rng = self.rng.lock().unwrap();
            (rng.u32(..100), rng.f64())
        };
        let ends = |left: usize| left.checked_sub(1);
        match choice {
            0..20 => tokio::time::sleep(self.pause_most.mul_f64(share)).await,
            20..24 if self.ends_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, ends).is_ok() => {
                if choice < 22 {
                    self.dead.cancel();
                    std::future::pending::<()>().await;
                }
                self.thought_dead.cancel();
                tokio::time::sleep(self.pause_most * 2).await;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Everything that a run shares.
struct Run {
    stream: Stream,
    stores: Stores,
    subject: Arc<dyn Subject>,
    pause_most: Duration,
    ends_left: Arc<AtomicUsize>,
    late: Mutex<Vec<Vec<Emission>>>,
    seed: u64,
}

impl Run {
    /// Reads a shard to its end, by one worker after the other.
    async fn read(self: Arc<Self>, shard: usize) {
        let mut rng = Rng::with_seed(self.seed * 2 + shard as u64);
        let mut zombies = JoinSet::new();
        for life in 0.. {
            let name = format!("worker-{shard}-{life}");
            let fate = Arc::new(Fate {
                rng: Mutex::new(rng.fork()),
                pause_most: self.pause_most,
                ends_left: Arc::clone(&self.ends_left),
                dead: CancellationToken::new(),
                thought_dead: CancellationToken::new(),
            });
            let in_flight = Arc::new(Mutex::new(vec![]));
            let work = Arc::clone(&self).work(name, shard, Arc::clone(&fate), Arc::clone(&in_flight), rng.fork());
            let mut work = Box::pin(work);
            tokio::select! {
                () = &mut work => break,
                () = fate.dead.cancelled() => self.late.lock().unwrap().push(std::mem::take(&mut *in_flight.lock().unwrap())),
                () = fate.thought_dead.cancelled() => {
                    let fate = Arc::clone(&fate);
                    zombies.spawn(async move {
                        tokio::select! {
                            () = work => {}
                            () = fate.dead.cancelled() => {}
                        }
                    });
                }
            }
        }
        while zombies.join_next().await.is_some() {}
    }

    async fn work(
        self: Arc<Self>,
        name: String,
        shard: usize,
        fate: Arc<Fate>,
        in_flight: Arc<Mutex<Vec<Emission>>>,
        mut rng: Rng,
    ) {
        let store: Arc<dyn StateStore> = Arc::new(Stepped { inner: (self.stores)(&name), steps: Arc::clone(&fate) });
        let graph = SteppedGraph { inner: self.subject.sink(&name).await, steps: fate, in_flight };
        let outbox = Outbox::new(Arc::clone(&store), Arc::new(graph), settings(&name, ADOPT_AFTER));
        let fan_out = FanOutWork { store: store.as_ref(), worker: &name, adopt_after: ADOPT_AFTER, clock: &clock };
        let events = &self.stream.shards[shard];
        let mut position = self.stream.checkpoints[shard].load(Ordering::SeqCst);
        while position < events.len() {
            let next = (position + 1 + rng.usize(..6)).min(events.len());
            let saved = sealed(&events[position..next], next as u64).save(store.as_ref(), clock).await.unwrap();
            let keep = async |cut: u64| {
                self.stream.checkpoints[shard].fetch_max(usize::try_from(cut).unwrap(), Ordering::SeqCst);
                Ok::<_, Infallible>(())
            };
            saved.checkpoint(keep).await.unwrap();
            position = next;
            fan_out.pass(&never()).await.unwrap();
            // Whatever goes wrong with an emission, the row is still pending.
            let _left_to_the_last = outbox.round(NOW, &never()).await;
        }
    }
}

/// One run; panics with the seed where the graph is not the fold.
pub(crate) async fn run(seed: u64, stores: Stores, subject: Arc<dyn Subject>, pause_most: Duration) {
    let mut rng = Rng::with_seed(seed);
    let events = history::events(&mut rng, EVENTS);
    let (store, sink) = (stores("last"), subject.sink("last").await);
    list(store.as_ref(), sink.as_ref()).await;
    let run = Arc::new(Run {
        stream: Stream::of(&events, &mut rng),
        stores,
        subject: Arc::clone(&subject),
        pause_most,
        ends_left: Arc::new(AtomicUsize::new(ENDS)),
        late: Mutex::default(),
        seed,
    });
    let mut shards = JoinSet::new();
    for shard in 0..2 {
        shards.spawn(Arc::clone(&run).read(shard));
    }
    while let Some(read) = shards.join_next().await {
        read.unwrap();
    }
    let mut late = std::mem::take(&mut *run.late.lock().unwrap());
    late.retain(|emissions| subject.compares() && !emissions.is_empty());
    if rng.bool() {
        land(&late, store.as_ref(), sink.as_ref()).await;
    }
    settle(Arc::clone(&store), Arc::clone(&sink), pause_most).await;
    let expected = Shown::of_events(&events, subject.as_ref());
    subject.shown().await.assert_is(&expected, &format!("seed {seed}"));
    land(&late, store.as_ref(), sink.as_ref()).await;
    subject.shown().await.assert_is(&expected, &format!("seed {seed}, after what dead workers sent has landed"));
}

async fn land(late: &[Vec<Emission>], store: &dyn StateStore, sink: &dyn GraphSink) {
    for emissions in late {
        sink.replace(store.generation(), emissions).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_runs_on_the_embedded_stores_end_in_the_fold_of_all_events() {
    for seed in 0..1_000 {
        run(seed, embedded(), Arc::new(Sqlite::new()), Duration::from_secs(20)).await;
    }
}

#[tokio::test]
async fn a_few_runs_on_a_dynamodb_end_in_the_fold_of_all_events() {
    for seed in 0..20 {
        run(seed, dynamodb(workers()).await, Arc::new(Sqlite::new()), Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_runs_on_a_graph_server_end_in_the_fold_of_all_events() {
    let turn = Bolt::turn().await;
    for seed in 0..20 {
        run(seed, embedded(), Arc::new(Bolt::emptied(None).await), Duration::from_millis(100)).await;
    }
    drop(turn);
}

/// The names of all workers that a run may need.
fn workers() -> impl Iterator<Item = String> {
    let lives = (0..2).flat_map(|shard| (0..=ENDS).map(move |life| format!("worker-{shard}-{life}")));
    lives.chain(["last".to_owned()])
}

#[tokio::test(start_paused = true)]
async fn some_runs_on_jupiterone_end_in_the_fold_of_all_events_by_account_and_by_bucket() {
    for seed in 0..100 {
        for scope in [Scope::Account, Scope::Bucket] {
            run(seed, embedded(), Arc::new(Contracted::of(scope)), Duration::from_secs(20)).await;
        }
    }
}
