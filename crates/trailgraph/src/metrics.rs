//! Every metric, as a verb. Names and labels are a contract; all label values known beforehand exist from the
//! start, so that a rate over them is never absent.

mod embedded;
mod maker;
mod senders;
mod shards;
mod totals;

use std::time::Instant;

use bucket_state::{Ignored, Malformed, REJECTED_SNAPSHOT, supported};
use emitter::{Backlog, EmitReport, FanOutReport, SaveReport, SinkEvent, Verdict};
use prometheus::{
    CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};
use shard_consumer::Batch;

use crate::stores::statuses;
use maker::Maker;
use senders::Senders;
use shards::Shards;

pub use embedded::{EMBED_EVERY, Embedded};
pub use senders::LastSeen;
pub use shards::LateShard;
pub use totals::Totals;

/// The reason under which events after `--until` are ignored.
pub const AFTER_UNTIL: &str = "after_until";
/// What an event of an unlisted name is counted as.
const OTHER: &str = "other";

const OUTCOMES: [&str; 5] = ["applied", "failed_call", "ignored", "not_permitted", "malformed"];
const SNAPSHOT_OUTCOMES: [&str; 5] = ["emitted", "unchanged", "refused", "rejected", "failed"];
const STAGES: [&str; 5] = ["arrival", "fold", "save", "emit", "total"];

/// Seconds: from one window's jitter to a day.
const SECONDS: [f64; 19] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0,
    86_400.0,
];
const COUNTS: [f64; 10] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 100_000.0];

/// The service's metrics.
pub struct Metrics {
    registry: Registry,
    records: IntCounter,
    record_bytes: IntCounter,
    events: IntCounterVec,
    ignored: IntCounterVec,
    senders: Senders,
    shards: Shards,
    dirty: IntGauge,
    pending: IntGaugeVec,
    oldest_pending: GaugeVec,
    window_events: Histogram,
    window_resources: Histogram,
    saves: IntCounterVec,
    snapshots: IntCounterVec,
    sink_stopped: IntGaugeVec,
    emit_seconds: HistogramVec,
    sink_requests: IntCounterVec,
    sink_wait: CounterVec,
    freshness: HistogramVec,
    contested: IntCounter,
    dead_letters: IntCounterVec,
}

impl Metrics {
    /// All metrics at zero, for these sinks.
    ///
    /// # Panics
    /// Never: names and labels are constants.
    #[must_use]
    pub fn new(sinks: &[String]) -> Self {
        let make = Maker(Registry::new());
        let metrics = Self {
            records: make.counter("records_total", "Records read from the stream"),
            record_bytes: make.counter("record_bytes_total", "Bytes of the records read"),
            events: make.counters("events_total", "CloudTrail records, by call and outcome", &["event", "outcome"]),
            ignored: make.counters("ignored_total", "Records without effect, by reason", &["reason"]),
            senders: Senders::new(&make),
            shards: Shards::new(&make),
            dirty: make.gauge("dirty_resources", "Resources folded and not yet sealed"),
            pending: make
                .register(IntGaugeVec::new(Maker::opts("pending_resources", "Rows that wait for a sink"), &["sink"])),
            oldest_pending: make.gauges("oldest_pending_seconds", "How long the oldest pending row has waited", "sink"),
            window_events: make.histogram("window_events", "Events in a window", &COUNTS),
            window_resources: make.histogram("window_resources", "Resources in a window", &COUNTS),
            saves: make.counters("saves_total", "Saves of a resource, by outcome", &["outcome"]),
            snapshots: make.counters("snapshots_total", "Snapshots, by sink and outcome", &["sink", "outcome"]),
            sink_stopped: make.register(IntGaugeVec::new(
                Maker::opts(
                    "sink_stopped",
                    "How many lanes of a sink (accounts of JupiterOne; else one) take nothing until a person mends it",
                ),
                &["sink"],
            )),
            emit_seconds: make.histograms("emit_seconds", "How long a sink took for a batch", "sink"),
            sink_requests: make.counters(
                "sink_requests_total",
                "Requests to a sink's server, by what it answered",
                &["sink", "status"],
            ),
            sink_wait: make.register(CounterVec::new(
                Maker::opts("sink_wait_seconds_total", "How long requests to a sink waited to keep its pace"),
                &["sink"],
            )),
            freshness: make.histograms("freshness_seconds", "How fresh events are at each stage", "stage"),
            contested: make.counter("contested_facets_total", "Facets whose last write cannot be told"),
            dead_letters: make.counters("dead_letters_total", "Records that cannot be understood", &["reason"]),
            registry: make.0.clone(),
        };
        make.counter("s3_reads_total", "Reads of S3; there are none");
        let info: Gauge = make.register(Gauge::with_opts(
            Maker::opts("build_info", "The version that runs").const_label("version", env!("CARGO_PKG_VERSION")),
        ));
        info.set(1.0);
        metrics.create_labels(sinks);
        metrics
    }

    fn create_labels(&self, sinks: &[String]) {
        for event in supported().iter().map(|call| call.name).chain([OTHER]) {
            OUTCOMES.iter().for_each(|outcome| drop(self.events.with_label_values(&[event, outcome])));
        }
        let reasons = Ignored::ALL.iter().map(|reason| reason.as_str()).chain([AFTER_UNTIL]);
        reasons.for_each(|reason| drop(self.ignored.with_label_values(&[reason])));
        let reasons = Malformed::ALL.iter().map(|reason| reason.as_str()).chain([REJECTED_SNAPSHOT]);
        reasons.for_each(|reason| drop(self.dead_letters.with_label_values(&[reason])));
        ["saved", "unchanged", "conflict"].iter().for_each(|outcome| drop(self.saves.with_label_values(&[outcome])));
        STAGES.iter().for_each(|stage| drop(self.freshness.with_label_values(&[stage])));
        for sink in sinks {
            SNAPSHOT_OUTCOMES
                .iter()
                .for_each(|outcome| drop(self.snapshots.with_label_values(&[sink.as_str(), outcome])));
            self.pending.with_label_values(&[sink]).set(0);
            self.oldest_pending.with_label_values(&[sink]).set(0.0);
            self.sink_stopped.with_label_values(&[sink]).set(0);
            drop(self.emit_seconds.with_label_values(&[sink]));
            drop(self.sink_wait.with_label_values(&[sink]));
            statuses(sink)
                .iter()
                .for_each(|status| drop(self.sink_requests.with_label_values(&[sink.as_str(), status])));
        }
    }

    /// A batch was read and folded.
    pub fn batch_folded(&self, batch: &Batch, now_ms: i64) {
        self.records.inc_by(batch.records.len() as u64);
        self.record_bytes.inc_by(batch.records.iter().map(|record| record.data.len() as u64).sum());
        self.shards.batch_folded(batch, Instant::now());
        if let Some(first) = batch.records.first() {
            self.observe("fold", first.arrived_ms, now_ms);
        }
    }

    /// An event was folded.
    pub fn event_applied(&self, event: &str, happened_ms: i64, arrived_ms: i64) {
        self.events.with_label_values(&[event, "applied"]).inc();
        self.observe("arrival", happened_ms, arrived_ms);
    }

    /// An event of an account or Region that is not permitted came.
    pub fn event_not_permitted(&self, event: &str) {
        self.events.with_label_values(&[event, "not_permitted"]).inc();
    }

    /// A record without effect came.
    pub fn event_ignored(&self, event: Option<&str>, reason: &str) {
        let outcome = if reason == Ignored::FailedCall.as_str() { "failed_call" } else { "ignored" };
        self.events.with_label_values(&[event.unwrap_or(OTHER), outcome]).inc();
        self.ignored.with_label_values(&[reason]).inc();
    }

    /// A record became a dead letter.
    pub fn dead_lettered(&self, reason: Malformed) {
        self.events.with_label_values(&[OTHER, "malformed"]).inc();
        self.dead_letters.with_label_values(&[reason.as_str()]).inc();
    }

    /// A window was sealed.
    pub fn window_sealed(&self, events: u64, resources: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a histogram's bounds are far below 2^52")]
        self.window_events.observe(events as f64);
        #[expect(clippy::cast_precision_loss, reason = "a histogram's bounds are far below 2^52")]
        self.window_resources.observe(resources as f64);
    }

    /// A window's resources are stored.
    pub fn window_saved(&self, report: &SaveReport, now_ms: i64) {
        self.saves.with_label_values(&["saved"]).inc_by(report.saved + report.deduplicated);
        self.saves.with_label_values(&["unchanged"]).inc_by(report.unchanged);
        self.saves.with_label_values(&["conflict"]).inc_by(report.conflicts);
        self.contested.inc_by(report.contested);
        report.arrived_ms.iter().for_each(|arrived_ms| self.observe("save", *arrived_ms, now_ms));
    }

    /// The buckets of changed accounts were marked: each mark is a save.
    pub fn members_marked(&self, report: &FanOutReport) {
        self.saves.with_label_values(&["saved"]).inc_by(report.marked);
    }

    /// A sink has spoken on a batch.
    pub fn emitted(&self, sink: &str, report: &EmitReport, now_ms: i64) {
        self.emit_seconds.with_label_values(&[sink]).observe(report.took.as_secs_f64());
        for settled in &report.settled {
            let outcome = match settled.verdict {
                Verdict::Applied => "emitted",
                Verdict::Unchanged => "unchanged",
                Verdict::Newer(_) => "refused",
                Verdict::Rejected(_) => "rejected",
            };
            self.snapshots.with_label_values(&[sink, outcome]).inc();
            if matches!(settled.verdict, Verdict::Applied | Verdict::Unchanged) {
                self.observe("emit", settled.mark.arrived_ms, now_ms);
                self.observe("total", settled.mark.happened_ms, now_ms);
            }
        }
    }

    /// All lanes of a sink begin.
    pub fn sink_begins(&self, sink: &str) {
        self.sink_stopped.with_label_values(&[sink]).set(0);
    }

    /// Nothing more is emitted by a lane of a sink; or something again.
    pub fn lane_stopped(&self, sink: &str, stopped: bool) {
        self.sink_stopped.with_label_values(&[sink]).add(if stopped { 1 } else { -1 });
    }

    /// A sink has asked its server, or waited before that.
    pub fn sink_traffic(&self, sink: &str, event: SinkEvent) {
        match event {
            SinkEvent::Answered(status) => self.sink_requests.with_label_values(&[sink, status]).inc(),
            SinkEvent::Waited(time) => self.sink_wait.with_label_values(&[sink]).inc_by(time.as_secs_f64()),
        }
    }

    /// A snapshot that a sink rejects became a dead letter.
    pub fn rejection_dead_lettered(&self) {
        self.dead_letters.with_label_values(&[REJECTED_SNAPSHOT]).inc();
    }

    /// A sink took nothing of a batch.
    pub fn emission_failed(&self, sink: &str) {
        self.snapshots.with_label_values(&[sink, "failed"]).inc();
    }

    /// What the window and a sink's outbox hold now.
    pub fn waiting(&self, dirty: usize, sink: &str, backlog: &Backlog, now_ms: i64) {
        self.dirty.set(i64::try_from(dirty).unwrap_or(i64::MAX));
        self.pending.with_label_values(&[sink]).set(backlog.rows.cast_signed());
        self.oldest_pending
            .with_label_values(&[sink])
            .set(backlog.oldest_ms.map_or(0.0, |since| seconds(since, now_ms)));
    }

    /// The text form that Prometheus scrapes.
    pub fn render(&self) -> String {
        self.shards.bring_up_to_date(Instant::now());
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => format!("# {error}\n"),
        }
    }

    fn observe(&self, stage: &str, from_ms: i64, to_ms: i64) {
        self.freshness.with_label_values(&[stage]).observe(seconds(from_ms, to_ms));
    }
}

/// Clocks of different machines differ: what seems to come before its cause took no time.
#[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 ms")]
fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    to_ms.saturating_sub(from_ms).max(0) as f64 / 1_000.0
}
