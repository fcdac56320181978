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
        let too_late = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN_MAX).await;
        };
        tokio::pin!(reading, too_late);
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
                () = &mut too_late => break Err(Failure::Running(anyhow::anyhow!("reading did not end in time"))),
            }
        };
        let drain = async {
            if ended.is_ok() {
                self.save_the_rest(saving).await;
                wake_outboxes();
            }
            match self.source.release().await {
                Ok(()) => self.metrics().leases_released(),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "leases were not released; others take them when they expire");
                }
            }
        };
        tokio::select! {
            () = drain => {}
            () = &mut too_late => {
                tracing::warn!("not all was saved, checkpointed and released in time; what is not is read again");
            }
        }
        ended
    }

    /// The last two windows: the one that is being saved, and the one that was open.
    async fn save_the_rest(&self, saving: Option<impl Future<Output = Result<(), StoreError>>>) {
        let window = &self.intake.window;
        let not_saved = |error: StoreError| tracing::error!(%error, "a window was not saved; it is read again");
        if let Some(saving) = saving
            && let Err(error) = saving.await
        {
            return not_saved(error);
        }
        if !window.is_clean() {
            self.commit(window.seal()).await.unwrap_or_else(not_saved);
        }
    }

    /// Save, then checkpoint. A checkpoint that fails is repeated with the next window, which is due in any case.
    async fn commit(&self, sealed: Sealed<Cut>) -> Result<(), StoreError> {
        let (events, resources, begun) = (sealed.events(), sealed.resources(), std::time::Instant::now());
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
            self.checkpointed(&cut, begun);
            Ok::<_, SourceError>(())
        };
        if let Err(error) = saved.checkpoint(keep).await {
            tracing::warn!(error = %chain(&error), "a checkpoint failed; it is repeated with the next window");
            self.intake.window.advance(false, |_| {});
        }
        Ok(())
    }

    fn checkpointed(&self, cut: &Cut, sealed: std::time::Instant) {
        for (shard, epoch, position) in cut.iter() {
            if *position == Position::ShardEnd {
                // Nothing is left to say of it, so later cuts need not carry it.
                self.intake.window.retract(|cut| cut.forget(shard, epoch));
                self.metrics().shard_ended(shard.as_str());
            } else {
                self.metrics().checkpointed(shard.as_str(), sealed);
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
