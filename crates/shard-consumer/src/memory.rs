//! Shards in memory: for the demo, for replays, and for tests that need faults on demand.

mod fault;
mod log;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cut::Cut;
use crate::record::{Batch, Epoch, Position, Record, ShardId};
use crate::source::{Deliver, ShardEvent, ShardSource, SourceError, TakenFrom};
use log::{Log, Next, Shelf};

pub use fault::{Fault, FaultAt};

/// What a [`MemorySource`] needs.
#[derive(Clone, Debug)]
pub struct MemoryParams {
    /// The shards, all open.
    pub shards: Vec<ShardId>,
    /// A push waits while this many records of its shard have not been delivered.
    pub waiting_records_most: NonZeroUsize,
    /// Whether delivered records are kept, so that a restart or a lost lease can read them again. Without it, what
    /// was delivered is gone: for input too large to keep.
    pub retain: bool,
    /// What goes wrong, and when.
    pub faults: Vec<FaultAt>,
}

/// Reads shards that are in memory. One task per shard; each batch is delivered as it was pushed.
///
/// [`ShardSource::run`] ends when every shard is finished. The leases are in the log that
/// [`MemorySource::restarted`] shares: a restarted source takes them, and late checkpoints of the former are refused.
pub struct MemorySource {
    log: Arc<Log>,
    faults: Arc<fault::Script>,
}

/// Where the records of a [`MemorySource`] come from. When the last clone is dropped, all shards are finished.
#[derive(Clone)]
pub struct MemoryInput(Arc<Writer>);

struct Writer(Arc<Log>);

impl Drop for Writer {
    fn drop(&mut self) {
        for shelf in self.0.shelves() {
            shelf.finish();
        }
    }
}

impl MemoryInput {
    /// Adds a record to a shard; waits while too many wait there.
    ///
    /// # Panics
    /// When the source has no such shard, or it was finished.
    pub async fn push(&self, shard: &ShardId, record: Record) {
        self.push_batch(shard, vec![record]).await;
    }

    /// Adds records to a shard, to be delivered as one batch; waits while too many wait there. Their sequence numbers
    /// must follow those before.
    ///
    /// # Panics
    /// When the source has no such shard, or it was finished.
    pub async fn push_batch(&self, shard: &ShardId, records: Vec<Record>) {
        if !records.is_empty() {
            self.0.0.shelf(shard).push(records).await;
        }
    }

    /// Says that nothing more will be pushed to a shard: it ends after what is there.
    ///
    /// # Panics
    /// When the source has no such shard.
    pub fn finish(&self, shard: &ShardId) {
        self.0.0.shelf(shard).finish();
    }
}

impl MemorySource {
    /// A source that has not read anything yet, and its input.
    ///
    /// # Panics
    /// When a lease is to be lost whose records are not retained.
    #[must_use]
    pub fn new(params: MemoryParams) -> (Self, MemoryInput) {
        let MemoryParams { shards, waiting_records_most, retain, faults } = params;
        let loses_leases = faults.iter().any(|at| at.fault == Fault::LoseLease);
        assert!(retain || !loses_leases, "records that are not retained cannot be read again");
        let log = Arc::new(Log::new(shards, waiting_records_most, retain));
        let input = MemoryInput(Arc::new(Writer(Arc::clone(&log))));
        (Self { log, faults: Arc::new(fault::Script::new(faults)) }, input)
    }

    /// The source of the next worker on the same shards: it begins at the checkpoints, with faults of its own.
    ///
    /// # Panics
    /// When the log is not retained.
    #[must_use]
    pub fn restarted(&self, faults: Vec<FaultAt>) -> Self {
        assert!(self.log.retain, "a source that does not retain its log cannot be restarted");
        Self { log: Arc::clone(&self.log), faults: Arc::new(fault::Script::new(faults)) }
    }

    /// Where the next reader of each shard begins.
    #[must_use]
    pub fn checkpoints(&self) -> BTreeMap<ShardId, Position> {
        self.log.shelves().map(|shelf| (shelf.shard.clone(), shelf.checkpoint())).collect()
    }
}

#[async_trait]
impl ShardSource for MemorySource {
    async fn run(&self, deliver: Deliver, stop: CancellationToken) -> Result<(), SourceError> {
        let open = self.log.shelves().filter(|shelf| shelf.checkpoint() != Position::ShardEnd).count();
        deliver(ShardEvent::Shards { open, unread: 0, retention: None }).await;
        let stop = stop.child_token();
        let mut readers = JoinSet::new();
        for shelf in self.log.shelves().filter(|shelf| shelf.checkpoint() != Position::ShardEnd) {
            let reader = Reader {
                shelf: Arc::clone(shelf),
                faults: Arc::clone(&self.faults),
                deliver: Arc::clone(&deliver),
                stop: stop.clone(),
            };
            readers.spawn(reader.run());
        }
        let mut outcome = Ok(());
        while let Some(ended) = readers.join_next().await {
            if let Err(error) = ended {
                stop.cancel();
                outcome = Err(SourceError::Failed { what: "read a shard".into(), source: error.into() });
            }
        }
        outcome
    }

    async fn checkpoint(&self, cut: &Cut) -> Result<(), SourceError> {
        if let Some(shard) = cut.iter().map(|(shard, ..)| shard).find(|shard| self.faults.fails_checkpoint(shard)) {
            let source = "the fault script says so".into();
            return Err(SourceError::Failed { what: format!("checkpoint {shard}"), source });
        }
        for (shard, epoch, position) in cut.iter() {
            self.log.shelf(shard).write_checkpoint(epoch, position);
        }
        Ok(())
    }

    async fn release(&self) -> Result<(), SourceError> {
        self.log.shelves().for_each(|shelf| shelf.release());
        Ok(())
    }
}

/// Reads one shard: tenure after tenure, if the script takes the lease away.
struct Reader {
    shelf: Arc<Shelf>,
    faults: Arc<fault::Script>,
    deliver: Deliver,
    stop: CancellationToken,
}

impl Reader {
    async fn run(self) {
        while !self.stop.is_cancelled() {
            let (epoch, from) = self.shelf.take();
            if self.tenure(epoch, from).await {
                return;
            }
        }
    }

    /// Whether the shard was read to its end, or `stop`; else the lease was lost.
    async fn tenure(&self, epoch: Epoch, from: Position) -> bool {
        let shard = self.shelf.shard.clone();
        (self.deliver)(ShardEvent::LeaseTaken { shard: shard.clone(), epoch, from: TakenFrom::Nobody }).await;
        let mut after = from;
        loop {
            let next = tokio::select! {
                biased;
                () = self.stop.cancelled() => return true,
                next = self.shelf.next(epoch, &after) => next,
            };
            let records = match next {
                Next::Records(records) => records,
                Next::Finished => {
                    (self.deliver)(ShardEvent::Finished { shard, epoch }).await;
                    return true;
                }
                // Another source has taken the shard: this one is the worker that is believed dead.
                Next::Taken => {
                    (self.deliver)(ShardEvent::LeaseLost { shard, epoch }).await;
                    return true;
                }
            };
            if let Some(last) = records.last() {
                after = last.position();
            }
            let batch =
                Batch { shard: shard.clone(), epoch, records, after: after.clone(), misplaced: 0, behind_latest_ms: 0 };
            match self.faults.at_next_delivery(&shard) {
                Some(Fault::LoseLease) => {
                    self.shelf.release();
                    (self.deliver)(ShardEvent::LeaseLost { shard, epoch }).await;
                    return false;
                }
                Some(Fault::Pause(pause)) => tokio::time::sleep(pause).await,
                Some(Fault::Duplicate) => (self.deliver)(ShardEvent::Batch(batch.clone())).await,
                Some(Fault::FailCheckpoint) | None => {}
            }
            (self.deliver)(ShardEvent::Batch(batch)).await;
        }
    }
}

#[cfg(test)]
mod tests;
