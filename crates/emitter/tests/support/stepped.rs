//! A store, or a graph, before and after each step of which something may happen.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bucket_state::ResourceId;
use emitter::{
    Backlog, Emission, FanOut, Generation, GraphSink, ListedSink, OutboxError, PendingMark, PendingQuery, Save,
    SaveOutcome, Settlement, SinkError, SinkName, StateStore, StoreError, Stored, Turn, Verdict,
};
use tokio_util::sync::CancellationToken;

/// What happens at the steps of a worker.
#[async_trait]
pub(crate) trait Steps: Send + Sync {
    /// Called before and after each call that changes something or that decides about it.
    ///
    /// # Errors
    /// The store does not answer.
    async fn step(&self, name: &'static str) -> Result<(), StoreError>;
}

/// A worker's view of a store.
pub(crate) struct Stepped<S> {
    pub(crate) inner: Arc<dyn StateStore>,
    pub(crate) steps: S,
}

/// A worker's view of a graph.
pub(crate) struct SteppedGraph<S> {
    pub(crate) inner: Arc<dyn GraphSink>,
    pub(crate) steps: S,
    /// What is on its way: should the worker die now, it may land later.
    pub(crate) in_flight: Arc<Mutex<Vec<Emission>>>,
}

#[async_trait]
impl<S: Steps> StateStore for Stepped<S> {
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

    async fn load(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        let rows = self.inner.load(resources).await;
        self.steps.step("loaded").await?;
        rows
    }

    async fn load_bases(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        let rows = self.inner.load_bases(resources).await;
        self.steps.step("loaded").await?;
        rows
    }

    async fn save(&self, saves: Vec<Save>) -> Result<Vec<SaveOutcome>, StoreError> {
        self.steps.step("before save").await?;
        let saved = self.inner.save(saves).await;
        self.steps.step("after save").await?;
        saved
    }

    async fn mark(&self, resources: &[ResourceId], mark: PendingMark) -> Result<u64, StoreError> {
        self.steps.step("before a fan-out marks").await?;
        let marked = self.inner.mark(resources, mark).await;
        self.steps.step("after a fan-out marks").await?;
        marked
    }

    async fn mark_all(&self, sink: Option<&SinkName>, now_ms: i64) -> Result<u64, StoreError> {
        self.inner.mark_all(sink, now_ms).await
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
        self.steps.step("before the end of a fan-out").await?;
        let ended = self.inner.end_fan_out(fan_out).await;
        self.steps.step("after the end of a fan-out").await?;
        ended
    }

    async fn pending(&self, query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError> {
        self.inner.pending(query).await
    }

    async fn settle(&self, sink: &SinkName, settlements: Vec<Settlement>) -> Result<usize, StoreError> {
        self.steps.step("before clear").await?;
        let settled = self.inner.settle(sink, settlements).await;
        self.steps.step("after clear").await?;
        settled
    }

    async fn backlog(&self, sink: &SinkName) -> Result<Backlog, StoreError> {
        self.inner.backlog(sink).await
    }

    async fn claim(&self, fence: &str) -> Result<Option<String>, StoreError> {
        self.inner.claim(fence).await
    }

    async fn swap_claim(&self, fence: &str, seen: Option<&str>, next: &str) -> Result<bool, StoreError> {
        self.steps.step("before a claim").await?;
        let swapped = self.inner.swap_claim(fence, seen, next).await;
        self.steps.step("after a claim").await?;
        swapped
    }
}

#[async_trait]
impl<S: Steps> GraphSink for SteppedGraph<S> {
    fn name(&self) -> &SinkName {
        self.inner.name()
    }

    fn instance(&self) -> &str {
        self.inner.instance()
    }

    async fn check(&self) -> Result<String, SinkError> {
        self.inner.check().await
    }

    fn looks_ahead(&self) -> bool {
        self.inner.looks_ahead()
    }

    async fn begin(
        &self,
        store: &dyn StateStore,
        pending: Vec<ResourceId>,
        stop: &CancellationToken,
    ) -> Result<Option<Turn>, OutboxError> {
        let turn = self.inner.begin(store, pending, stop).await;
        self.steps.step("begun").await?;
        turn
    }

    async fn replace(&self, generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError> {
        let down = |error: StoreError| SinkError::Down { sink: self.name().clone(), message: error.to_string() };
        *self.in_flight.lock().unwrap() = emissions.to_vec();
        self.steps.step("before emit").await.map_err(down)?;
        self.in_flight.lock().unwrap().clear();
        let verdicts = self.inner.replace(generation, emissions).await;
        self.steps.step("after emit").await.map_err(down)?;
        verdicts
    }

    async fn hold(&self, store: &dyn StateStore) -> Result<(), OutboxError> {
        self.inner.hold(store).await
    }

    async fn commit(&self, store: &dyn StateStore) -> Result<Vec<(ResourceId, String)>, OutboxError> {
        self.steps.step("before commit").await?;
        let rejected = self.inner.commit(store).await;
        self.steps.step("after commit").await?;
        rejected
    }

    async fn end(&self, store: &dyn StateStore) {
        self.inner.end(store).await;
    }
}
