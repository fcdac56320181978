//! What outboxes do, told to metrics, log and dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use emitter::{EmitReport, OutboxError};

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::rejections::Rejections;

/// What one lane of a sink tells: its only one, where it has no more.
pub(super) struct Telling {
    pub(super) sink: String,
    metrics: Arc<Metrics>,
    rejections: Rejections,
    has_stopped: AtomicBool,
    pub(super) clock: Clock,
}

impl Telling {
    pub(super) fn new(sink: &str, metrics: &Arc<Metrics>, rejections: &Rejections, clock: &Clock) -> Self {
        Self {
            sink: sink.into(),
            metrics: Arc::clone(metrics),
            rejections: rejections.clone(),
            has_stopped: AtomicBool::new(false),
            clock: Arc::clone(clock),
        }
    }

    /// Counts this lane among those that have stopped, once.
    pub(super) fn stopped(&self, stopped: bool) {
        if self.has_stopped.swap(stopped, Ordering::Relaxed) != stopped {
            self.metrics.lane_stopped(&self.sink, stopped);
        }
    }

    pub(super) fn tell(&self, round: Result<&EmitReport, &OutboxError>) {
        let Self { sink, metrics, rejections, .. } = self;
        match round {
            Ok(report) => {
                metrics.emitted(sink, report, (self.clock)());
                self.stopped(false);
                rejections.take(sink, &report.settled);
                tracing::debug!(sink, snapshots = report.settled.len(), cleared = report.cleared, "snapshots emitted");
            }
            Err(error) => {
                metrics.emission_failed(sink);
                if error.is_denied() {
                    self.stopped(true);
                    tracing::error!(%error, sink, "nothing is emitted until a person mends this; it is tried again now and then");
                } else if error.is_transient() {
                    tracing::warn!(%error, sink, "nothing was emitted; the rows stay pending");
                }
                // Any other ends the outbox, and is logged there.
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::DeadLetters;

    #[tokio::test]
    async fn a_lane_that_has_stopped_is_not_hidden_by_another_that_goes_on() {
        let metrics = Arc::new(Metrics::new(&["graph".to_owned()]));
        let (rejections, _letters) = Rejections::start("stream", &Arc::new(DeadLetters::nowhere()), &metrics);
        let lane = || Telling::new("graph", &metrics, &rejections, &crate::clock::wall());
        let (one, other) = (lane(), lane());
        for (lane, stopped, expected) in [
            (&one, true, 1),
            (&other, false, 1),
            (&one, true, 1),
            (&other, true, 2),
            (&one, false, 1),
            (&other, false, 0),
        ] {
            lane.stopped(stopped);
            let line = format!("trailgraph_sink_stopped{{sink=\"graph\"}} {expected}\n");
            assert!(metrics.render().contains(&line), "{line}");
        }
    }
}
