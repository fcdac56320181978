//! One unbroken tenure of a lease: renewed, fenced, checkpointed, given up.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::fault::Complaint;
use crate::leases::{Lease, LeaseStore, Written};
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
    /// The last write was not answered, and may have landed all the same.
    unsure: bool,
}

enum Write<'a> {
    Renew,
    Checkpoint(&'a Position),
    Release,
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
        if store.take(seen, owner).await? == Written::Refused {
            return Ok(None);
        }
        let lease = Lease { owner: Some(owner.to_owned()), counter: seen.counter + 1, ..seen.clone() };
        Ok(Some(Arc::new(Self {
            shard: lease.shard.clone(),
            epoch: lease.counter,
            store: Arc::clone(store),
            failover_after,
            row: Mutex::new(Row { lease, unsure: false }),
            proven: watch::Sender::new(sent),
            over: alive.child_token(),
            children: OnceLock::new(),
        })))
    }

    /// Resolves when the tenure is over.
    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Ends the tenure without giving up the lease.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    /// Whether nobody else can have taken the lease yet. Asked right before each delivery, because a process that
    /// was paused wakes up in the middle of its work, before any timer fires.
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
            match timeout_at(self.fence(), self.write(Write::Renew)).await {
                Ok(Ok(())) => {
                    complaint.over();
                    next = *self.proven.borrow() + self.failover_after / 3;
                }
                Ok(Err(error)) => {
                    if complaint.due() {
                        tracing::warn!(shard = %self.shard, error = %chain(&error), "cannot renew the lease");
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
        self.write(Write::Checkpoint(position)).await
    }

    /// The service no longer knows the stored position: positions of this tenure may begin below it.
    pub(super) async fn start_over(&self) {
        self.row.lock().await.lease.checkpoint = Position::TrimHorizon;
    }

    /// Gives up the lease, if it is still held. The tenure is over.
    pub(super) async fn release(&self) -> Result<(), SourceError> {
        let done = self.write(Write::Release).await;
        self.over.cancel();
        done
    }

    async fn write(&self, write: Write<'_>) -> Result<(), SourceError> {
        let mut row = self.row.lock().await;
        // Once, because a write in doubt that landed explains one refusal, not two.
        for _ in 0..2 {
            if self.over.is_cancelled() {
                return Ok(());
            }
            let sent = Instant::now();
            let children = self.children.get().map_or(&[][..], Vec::as_slice);
            if matches!(write, Write::Checkpoint(position) if *position <= row.lease.checkpoint) {
                return Ok(());
            }
            // Set before the write: it also stays when the caller gives up waiting.
            let doubted = std::mem::replace(&mut row.unsure, true);
            let written = match write {
                Write::Renew => self.store.renew(&row.lease).await?,
                Write::Checkpoint(position) => self.store.checkpoint(&row.lease, position, children).await?,
                Write::Release => self.store.release(&row.lease).await?,
            };
            if written == Written::Landed {
                row.unsure = false;
                row.lease.counter += 1;
                if let Write::Checkpoint(position) = write {
                    row.lease.checkpoint = position.clone();
                }
                self.proven.send_replace(sent);
                return Ok(());
            }
            if !doubted || !self.adopt(&mut row).await? {
                tracing::warn!(shard = %self.shard, epoch = self.epoch, "another worker wrote the lease: lost");
                self.over.cancel();
            }
        }
        Ok(())
    }

    /// Whether the write in doubt had landed after all; then `row` is what it wrote.
    async fn adopt(&self, row: &mut Row) -> Result<bool, SourceError> {
        match self.store.get(&self.shard).await? {
            Some(lease) if lease.owner == row.lease.owner && lease.counter == row.lease.counter + 1 => {
                *row = Row { lease, unsure: false };
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &SourceError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
