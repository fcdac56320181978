//! What one seed decides: the fleet, the traffic and what goes wrong.

use std::time::Duration;

use emitter::Limits;
use fastrand::Rng;
use trailgraph::generate::{Generated, Traffic};

use crate::calls::Odds;
use crate::toggles;

/// 2026-01-01T00:00:00Z, when the services of the simulation begin.
pub(crate) const EPOCH_MS: i64 = 1_767_225_600_000;

pub(crate) struct Setting {
    pub(crate) shards: i32,
    pub(crate) workers: usize,
    pub(crate) graphs: usize,
    pub(crate) failover_after: Duration,
    pub(crate) limits: Limits,
    pub(crate) emit_batch: usize,
    pub(crate) keeps_bases: bool,
    /// Each worker's clock is wrong by up to so much.
    pub(crate) skew_most_ms: i64,
    pub(crate) odds: Odds,
    /// Of so many calls of Kinesis, one fails; 0 for none.
    pub(crate) stream_faults: u32,
    /// One in so many records goes to the shard of another key.
    pub(crate) misplaced: u32,
    /// What happens when, besides.
    pub(crate) disturbances: Vec<(Duration, Disturbance)>,
    /// When each record is put.
    pub(crate) records: Vec<(Duration, Generated)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    Kill,
    Stall,
    Stop,
    Join,
    Split,
    Merge,
    Moody,
    Republish,
}

const DISTURBANCES: [Disturbance; 12] = [
    Disturbance::Kill,
    Disturbance::Kill,
    Disturbance::Stall,
    Disturbance::Stall,
    Disturbance::Stall,
    Disturbance::Stop,
    Disturbance::Join,
    Disturbance::Split,
    Disturbance::Split,
    Disturbance::Merge,
    Disturbance::Moody,
    Disturbance::Republish,
];

/// For so long things go on; then all is calm.
pub(crate) const STORM: Duration = Duration::from_secs(16);

impl Setting {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut odds = |choices: &[u32]| choices[rng.usize(..choices.len())];
        let (crash, no_answer, slow) = (odds(&[0, 60, 150, 400]), odds(&[0, 15, 40, 120]), odds(&[8, 20, 60]));
        let (stream_faults, misplaced) = (odds(&[0, 12, 40]), odds(&[2, 4, 20]));
        let failover_after = Duration::from_secs(rng.u64(3..6));
        let limits = Limits {
            flush_after: Duration::from_millis(rng.u64(100..2_500)),
            flush_at: rng.usize(1..8),
            dirty_max: rng.usize(3..30),
        };
        let traffic = Traffic {
            seed: rng.u64(..),
            events: rng.u64(25..60),
            buckets: rng.u32(1..5),
            start_ms: EPOCH_MS - 60_000,
            spacing_ms: rng.u32(20..1_500),
        };
        let at = |rng: &mut Rng| STORM.mul_f64(rng.f64());
        let mut records: Vec<(Duration, Generated)> = Vec::new();
        for record in traffic.generate() {
            if rng.u32(..8) == 0 {
                records.push((at(rng), record.clone()));
            }
            records.push((at(rng), record));
        }
        records.extend(toggles::draw(rng));
        // In the order of their delivery, which is not that in which they happened.
        records.sort_by_key(|(at, _)| *at);
        let mut disturbances: Vec<(Duration, Disturbance)> =
            (0..rng.usize(..7)).map(|_| (at(rng), DISTURBANCES[rng.usize(..DISTURBANCES.len())])).collect();
        disturbances.sort_by_key(|(at, _)| *at);
        Self {
            shards: rng.i32(1..4),
            workers: rng.usize(1..4),
            graphs: rng.usize(1..3),
            failover_after,
            limits,
            emit_batch: rng.usize(1..10),
            keeps_bases: rng.bool(),
            skew_most_ms: [0, 500, 4_000, 60_000][rng.usize(..4)],
            odds: Odds { crash, no_answer, slow, slow_most: failover_after.mul_f64(rng.f64() * 1.5) },
            stream_faults,
            misplaced,
            disturbances,
            records,
        }
    }
}
