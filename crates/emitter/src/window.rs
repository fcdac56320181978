//! The open window: what has been folded and not yet saved, and how far the source had come.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bucket_state::{Delta, Deltas, Event, ResourceId};
use tokio::sync::Notify;
use tokio::time::Instant;

/// When a window is due, and when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A window is due when its oldest news, a moved position included, is this old.
    pub flush_after: Duration,
    /// A window is due when this many resources are dirty.
    pub flush_at: usize,
    /// Readers wait while this many resources are dirty.
    pub dirty_max: usize,
}

/// Deltas and the cut that they belong to, shared by the readers that fill it and the loop that seals it.
///
/// `C` is how far the source has come. Readers fold first and advance afterwards; sealing copies the cut first
/// and drains afterwards. So a sealed cut covers no event that is not in the sealed deltas or in earlier ones,
/// and an event folded in between only makes the window fresher.
#[derive(Debug)]
pub struct Window<C> {
    limits: Limits,
    deltas: Deltas,
    progress: Mutex<Progress<C>>,
    changed: Notify,
    drained: Notify,
}

#[derive(Debug)]
struct Progress<C> {
    cut: C,
    /// When the oldest unsealed news came.
    opened: Option<Instant>,
    /// Something will not wait for the window's time: a shard has ended.
    urgent: bool,
}

/// What a window held, with the cut that it completes.
#[derive(Debug)]
pub struct Sealed<C> {
    pub(crate) deltas: Vec<(ResourceId, Delta)>,
    pub(crate) cut: C,
}

impl<C: Clone> Window<C> {
    /// An empty window at `cut`.
    pub fn new(limits: Limits, cut: C) -> Self {
        let progress = Mutex::new(Progress { cut, opened: None, urgent: false });
        Self { limits, deltas: Deltas::default(), progress, changed: Notify::new(), drained: Notify::new() }
    }

    /// Folds one event that arrived at `arrived_ms`.
    pub fn fold(&self, event: Event, arrived_ms: i64) {
        self.deltas.fold(event, arrived_ms);
    }

    /// Moves the cut, after everything before the new position has been folded.
    pub fn advance(&self, urgent: bool, step: impl FnOnce(&mut C)) {
        let mut progress = self.progress();
        step(&mut progress.cut);
        let opens = progress.opened.is_none();
        progress.opened.get_or_insert_with(Instant::now);
        let becomes_urgent = urgent && !progress.urgent;
        progress.urgent |= urgent;
        drop(progress);
        if opens || becomes_urgent || self.deltas.len() >= self.limits.flush_at {
            self.changed.notify_one();
        }
    }

    /// Changes what the cut speaks for, without news: a lease was lost.
    pub fn retract(&self, step: impl FnOnce(&mut C)) {
        step(&mut self.progress().cut);
    }

    /// Waits until the window is due: by time, by size, or because a shard ended.
    pub async fn due(&self) {
        loop {
            let (opened, urgent) = {
                let progress = self.progress();
                (progress.opened, progress.urgent)
            };
            if urgent || self.deltas.len() >= self.limits.flush_at {
                return;
            }
            match opened.map(|opened| opened + self.limits.flush_after) {
                Some(due) if due <= Instant::now() => return,
                Some(due) => {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep_until(due) => {}
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Waits while too many resources are dirty: the stream is the buffer, not memory.
    pub async fn room(&self) {
        while self.deltas.len() >= self.limits.dirty_max {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            // Registered before the second look, so that a drain in between is not missed.
            drained.as_mut().enable();
            if self.deltas.len() < self.limits.dirty_max {
                return;
            }
            drained.await;
        }
    }

    /// Takes everything folded so far, with the cut that it completes.
    pub fn seal(&self) -> Sealed<C> {
        let cut = {
            let mut progress = self.progress();
            progress.opened = None;
            progress.urgent = false;
            progress.cut.clone()
        };
        let deltas = self.deltas.drain();
        self.drained.notify_waiters();
        Sealed { deltas, cut }
    }

    /// Whether nothing has been folded or moved since the last seal.
    pub fn is_clean(&self) -> bool {
        self.progress().opened.is_none() && self.deltas.is_empty()
    }

    /// Resources that are dirty.
    pub fn dirty(&self) -> usize {
        self.deltas.len()
    }

    fn progress(&self) -> MutexGuard<'_, Progress<C>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Sealed<C> {
    /// Resources in the window.
    #[must_use]
    pub fn resources(&self) -> usize {
        self.deltas.len()
    }

    /// Events folded into it.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.deltas.iter().map(|(_, delta)| delta.events).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(flush_at: usize) -> Limits {
        Limits { flush_after: Duration::from_secs(5), flush_at, dirty_max: 10 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_moved_position_without_any_event_is_due_after_the_windows_time() {
        let window = Window::new(limits(100), 0_u64);
        window.advance(false, |cut| *cut = 7);
        let begun = Instant::now();
        window.due().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        assert_eq!(window.seal().cut, 7);
        assert!(window.is_clean());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_shard_is_due_at_once() {
        let window = Window::new(limits(100), 0_u64);
        let begun = Instant::now();
        window.advance(true, |cut| *cut = 1);
        window.due().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_without_news_is_never_due() {
        let window = Window::new(limits(100), 0_u64);
        let waited = tokio::time::timeout(Duration::from_secs(3_600), window.due()).await;
        assert!(waited.is_err());
    }
}
