//! What was counted, for a summary.

use std::time::Duration;

use bucket_state::{Ignored, Malformed, REJECTED_SNAPSHOT, supported};
use prometheus::IntCounterVec;

use super::{AFTER_UNTIL, Metrics, OTHER};

/// Counts of a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records read.
    pub records: u64,
    /// Events folded.
    pub applied: u64,
    /// Events of accounts that are not permitted.
    pub not_permitted: u64,
    /// Records without effect, by reason.
    pub ignored: Vec<(&'static str, u64)>,
    /// Records that were not understood, by reason.
    pub dead_letters: Vec<(&'static str, u64)>,
    /// Rows written.
    pub saved: u64,
    /// Facets that became contested.
    pub contested: u64,
    /// Windows sealed.
    pub windows: u64,
}

impl Metrics {
    /// Everything counted so far, for a summary.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let by_label = |counters: &IntCounterVec, labels: &[&str]| counters.with_label_values(labels).get();
        let events = |outcome: &str| {
            supported()
                .iter()
                .map(|call| call.name)
                .chain([OTHER])
                .map(|event| by_label(&self.events, &[event, outcome]))
                .sum()
        };
        let reasons = Ignored::ALL.iter().map(|reason| reason.as_str()).chain([AFTER_UNTIL]);
        let nonzero = |(_, count): &(&'static str, u64)| *count > 0;
        Totals {
            records: self.records.get(),
            applied: events("applied"),
            not_permitted: events("not_permitted"),
            ignored: reasons.map(|reason| (reason, by_label(&self.ignored, &[reason]))).filter(nonzero).collect(),
            dead_letters: self.dead_letters_by_reason().filter(nonzero).collect(),
            saved: by_label(&self.saves, &["saved"]),
            contested: self.contested.get(),
            windows: self.window_events.get_sample_count(),
        }
    }

    /// Dead letters of every reason.
    #[must_use]
    pub fn dead_letters_total(&self) -> u64 {
        self.dead_letters_by_reason().map(|(_, count)| count).sum()
    }

    fn dead_letters_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let reasons = Malformed::ALL.iter().map(|reason| reason.as_str()).chain([REJECTED_SNAPSHOT]);
        reasons.map(|reason| (reason, self.dead_letters.with_label_values(&[reason]).get()))
    }

    /// Snapshots on which `sink` has spoken with `outcome`.
    #[must_use]
    pub fn snapshots(&self, sink: &str, outcome: &str) -> u64 {
        self.snapshots.with_label_values(&[sink, outcome]).get()
    }

    /// The time within which a share of all was at `stage`, as Prometheus estimates it from the buckets.
    #[must_use]
    pub fn freshness_quantile(&self, stage: &str, share: f64) -> Option<Duration> {
        use prometheus::core::Metric;
        let metric = self.freshness.with_label_values(&[stage]).metric();
        let histogram = metric.get_histogram();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rank = histogram.get_sample_count() as f64 * share;
        let (mut below, mut lower) = (0_u64, 0.0);
        for bucket in histogram.get_bucket() {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let (upto, before) = (bucket.cumulative_count() as f64, below as f64);
            if upto >= rank && upto > before {
                let estimate = lower + (bucket.upper_bound() - lower) * (rank - before) / (upto - before);
                return Some(Duration::from_secs_f64(estimate));
            }
            (below, lower) = (bucket.cumulative_count(), bucket.upper_bound());
        }
        None
    }
}
