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

/// Shared by the readers of a worker, first come, first served. Taken before each call and given back after the
/// delivery, so waiting deliveries keep other answers from being fetched.
#[derive(Clone)]
pub(super) struct Budget(Arc<Semaphore>);

/// Room for one answer. Absent only if the budget were closed, which nobody does.
pub(super) type Room = Option<OwnedSemaphorePermit>;

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

    async fn take(&self, mib: u32) -> Room {
        Arc::clone(&self.0).acquire_many_owned(mib).await.ok()
    }
}
