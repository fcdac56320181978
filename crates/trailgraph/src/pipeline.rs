//! The loop: read, fold, seal, save, checkpoint; and beside it, per sink, the outbox.

mod telling;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use emitter::{
    EmitReport, FanOutReport, FanOutWork, GraphSink, ListedSink, Outbox, OutboxError, OutboxSettings, Sealed, SinkName,
    StateStore, StoreError,
};
use futures::future::join_all;
use shard_consumer::{Cut, Position, ShardSource, SourceError};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::rejections::Rejections;
use crate::stores::listed;
use telling::Telling;

/// After a stop, the last window is saved and checkpointed within this time …
const SAVE_MAX: Duration = Duration::from_secs(4);
/// … and the leases are released within this one, whatever the stores do.
const RELEASE_MAX: Duration = Duration::from_secs(5);
/// After that, emissions may go on for so long.
const EMISSIONS_MAX: Duration = Duration::from_secs(20);
/// A sink that accepts nothing for so long fails a replay.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// What waits is counted this often: in DynamoDB that is paid for, and Prometheus seldom asks sooner.
const OBSERVE_EVERY: Duration = Duration::from_secs(15);

/// Everything that one worker runs on.
pub struct Pipeline {
    /// Where records come from.
    pub source: Arc<dyn ShardSource>,
    /// What is done with each.
    pub intake: Arc<Intake>,
    /// Where states are kept.
    pub store: Arc<dyn StateStore>,
    /// The graphs.
    pub sinks: Vec<Arc<dyn GraphSink>>,
    /// How outboxes work.
    pub outbox: OutboxSettings,
    /// What time it is.
    pub clock: Clock,
}

impl Pipeline {
    /// Runs until `stop`, or until the source has no more; then saves, checkpoints and releases what is left.
    /// Pending rows that remain are another worker's, or the next one's.
    ///
    /// # Errors
    /// [`Failure`]; whatever was not checkpointed is read again.
    pub async fn run(&self, stop: &CancellationToken) -> Result<(), Failure> {
        let sinks = listed(&self.sinks);
        self.store.add_sinks(&sinks, (self.clock)()).await?;
        sinks.iter().for_each(|sink| self.metrics().sink_begins(sink.name.as_str()));

        let end_emissions = CancellationToken::new();
        let (rejections, letters) = self.rejections();
        let (mut backward, wakers) = self.spawn_outboxes(&end_emissions, &rejections);
        drop(rejections);
        let forward = self.forward(stop, &wakers).await;

        end_emissions.cancel();
        let ended = async {
            while backward.join_next().await.is_some() {}
            letters.await
        };
        if tokio::time::timeout(EMISSIONS_MAX, ended).await.is_err() {
            tracing::warn!("emissions under way were given up; their rows stay pending");
        }
        forward
    }

    /// The forward half. One window saves at a time, while the next goes on folding.
    async fn forward(&self, stop: &CancellationToken, wakers: &Wakers) -> Result<(), Failure> {
        let window = &self.intake.window;
        let (stop_reading, stopping) = (stop.child_token(), Stopping::new(stop));
        let reading = self.source.run(self.intake.deliver(&stop_reading), stop_reading.clone());
        tokio::pin!(reading);
        let mut saving = None;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut reading => break ended.map_err(Failure::from),
                () = window.due(), if saving.is_none() => saving = Some(Box::pin(self.commit(window.seal()))),
                saved = async { saving.as_mut().expect("guarded").await }, if saving.is_some() => {
                    saving = None;
                    match saved {
                        Ok(()) => wakers.wake(),
                        Err(error) => {
                            stop_reading.cancel();
                            let _moot = (&mut reading).await;
                            break Err(Failure::from(error));
                        }
                    }
                }
                () = stopping.for_longer_than(SAVE_MAX) => {
                    break Err(Failure::Running(anyhow::anyhow!("reading did not end in time")));
                }
            }
        };
        let ended = match ended {
            Ok(()) => tokio::select! {
                biased;
                saved = self.save_the_rest(saving) => saved.map_err(Failure::from),
                () = stopping.for_longer_than(SAVE_MAX) => {
                    tracing::warn!("the last window was not saved in time; it was not checkpointed and is read again");
                    Ok(())
                }
            },
            failed => {
                // A save that nobody drives any more must not hold what releasing needs.
                drop(saving);
                failed
            }
        };
        wakers.wake();
        let released = tokio::select! {
            biased;
            released = self.source.release() => released.map_err(|error| error.chain()),
            () = stopping.for_longer_than(RELEASE_MAX) => Err("not in time".to_owned()),
        };
        match released {
            Ok(()) => self.metrics().leases_released(),
            Err(error) => tracing::warn!(error, "leases were not released; others take them when they expire"),
        }
        ended
    }

    /// The last two windows: the one that is being saved, and the one that is open.
    async fn save_the_rest(
        &self,
        saving: Option<impl Future<Output = Result<(), StoreError>>>,
    ) -> Result<(), StoreError> {
        if let Some(saving) = saving {
            saving.await?;
        }
        let window = &self.intake.window;
        if window.is_clean() { Ok(()) } else { self.commit(window.seal()).await }
    }

    /// Save, then hand the cut to the source, which writes it with the next renewal of each lease, at the latest. A
    /// checkpoint that fails is repeated with the next window, which is due in any case.
    async fn commit(&self, sealed: Sealed<Cut>) -> Result<(), StoreError> {
        let (events, resources, begun) = (sealed.events(), sealed.resources(), std::time::Instant::now());
        self.metrics().window_sealed(events, resources);
        let saved = sealed.save(self.store.as_ref(), &*self.clock).await?;
        self.metrics().window_saved(&saved.report, (self.clock)());
        let report = &saved.report;
        tracing::info!(
            events,
            resources,
            saved = report.saved,
            deduplicated = report.deduplicated,
            unchanged = report.unchanged,
            conflicts = report.conflicts,
            took_ms = begun.elapsed().as_millis(),
            "window saved"
        );
        let keep = |cut: Cut| async move {
            self.source.checkpoint(&cut).await?;
            self.checkpointed(&cut, begun);
            Ok::<_, SourceError>(())
        };
        if let Err(error) = saved.checkpoint(keep).await {
            tracing::warn!(error = error.chain(), "a checkpoint failed; it is repeated with the next window");
            self.intake.window.advance(false, |_| {});
        }
        Ok(())
    }

    fn checkpointed(&self, cut: &Cut, sealed: std::time::Instant) {
        for (shard, epoch, position) in cut.iter() {
            if *position == Position::ShardEnd {
                // Nothing is left to say of it, so later cuts need not carry it.
                self.intake.window.retract(|cut| cut.forget(shard, epoch));
                self.metrics().shard_ended(shard.as_str(), epoch);
            } else {
                self.metrics().checkpointed(shard.as_str(), epoch, sealed);
            }
        }
    }

    /// The backward half: one task per sink, so that none holds back another, and one that marks the buckets of
    /// changed accounts for all of them.
    fn spawn_outboxes(&self, end: &CancellationToken, rejections: &Rejections) -> (JoinSet<()>, Wakers) {
        let (mut tasks, mut wakers) = (JoinSet::new(), Wakers::default());
        for sink in &self.sinks {
            let outbox = Outbox::new(Arc::clone(&self.store), Arc::clone(sink), self.outbox.clone());
            let waker = Arc::new(Notify::new());
            wakers.outboxes.push(Arc::clone(&waker));
            let (end, telling) = (end.clone(), self.telling(sink.name(), rejections));
            tasks.spawn(async move {
                if let Err(error) = outbox.run(&waker, &end, &*telling.clock, |round| telling.tell(round)).await {
                    telling.stopped(true);
                    let sink = &telling.sink;
                    tracing::error!(%error, sink, "nothing more is emitted to this sink; its rows stay pending");
                }
            });
        }
        for ListedSink { name, .. } in listed(&self.sinks) {
            let (store, window) = (Arc::clone(&self.store), Arc::clone(&self.intake.window));
            let (end, metrics, clock) = (end.clone(), Arc::clone(&self.intake.metrics), Arc::clone(&self.clock));
            tasks.spawn(async move {
                while end.run_until_cancelled(tokio::time::sleep(OBSERVE_EVERY)).await.is_some() {
                    if let Ok(backlog) = store.backlog(&name).await {
                        metrics.waiting(window.dirty(), name.as_str(), &backlog, clock());
                    }
                }
            });
        }
        let (store, end, metrics) = (Arc::clone(&self.store), end.clone(), Arc::clone(&self.intake.metrics));
        let (all, settings, clock) = (wakers.clone(), self.outbox.clone(), Arc::clone(&self.clock));
        tasks.spawn(async move {
            let tell = |report: &FanOutReport| {
                fanned_out(&metrics, report);
                all.wake_outboxes();
            };
            if let Err(error) = fan_out_work(store.as_ref(), &settings, &*clock).run(&all.fan_out, &end, tell).await {
                tracing::error!(%error, "the buckets of changed accounts are not marked any more; their graph is stale");
            }
        });
        (tasks, wakers)
    }

    /// Emits until nothing is pending for any sink; before that, marks what changed accounts leave to be marked. One sink
    /// waits for no other.
    ///
    /// # Errors
    /// When a sink is ahead of the store, accepts nothing for 5 minutes, or has rejected a row.
    pub async fn settle(&self) -> Result<(), Failure> {
        let settings = OutboxSettings { adopt_after: Duration::ZERO, ..self.outbox.clone() };
        // What was saved or marked this very millisecond is adopted, too.
        let clock = || (self.clock)() + 1;
        let work = fan_out_work(self.store.as_ref(), &settings, &clock);
        fanned_out(self.metrics(), &work.drain(PATIENCE).await?);
        let (rejections, letters) = self.rejections();
        let drained = self.sinks.iter().map(|sink| self.settle_sink(sink, &settings, &clock, &rejections));
        let drained: Vec<Result<(), Failure>> = join_all(drained).await;
        drop(rejections);
        let _written = letters.await;
        drained.into_iter().collect::<Result<(), Failure>>()?;
        for ListedSink { name, .. } in listed(&self.sinks) {
            let rejected = self.store.backlog(&name).await?.rejected;
            if rejected > 0 {
                let why = format!("{name} rejected {rejected} snapshots: see the log and the dead letters");
                return Err(Failure::Running(anyhow::anyhow!(why)));
            }
        }
        Ok(())
    }

    /// Emits until nothing is pending for the sink, however many workers are at it.
    async fn settle_sink(
        &self,
        sink: &Arc<dyn GraphSink>,
        settings: &OutboxSettings,
        clock: &(dyn Fn() -> i64 + Sync),
        rejections: &Rejections,
    ) -> Result<(), Failure> {
        let outbox = Outbox::new(Arc::clone(&self.store), Arc::clone(sink), settings.clone());
        let telling = self.telling(sink.name(), rejections);
        let (mut fewest, mut since) = (u64::MAX, Instant::now());
        loop {
            let tell = |round: Result<&EmitReport, &OutboxError>| telling.tell(round);
            outbox.drain(&CancellationToken::new(), PATIENCE, clock, tell).await.map_err(anyhow::Error::from)?;
            // What another worker, or another lane, has under way is pending until that one clears it, or dies.
            let rows = self.store.backlog(sink.name()).await?.rows;
            if rows == 0 {
                return Ok(());
            }
            if rows < fewest {
                (fewest, since) = (rows, Instant::now());
            } else if since.elapsed() >= PATIENCE {
                let name = sink.name();
                return Err(Failure::Running(anyhow::anyhow!(
                    "{name} has accepted nothing for {PATIENCE:?}: {rows} rows wait"
                )));
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    fn rejections(&self) -> (Rejections, JoinHandle<()>) {
        Rejections::start(&self.intake.stream, &self.intake.dead_letters, &self.intake.metrics)
    }

    fn telling(&self, sink: &SinkName, rejections: &Rejections) -> Telling {
        Telling::new(sink.as_str(), &self.intake.metrics, rejections, &self.clock)
    }

    fn metrics(&self) -> &Metrics {
        &self.intake.metrics
    }
}

fn fan_out_work<'a>(
    store: &'a dyn StateStore,
    settings: &'a OutboxSettings,
    clock: &'a (dyn Fn() -> i64 + Sync),
) -> FanOutWork<'a> {
    FanOutWork { store, worker: &settings.worker, adopt_after: settings.adopt_after, clock }
}

fn fanned_out(metrics: &Metrics, report: &FanOutReport) {
    metrics.members_marked(report);
    if report.marked > 0 {
        tracing::info!(accounts = report.accounts, buckets = report.marked, "buckets of changed accounts marked");
    }
}

/// What wakes the backward half.
#[derive(Clone, Default)]
struct Wakers {
    outboxes: Vec<Arc<Notify>>,
    fan_out: Arc<Notify>,
}

impl Wakers {
    /// A window was saved.
    fn wake(&self) {
        self.fan_out.notify_one();
        self.wake_outboxes();
    }

    fn wake_outboxes(&self) {
        self.outboxes.iter().for_each(|waker| waker.notify_one());
    }
}

/// A stop, and how long it has been asked for.
struct Stopping<'a> {
    stop: &'a CancellationToken,
    since: OnceLock<Instant>,
}

impl<'a> Stopping<'a> {
    fn new(stop: &'a CancellationToken) -> Self {
        Self { stop, since: OnceLock::new() }
    }

    /// Waits until the stop was asked for so long ago; without a stop, for ever.
    async fn for_longer_than(&self, limit: Duration) {
        self.stop.cancelled().await;
        tokio::time::sleep_until(*self.since.get_or_init(Instant::now) + limit).await;
    }
}
