//! When the service takes the next SubscribeToShard for one consumer and shard.

use std::time::Duration;

use tokio::time::Instant;

/// The service takes one call a second; slack for calls that take unequal times to arrive.
const BETWEEN_CALLS: Duration = Duration::from_millis(1050);
/// Until then the service refuses another subscription; after it, the newer one ends the older.
/// Source: API reference of SubscribeToShard.
const AFTER_SUCCESS: Duration = Duration::from_secs(5);
/// After a refusal, on top of the second: readers that were refused together do not come back together.
const JITTER: Duration = Duration::from_secs(1);

/// The limits that the calls so far have set to the next one.
#[derive(Debug, Default)]
pub(super) struct Pace {
    not_before: Option<Instant>,
}

impl Pace {
    /// The earliest instant at which the next call keeps the limits.
    pub(super) fn next_call(&self, now: Instant) -> Instant {
        self.not_before.unwrap_or(now).max(now)
    }

    /// A call is being made.
    pub(super) fn called(&mut self, now: Instant) {
        self.wait_until(now + BETWEEN_CALLS);
    }

    /// The call was answered with a subscription.
    pub(super) fn subscribed(&mut self, now: Instant) {
        self.wait_until(now + AFTER_SUCCESS);
    }

    /// The call was refused because of another subscription. `chance` lies between 0 and 1.
    pub(super) fn refused(&mut self, now: Instant, chance: f64) {
        self.wait_until(now + BETWEEN_CALLS + JITTER.mul_f64(chance));
    }

    fn wait_until(&mut self, instant: Instant) {
        self.not_before = self.not_before.max(Some(instant));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_call_waits_for_nothing_and_no_second_sees_two() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.next_call(now), now);
        pace.called(now);
        assert_eq!(pace.next_call(now + s(0.3)) - now, s(1.05));
        assert_eq!(pace.next_call(now + s(2.0)) - now, s(2.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_is_repeated_after_a_second_and_up_to_another_one() {
        let now = Instant::now();
        for (chance, wait) in [(0.0, 1.05), (0.5, 1.55), (1.0, 2.05)] {
            let mut pace = Pace::default();
            pace.called(now);
            pace.refused(now + s(0.1), chance);
            assert_eq!(pace.next_call(now + s(0.1)) - now, s(0.1 + wait), "{chance}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_subscription_that_ends_at_once_is_not_renewed_within_five_seconds_but_an_old_one_at_once() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.called(now);
        pace.subscribed(now + s(0.2));
        assert_eq!(pace.next_call(now + s(0.4)) - now, s(5.2));
        // Nothing that comes later shortens the wait.
        pace.refused(now + s(0.5), 0.0);
        assert_eq!(pace.next_call(now + s(0.5)) - now, s(5.2));
        assert_eq!(pace.next_call(now + s(300.0)) - now, s(300.0));
    }
}
