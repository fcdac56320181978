//! How many requests a minute a JupiterOne account gets.

use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// A token bucket, told by one moment: the one at which it is full again.
///
/// A sixth of the budget may be spent at once, and the rest comes back evenly: so in no 60 seconds more than the budget
/// is spent, not only on average.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    every: Duration,
    at_once: u32,
    full_at: Instant,
}

impl Pace {
    /// A full bucket.
    pub(crate) fn of(requests_per_minute: u32) -> Self {
        let at_once = (requests_per_minute / 6).max(1);
        let every = MINUTE / requests_per_minute.saturating_sub(at_once).max(1);
        Self { every, at_once, full_at: Instant::now() }
    }

    /// Takes a token; tells when the request that it is for may be sent.
    pub(crate) fn take(&mut self) -> Instant {
        let now = Instant::now();
        let spent = self.full_at.max(now) + self.every;
        self.full_at = spent;
        (spent - self.every * self.at_once).max(now)
    }

    /// Nothing may be sent before this time has passed: the server said so.
    pub(crate) fn rest(&mut self, time: Duration) {
        self.full_at = self.full_at.max(Instant::now() + time + self.every * self.at_once);
    }

    /// What has been spent, as the time in which it comes back: for whoever emits to the account next.
    pub(crate) fn debt(&self) -> Duration {
        self.full_at.saturating_duration_since(Instant::now())
    }

    /// Takes over what another worker has spent.
    pub(crate) fn inherit(&mut self, debt: Duration) {
        self.full_at = self.full_at.max(Instant::now() + debt);
    }

    /// What a worker that has died may have spent at the most.
    pub(crate) fn all(&self) -> Duration {
        self.every * self.at_once
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn in_no_minute_more_is_sent_than_the_budget_over_hand_overs_too() {
        for budget in [5, 10, 30, 60, 600] {
            let mut pace = Pace::of(budget);
            let mut sent = Vec::new();
            for number in 0..budget * 4 {
                if number % 7 == 0 {
                    let debt = pace.debt();
                    pace = Pace::of(budget);
                    pace.inherit(debt);
                }
                let at = pace.take();
                tokio::time::sleep_until(at).await;
                sent.push(at);
            }
            let most = (0..sent.len())
                .map(|first| sent[first..].iter().take_while(|at| **at - sent[first] < MINUTE).count())
                .max();
            assert!(most <= Some(budget as usize), "{most:?} of {budget}");
            assert!(most >= Some(budget as usize * 4 / 5), "and nearly all of it: {most:?} of {budget}");
        }
    }
}
