//! Shards and their leases: what is held, how far it lags, what became of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge};
use shard_consumer::{Batch, Epoch, TakenFrom};

use super::maker::Maker;
use super::{Metrics, seconds};

/// A shard from which nothing came for so long, not even an empty answer, is not being read.
const SILENCE: Duration = Duration::from_secs(10);

/// It is said again after this time that a shard is late.
const WARN_EVERY: Duration = Duration::from_secs(60);

const LEASE_EVENTS: [&str; 5] = ["taken", "handed_over", "lost", "expired", "released"];

pub(super) struct Shards {
    behind_latest: GaugeVec,
    checkpoint_age: GaugeVec,
    past_half_retention: IntGauge,
    retention_seconds: IntGauge,
    pub(super) open: IntGauge,
    pub(super) open_unread: IntGauge,
    leases_held: IntGauge,
    lease_events: IntCounterVec,
    lease_writes: IntCounter,
    hash_range_misses: IntCounter,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The shards held; ages are worked out when they are asked for.
    held: BTreeMap<String, HeldShard>,
    retention: Option<Duration>,
}

/// What is known of a shard under this worker's lease.
struct HeldShard {
    epoch: Epoch,
    /// The lag that the last batch told, in seconds, and when it came.
    behind: (f64, Instant),
    /// When records last came.
    moved: Instant,
    /// Since when there are records that no checkpoint covers.
    uncovered: Option<Instant>,
    /// When it was last said that the shard is late.
    warned: Option<Instant>,
}

impl HeldShard {
    fn new(epoch: Epoch, now: Instant) -> Self {
        Self { epoch, behind: (0.0, now), moved: now, uncovered: None, warned: None }
    }

    /// Even an idle shard is read every second: silence means that it cannot be read.
    fn lag(&self, now: Instant) -> Duration {
        let (behind, told) = self.behind;
        let silent = now.saturating_duration_since(told);
        Duration::from_secs_f64(behind) + if silent > SILENCE { silent } else { Duration::ZERO }
    }
}

/// A shard whose lag has passed half of the stream's retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateShard {
    /// Its name.
    pub shard: String,
    /// How far reading is behind the tip.
    pub lag: Duration,
    /// How long the stream keeps records.
    pub retention: Duration,
}

impl Known {
    /// The shards that are late, with what is to be remembered of each.
    fn late(&mut self, now: Instant) -> impl Iterator<Item = (LateShard, &mut HeldShard)> {
        let retention = self.retention;
        self.held.iter_mut().filter_map(move |(shard, held)| {
            let (lag, retention) = (held.lag(now), retention?);
            (lag > retention / 2).then(|| (LateShard { shard: shard.clone(), lag, retention }, held))
        })
    }

    /// The late shards of which nothing has been said for a while.
    fn warnings(&mut self, now: Instant) -> Vec<LateShard> {
        let unsaid = self.late(now).filter_map(|(late, held)| {
            let is_due = held.warned.is_none_or(|warned| now.saturating_duration_since(warned) >= WARN_EVERY);
            is_due.then(|| {
                held.warned = Some(now);
                late
            })
        });
        unsaid.collect()
    }
}

impl Shards {
    pub(super) fn new(make: &Maker) -> Self {
        let shards = Self {
            behind_latest: make.gauges(
                "shard_behind_latest_seconds",
                "How far reading is behind the tip; grows while a shard cannot be read",
                "shard",
            ),
            checkpoint_age: make.gauges(
                "checkpoint_age_seconds",
                "Since when a shard has records that are not saved, so that no checkpoint covers them; a checkpoint is \
                 written with the next renewal of the lease, at the latest",
                "shard",
            ),
            past_half_retention: make
                .gauge("shards_past_half_retention", "Shards held whose lag has passed half of the stream's retention"),
            retention_seconds: make
                .gauge("stream_retention_seconds", "How long the stream keeps records; 0 until that is known"),
            open: make.gauge("open_shards", "Shards that take records"),
            open_unread: make.gauge("open_shards_unread", "Open shards that no live worker reads"),
            leases_held: make.gauge("leases_held", "Leases that this worker holds"),
            lease_events: make.counters(
                "lease_events_total",
                "What happened to leases; expired are those taken whose owner had not renewed them",
                &["kind"],
            ),
            lease_writes: make.counter("lease_writes_total", "Writes to the lease table"),
            hash_range_misses: make.counter(
                "hash_range_misses_total",
                "Records that came by another shard than their key calls for; they are folded like all others",
            ),
            known: Mutex::default(),
        };
        LEASE_EVENTS.iter().for_each(|kind| drop(shards.lease_events.with_label_values(&[kind])));
        shards
    }

    pub(super) fn batch_folded(&self, batch: &Batch, now: Instant) {
        self.hash_range_misses.inc_by(batch.misplaced);
        if let Some(shard) = self.known().held.get_mut(batch.shard.as_str())
            && !batch.records.is_empty()
        {
            shard.moved = now;
            shard.uncovered.get_or_insert(now);
        }
    }

    /// Sets the gauges that change by themselves.
    pub(super) fn bring_up_to_date(&self, now: Instant) {
        let mut known = self.known();
        for (shard, held) in &known.held {
            let age = held.uncovered.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
            self.checkpoint_age.with_label_values(&[shard]).set(age.as_secs_f64());
            self.behind_latest.with_label_values(&[shard]).set(held.lag(now).as_secs_f64());
        }
        self.past_half_retention.set(whole(known.late(now).count()));
    }

    /// The lag of the shard that lags most.
    pub(super) fn most_behind(&self, now: Instant) -> Duration {
        self.known().held.values().map(|held| held.lag(now)).max().unwrap_or_default()
    }

    fn happened(&self, kind: &str, count: usize) {
        self.lease_events.with_label_values(&[kind]).inc_by(count as u64);
    }

    fn begin(&self, shard: &str, epoch: Epoch) {
        let mut known = self.known();
        known.held.insert(shard.to_owned(), HeldShard::new(epoch, Instant::now()));
        self.leases_held.set(whole(known.held.len()));
    }

    /// Nothing is said of a newer tenure.
    fn end(&self, shard: &str, epoch: Epoch) {
        let mut known = self.known();
        if known.held.get(shard).is_none_or(|held| held.epoch != epoch) {
            return;
        }
        known.held.remove(shard);
        self.leases_held.set(whole(known.held.len()));
        let _absent = self.checkpoint_age.remove_label_values(&[shard]);
        let _absent = self.behind_latest.remove_label_values(&[shard]);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics {
    /// A lease was taken.
    pub fn lease_taken(&self, shard: &str, epoch: Epoch, from: TakenFrom) {
        self.shards.happened("taken", 1);
        if from == TakenFrom::Expired {
            self.shards.happened("expired", 1);
        }
        self.shards.begin(shard, epoch);
    }

    /// A batch has come, though it is not folded yet.
    pub fn batch_read(&self, batch: &Batch) {
        if let Some(shard) = self.shards.known().held.get_mut(batch.shard.as_str()) {
            shard.behind = (seconds(0, batch.behind_latest_ms), Instant::now());
        }
    }

    /// The lease table is written to.
    pub fn lease_written(&self) {
        self.shards.lease_writes.inc();
    }

    /// A lease was lost: the shard is no longer this worker's to speak of.
    pub fn lease_lost(&self, shard: &str, epoch: Epoch) {
        self.shards.happened("lost", 1);
        self.shards.end(shard, epoch);
    }

    /// A lease was handed over to another worker.
    pub fn lease_handed_over(&self, shard: &str, epoch: Epoch) {
        self.shards.happened("handed_over", 1);
        self.shards.end(shard, epoch);
    }

    /// All leases were given up.
    pub fn leases_released(&self) {
        let held: Vec<_> = self.shards.known().held.iter().map(|(shard, held)| (shard.clone(), held.epoch)).collect();
        self.shards.happened("released", held.len());
        held.iter().for_each(|(shard, epoch)| self.shards.end(shard, *epoch));
    }

    /// Nothing more is to be said of a shard: its end is checkpointed.
    pub fn shard_ended(&self, shard: &str, epoch: Epoch) {
        self.shards.end(shard, epoch);
    }

    /// A listing showed the stream's shards, and, once that is known, how long it keeps records.
    pub fn shards_listed(&self, open: usize, unread: usize, retention: Option<Duration>) {
        self.shards.open.set(whole(open));
        self.shards.open_unread.set(whole(unread));
        if let Some(retention) = retention {
            self.shards.known().retention = Some(retention);
            self.shards.retention_seconds.set(i64::try_from(retention.as_secs()).unwrap_or(i64::MAX));
        }
    }

    /// A window's cut was handed to the leases, with the shard's position as it was at `sealed`.
    pub fn checkpointed(&self, shard: &str, epoch: Epoch, sealed: Instant) {
        if let Some(shard) = self.shards.known().held.get_mut(shard).filter(|held| held.epoch == epoch) {
            shard.uncovered = (shard.moved > sealed).then_some(sealed);
        }
    }

    /// The shards whose lag has passed half of the retention, each at most once a minute.
    #[must_use]
    pub fn late_shards(&self) -> Vec<LateShard> {
        self.shards.known().warnings(Instant::now())
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
