//! What becomes of each call that a worker makes: to the state store, to a graph, to the leases.
//!
//! A call is a closure that is run at once, or later, or never, or after the worker has died: a request that was under
//! way lands whoever waits for it. Before and after each one the worker may stop for ever.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::trace::Trace;

/// A request that nobody waits for any more lands within this time.
pub(crate) const LANDS_WITHIN: Duration = Duration::from_secs(20);

/// The call got no answer; it may have been done, or be done later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoAnswer;

/// What may go wrong with one in so many calls; nothing where it is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Odds {
    pub(crate) crash: u32,
    pub(crate) no_answer: u32,
    pub(crate) slow: u32,
    pub(crate) slow_most: Duration,
}

/// What a fleet's calls have in common.
pub(crate) struct Weather {
    pub(crate) trace: Trace,
    rng: Mutex<Rng>,
    odds: Mutex<Odds>,
}

impl Weather {
    pub(crate) fn new(trace: Trace, rng: Rng, odds: Odds) -> Self {
        Self { trace, rng: Mutex::new(rng), odds: Mutex::new(odds) }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn calm(&self) {
        *self.odds.lock().unwrap_or_else(PoisonError::into_inner) =
            Odds { crash: 0, no_answer: 0, slow: 0, slow_most: Duration::ZERO };
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn odds(&self) -> Odds {
        *self.odds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> Fate {
        let (odds, mut rng) = (self.odds(), self.rng());
        let mut one_in = |times: u32| times > 0 && rng.u32(..times) == 0;
        if one_in(odds.crash) {
            return match rng.u8(..3) {
                0 => Fate::CrashesBefore,
                1 => Fate::CrashesAfter,
                _ => Fate::CrashesUnderWay(LANDS_WITHIN.mul_f64(rng.f64())),
            };
        }
        if one_in(odds.no_answer) {
            return match rng.u8(..3) {
                0 => Fate::Refused,
                1 => Fate::AnswerLost,
                _ => Fate::Late(LANDS_WITHIN.mul_f64(rng.f64())),
            };
        }
        if one_in(odds.slow) {
            let (before, after) = (odds.slow_most.mul_f64(rng.f64()), odds.slow_most.mul_f64(rng.f64()));
            return Fate::Takes(before, after);
        }
        Fate::Takes(Duration::from_millis(rng.u64(..6)), Duration::from_millis(rng.u64(..3)))
    }
}

enum Fate {
    Takes(Duration, Duration),
    Refused,
    AnswerLost,
    Late(Duration),
    CrashesBefore,
    CrashesAfter,
    CrashesUnderWay(Duration),
}

/// The calls of one worker.
pub(crate) struct Calls {
    pub(crate) worker: String,
    pub(crate) weather: Arc<Weather>,
    /// From here on nothing of the worker happens any more.
    pub(crate) dead: CancellationToken,
    stalled_until: Mutex<Option<Instant>>,
}

impl Calls {
    pub(crate) fn new(worker: &str, weather: Arc<Weather>) -> Self {
        Self { worker: worker.into(), weather, dead: CancellationToken::new(), stalled_until: Mutex::default() }
    }

    /// Each call that is under way, or made meanwhile, ends only then: the worker is taken for dead, and wakes up late.
    pub(crate) fn stall(&self, time: Duration) {
        *self.stalled_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
        self.tell(format_args!("stalls for {} ms", time.as_millis()));
    }

    /// How long it is still stalled.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        let until = *self.stalled_until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    pub(crate) fn tell(&self, what: fmt::Arguments<'_>) {
        self.weather.trace.tell(&self.worker, what);
    }

    /// Makes a call that changes something, or that decides about it.
    pub(crate) async fn make<T: Send + 'static>(
        &self,
        what: &'static str,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        self.alive().await;
        match self.weather.draw() {
            Fate::Takes(before, after) => {
                self.wait(before).await;
                let done = act();
                self.wait(after).await;
                return Ok(done);
            }
            Fate::Refused => self.tell(format_args!("{what}: refused")),
            Fate::AnswerLost => {
                self.tell(format_args!("{what}: the answer is lost"));
                let _lost = act();
            }
            Fate::Late(by) => {
                self.tell(format_args!("{what}: no answer; it lands {} ms late", by.as_millis()));
                land(by, act);
            }
            Fate::CrashesBefore => return self.crash(what, "before").await,
            Fate::CrashesAfter => {
                let _unheard = act();
                return self.crash(what, "after").await;
            }
            Fate::CrashesUnderWay(by) => {
                land(by, act);
                return self.crash(what, "during").await;
            }
        }
        self.wait(Duration::from_millis(10)).await;
        Err(NoAnswer)
    }

    async fn crash<T>(&self, what: &str, when: &str) -> T {
        self.tell(format_args!("dies {when} {what}"));
        self.dead.cancel();
        pending().await
    }

    async fn wait(&self, time: Duration) {
        sleep(time).await;
        while let Some(left) = self.stalled() {
            sleep_until(Instant::now() + left).await;
        }
        self.alive().await;
    }

    async fn alive(&self) {
        if self.dead.is_cancelled() {
            pending::<()>().await;
        }
    }
}

fn land<T: Send + 'static>(by: Duration, act: impl FnOnce() -> T + Send + 'static) {
    tokio::spawn(async move {
        sleep(by).await;
        let _nobody_waits = act();
    });
}
