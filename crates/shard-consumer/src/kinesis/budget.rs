//! The bytes that all readers of a worker may hold at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

const BUDGET_MIB: usize = 64;
/// The largest answer of the service.
const ANSWER_MIB: u32 = 10;
/// A shard takes one megabyte a second, so who was at its tip within [`TIP_FRESH`] gets no more than this.
const TIP_ANSWER_MIB: u32 = 5;
const TIP_FRESH: Duration = Duration::from_secs(5);

const MIB: usize = 1 << 20;

/// Shared by the readers of a worker, first come, first served. Taken before each call, cut to the size of the answer,
/// and given back after the delivery: waiting deliveries keep other answers from being fetched.
#[derive(Clone)]
pub(super) struct Budget(Arc<Semaphore>);

/// Room for one answer.
pub(super) struct Room(
    /// Absent where there is nothing to hold, or if the budget were closed, which nobody does.
    Option<OwnedSemaphorePermit>,
);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_MIB)))
    }

    /// Waits for room for one answer, of a reader that was last at the tip of its shard at `tip_seen`.
    pub(super) async fn room(&self, tip_seen: Option<Instant>) -> Room {
        let is_fresh = || tip_seen.is_some_and(|seen| seen.elapsed() < TIP_FRESH);
        if is_fresh() {
            let room = self.take(TIP_ANSWER_MIB).await;
            // The wait itself may have been long.
            if is_fresh() {
                return room;
            }
        }
        self.take(ANSWER_MIB).await
    }

    /// Waits for room for what has arrived unasked.
    pub(super) async fn room_for(&self, bytes: usize) -> Room {
        let mib = bytes.div_ceil(MIB).min(BUDGET_MIB);
        match u32::try_from(mib) {
            Ok(0) | Err(_) => Room(None),
            Ok(mib) => self.take(mib).await,
        }
    }

    async fn take(&self, mib: u32) -> Room {
        Room(Arc::clone(&self.0).acquire_many_owned(mib).await.ok())
    }
}

impl Room {
    /// Gives back what an answer of so many bytes does not need.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let Some(permit) = &mut self.0 else { return };
        let spare = permit.num_permits().saturating_sub(bytes.div_ceil(MIB).max(1));
        drop(permit.split(spare));
    }
}
