//! Whole fleets of trailgraph in virtual time, with every fault drawn from one seed.
//!
//! A run is some workers on one stream. Each runs the service's own [`trailgraph::pipeline::Pipeline`]: its loop, its
//! windows, the fold, the commit and the outboxes; and under it the real [`shard_consumer::KinesisSource`] with its planner,
//! its tenures and the AWS SDK. Only what they call is in memory: the stream, the lease table, the state store, the graphs.
//! There, calls get lost, come late, land after their sender has died, or are the last that a worker does; workers stall
//! and wake up after others have taken over; shards split and merge; clocks differ; sinks reject.
//!
//! A witness (`witness.rs`) knows every record and looks at every step. In the end the states and the graphs must be what the plain
//! fold of all events gives, also after the last late request has landed. The same seed gives the same trace, byte for byte.

mod calls;
mod fleet;
mod graph;
mod leases;
mod planted;
mod rows;
mod setting;
mod source;
mod store;
mod stream;
mod toggles;
mod trace;
mod witness;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use trailgraph::metrics::Metrics;

use calls::{LANDS_WITHIN, Weather};
use fleet::Fleet;
use graph::Graph;
use rows::Rows;
use setting::{Disturbance, EPOCH_MS, STORM, Setting};
use stream::Stream;
use trace::Trace;
use witness::Witness;

pub use planted::Planted;

/// When all is calm, everything is read and shown within this time.
const SETTLES_WITHIN: Duration = Duration::from_secs(180);

/// What came of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first invariant that was broken, and how.
    pub violation: Option<String>,
    /// Digest of the trace.
    pub digest: u64,
    /// Lines of the trace.
    pub steps: u64,
    /// The trace itself, where it was asked for.
    pub trace: String,
    /// How much virtual time went by, in milliseconds.
    pub elapsed_ms: u64,
    /// Workers that there were, one after the other.
    pub lives: usize,
}

/// Runs one seed to its end, on a thread of its own virtual time.
///
/// # Errors
/// When the simulation itself fails, which says nothing about what it simulates.
pub fn simulate(seed: u64, planted: Option<Planted>, keep_trace: bool) -> Result<Outcome> {
    // What the crates draw by themselves, such as back-offs.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(run(Rng::with_seed(seed), planted, keep_trace))
}

async fn run(mut rng: Rng, planted: Option<Planted>, keep_trace: bool) -> Result<Outcome> {
    let setting = Setting::draw(&mut rng);
    let weather = Arc::new(Weather::new(Trace::new(keep_trace), rng.fork(), setting.odds));
    let witness = Arc::new(Witness::new(Arc::clone(&weather), default_of_versioning()?));
    let graphs: Vec<Arc<Graph>> =
        (0..setting.graphs).map(|number| Arc::new(Graph::new(&format!("graph-{number}"), planted))).collect();
    let fleet = Arc::new(Fleet {
        planted,
        weather: Arc::clone(&weather),
        witness: Arc::clone(&witness),
        stream: Stream::new(setting.shards).await?,
        rows: Arc::new(Mutex::new(Rows::default())),
        table: Arc::default(),
        graphs,
        calls: Arc::default(),
        metrics: Arc::new(Metrics::new(&["graph-0".to_owned(), "graph-1".to_owned()])),
        begun: Instant::now(),
        rng: Mutex::new(rng.fork()),
        over: CancellationToken::new(),
        setting,
    });
    witness.watch(&fleet.rows, &fleet.table);
    fleet.stream.set_faults(fleet.setting.stream_faults, rng.fork(), Arc::clone(&fleet.calls));

    let mut places = Places { fleet: Arc::clone(&fleet), tasks: JoinSet::new(), stops: Vec::new() };
    (0..fleet.setting.workers).for_each(|_| places.add());
    tokio::select! {
        biased;
        () = witness.broke.cancelled() => {}
        ended = story(&fleet, &mut places, &mut rng) => ended?,
    }
    let (digest, steps, trace) = weather.trace.end();
    let lives = fleet.calls.lock().unwrap_or_else(PoisonError::into_inner).len();
    Ok(Outcome { violation: witness.violation(), digest, steps, trace, elapsed_ms: weather.trace.elapsed_ms(), lives })
}

/// The places of the fleet, with what stops the worker that has each.
struct Places {
    fleet: Arc<Fleet>,
    tasks: JoinSet<()>,
    stops: Vec<Arc<Mutex<CancellationToken>>>,
}

impl Places {
    fn add(&mut self) {
        let stop = Arc::new(Mutex::new(CancellationToken::new()));
        self.tasks.spawn(Arc::clone(&self.fleet).place(self.stops.len(), Arc::clone(&stop)));
        self.stops.push(stop);
    }
}

/// A storm, a calm, and what was still under way.
async fn story(fleet: &Arc<Fleet>, places: &mut Places, rng: &mut Rng) -> Result<()> {
    let witness = &fleet.witness;
    storm(fleet, places, rng).await?;
    fleet.weather.trace.tell("weather", format_args!("is calm"));
    fleet.weather.calm();
    fleet.stream.set_faults(0, rng.fork(), Arc::clone(&fleet.calls));
    fleet.graphs.iter().for_each(|graph| graph.set_moody(false));
    // Only where it is needed: it would mend a graph that is wrong.
    if fleet.graphs.iter().any(|graph| graph.has_rejected()) {
        mark_all(fleet);
    }

    let calm = Instant::now();
    let is_settled = || {
        let rows = fleet.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.is_settled()
    };
    while !(witness.is_read() && is_settled()) {
        if calm.elapsed() > SETTLES_WITHIN {
            let what = if witness.is_read() { "shown" } else { "read" };
            witness.broken(format!("not everything is {what} {} s after the storm", SETTLES_WITHIN.as_secs()));
            return Ok(());
        }
        sleep(Duration::from_millis(200)).await;
    }
    witness.compare(&fleet.graphs, "when all is calm");
    fleet.over.cancel();
    while places.tasks.join_next().await.is_some() {}
    sleep(LANDS_WITHIN).await;
    // What landed late may have left rows pending, never a wrong graph.
    witness.compare(&fleet.graphs, "after the last late request");
    Ok(())
}

async fn storm(fleet: &Arc<Fleet>, places: &mut Places, rng: &mut Rng) -> Result<()> {
    let (begun, setting) = (fleet.begun, &fleet.setting);
    let mut disturbances = setting.disturbances.iter().peekable();
    for (at, record) in &setting.records {
        while let Some((when, disturbance)) = disturbances.next_if(|(when, _)| when <= at) {
            sleep_until(begun + *when).await;
            disturb(fleet, places, rng, *disturbance).await?;
        }
        sleep_until(begun + *at).await;
        let elsewhere = (rng.u32(..setting.misplaced) == 0).then(|| rng.u128(..));
        fleet.stream.put(record, elsewhere, &fleet.witness).await?;
    }
    for (when, disturbance) in disturbances {
        sleep_until(begun + *when).await;
        disturb(fleet, places, rng, *disturbance).await?;
    }
    sleep_until(begun + STORM).await;
    Ok(())
}

async fn disturb(fleet: &Arc<Fleet>, places: &mut Places, rng: &mut Rng, what: Disturbance) -> Result<()> {
    fleet.weather.trace.tell("weather", format_args!("{what:?}"));
    let one = {
        let calls = fleet.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let alive: Vec<_> = calls.iter().filter(|calls| !calls.dead.is_cancelled()).collect();
        (!alive.is_empty()).then(|| Arc::clone(alive[rng.usize(..alive.len())]))
    };
    match what {
        Disturbance::Kill => one.iter().for_each(|calls| calls.dead.cancel()),
        Disturbance::Stall => {
            let time = fleet.setting.failover_after.mul_f64(0.3 + 2.0 * rng.f64());
            one.iter().for_each(|calls| calls.stall(time));
        }
        Disturbance::Stop => {
            let place = rng.usize(..places.stops.len());
            places.stops[place].lock().unwrap_or_else(PoisonError::into_inner).cancel();
        }
        Disturbance::Join => places.add(),
        Disturbance::Split => fleet.stream.split(rng.usize(..8)).await?,
        Disturbance::Merge => fleet.stream.merge(rng.usize(..8)).await?,
        Disturbance::Moody => {
            let moody = rng.bool();
            fleet.graphs.iter().for_each(|graph| graph.set_moody(moody));
        }
        Disturbance::Republish => mark_all(fleet),
    }
    Ok(())
}

/// As `trailgraph republish` does.
fn mark_all(fleet: &Fleet) {
    let now_ms = EPOCH_MS + i64::try_from(fleet.begun.elapsed().as_millis()).unwrap_or(0);
    let mut rows = fleet.rows.lock().unwrap_or_else(PoisonError::into_inner);
    rows.mark_all(None, now_ms, "republish");
}

/// An event that says of versioning what is so by default.
fn default_of_versioning() -> Result<bucket_state::Event> {
    let record = serde_json::json!({
        "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": "PutBucketVersioning",
        "eventTime": "2026-01-01T00:00:08Z", "eventID": "00000000-0000-0000-0000-000000000000",
        "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
        "requestParameters": {"bucketName": "any-bucket", "VersioningConfiguration": {"Status": "Suspended"}},
    });
    witness::told(record.to_string().as_bytes(), EPOCH_MS + 60_000).context("an event of the simulation's own")
}
