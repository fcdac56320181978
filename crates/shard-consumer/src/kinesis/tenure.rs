//! One unbroken tenure of a lease: renewed, fenced, checkpointed, given up.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::fault::Complaint;
use crate::leases::{Change, Lease, LeaseStore, Written};
use crate::record::{Epoch, Position, ShardId};
use crate::source::SourceError;

/// A lease that this worker holds.
///
/// Others may take it once its counter has not moved for `failover_after`. They saw it move no earlier than our
/// last good write was sent (`proven`), so the tenure ends by itself at two thirds of that time.
pub(super) struct Tenure {
    pub(super) shard: ShardId,
    pub(super) epoch: Epoch,
    store: Arc<dyn LeaseStore>,
    failover_after: Duration,
    /// The row as our last write left it. Its lock makes renewals and checkpoints follow each other.
    row: Mutex<Row>,
    proven: watch::Sender<Instant>,
    over: CancellationToken,
    /// The shards that follow, once the shard was read to its end; their rows exist.
    children: OnceLock<Vec<ShardId>>,
}

struct Row {
    lease: Lease,
    /// Checkpoints up to here are not written: what is stored is further, or they go back within the tenure.
    floor: Position,
    /// The last write was not answered, and may have landed all the same.
    unsure: bool,
}

impl Row {
    /// Whether `found` is what our own write in doubt has left.
    fn was_written_as(&self, found: &Lease) -> bool {
        found.owner == self.lease.owner && found.counter == self.lease.counter + 1
    }
}

impl Tenure {
    /// Takes the lease that was seen; none if someone else was faster. The tenure is over when `alive` is.
    pub(super) async fn take(
        store: &Arc<dyn LeaseStore>,
        seen: &Lease,
        owner: &str,
        failover_after: Duration,
        alive: &CancellationToken,
    ) -> Result<Option<Arc<Self>>, SourceError> {
        let sent = Instant::now();
        let change = Change::Take { owner: owner.to_owned() };
        if store.update(seen, &change).await? != Written::Landed {
            return Ok(None);
        }
        let (mut lease, floor) = (seen.clone(), seen.checkpoint.clone());
        lease.apply(&change);
        Ok(Some(Arc::new(Self {
            shard: lease.shard.clone(),
            epoch: lease.counter,
            store: Arc::clone(store),
            failover_after,
            row: Mutex::new(Row { lease, floor, unsure: false }),
            proven: watch::Sender::new(sent),
            over: alive.child_token(),
            children: OnceLock::new(),
        })))
    }

    /// Resolves when the tenure is over. Looks at the clock whenever it is polled, because a process that was paused
    /// wakes up in the middle of its work, before any timer fires: what is polled after it in a biased `select!` does
    /// not go on under a lease that others may have taken.
    pub(super) async fn over(&self) {
        let mut over = pin!(self.over.cancelled());
        poll_fn(|context| {
            if !self.is_held() {
                // A renewal may still be under way: landing now, it would hold a lease that nobody reads.
                self.end();
            }
            over.as_mut().poll(context)
        })
        .await;
    }

    /// Ends the tenure without giving up the lease.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    /// Whether nobody else can have taken the lease yet.
    pub(super) fn is_held(&self) -> bool {
        !self.over.is_cancelled() && Instant::now() < self.fence()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.children.get().is_some()
    }

    /// The shard was read to its end, and its children have rows.
    pub(super) fn finish(&self, children: Vec<ShardId>) {
        self.children.get_or_init(|| children);
    }

    fn fence(&self) -> Instant {
        *self.proven.borrow() + self.failover_after * 2 / 3
    }

    /// Renews the lease until the tenure is over.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut complaint = Complaint::default();
        let mut next = *self.proven.borrow() + self.failover_after / 3;
        loop {
            tokio::select! {
                () = self.over.cancelled() => return,
                () = sleep_until(next.min(self.fence())) => {}
            }
            let due = *self.proven.borrow() + self.failover_after / 3;
            if Instant::now() < due {
                // A checkpoint has renewed the lease in the meantime.
                next = due;
                continue;
            }
            match timeout_at(self.fence(), self.write(Change::Renew)).await {
                Ok(Ok(())) => next = *self.proven.borrow() + self.failover_after / 3,
                Ok(Err(error)) => {
                    if complaint.due() {
                        tracing::warn!(shard = %self.shard, error = %error.chain(), "cannot renew the lease");
                    }
                    next = Instant::now() + self.failover_after / 20;
                }
                Err(_) => {}
            }
            if Instant::now() >= self.fence() {
                tracing::warn!(shard = %self.shard, epoch = self.epoch, "the lease could not be renewed in time: lost");
                self.over.cancel();
            }
        }
    }

    /// Makes `position` the place where the next tenure begins. Nothing is written where it is so already, or where
    /// the lease was lost.
    pub(super) async fn checkpoint(&self, position: &Position) -> Result<(), SourceError> {
        let children = self.children.get().cloned().unwrap_or_default();
        self.write(Change::Checkpoint { position: position.clone(), children }).await
    }

    /// The service no longer knows the stored position: positions of this tenure may begin below it.
    pub(super) async fn start_over(&self) {
        self.row.lock().await.floor = Position::TrimHorizon;
    }

    /// Gives up the lease, if it is still held. The tenure is over.
    pub(super) async fn release(&self) -> Result<(), SourceError> {
        let done = self.write(Change::Release).await;
        self.over.cancel();
        done
    }

    async fn write(&self, change: Change) -> Result<(), SourceError> {
        let mut row = self.row.lock().await;
        // Once, because a write in doubt that landed explains one refusal, not two.
        for _ in 0..2 {
            let is_done = matches!(&change, Change::Checkpoint { position, .. } if *position <= row.floor);
            if is_done || self.over.is_cancelled() {
                return Ok(());
            }
            let sent = Instant::now();
            // Set before the write: it also stays when the caller gives up waiting.
            let doubted = std::mem::replace(&mut row.unsure, true);
            match self.store.update(&row.lease, &change).await? {
                Written::Landed => {
                    row.unsure = false;
                    row.lease.apply(&change);
                    self.proven.send_replace(sent);
                    match change {
                        Change::Checkpoint { position, .. } => row.floor = position,
                        Change::Release => {
                            tracing::info!(shard = %self.shard, epoch = self.epoch, "released the lease");
                            // Under the lock: a renewal that waits for it must not find the lease lost.
                            self.over.cancel();
                        }
                        Change::Take { .. } | Change::Renew => {}
                    }
                    return Ok(());
                }
                Written::Refused(Some(found)) if doubted && row.was_written_as(&found) => {
                    row.lease = found;
                    row.unsure = false;
                }
                Written::Refused(found) => {
                    let owner = holder(found.as_ref());
                    tracing::warn!(shard = %self.shard, epoch = self.epoch, owner, "another wrote the lease: lost");
                    self.over.cancel();
                }
            }
        }
        Ok(())
    }
}

/// Who has the lease now, for messages.
fn holder(lease: Option<&Lease>) -> &str {
    match lease {
        Some(lease) => lease.owner.as_deref().unwrap_or("nobody"),
        None => "nobody: the row is gone",
    }
}

#[cfg(test)]
mod tests;
