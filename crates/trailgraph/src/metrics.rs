//! Every metric, as a verb. Names and labels are a contract; all label values known beforehand exist from the
//! start, so that a rate over them is never absent.

mod maker;
mod totals;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bucket_state::{Ignored, Malformed, supported};
use emitter::{Backlog, EmitReport, FanOutReport, SaveReport, Verdict};
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};
use shard_consumer::Batch;

use maker::Maker;

pub use totals::Totals;

/// The reason under which events after `--until` are ignored.
pub const AFTER_UNTIL: &str = "after_until";
/// What an event of an unlisted name is counted as.
const OTHER: &str = "other";

/// A shard from which nothing came for so long, not even an empty answer, is not being read.
const SILENCE: Duration = Duration::from_secs(10);

const OUTCOMES: [&str; 5] = ["applied", "failed_call", "ignored", "not_permitted", "malformed"];
const LEASE_EVENTS: [&str; 5] = ["taken", "handed_over", "lost", "expired", "released"];
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
    behind_latest: GaugeVec,
    checkpoint_age: GaugeVec,
    open_shards: IntGauge,
    open_shards_unread: IntGauge,
    leases_held: IntGauge,
    lease_events: IntCounterVec,
    lease_writes: IntCounter,
    dirty: IntGauge,
    pending: IntGaugeVec,
    oldest_pending: GaugeVec,
    window_events: Histogram,
    window_resources: Histogram,
    saves: IntCounterVec,
    snapshots: IntCounterVec,
    sink_stopped: IntGaugeVec,
    emit_seconds: HistogramVec,
    freshness: HistogramVec,
    contested: IntCounter,
    dead_letters: IntCounterVec,
    /// The shards held; ages are worked out when they are asked for.
    held: Mutex<BTreeMap<String, HeldShard>>,
}

/// What is known of a shard under this worker's lease.
struct HeldShard {
    /// The lag that the last batch told, in seconds, and when it came.
    behind: (f64, Instant),
    /// When records last came.
    moved: Instant,
    /// Since when there are records that no checkpoint covers.
    uncovered: Option<Instant>,
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
            behind_latest: make.gauges(
                "shard_behind_latest_seconds",
                "How far reading is behind the tip; grows while a shard cannot be read",
                "shard",
            ),
            checkpoint_age: make.gauges(
                "checkpoint_age_seconds",
                "Since when a shard has records that no checkpoint covers",
                "shard",
            ),
            open_shards: make.gauge("open_shards", "Shards that take records"),
            open_shards_unread: make.gauge("open_shards_unread", "Open shards that no live worker reads"),
            leases_held: make.gauge("leases_held", "Leases that this worker holds"),
            lease_events: make.counters("lease_events_total", "What happened to leases", &["kind"]),
            lease_writes: make.counter("lease_writes_total", "Writes to the lease table"),
            dirty: make.gauge("dirty_resources", "Resources folded and not yet sealed"),
            pending: make
                .register(IntGaugeVec::new(Maker::opts("pending_resources", "Rows that wait for a sink"), &["sink"])),
            oldest_pending: make.gauges("oldest_pending_seconds", "How long the oldest pending row has waited", "sink"),
            window_events: make.histogram("window_events", "Events in a window", &COUNTS),
            window_resources: make.histogram("window_resources", "Resources in a window", &COUNTS),
            saves: make.counters("saves_total", "Saves of a resource, by outcome", &["outcome"]),
            snapshots: make.counters("snapshots_total", "Snapshots, by sink and outcome", &["sink", "outcome"]),
            sink_stopped: make.register(IntGaugeVec::new(
                Maker::opts("sink_stopped", "Whether nothing more is emitted to a sink until a person mends it"),
                &["sink"],
            )),
            emit_seconds: make.histograms("emit_seconds", "How long a sink took for a batch", "sink"),
            freshness: make.histograms("freshness_seconds", "How fresh events are at each stage", "stage"),
            contested: make.counter("contested_facets_total", "Facets whose last write cannot be told"),
            dead_letters: make.counters("dead_letters_total", "Records that cannot be understood", &["reason"]),
            held: Mutex::default(),
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
        Malformed::ALL.iter().for_each(|reason| drop(self.dead_letters.with_label_values(&[reason.as_str()])));
        LEASE_EVENTS.iter().for_each(|kind| drop(self.lease_events.with_label_values(&[kind])));
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
        }
    }

    /// A batch was read and folded.
    pub fn batch_folded(&self, batch: &Batch, now_ms: i64) {
        self.records.inc_by(batch.records.len() as u64);
        self.record_bytes.inc_by(batch.records.iter().map(|record| record.data.len() as u64).sum());
        if let Some(shard) = self.held().get_mut(batch.shard.as_str()) {
            let now = Instant::now();
            shard.behind = (seconds(0, batch.behind_latest_ms), now);
            if !batch.records.is_empty() {
                shard.moved = now;
                shard.uncovered.get_or_insert(now);
            }
        }
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

    /// A lease was taken.
    pub fn lease_taken(&self, shard: &str) {
        self.lease_events.with_label_values(&["taken"]).inc();
        let now = Instant::now();
        let mut held = self.held();
        held.insert(shard.to_owned(), HeldShard { behind: (0.0, now), moved: now, uncovered: None });
        self.leases_held.set(i64::try_from(held.len()).unwrap_or(i64::MAX));
    }

    /// The lease table is written to.
    pub fn lease_written(&self) {
        self.lease_writes.inc();
    }

    /// A lease was lost: the shard is no longer this worker's to speak of.
    pub fn lease_lost(&self, shard: &str) {
        self.lease_events.with_label_values(&["lost"]).inc();
        self.shard_ended(shard);
    }

    /// All leases were given up.
    pub fn leases_released(&self) {
        let shards: Vec<String> = self.held().keys().cloned().collect();
        self.lease_events.with_label_values(&["released"]).inc_by(shards.len() as u64);
        shards.iter().for_each(|shard| self.shard_ended(shard));
    }

    /// Nothing more is to be said of a shard: its lease is gone, or its end is checkpointed.
    pub fn shard_ended(&self, shard: &str) {
        let mut held = self.held();
        held.remove(shard);
        self.leases_held.set(i64::try_from(held.len()).unwrap_or(i64::MAX));
        let _absent = self.checkpoint_age.remove_label_values(&[shard]);
        let _absent = self.behind_latest.remove_label_values(&[shard]);
    }

    /// A listing showed the stream's shards.
    pub fn shards_listed(&self, open: usize, unread: usize) {
        self.open_shards.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.open_shards_unread.set(i64::try_from(unread).unwrap_or(i64::MAX));
    }

    /// A shard's position was checkpointed, as it was at `sealed`.
    pub fn checkpointed(&self, shard: &str, sealed: Instant) {
        if let Some(shard) = self.held().get_mut(shard) {
            shard.uncovered = (shard.moved > sealed).then_some(sealed);
        }
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

    /// Nothing more is emitted to a sink.
    pub fn sink_stopped(&self, sink: &str) {
        self.sink_stopped.with_label_values(&[sink]).set(1);
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
        for (shard, held) in self.held().iter() {
            let age = held.uncovered.map_or(Duration::ZERO, |since| since.elapsed());
            self.checkpoint_age.with_label_values(&[shard]).set(age.as_secs_f64());
            // Even an idle shard is read every second: silence means that it cannot be read.
            let (behind, told) = held.behind;
            let silent = told.elapsed();
            let behind = if silent > SILENCE { behind + silent.as_secs_f64() } else { behind };
            self.behind_latest.with_label_values(&[shard]).set(behind);
        }
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => format!("# {error}\n"),
        }
    }

    fn observe(&self, stage: &str, from_ms: i64, to_ms: i64) {
        self.freshness.with_label_values(&[stage]).observe(seconds(from_ms, to_ms));
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, HeldShard>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clocks of different machines differ: what seems to come before its cause took no time.
#[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 ms")]
fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    to_ms.saturating_sub(from_ms).max(0) as f64 / 1_000.0
}
