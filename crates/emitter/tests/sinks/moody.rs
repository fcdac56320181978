//! A graph that is down, slow, or takes a part only, in front of one that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bucket_state::ResourceId;
use emitter::{Emission, Generation, GraphSink, OutboxError, SinkError, SinkName, StateStore, Turn, Verdict};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What is the matter with it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mood {
    /// It takes nothing until then.
    DownUntil(Instant),
    /// Each batch takes so long.
    Slow(Duration),
    /// Of each of the first so many batches it takes a half, and tells that it took nothing.
    Halves(usize),
    /// It rejects the bucket of this name.
    Picky(&'static str),
}

/// See [`Mood`].
pub(crate) struct Moody {
    pub(crate) inner: Arc<dyn GraphSink>,
    pub(crate) mood: Mood,
    pub(crate) batches: AtomicUsize,
    pub(crate) snapshots: AtomicU64,
    name: SinkName,
}

impl Moody {
    pub(crate) fn new(inner: Arc<dyn GraphSink>, mood: Mood) -> Self {
        let name = inner.name().clone();
        Self { inner, mood, batches: AtomicUsize::new(0), snapshots: AtomicU64::new(0), name }
    }

    fn down(&self) -> SinkError {
        SinkError::Down { sink: self.name.clone(), message: "not now".into() }
    }
}

#[async_trait]
impl GraphSink for Moody {
    fn name(&self) -> &SinkName {
        &self.name
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
        self.inner.begin(store, pending, stop).await
    }

    async fn replace(&self, generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError> {
        let batch = self.batches.fetch_add(1, Ordering::SeqCst);
        match self.mood {
            Mood::DownUntil(up) if Instant::now() < up => return Err(self.down()),
            Mood::Slow(time) => tokio::time::sleep(time).await,
            Mood::Halves(batches) if batch < batches => {
                self.inner.replace(generation, &emissions[..emissions.len() / 2]).await?;
                return Err(self.down());
            }
            Mood::Picky(name) => {
                let mut verdicts = Vec::new();
                for emission in emissions {
                    verdicts.push(match emission.snapshot.resource.name() {
                        taken if taken != name => {
                            self.inner.replace(generation, std::slice::from_ref(emission)).await?.remove(0)
                        }
                        _ => Verdict::Rejected(format!("it is called {name}")),
                    });
                }
                return Ok(verdicts);
            }
            _ => {}
        }
        self.snapshots.fetch_add(emissions.len() as u64, Ordering::SeqCst);
        self.inner.replace(generation, emissions).await
    }

    async fn hold(&self, store: &dyn StateStore) -> Result<(), OutboxError> {
        self.inner.hold(store).await
    }

    async fn commit(&self, store: &dyn StateStore) -> Result<Vec<(ResourceId, String)>, OutboxError> {
        self.inner.commit(store).await
    }

    async fn end(&self, store: &dyn StateStore) {
        self.inner.end(store).await;
    }
}
