//! The services' clock: a fixed date, and from there on tokio's time.

use tokio::time::Instant;

/// 2026-01-01T00:00:00Z
const EPOCH_MS: i64 = 1_767_225_600_000;

/// A moment, by both of its measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    /// Milliseconds since 1970.
    pub(crate) ms: i64,
}

#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let instant = Instant::now();
        // A test pauses time after the start at the earliest: the difference may be nothing, never negative.
        let passed = instant.saturating_duration_since(self.start).as_millis();
        Now { instant, ms: EPOCH_MS + i64::try_from(passed).unwrap_or(i64::MAX - EPOCH_MS) }
    }
}
