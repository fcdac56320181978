//! A worker's source: the real one, watched, and spoiled where a fault is planted.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use shard_consumer::{Cut, Deliver, KinesisSource, ShardEvent, ShardSource, SourceError};
use tokio_util::sync::CancellationToken;

use crate::planted::Planted;

/// How far reading has come, whatever is saved of it.
pub(crate) struct Live {
    source: KinesisSource,
    cut: Mutex<Cut>,
}

impl Live {
    pub(crate) fn new(source: KinesisSource) -> Self {
        Self { source, cut: Mutex::default() }
    }

    fn moved(&self, step: impl FnOnce(&mut Cut)) {
        step(&mut self.cut.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn cut(&self) -> Cut {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checkpoints how far reading has come: what no worker may do.
    pub(crate) async fn checkpoint(&self) {
        let _repeated = self.source.checkpoint(&self.cut()).await;
    }
}

pub(crate) struct WorkerSource {
    pub(crate) live: Arc<Live>,
    pub(crate) planted: Option<Planted>,
}

#[async_trait]
impl ShardSource for WorkerSource {
    async fn run(&self, deliver: Deliver, stop: CancellationToken) -> Result<(), SourceError> {
        let live = Arc::clone(&self.live);
        let watched: Deliver = Arc::new(move |event| {
            let (live, delivered) = (Arc::clone(&live), deliver(event.clone()));
            async move {
                delivered.await;
                match event {
                    ShardEvent::Batch(batch) => live.moved(|cut| cut.advance(&batch.shard, batch.epoch, batch.after)),
                    ShardEvent::LeaseLost { shard, epoch } | ShardEvent::HandedOver { shard, epoch } => {
                        live.moved(|cut| cut.forget(&shard, epoch));
                    }
                    _ => {}
                }
            }
            .boxed()
        });
        self.live.source.run(watched, stop).await
    }

    async fn checkpoint(&self, cut: &Cut) -> Result<(), SourceError> {
        if self.planted == Some(Planted::CheckpointOfTheLiveCut) {
            self.live.checkpoint().await;
        }
        self.live.source.checkpoint(cut).await
    }

    async fn release(&self) -> Result<(), SourceError> {
        self.live.source.release().await
    }
}
