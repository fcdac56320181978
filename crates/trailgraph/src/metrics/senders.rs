//! The accounts that send events.

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec};

use super::Metrics;
use super::maker::Maker;

const RELOADS: [&str; 3] = ["changed", "unchanged", "failed"];

pub(super) struct Senders {
    last_seen: GaugeVec,
    refused: IntCounter,
    reloads: IntCounterVec,
}

/// When an account was last heard of.
pub struct LastSeen(Gauge);

impl LastSeen {
    /// An event of it arrived at `arrived_ms`, in milliseconds since 1970.
    pub fn at(&self, arrived_ms: i64) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^52")]
        let seconds = arrived_ms as f64 / 1_000.0;
        // Two readers may pass each other here: the next event mends that.
        if seconds > self.0.get() {
            self.0.set(seconds);
        }
    }
}

impl Senders {
    pub(super) fn new(make: &Maker) -> Self {
        let senders = Self {
            last_seen: make.gauges(
                "account_last_seen_timestamp_seconds",
                "When the last event of a permitted account arrived; 0 if none has since the start",
                "account",
            ),
            refused: make.counter("refused_accounts_total", "Accounts whose events are refused, each counted once"),
            reloads: make.counters("permit_reloads_total", "Times the permit list was read again", &["outcome"]),
        };
        RELOADS.iter().for_each(|outcome| drop(senders.reloads.with_label_values(&[outcome])));
        senders
    }
}

impl Metrics {
    /// The account is permitted.
    #[must_use]
    pub fn account_permitted(&self, account: &str) -> LastSeen {
        LastSeen(self.senders.last_seen.with_label_values(&[account]))
    }

    /// It is no longer: nothing is expected of it.
    pub fn account_not_permitted_any_more(&self, account: &str) {
        let _absent = self.senders.last_seen.remove_label_values(&[account]);
    }

    /// An account that is not permitted sent its first event.
    pub fn account_refused(&self) {
        self.senders.refused.inc();
    }

    /// The permit list was read again.
    pub fn permit_read(&self, changed: Result<bool, ()>) {
        let outcome = match changed {
            Ok(true) => "changed",
            Ok(false) => "unchanged",
            Err(()) => "failed",
        };
        self.senders.reloads.with_label_values(&[outcome]).inc();
    }
}
