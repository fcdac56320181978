//! When the next call may be made: within the service's limits per shard, without idling while behind.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// The service takes five GetRecords calls per second and shard.
const CALLS: usize = 5;
/// The service's second, and slack for calls that take unequal times to arrive.
const WINDOW: Duration = Duration::from_millis(1050);

/// The service reads out two megabytes per second and shard; more is refused until the average fits again.
const BYTES_PER_SECOND: f64 = 2_000_000.0;

const IDLE_LEAST: Duration = Duration::from_millis(250);
const IDLE_MOST: Duration = Duration::from_secs(1);

const BACK_OFF_FIRST: Duration = Duration::from_millis(200);
const BACK_OFF_MOST: Duration = Duration::from_secs(10);

/// The recent calls on one shard. Never more than five lie in any one window.
#[derive(Debug, Default)]
pub(super) struct Pace {
    calls: VecDeque<Instant>,
    not_before: Option<Instant>,
    idle: Duration,
}

impl Pace {
    /// The earliest instant at which the next call keeps the limits.
    pub(super) fn next_call(&self, now: Instant) -> Instant {
        let window = if self.calls.len() < CALLS { now } else { self.calls[0] + WINDOW };
        window.max(self.not_before.unwrap_or(now)).max(now)
    }

    /// A call is being made.
    pub(super) fn called(&mut self, now: Instant) {
        if self.calls.len() == CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(now);
    }

    /// A call was answered. At the tip of the shard an answer without records doubles the wait for the next call.
    pub(super) fn answered(&mut self, now: Instant, bytes: usize, at_tip: bool, empty: bool) {
        self.idle = match (at_tip, empty) {
            (false, _) => Duration::ZERO,
            (true, false) => WINDOW / 5,
            (true, true) => (self.idle * 2).clamp(IDLE_LEAST, IDLE_MOST),
        };
        let read_out = Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
        // The service counts what it reads out from the call on.
        let called = self.calls.back().copied().unwrap_or(now);
        self.not_before = Some((called + read_out).max(now + self.idle));
    }
}

/// How long to wait after the `failures`th failure in a row: full jitter below a limit that doubles up to 10 s.
/// `chance` lies in 0..1.
pub(crate) fn back_off(failures: u32, chance: f64) -> Duration {
    let limit = BACK_OFF_FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    limit.min(BACK_OFF_MOST).mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn while_behind_there_are_never_more_than_five_calls_in_a_second_and_no_other_wait() {
        let start = Instant::now();
        let (mut pace, mut now) = (Pace::default(), start);
        let mut calls = Vec::new();
        for _ in 0..12 {
            now = pace.next_call(now);
            calls.push((now - start).as_millis());
            pace.called(now);
            now += ms(10);
            pace.answered(now, 0, false, false);
        }
        assert_eq!(calls, [0, 10, 20, 30, 40, 1050, 1060, 1070, 1080, 1090, 2100, 2110]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_is_paid_for_from_its_call_on_at_two_megabytes_per_second() {
        let called = Instant::now();
        let mut pace = Pace::default();
        pace.called(called);
        let answered = called + ms(2000);
        pace.answered(answered, 10_000_000, false, false);
        assert_eq!(pace.next_call(answered) - called, ms(5000));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_tip_the_wait_doubles_up_to_a_second_and_records_shorten_it_again() {
        let now = Instant::now();
        let mut pace = Pace::default();
        let mut wait = |empty| {
            pace.answered(now, 0, true, empty);
            (pace.next_call(now) - now).as_millis()
        };
        assert_eq!([wait(true), wait(true), wait(true), wait(true)], [250, 500, 1000, 1000]);
        assert_eq!([wait(false), wait(true)], [210, 420]);
    }

    #[test]
    fn back_off_doubles_to_ten_seconds_and_is_jittered_in_full() {
        let limits: Vec<u128> = [1, 2, 3, 6, 7, 99].map(|n| back_off(n, 1.0).as_millis()).to_vec();
        assert_eq!(limits, [200, 400, 800, 6400, 10_000, 10_000]);
        assert_eq!(back_off(7, 0.25), ms(2500));
        assert_eq!(back_off(u32::MAX, 0.0), ms(0));
    }
}
