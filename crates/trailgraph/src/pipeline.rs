//! The loop: read, fold, seal, save, checkpoint; and beside it, per sink, the outbox.

use std::sync::Arc;
use std::time::Duration;

use emitter::{GraphSink, Outbox, OutboxError, OutboxSettings, Sealed, StateStore, StoreError};
use shard_consumer::{Cut, Position, ShardSource, SourceError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::failure::Failure;
use crate::intake::Intake;
use crate::metrics::Metrics;

/// After a stop, the last window is saved and the leases are released within this time.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// After a stop, emissions that are under way may end within this time.
const EMISSIONS_MAX: Duration = Duration::from_secs(20);
/// A sink that accepts nothing for so long fails a replay.
const SETTLE_MAX: Duration = Duration::from_secs(5 * 60);
const OBSERVE_EVERY: Duration = Duration::from_secs(5);

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
}

impl Pipeline {
    /// Runs until `stop`, or until the source has no more; then saves, checkpoints and releases what is left.
    /// Pending rows that remain are another worker's, or the next one's.
    ///
    /// # Errors
    /// [`Failure`]; whatever was not checkpointed is read again.
    pub async fn run(&self, stop: &CancellationToken) -> Result<(), Failure> {
        let sinks: Vec<_> = self.sinks.iter().map(|sink| sink.name().clone()).collect();
        self.store.add_sinks(&sinks, clock::now_ms()).await?;

        let end_emissions = CancellationToken::new();
        let (mut backward, wakers) = self.spawn_outboxes(&end_emissions);
        let forward = self.forward(stop, &|| wakers.iter().for_each(|waker| waker.notify_one())).await;

        end_emissions.cancel();
        if tokio::time::timeout(EMISSIONS_MAX, async { while backward.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!("emissions under way were given up; their rows stay pending");
        }
        forward
    }

    /// The forward half. One window saves at a time, while the next goes on folding.
    async fn forward(&self, stop: &CancellationToken, wake_outboxes: &(dyn Fn() + Sync)) -> Result<(), Failure> {
        let window = &self.intake.window;
        let stop_reading = stop.child_token();
        let reading = self.source.run(self.intake.deliver(&stop_reading), stop_reading.clone());
        tokio::pin!(reading);
        let mut saving = None;
        let ended = loop {
            tokio::select! {
                ended = &mut reading => break ended.map_err(Failure::from),
                () = window.due(), if saving.is_none() => saving = Some(Box::pin(self.commit(window.seal()))),
                saved = async { saving.as_mut().expect("guarded").await }, if saving.is_some() => {
                    saving = None;
                    match saved {
                        Ok(()) => wake_outboxes(),
                        Err(error) => {
                            stop_reading.cancel();
                            let _moot = (&mut reading).await;
                            break Err(Failure::from(error));
                        }
                    }
                }
            }
        };
        let drain = async {
            if ended.is_err() {
                return;
            }
            if let Some(saving) = saving.take() {
                saving.await.unwrap_or_else(|error| tracing::error!(%error, "the last window was not saved"));
            }
            if !window.is_clean() {
                let saved = self.commit(window.seal()).await;
                saved.unwrap_or_else(|error| tracing::error!(%error, "the last window was not saved"));
            }
            wake_outboxes();
        };
        let deadline = if stop.is_cancelled() { DRAIN_MAX } else { Duration::MAX };
        if tokio::time::timeout(deadline, drain).await.is_err() {
            tracing::warn!("the last window could not be saved in time; it was not checkpointed and is read again");
        }
        if let Err(error) = self.source.release().await {
            tracing::warn!(error = %chain(&error), "leases were not released; others take them when they expire");
        }
        ended
    }

    /// Save, then checkpoint. A checkpoint that fails is covered by the next.
    async fn commit(&self, sealed: Sealed<Cut>) -> Result<(), StoreError> {
        let (events, resources, begun) = (sealed.events(), sealed.resources(), Instant::now());
        self.metrics().window_sealed(events, resources);
        let saved = sealed.save(self.store.as_ref(), clock::now_ms).await?;
        self.metrics().window_saved(&saved.report, clock::now_ms());
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
            self.checkpointed(&cut);
            Ok::<_, SourceError>(())
        };
        if let Err(error) = saved.checkpoint(keep).await {
            tracing::warn!(error = %chain(&error), "a checkpoint failed; the next one covers it");
        }
        Ok(())
    }

    fn checkpointed(&self, cut: &Cut) {
        for (shard, epoch, position) in cut.iter() {
            if *position == Position::ShardEnd {
                // Nothing is left to say of it, so later cuts need not carry it.
                self.intake.window.retract(|cut| cut.forget(shard, epoch));
                self.metrics().shard_ended(shard.as_str());
            } else {
                self.metrics().checkpointed(shard.as_str());
            }
        }
    }

    /// The backward half: one task per sink, so that none holds back another.
    fn spawn_outboxes(&self, end: &CancellationToken) -> (JoinSet<()>, Vec<Arc<Notify>>) {
        let (mut tasks, mut wakers) = (JoinSet::new(), Vec::new());
        for sink in &self.sinks {
            let outbox = Outbox::new(Arc::clone(&self.store), Arc::clone(sink), self.outbox.clone());
            let waker = Arc::new(Notify::new());
            wakers.push(Arc::clone(&waker));
            let (end_emissions, metrics) = (end.clone(), Arc::clone(&self.intake.metrics));
            tasks.spawn(async move {
                let name = outbox.sink().to_string();
                let tell = |round: Result<&emitter::EmitReport, &OutboxError>| told(&metrics, &name, round);
                if let Err(error) = outbox.run(&waker, &end_emissions, clock::now_ms, tell).await {
                    tracing::error!(%error, sink = name, "the sink is stopped; its rows stay pending");
                }
            });
            let (store, window, name) = (Arc::clone(&self.store), Arc::clone(&self.intake.window), sink.name().clone());
            let (end, metrics) = (end.clone(), Arc::clone(&self.intake.metrics));
            tasks.spawn(async move {
                while end.run_until_cancelled(tokio::time::sleep(OBSERVE_EVERY)).await.is_some() {
                    if let Ok(backlog) = store.backlog(&name).await {
                        metrics.waiting(window.dirty(), name.as_str(), &backlog, clock::now_ms());
                    }
                }
            });
        }
        (tasks, wakers)
    }

    /// Emits until nothing is pending for any sink.
    ///
    /// # Errors
    /// When a sink is ahead of the store, accepts nothing for 5 minutes, or has rejected a row.
    pub async fn settle(&self) -> Result<(), Failure> {
        for sink in &self.sinks {
            let mut settings = self.outbox.clone();
            settings.adopt_after = Duration::ZERO;
            let outbox = Outbox::new(Arc::clone(&self.store), Arc::clone(sink), settings);
            let name = sink.name().to_string();
            let mut accepted = Instant::now();
            loop {
                let round = outbox.round(clock::now_ms() + 1).await;
                told(self.metrics(), &name, round.as_ref().map(|report| report.as_ref().unwrap_or(&NOTHING)));
                match round {
                    Ok(None) => break,
                    Ok(Some(_)) => accepted = Instant::now(),
                    Err(error) if !error.is_transient() || accepted.elapsed() > SETTLE_MAX => {
                        return Err(Failure::Running(error.into()));
                    }
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
            let rejected = self.store.backlog(sink.name()).await?.rejected;
            if rejected > 0 {
                return Err(Failure::Running(anyhow::anyhow!("{name} rejected {rejected} snapshots: see the log")));
            }
        }
        Ok(())
    }

    fn metrics(&self) -> &Metrics {
        &self.intake.metrics
    }
}

static NOTHING: emitter::EmitReport = emitter::EmitReport { settled: Vec::new(), cleared: 0, took: Duration::ZERO };

fn told(metrics: &Metrics, sink: &str, round: Result<&emitter::EmitReport, &OutboxError>) {
    match round {
        Ok(report) if report.settled.is_empty() => {}
        Ok(report) => {
            metrics.emitted(sink, report, clock::now_ms());
            tracing::debug!(sink, snapshots = report.settled.len(), cleared = report.cleared, "snapshots emitted");
        }
        Err(error) => {
            metrics.emission_failed(sink);
            tracing::warn!(%error, sink, "a sink took nothing; its rows stay pending");
        }
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
