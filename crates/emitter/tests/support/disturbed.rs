//! A store on which something happens that its user does not expect.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bucket_state::ResourceId;
use emitter::{
    Backlog, FanOut, Generation, ListedSink, PendingMark, PendingQuery, Save, SaveOutcome, Settlement, SinkName,
    SqliteStore, StateStore, StoreError, Stored, Version,
};

use super::{World, logging, save};

/// What happens before the first save.
pub(crate) enum Before {
    /// Another worker saves the row that has this version.
    AnotherSave(Version),
    /// The store does not answer.
    Failure,
}

/// A store on which something happens before the first save.
pub(crate) struct Disturbed {
    inner: SqliteStore,
    before: Before,
    done: AtomicBool,
}

impl Disturbed {
    pub(crate) fn new(world: &World, before: Before) -> Self {
        Self { inner: world.store.clone(), before, done: AtomicBool::new(false) }
    }
}

#[async_trait]
impl StateStore for Disturbed {
    fn generation(&self) -> Generation {
        self.inner.generation()
    }

    async fn sinks(&self) -> Result<Vec<SinkName>, StoreError> {
        self.inner.sinks().await
    }

    async fn add_sinks(&self, sinks: &[ListedSink], now_ms: i64) -> Result<(), StoreError> {
        self.inner.add_sinks(sinks, now_ms).await
    }

    async fn forget_sink(&self, sink: &SinkName) -> Result<bool, StoreError> {
        self.inner.forget_sink(sink).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.inner.is_empty().await
    }

    async fn mark_all(&self, sink: Option<&SinkName>, now_ms: i64) -> Result<u64, StoreError> {
        self.inner.mark_all(sink, now_ms).await
    }

    async fn claim(&self, fence: &str) -> Result<Option<String>, StoreError> {
        self.inner.claim(fence).await
    }

    async fn swap_claim(&self, fence: &str, seen: Option<&str>, next: &str) -> Result<bool, StoreError> {
        self.inner.swap_claim(fence, seen, next).await
    }

    async fn load(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        self.inner.load(resources).await
    }

    async fn save(&self, saves: Vec<Save>) -> Result<Vec<SaveOutcome>, StoreError> {
        if !self.done.swap(true, Ordering::SeqCst) {
            match self.before {
                Before::AnotherSave(version) => {
                    let saved = save(&self.inner, "app", version, &[logging("app", 2, "logs")]).await;
                    assert_eq!(saved, SaveOutcome::Saved(version + 1));
                }
                Before::Failure => {
                    return Err(StoreError::Unavailable { store: "test".into(), message: "not now".into() });
                }
            }
        }
        self.inner.save(saves).await
    }

    async fn mark(&self, resources: &[ResourceId], mark: PendingMark) -> Result<u64, StoreError> {
        if matches!(self.before, Before::Failure) && !self.done.swap(true, Ordering::SeqCst) {
            return Err(StoreError::Unavailable { store: "test".into(), message: "not now".into() });
        }
        self.inner.mark(resources, mark).await
    }

    async fn members(
        &self,
        account: &ResourceId,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<ResourceId>, StoreError> {
        self.inner.members(account, after, limit).await
    }

    async fn claim_fan_outs(
        &self,
        worker: &str,
        others_before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<FanOut>, StoreError> {
        self.inner.claim_fan_outs(worker, others_before_ms, now_ms).await
    }

    async fn end_fan_out(&self, fan_out: &FanOut) -> Result<(), StoreError> {
        self.inner.end_fan_out(fan_out).await
    }

    async fn pending(&self, query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError> {
        self.inner.pending(query).await
    }

    async fn settle(&self, sink: &SinkName, settlements: Vec<Settlement>) -> Result<usize, StoreError> {
        self.inner.settle(sink, settlements).await
    }

    async fn backlog(&self, sink: &SinkName) -> Result<Backlog, StoreError> {
        self.inner.backlog(sink).await
    }
}
