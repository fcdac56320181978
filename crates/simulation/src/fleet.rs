//! The workers: each runs the service's own pipeline until it is stopped, dies or fails, and another takes its place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bucket_state::RECORD_BYTES_MAX;
use emitter::{GraphSink, OutboxSettings, Window};
use fastrand::Rng;
use shard_consumer::{Cut, KinesisParams, KinesisSource, Misplaced, Reading, ShardEvent, Start};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use trailgraph::dead_letters::DeadLetters;
use trailgraph::intake::Intake;
use trailgraph::metrics::Metrics;
use trailgraph::permit::{Permit, Senders};
use trailgraph::pipeline::Pipeline;

use crate::calls::{Calls, Weather};
use crate::graph::{Graph, WorkerGraph};
use crate::leases::{Table, WorkerLeases};
use crate::planted::Planted;
use crate::rows::Rows;
use crate::setting::{EPOCH_MS, Setting};
use crate::source::{Live, WorkerSource};
use crate::store::WorkerStore;
use crate::stream::{STREAM, Stream};
use crate::witness::Witness;

pub(crate) struct Fleet {
    pub(crate) setting: Setting,
    pub(crate) planted: Option<Planted>,
    pub(crate) weather: Arc<Weather>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) stream: Stream,
    pub(crate) rows: Arc<Mutex<Rows>>,
    pub(crate) table: Arc<Mutex<Table>>,
    pub(crate) graphs: Vec<Arc<Graph>>,
    /// The calls of all workers that ever were.
    pub(crate) calls: Arc<Mutex<Vec<Arc<Calls>>>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) begun: Instant,
    pub(crate) rng: Mutex<Rng>,
    /// No worker is replaced any more.
    pub(crate) over: CancellationToken,
}

impl Fleet {
    pub(crate) fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One place of the fleet: a worker, and the one after it. `stop` ends the worker that is at work, in good order.
    pub(crate) async fn place(self: Arc<Self>, place: usize, stops: Arc<Mutex<CancellationToken>>) {
        for life in 0.. {
            let stop = self.over.child_token();
            *stops.lock().unwrap_or_else(PoisonError::into_inner) = stop.clone();
            let name = format!("worker-{place}-{life}");
            let calls = Arc::new(Calls::new(&name, Arc::clone(&self.weather)));
            self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&calls));
            calls.tell(format_args!("begins"));
            let pipeline = self.pipeline(&calls);
            let work = tokio::spawn(async move { pipeline.run(&stop).await });
            let abort = work.abort_handle();
            tokio::select! {
                biased;
                () = calls.dead.cancelled() => abort.abort(),
                ended = work => {
                    let failed = ended.ok().and_then(Result::err).is_some();
                    calls.tell(format_args!("{}", if failed { "fails" } else { "has drained" }));
                    // What is still under way of it must not count as alive.
                    calls.dead.cancel();
                }
            }
            if self.over.is_cancelled() {
                return;
            }
            let pause = Duration::from_millis(self.rng().u64(..3_000));
            sleep(pause).await;
        }
    }

    fn pipeline(&self, calls: &Arc<Calls>) -> Pipeline {
        let (setting, planted, worker) = (&self.setting, self.planted, calls.worker.clone());
        let leases = WorkerLeases {
            table: Arc::clone(&self.table),
            calls: Arc::clone(calls),
            witness: Arc::clone(&self.witness),
            planted,
        };
        let live = Arc::new(Live::new(KinesisSource::new(KinesisParams {
            client: self.stream.client(&worker),
            stream: STREAM.into(),
            leases: Arc::new(leases),
            reading: Reading::Polling,
            misplaced: Misplaced::Deliver,
            worker_id: worker.clone(),
            start: Start::TrimHorizon,
            failover_after: setting.failover_after,
        })));
        let emitted = Arc::new(Mutex::new(BTreeMap::new()));
        let graph = |graph: &Arc<Graph>| {
            Arc::new(WorkerGraph {
                graph: Arc::clone(graph),
                rows: Arc::clone(&self.rows),
                calls: Arc::clone(calls),
                witness: Arc::clone(&self.witness),
                planted,
                emitted: Arc::clone(&emitted),
            }) as Arc<dyn GraphSink>
        };
        let store = WorkerStore {
            rows: Arc::clone(&self.rows),
            calls: Arc::clone(calls),
            witness: Arc::clone(&self.witness),
            planted,
            graphs: self.graphs.clone(),
            live: Arc::clone(&live),
            bases: setting.keeps_bases.then(Mutex::default),
        };
        let (witness, watched) = (Arc::clone(&self.witness), Arc::clone(calls));
        let intake = Intake {
            stream: STREAM.into(),
            window: Arc::new(Window::new(setting.limits, Cut::default())),
            senders: Arc::new(Senders::new(&Permit::Any, Arc::clone(&self.metrics))),
            until_ms: None,
            input_bytes_max: RECORD_BYTES_MAX,
            dead_letters: Arc::new(DeadLetters::nowhere()),
            metrics: Arc::clone(&self.metrics),
            observe: Box::new(move |event| {
                if let ShardEvent::Batch(batch) = event
                    && !watched.dead.is_cancelled()
                {
                    witness.delivered(&watched.worker, batch);
                }
            }),
        };
        let skew_ms = {
            let most = setting.skew_most_ms;
            if most == 0 { 0 } else { self.rng().i64(-most..most) }
        };
        let begun = self.begun;
        let passed = move || i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        Pipeline {
            source: Arc::new(WorkerSource { live, planted }),
            intake: Arc::new(intake),
            store: Arc::new(store),
            sinks: self.graphs.iter().map(graph).collect(),
            outbox: OutboxSettings { worker, adopt_after: setting.failover_after, batch: setting.emit_batch },
            clock: Arc::new(move || EPOCH_MS + passed() + skew_ms),
        }
    }
}
