//! The bytes that all readers of a worker may hold at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const BUDGET_MIB: usize = 64;
/// The largest answer of the service.
const ANSWER_MIB: u32 = 10;
/// At the tip of a shard an answer holds what arrived since the last: the shard takes one megabyte a second.
const TIP_ANSWER_MIB: u32 = 1;

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

    /// Waits for room for one answer.
    pub(super) async fn room(&self, at_tip: bool) -> Room {
        let mib = if at_tip { TIP_ANSWER_MIB } else { ANSWER_MIB };
        Arc::clone(&self.0).acquire_many_owned(mib).await.ok()
    }
}
