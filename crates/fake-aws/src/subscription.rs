//! `SubscribeToShard`: an answer that goes on for five minutes.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::time::{Instant, sleep_until};

use crate::clock::Now;
use crate::kinesis::{Push, Pushed};
use crate::protocol::{Failure, Input};
use crate::{FakeAws, push};

const LASTS: Duration = Duration::from_secs(300);
/// A subscription without records tells so this often.
const BEAT: Duration = Duration::from_secs(1);
/// What the service pushes to one consumer of one shard.
const BYTES_PER_SECOND: f64 = 2.0 * 1024.0 * 1024.0;

struct Running {
    fake: FakeAws,
    push: Push,
    ends_at: Instant,
    /// Nothing is sent before.
    paid_at: Instant,
    beats_at: Instant,
}

enum Step {
    Begin(Running),
    Go(Running),
    End,
}

impl FakeAws {
    pub(crate) fn subscribe(&self, input: Input<'_>, now: Now) -> Result<BoxStream<'static, Bytes>, Failure> {
        let push = self.kinesis().subscribe(input, now)?;
        let start = now.instant;
        let running = Running { fake: self.clone(), push, ends_at: start + LASTS, paid_at: start, beats_at: start };
        Ok(stream::unfold(Step::Begin(running), |step| async {
            match step {
                Step::Begin(running) => Some((push::initial_response(), Step::Go(running))),
                Step::Go(running) => running.next().await,
                Step::End => None,
            }
        })
        .fuse()
        .boxed())
    }
}

impl Running {
    /// The next message, and what follows it; none when the time is over.
    async fn next(mut self) -> Option<(Bytes, Step)> {
        loop {
            if self.push.superseded.is_cancelled() {
                let told = push::exception("ResourceInUseException", "another subscription has taken over");
                return Some((told, Step::End));
            }
            let now = self.fake.clock().now();
            if now.instant >= self.ends_at {
                return None;
            }
            let mut wait_until = self.paid_at;
            if now.instant >= self.paid_at {
                self.push.changed.mark_unchanged();
                let (pushed, limits) = {
                    let kinesis = self.fake.kinesis();
                    (kinesis.push(&mut self.push, now), kinesis.limits)
                };
                match pushed {
                    Err(failure) => return Some((push::exception(failure.code, "the shard is gone"), Step::End)),
                    Ok(Pushed::Event { event, bytes, is_last }) => {
                        if limits {
                            self.paid_at = now.instant + Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
                        }
                        self.beats_at = now.instant + BEAT;
                        return Some((push::event(&event), if is_last { Step::End } else { Step::Go(self) }));
                    }
                    Ok(Pushed::Beat(event)) if now.instant >= self.beats_at => {
                        self.beats_at = now.instant + BEAT;
                        return Some((push::event(&event), Step::Go(self)));
                    }
                    Ok(Pushed::Beat(_)) => wait_until = self.beats_at,
                }
            }
            tokio::select! {
                () = sleep_until(wait_until.min(self.ends_at)) => {}
                () = self.push.superseded.cancelled() => {}
                // The sender lives as long as the fake does.
                _ = self.push.changed.changed() => {}
            }
        }
    }
}
