//! One shard under one tenure: taken, read, and either finished or lost.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::cursor::{Cursor, Page};
use super::fault::Complaint;
use super::pace::back_off;
use super::plan::new_lease;
use super::stream::{Shard, Stream};
use super::tenure::{Tenure, chain};
use crate::leases::LeaseStore;
use crate::record::{Batch, Position, ShardId};
use crate::source::{Deliver, ShardEvent};

/// Reads one shard.
pub(super) struct Reader {
    pub(super) stream: Stream,
    pub(super) leases: Arc<dyn LeaseStore>,
    pub(super) tenure: Arc<Tenure>,
    pub(super) from: Position,
    pub(super) deliver: Deliver,
    pub(super) stop: CancellationToken,
}

/// Why a reader ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything was delivered, [`ShardEvent::Finished`] last.
    Finished,
    /// The tenure is over, and [`ShardEvent::LeaseLost`] was delivered.
    Lost,
    Stopped,
}

impl Reader {
    /// Reads until the shard ends, the tenure is over, or `stop`. Deliveries are never cut short.
    pub(super) async fn run(self) -> Ended {
        let (shard, epoch) = (self.tenure.shard.clone(), self.tenure.epoch);
        (self.deliver)(ShardEvent::LeaseTaken { shard: shard.clone(), epoch }).await;
        let ended = self.read().await;
        match ended {
            Ended::Finished => (self.deliver)(ShardEvent::Finished { shard, epoch }).await,
            Ended::Lost => (self.deliver)(ShardEvent::LeaseLost { shard, epoch }).await,
            Ended::Stopped => {}
        }
        ended
    }

    async fn read(&self) -> Ended {
        let mut cursor = Cursor::new(self.stream.clone(), self.tenure.shard.clone(), self.from.clone());
        let mut delivered = false;
        loop {
            let page = match self.unless_over(cursor.next()).await {
                Ok(page) => page,
                Err(ended) => return ended,
            };
            let end = match page {
                Page::Records { records, behind_latest_ms, ended } => {
                    let (shard, epoch) = (self.tenure.shard.clone(), self.tenure.epoch);
                    let after = cursor.position().clone();
                    (self.deliver)(ShardEvent::Batch(Batch { shard, epoch, records, after, behind_latest_ms })).await;
                    delivered = true;
                    ended.map(End::Closed)
                }
                Page::Gone => Some(End::Gone),
                Page::StartedOver if delivered => {
                    // Positions never go back within an epoch, so the oldest record is read under another one.
                    if let Err(error) = self.tenure.release().await {
                        tracing::warn!(shard = %self.tenure.shard, error = %chain(&error), "cannot release the lease");
                    }
                    return Ended::Lost;
                }
                Page::StartedOver => match self.unless_over(self.tenure.start_over()).await {
                    Ok(()) => None,
                    Err(ended) => return ended,
                },
            };
            let Some(end) = end else { continue };
            match self.unless_over(self.announce(&end)).await {
                Ok(Some(children)) => {
                    self.tenure.finish(children);
                    return Ended::Finished;
                }
                Ok(None) => {}
                Err(ended) => return ended,
            }
        }
    }

    /// What `step` gives; or why nothing may be delivered any more.
    async fn unless_over<T>(&self, step: impl Future<Output = T>) -> Result<T, Ended> {
        let done = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Ended::Stopped),
            () = self.tenure.over() => return Err(Ended::Lost),
            done = step => done,
        };
        if !self.tenure.is_held() {
            // A renewal may still be under way: landing now, it would hold a lease that nobody reads.
            self.tenure.end();
            return Err(Ended::Lost);
        }
        Ok(done)
    }

    /// Sees to it that the children of this shard have rows, however long it takes; gives their names. None if the
    /// shard has not ended after all.
    async fn announce(&self, end: &End) -> Option<Vec<ShardId>> {
        let mut complaint = Complaint::default();
        let mut failures = 0;
        loop {
            let error = match self.try_announce(end).await {
                Ok(children) => return children,
                Err(error) => error,
            };
            failures += 1;
            if complaint.due() {
                let shard = &self.tenure.shard;
                tracing::warn!(%shard, error, "the shard has ended, but its children cannot be written down yet");
            }
            sleep(back_off(failures, fastrand::f64())).await;
        }
    }

    async fn try_announce(&self, end: &End) -> Result<Option<Vec<ShardId>>, String> {
        let this = &self.tenure.shard;
        let children = match end {
            End::Closed(children) if !children.is_empty() => children.clone(),
            _ => {
                // A deleted stream fails here, so its shards do not end: one made anew has shards of the same names.
                let listed = self.stream.shards().await.map_err(|fault| fault.to_string())?;
                if matches!(end, End::Gone) && listed.iter().any(|shard| shard.id == *this) {
                    return Ok(None);
                }
                listed.into_iter().filter(|shard| shard.parents.contains(this)).collect()
            }
        };
        for child in &children {
            let lease = new_lease(child, Position::TrimHorizon);
            self.leases.create(&lease).await.map_err(|error| chain(&error))?;
        }
        Ok(Some(children.into_iter().map(|child| child.id).collect()))
    }
}

/// How a shard ended.
enum End {
    /// Its last record was read; some servers tell its children.
    Closed(Vec<Shard>),
    /// The service says that it is not there.
    Gone,
}
