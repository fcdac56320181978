//! One writer is stopped between any two steps, a second one goes on to any of its own, or to its end, and then the first
//! is dead, or goes on, or what it had sent lands late. The graph is the fold of all events each time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bucket_state::Event;
use emitter::{Emission, FanOutWork, GraphSink, Outbox, Scope, StateStore, StoreError};
use serde_json::json;
use std::convert::Infallible;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::subject::{Shown, Stores, Subject, embedded, list, settings, settle};
use crate::subjects::{Bolt, Contracted, Sqlite, dynamodb};
use crate::support::stepped::{Stepped, SteppedGraph, Steps};
use crate::support::{NOW, clock, create, delete, event, logging, never, sealed};

/// What becomes of a writer that was stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// It is dead, and nothing of it comes any more.
    Dies,
    /// It is dead, and what it had sent lands.
    LandsLate,
    /// It was only slow.
    GoesOn,
}

/// Stops a writer before its step of this number, and tells.
struct Gate {
    stop_at: usize,
    steps: AtomicUsize,
    reached: Notify,
    open: Notify,
}

impl Gate {
    fn at(stop_at: usize) -> Arc<Self> {
        Arc::new(Self { stop_at, steps: AtomicUsize::new(0), reached: Notify::new(), open: Notify::new() })
    }
}

#[async_trait]
impl Steps for Arc<Gate> {
    async fn step(&self, _name: &'static str) -> Result<(), StoreError> {
        if self.steps.fetch_add(1, Ordering::SeqCst) == self.stop_at {
            self.reached.notify_one();
            self.open.notified().await;
        }
        Ok(())
    }
}

/// What the first writer knows, and the second.
fn events() -> (Vec<Event>, Vec<Event>) {
    let all = json!({"IgnorePublicAcls": true, "RestrictPublicBuckets": true});
    let close =
        |second| event("-", "PutAccountPublicAccessBlock", second, &json!({"PublicAccessBlockConfiguration": all}));
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"});
    let policy = event("app", "PutBucketPolicy", 3, &json!({"bucketPolicy": {"Statement": statement}}));
    let first = vec![create("app", 1), logging("app", 2, "logs"), create("old", 1), close(5)];
    let second = vec![logging("app", 4, "web"), policy, delete("old", 9), create("web", 2)];
    (first, second)
}

/// Everything that a worker does with its events, once.
async fn work(name: &str, events: &[Event], store: Arc<dyn StateStore>, sink: Arc<dyn GraphSink>) {
    let saved = sealed(events, 1).save(store.as_ref(), clock).await.unwrap();
    saved.checkpoint(async |_| Ok::<_, Infallible>(())).await.unwrap();
    let adopt_after = Duration::from_secs(10);
    let fan_out = FanOutWork { store: store.as_ref(), worker: name, adopt_after, clock: &clock };
    fan_out.pass(&never()).await.unwrap();
    let outbox = Outbox::new(Arc::clone(&store), sink, settings(name, adopt_after));
    while outbox.round(NOW, &never()).await.unwrap().is_some() {}
}

/// A writer that works until it is stopped.
struct Writer {
    gate: Arc<Gate>,
    in_flight: Arc<Mutex<Vec<Emission>>>,
    work: JoinHandle<()>,
}

impl Writer {
    /// Starts it, and waits until it is stopped; tells whether it was, or has ended before.
    async fn until(stop_at: usize, name: &'static str, events: &[Event], world: &World) -> (Self, bool) {
        let (gate, in_flight) = (Gate::at(stop_at), Arc::new(Mutex::new(vec![])));
        let store = Arc::new(Stepped { inner: (world.stores)(name), steps: Arc::clone(&gate) });
        let inner = world.subject.sink(name).await;
        let graph = SteppedGraph { inner, steps: Arc::clone(&gate), in_flight: Arc::clone(&in_flight) };
        let events = events.to_vec();
        let mut work = tokio::spawn(async move { work(name, &events, store, Arc::new(graph)).await });
        let stopped = tokio::select! {
            ended = &mut work => {
                ended.unwrap();
                false
            }
            () = gate.reached.notified() => true,
        };
        (Self { gate, in_flight, work }, stopped)
    }

    async fn goes_on(self) {
        self.gate.open.notify_one();
        self.work.await.unwrap();
    }

    /// Gives what it had sent.
    async fn dies(self) -> Vec<Emission> {
        self.work.abort();
        let _aborted = self.work.await;
        std::mem::take(&mut *self.in_flight.lock().unwrap())
    }
}

/// Stores and a graph of their own.
pub(crate) struct World {
    pub(crate) stores: Stores,
    pub(crate) subject: Arc<dyn Subject>,
    pub(crate) look_again: Duration,
}

/// Which of the two had ended before its step came.
#[derive(PartialEq)]
enum Ended {
    First,
    Second,
    Neither,
}

/// The first writer stops at one step, the second at another one; then the first meets its fate, and the second goes on.
async fn interleave(first_at: usize, second_at: usize, then: Then, world: &World) -> Ended {
    let (ours, theirs) = events();
    let (store, sink) = ((world.stores)("last"), world.subject.sink("last").await);
    list(store.as_ref(), sink.as_ref()).await;
    let (first, stopped) = Writer::until(first_at, "first", &ours, world).await;
    if !stopped {
        return Ended::First;
    }
    let (second, second_stopped) = Writer::until(second_at, "second", &theirs, world).await;
    let mut late = vec![];
    if then == Then::GoesOn {
        first.goes_on().await;
    } else {
        late = first.dies().await;
        // Its successor reads again what it had not checkpointed: at the worst, everything.
        let successor = world.subject.sink("successor").await;
        work("successor", &ours, (world.stores)("successor"), successor).await;
    }
    late.truncate(if then == Then::LandsLate { late.len() } else { 0 });
    land(&late, store.as_ref(), sink.as_ref()).await;
    if second_stopped {
        second.goes_on().await;
    }
    settle(Arc::clone(&store), Arc::clone(&sink), world.look_again).await;
    let expected = Shown::of_events(&[ours, theirs].concat(), world.subject.as_ref());
    let why = format!("the first stopped at step {first_at} and {then:?}, the second at step {second_at}");
    world.subject.shown().await.assert_is(&expected, &why);
    land(&late, store.as_ref(), sink.as_ref()).await;
    world.subject.shown().await.assert_is(&expected, &format!("{why}; what the first sent landed at the very end"));
    if second_stopped { Ended::Neither } else { Ended::Second }
}

async fn land(late: &[Emission], store: &dyn StateStore, sink: &dyn GraphSink) {
    if !late.is_empty() {
        sink.replace(store.generation(), late).await.unwrap();
    }
}

/// Every `stride`th of them, each in a world of its own.
pub(crate) async fn all(name: &str, stride: usize, world: impl AsyncFn() -> World) {
    let mut interleavings = 0;
    for then in [Then::Dies, Then::LandsLate, Then::GoesOn] {
        'first: for first_at in 0.. {
            for second_at in (first_at % stride..).step_by(stride) {
                let world = world().await;
                if then == Then::LandsLate && !world.subject.compares() {
                    break 'first;
                }
                let ended = interleave(first_at, second_at, then, &world).await;
                if ended == Ended::First {
                    assert!(first_at > 10, "the writer has steps");
                    break 'first;
                }
                interleavings += 1;
                if ended == Ended::Second {
                    break;
                }
            }
        }
    }
    println!("{name}: {interleavings} interleavings");
}

#[tokio::test(start_paused = true)]
async fn a_writer_stopped_between_any_two_steps_does_no_harm_on_sqlite() {
    let world =
        async || World { stores: embedded(), subject: Arc::new(Sqlite::new()), look_again: Duration::from_secs(1) };
    all("SQLite", 1, world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_stopped_between_any_two_steps_does_no_harm_on_a_graph_server() {
    let turn = Bolt::turn().await;
    let world = async || World {
        stores: embedded(),
        subject: Arc::new(Bolt::emptied(None).await),
        look_again: Duration::from_millis(50),
    };
    all("openCypher", 4, world).await;
    drop(turn);
}

#[tokio::test]
async fn a_writer_stopped_between_any_two_steps_does_no_harm_on_a_dynamodb() {
    let names = ["first", "second", "successor", "last"];
    let world = async || World {
        stores: dynamodb(names.map(str::to_owned)).await,
        subject: Arc::new(Sqlite::new()),
        look_again: Duration::from_millis(20),
    };
    all("DynamoDB", 8, world).await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_stopped_between_any_two_steps_does_no_harm_on_jupiterone() {
    for scope in [Scope::Account, Scope::Bucket] {
        let world = async || World {
            stores: embedded(),
            subject: Arc::new(Contracted::of(scope)),
            look_again: Duration::from_secs(5),
        };
        all(&format!("JupiterOne, by {scope:?}"), 3, world).await;
    }
}
