//! What a caller of a source does: handle each event, keep a cut of what is handled, and checkpoint it now and then.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use shard_consumer::{Cut, Deliver, Position, ShardEvent, ShardSource, SourceError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What became of the events so far.
#[derive(Default)]
struct Handled {
    /// Up to here, nothing need be read again.
    cut: Cut,
    /// Why the first event failed that could not be handled. The cut stays as it was then.
    failure: Option<io::Error>,
    /// Tells that the cut is worth a checkpoint at once.
    urgent: Arc<Notify>,
}

/// Reads until `stop`, or until an event cannot be handled, and gives the leases up in good order. A batch counts as
/// handled when the future of `handle` is done; while it waits, its shard waits, and the lease is renewed all the same.
/// What was handled is checkpointed `every` so often, and at once where another worker may wait for it.
pub(crate) async fn follow(
    source: &dyn ShardSource,
    every: Duration,
    stop: CancellationToken,
    handle: impl Fn(&ShardEvent) -> BoxFuture<'static, io::Result<()>> + Send + Sync + 'static,
) -> Result<(), SourceError> {
    let handled = Arc::new(Mutex::new(Handled::default()));
    let deliver: Deliver = {
        let (handled, stop) = (Arc::clone(&handled), stop.clone());
        Arc::new(move |event| {
            let (handled, stop, handling) = (Arc::clone(&handled), stop.clone(), handle(&event));
            Box::pin(async move {
                let done = handling.await;
                if !lock(&handled).note(&event, done) {
                    stop.cancel();
                }
            })
        })
    };
    // Side by side: leases are taken and given up also while a checkpoint takes its time.
    let ended = tokio::select! {
        ended = source.run(deliver, stop) => ended,
        never = keep_checkpointing(source, every, &handled) => match never {},
    };
    // Each is done whatever became of the one before.
    let checkpointed = checkpoint(source, &handled).await;
    let released = source.release().await;
    let failure = lock(&handled).failure.take();
    let failed = |error: io::Error| SourceError::Failed { what: "handle what was read".into(), source: error.into() };
    failure.map_or(Ok(()), |error| Err(failed(error))).and(ended).and(checkpointed).and(released)
}

async fn keep_checkpointing(source: &dyn ShardSource, every: Duration, handled: &Mutex<Handled>) -> Infallible {
    let urgent = Arc::clone(&lock(handled).urgent);
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = urgent.notified() => {}
        }
        if let Err(error) = checkpoint(source, handled).await {
            tracing::warn!(error = error.chain(), "cannot checkpoint; the next checkpoint will say it, too");
        }
    }
}

async fn checkpoint(source: &dyn ShardSource, handled: &Mutex<Handled>) -> Result<(), SourceError> {
    let cut = lock(handled).cut.clone();
    source.checkpoint(&cut).await
}

/// Each change is whole, also if a handler panics.
fn lock(handled: &Mutex<Handled>) -> MutexGuard<'_, Handled> {
    handled.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handled {
    /// Says whether to go on.
    fn note(&mut self, event: &ShardEvent, done: io::Result<()>) -> bool {
        if let Err(error) = done {
            self.failure.get_or_insert(error);
        }
        // A later event of the shard would carry the cut past the one that failed.
        if self.failure.is_some() {
            return false;
        }
        match event {
            ShardEvent::Batch(batch) => self.cut.advance(&batch.shard, batch.epoch, batch.after.clone()),
            ShardEvent::Finished { shard, epoch } => {
                self.cut.advance(shard, *epoch, Position::ShardEnd);
                // Elsewhere, children are read only after this checkpoint.
                self.urgent.notify_one();
            }
            ShardEvent::Leaving { .. } => self.urgent.notify_one(),
            ShardEvent::LeaseLost { shard, epoch } | ShardEvent::HandedOver { shard, epoch } => {
                self.cut.forget(shard, *epoch);
            }
            ShardEvent::LeaseTaken { .. } | ShardEvent::Shards { .. } => {}
        }
        true
    }
}
