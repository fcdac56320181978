//! One shard under one tenure: taken, read, and either finished or lost.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Start;
use super::budget::Budget;
use super::cursor::{Cursor, Page};
use super::fault::Complaint;
use super::pace::back_off;
use super::rows::make_rows;
use super::stream::{Shard, Stream};
use super::tenure::Tenure;
use crate::leases::LeaseStore;
use crate::record::{Batch, Position, ShardId};
use crate::source::{Deliver, ShardEvent};

/// Reads one shard.
pub(super) struct Reader {
    pub(super) stream: Stream,
    pub(super) budget: Budget,
    pub(super) leases: Arc<dyn LeaseStore>,
    /// Where ancestors of the children begin that nobody has heard of.
    pub(super) start: Start,
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
    /// Reads until the shard ends, the tenure is over, or `stop`. Only the delivery of a batch may be cut short, and
    /// only by the loss of the lease.
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
        let (stream, budget) = (self.stream.clone(), self.budget.clone());
        let mut cursor = Cursor::new(stream, budget, self.tenure.shard.clone(), self.from.clone());
        let mut delivered = false;
        loop {
            let page = match self.unless_over(cursor.next()).await {
                Ok(page) => page,
                Err(ended) => return ended,
            };
            let end = match page {
                Page::Records { records, behind_latest_ms, ended, room } => {
                    let (shard, epoch) = (self.tenure.shard.clone(), self.tenure.epoch);
                    let after = cursor.position().clone();
                    let batch = ShardEvent::Batch(Batch { shard, epoch, records, after, behind_latest_ms });
                    tokio::select! {
                        biased;
                        // However long the delivery waits, it does not outlive the tenure.
                        () = self.tenure.over() => return Ended::Lost,
                        () = (self.deliver)(batch) => {}
                    }
                    drop(room);
                    delivered = true;
                    ended.map(End::Closed)
                }
                Page::Gone => Some(End::Gone),
                Page::StartedOver if delivered => {
                    // Positions never go back within an epoch, so the oldest record is read under another one.
                    if let Err(error) = self.tenure.release().await {
                        tracing::warn!(shard = %self.tenure.shard, error = %error.chain(), "cannot release the lease");
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
                    self.finish(&end, cursor.position(), children);
                    return Ended::Finished;
                }
                Ok(None) => {}
                Err(ended) => return ended,
            }
        }
    }

    fn finish(&self, end: &End, position: &Position, children: Vec<ShardId>) {
        let (shard, epoch) = (&self.tenure.shard, self.tenure.epoch);
        match end {
            End::Closed(_) => tracing::info!(%shard, epoch, ?children, "read the shard to its end"),
            End::Gone => tracing::warn!(
                %shard, epoch, ?position,
                "the stream no longer holds this shard: what it held after this position was never read"
            ),
        }
        self.tenure.finish(children);
    }

    /// What `step` gives; or why nothing may be delivered any more.
    async fn unless_over<T>(&self, step: impl Future<Output = T>) -> Result<T, Ended> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Ended::Stopped),
            () = self.tenure.over() => Err(Ended::Lost),
            done = step => Ok(done),
        }
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
                match end {
                    End::Closed(_) => {
                        tracing::warn!(%shard, error, "the shard has ended, but its children cannot be written down yet");
                    }
                    End::Gone => {
                        tracing::warn!(%shard, error, "the service does not know this shard or its stream; trying again");
                    }
                }
            }
            sleep(back_off(failures, fastrand::f64())).await;
        }
    }

    async fn try_announce(&self, end: &End) -> Result<Option<Vec<ShardId>>, String> {
        let this = &self.tenure.shard;
        let leases = self.leases.list().await.map_err(|error| error.chain())?;
        let (mut shards, is_gone) = match end {
            End::Closed(children) => (children.clone(), false),
            End::Gone => (Vec::new(), true),
        };
        let has_row = |parent: &ShardId| leases.iter().any(|lease| lease.shard == *parent);
        let are_told = !shards.is_empty();
        if !are_told || !shards.iter().flat_map(|child| &child.parents).all(has_row) {
            // Of a merged child, the other parent may be newer than any listing. A deleted stream fails here, so its
            // shards do not end: one made anew has shards of the same names.
            let listed = self.stream.shards().await.map_err(|fault| fault.to_string())?;
            if !are_told && listed.iter().any(|shard| shard.id == *this && (is_gone || shard.open)) {
                return Ok(None);
            }
            shards.retain(|child| !listed.iter().any(|shard| shard.id == child.id));
            shards.extend(listed);
        }
        make_rows(&*self.leases, &shards, &leases, self.start).await.map_err(|error| error.chain())?;
        Ok(Some(shards.into_iter().filter(|shard| shard.parents.contains(this)).map(|child| child.id).collect()))
    }
}

/// How a shard ended.
enum End {
    /// Its last record was read; some servers tell its children.
    Closed(Vec<Shard>),
    /// The service says that it is not there.
    Gone,
}
