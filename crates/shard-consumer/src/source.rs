//! Where records come from.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::cut::Cut;
use crate::record::{Batch, Epoch, ShardId};

/// Everything that a source tells its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardEvent {
    /// A lease was taken: the shard's records follow.
    LeaseTaken {
        /// The shard.
        shard: ShardId,
        /// The new tenure.
        epoch: Epoch,
        /// Where the lease came from.
        from: TakenFrom,
    },
    /// Records of a shard, following those of the batch before.
    Batch(Batch),
    /// A closed shard has been read to its end: its position is now [`crate::Position::ShardEnd`].
    Finished {
        /// The shard.
        shard: ShardId,
        /// The tenure that read it.
        epoch: Epoch,
    },
    /// The lease is no longer provably ours: nothing more of this tenure will come, or may be checkpointed. Also comes
    /// after [`ShardEvent::Finished`], if the lease is lost before the end was checkpointed.
    LeaseLost {
        /// The shard.
        shard: ShardId,
        /// The tenure that ended.
        epoch: Epoch,
    },
    /// Another worker asks for the lease, to balance the load: no more batches will come. The lease is handed over as
    /// soon as the last batch is checkpointed, which is worth doing now.
    Leaving {
        /// The shard.
        shard: ShardId,
        /// The tenure that is ending.
        epoch: Epoch,
    },
    /// The lease was handed over. As [`ShardEvent::LeaseLost`], but in good order.
    HandedOver {
        /// The shard.
        shard: ShardId,
        /// The tenure that ended.
        epoch: Epoch,
    },
    /// What a listing of the stream showed.
    Shards {
        /// Shards that still take records.
        open: usize,
        /// Those of them that no live worker reads.
        unread: usize,
        /// How long the stream keeps records, once that is known.
        retention: Option<Duration>,
    },
}

/// Where a lease came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenFrom {
    /// Nobody owned it, or an earlier life of this worker.
    Nobody,
    /// Its owner had not renewed it in time.
    Expired,
    /// Its owner handed it over; or this worker had it already, by a write that got no answer.
    HandOver,
}

/// Called with each event; events of one shard come one at a time and in order, those of different shards at
/// once from several tasks. The next event of the shard waits until the future is done: this is back-pressure.
///
/// A delivery of a [`ShardEvent::Batch`] may be dropped when the lease is lost; its position then does not move, and
/// the only event of that tenure that follows is [`ShardEvent::LeaseLost`]. No other delivery is dropped, and none
/// because of a stop.
pub type Deliver = Arc<dyn Fn(ShardEvent) -> BoxFuture<'static, ()> + Send + Sync>;

/// A stream of shards. Two implementations run every day: Kinesis, and memory (demo, replay, tests).
#[async_trait]
pub trait ShardSource: Send + Sync {
    /// Reads until `stop`, or until no shard is left to read. When it returns, no event is under way.
    ///
    /// # Errors
    /// What retrying cannot mend, such as a stream that does not exist; [`SourceError::Failed`] where the stream does not
    /// answer at the start.
    async fn run(&self, deliver: Deliver, stop: CancellationToken) -> Result<(), SourceError>;

    /// Makes `cut` the place where the next reader begins: with the next renewal of each lease, at the latest; at once
    /// for the end of a shard. Shards whose epoch is no longer held are skipped.
    ///
    /// # Errors
    /// When the positions could not be written: the caller tries again with this cut or a later one.
    async fn checkpoint(&self, cut: &Cut) -> Result<(), SourceError>;

    /// Gives up what is held, so that another worker may go on at once.
    ///
    /// # Errors
    /// When the leases could not be written: others then wait until they expire.
    async fn release(&self) -> Result<(), SourceError>;
}

/// Why a source stopped, or could not write a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The configuration names something that is not there, or that may not be used.
    #[error("{0}")]
    Configuration(String),
    /// The service or the lease store failed.
    #[error("{what}")]
    Failed {
        /// What was tried, and on what.
        what: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SourceError {
    /// The error and its causes on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
