//! A run over input that ends: what a replay and the demo have in common.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use emitter::{OutboxSettings, Window};
use shard_consumer::{Cut, MemoryInput, MemoryParams, MemorySource, ShardId};
use tokio_util::sync::CancellationToken;

use crate::cli::WindowArgs;
use crate::failure::Failure;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::parts::limits;
use crate::permit::{Permit, Senders};
use crate::pipeline::Pipeline;
use crate::service::EMIT_BATCH;
use crate::stores::{Stores, listed};
use crate::{clock, progress, summary};

/// Parsing is spread over this many shards, so over as many threads.
const SHARDS: usize = 4;
/// Records of a shard that wait to be folded.
const WAITING_RECORDS: NonZeroUsize = NonZeroUsize::new(2_000).expect("not zero");

/// What such a run is made of.
pub struct Finite {
    /// Names the input in dead letters and in its shards.
    pub name: &'static str,
    /// This worker.
    pub worker: String,
    /// Where states, snapshots and dead letters go.
    pub stores: Stores,
    /// When a window is flushed.
    pub window: WindowArgs,
    /// Whose events are folded.
    pub permit: Permit,
    /// Events after this time, in milliseconds since 1970, are ignored.
    pub until_ms: Option<i64>,
    /// A record's bytes after decompression, at the most.
    pub input_bytes_max: usize,
    /// Pending rows of others are emitted when they have waited this long.
    pub adopt_after: Duration,
    /// Counts everything.
    pub metrics: Arc<Metrics>,
}

impl Finite {
    /// Runs what `feed` pushes, and waits until every graph shows it. Gives what `feed` gave, and a summary.
    ///
    /// # Errors
    /// [`Failure::Running`] when something was not saved, a sink rejected a snapshot, or accepted nothing for five
    /// minutes.
    pub async fn run<F>(self, feed: impl FnOnce(MemoryInput, Vec<ShardId>) -> F) -> Result<(F::Output, String), Failure>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let Self { name, worker, stores, window, permit, until_ms, input_bytes_max, adopt_after, metrics } = self;
        let begun = Instant::now();
        let shard = |number: usize| ShardId::from(format!("{name}-{number}").as_str());
        let shards: Vec<ShardId> = (0..SHARDS).map(shard).collect();
        let (source, input) = MemorySource::new(MemoryParams {
            shards: shards.clone(),
            waiting_records_most: WAITING_RECORDS,
            retain: false,
            faults: Vec::new(),
        });
        let Stores { state: store, sinks, dead_letters, .. } = stores;
        let sink_names: Vec<String> = listed(&sinks).into_iter().map(|sink| sink.name.to_string()).collect();
        let intake = Intake {
            stream: name.into(),
            window: Arc::new(Window::new(limits(window), Cut::default())),
            senders: Arc::new(Senders::new(&permit, Arc::clone(&metrics))),
            until_ms,
            input_bytes_max,
            dead_letters,
            metrics: Arc::clone(&metrics),
            observe: Box::new(|_| {}),
        };
        let outbox = OutboxSettings { worker, adopt_after, batch: EMIT_BATCH };
        let pipeline =
            Pipeline { source: Arc::new(source), intake: Arc::new(intake), store, sinks, outbox, clock: clock::wall() };

        let shown = progress::show(&metrics, &sink_names);
        let feeding = tokio::spawn(feed(input, shards));
        pipeline.run(&CancellationToken::new()).await?;
        let fed = feeding.await.map_err(|error| Failure::Running(error.into()))?;
        pipeline.settle().await?;
        drop(shown);
        Ok((fed, summary::summary(&metrics, &sink_names, begun.elapsed())))
    }
}
