//! One unbroken tenure of a lease: renewed, fenced, checkpointed, given up.

mod row;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::fault::Complaint;
use super::pace::back_off;
use crate::leases::{Change, Checkpoint, Lease, LeaseStore, Written};
use crate::record::{Epoch, Position, ShardId};
use crate::source::SourceError;
use row::{Doubt, Purpose, Refusal, Row};

/// When a lease is renewed, in parts of the failover time. One write carries the renewal, the checkpoint and the
/// throughput, so this is also how often a lease is written at the most: 8.8 times a minute at 10 s.
const RENEW_AT: f64 = 0.68;
/// When a tenure that was not renewed ends by itself. What is left until others may take the lease is for a delivery
/// under way to notice.
const FENCE_AT: f64 = 0.9;
/// A write without an answer is repeated after this time, in parts of the failover time …
const ANSWER_WITHIN: f64 = 0.08;
/// … but not sooner than this.
const ANSWER_WITHIN_LEAST: Duration = Duration::from_millis(500);
/// A write is repeated so often where the row has changed in a way that leaves the lease this worker's.
const TRIES: usize = 4;
/// A caller that is asked to checkpoint, so that the lease can be handed over, has this long.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);

/// A lease that this worker holds.
///
/// Others may take it once its counter has not moved for `failover_after`. They saw it move no earlier than our
/// last good write was sent (`proven`), so the tenure ends by itself before that.
pub(super) struct Tenure {
    pub(super) shard: ShardId,
    pub(super) epoch: Epoch,
    /// Where reading begins.
    pub(super) from: Position,
    store: Arc<dyn LeaseStore>,
    failover_after: Duration,
    /// The row as our last write left it. Its lock makes renewals and checkpoints follow each other.
    row: Mutex<Row>,
    /// How far the caller's checkpoints have come; written with the next renewal.
    reached: watch::Sender<Position>,
    /// Read since the last write.
    bytes: AtomicU64,
    proven: watch::Sender<Instant>,
    asked: CancellationToken,
    over: CancellationToken,
    /// The row was seen under another's name: the next write will tell.
    doubted: Notify,
    /// The shards that follow, once the shard was read to its end; their rows exist.
    children: OnceLock<Vec<ShardId>>,
    /// The lease was given up in good order: nothing was lost.
    given_up: AtomicBool,
}

impl Tenure {
    /// Takes the lease that was seen; none if someone else was faster. Reading begins at `from`: if that is not what
    /// the row says, it is written down first. The tenure is over when `alive` is.
    pub(super) async fn take(
        store: &Arc<dyn LeaseStore>,
        seen: &Lease,
        from: Position,
        owner: &str,
        failover_after: Duration,
        alive: &CancellationToken,
    ) -> Result<Option<Arc<Self>>, SourceError> {
        let sent = Instant::now();
        let change = Change::Take { owner: owner.to_owned() };
        if store.update(seen, &change).await? != Written::Landed {
            return Ok(None);
        }
        let mut lease = seen.clone();
        lease.apply(&change);
        let epoch = lease.counter;
        if from != lease.checkpoint {
            let checkpoint = Some(Checkpoint { position: from.clone(), children: Vec::new() });
            let begin = Change::Renew { checkpoint, throughput_kbps: None };
            if store.update(&lease, &begin).await? != Written::Landed {
                return Ok(None);
            }
            lease.apply(&begin);
        }
        Ok(Some(Arc::new(Self {
            shard: lease.shard.clone(),
            epoch,
            from: from.clone(),
            store: Arc::clone(store),
            failover_after,
            row: Mutex::new(Row { lease, floor: from.clone(), doubt: Doubt::default() }),
            reached: watch::Sender::new(from),
            bytes: AtomicU64::new(0),
            proven: watch::Sender::new(sent),
            asked: CancellationToken::new(),
            over: alive.child_token(),
            doubted: Notify::new(),
            children: OnceLock::new(),
            given_up: AtomicBool::new(false),
        })))
    }

    /// Resolves once nothing more may be delivered: at every poll the clock is looked at, so that a process that
    /// was paused for long knows it before it goes on.
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

    /// Whether the lease was given up in good order.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// So much was read.
    pub(super) fn read(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Another worker asks for the lease.
    pub(super) fn ask(&self) {
        self.asked.cancel();
    }

    /// Resolves when another worker asks for the lease.
    pub(super) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// The row was seen under the name of another worker.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }

    fn fence(&self) -> Instant {
        *self.proven.borrow() + self.failover_after.mul_f64(FENCE_AT)
    }

    fn renewal(&self) -> Instant {
        *self.proven.borrow() + self.failover_after.mul_f64(RENEW_AT)
    }

    /// Renews the lease until the tenure is over.
    pub(super) async fn keep(self: Arc<Self>) {
        let mut complaint = Complaint::default();
        let answer_within = self.failover_after.mul_f64(ANSWER_WITHIN).max(ANSWER_WITHIN_LEAST);
        let mut next = self.renewal();
        loop {
            let is_doubted = tokio::select! {
                biased;
                () = self.over.cancelled() => return,
                () = self.doubted.notified() => true,
                () = sleep_until(next.min(self.fence())) => false,
            };
            if Instant::now() >= self.fence() {
                tracing::warn!(shard = %self.shard, epoch = self.epoch, "the lease could not be renewed in time: lost");
                return self.end();
            }
            next = self.renewal();
            if Instant::now() < next && !is_doubted {
                continue;
            }
            let error = match timeout_at((Instant::now() + answer_within).min(self.fence()), self.write(Purpose::Renew))
                .await
            {
                Ok(Ok(_)) => {
                    next = self.renewal();
                    continue;
                }
                Ok(Err(error)) => error.chain(),
                Err(_) => "no answer in time".to_owned(),
            };
            if complaint.due() {
                tracing::warn!(shard = %self.shard, error, "cannot renew the lease; trying again");
            }
            next = Instant::now() + self.failover_after / 20;
        }
    }

    /// Makes `position` the place where the next tenure begins, with the next write. Nothing is written where it is so
    /// already, or where the lease was lost.
    pub(super) fn reach(&self, position: Position) {
        self.reached.send_if_modified(|reached| {
            let is_further = *reached < position;
            if is_further {
                *reached = position;
            }
            is_further
        });
    }

    /// The service no longer knows the stored position: positions of this tenure may begin below it.
    pub(super) async fn start_over(&self) {
        let mut row = self.row.lock().await;
        self.reached.send_replace(Position::TrimHorizon);
        row.floor = Position::TrimHorizon;
    }

    /// Gives up the lease, if it is still held: to the worker that asked for it, else to nobody. Says whether it was;
    /// the tenure is over then, unless the write fails.
    pub(super) async fn release(&self) -> Result<bool, SourceError> {
        self.write(Purpose::Release).await
    }

    /// Hands the lease over once everything up to `after` is checkpointed, or could have been for long. Says whether it
    /// did; else the tenure has ended otherwise.
    pub(super) async fn hand_over(&self, after: &Position) -> bool {
        let mut reached = self.reached.subscribe();
        tokio::select! {
            biased;
            () = self.over() => return false,
            _ = reached.wait_for(|reached| reached >= after) => {}
            () = sleep(LEAVE_WITHIN) => {
                let waited_s = LEAVE_WITHIN.as_secs();
                tracing::warn!(
                    shard = %self.shard, epoch = self.epoch, waited_s,
                    "no checkpoint came: the lease is handed over as it is, and what was not checkpointed is read again"
                );
            }
        }
        let mut failures = 0;
        while self.is_held() {
            match self.release().await {
                Ok(done) => return done,
                Err(_) => failures += 1,
            }
            sleep(back_off(failures, fastrand::f64())).await;
        }
        false
    }

    /// Says whether the write landed; if not, the tenure is over.
    async fn write(&self, purpose: Purpose) -> Result<bool, SourceError> {
        let mut row = self.row.lock().await;
        for _ in 0..TRIES {
            if self.over.is_cancelled() {
                return Ok(false);
            }
            let sent = Instant::now();
            let (change, bytes) = self.change(&row, purpose);
            // Set before the write: it also stays when the caller gives up waiting.
            let before = row.doubt;
            match purpose {
                Purpose::Renew => row.doubt.renewal = true,
                Purpose::Release => row.doubt.release = true,
            }
            let found = match self.store.update(&row.lease, &change).await? {
                Written::Landed => {
                    row.lease.apply(&change);
                    row.doubt = Doubt::default();
                    if let Change::Renew { checkpoint: Some(checkpoint), .. }
                    | Change::Release { checkpoint: Some(checkpoint) } = change
                    {
                        row.floor = checkpoint.position;
                    }
                    self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                    self.proven.send_replace(sent);
                    if purpose == Purpose::Release {
                        self.released(row.lease.owner.as_deref());
                    }
                    return Ok(true);
                }
                Written::Refused(found) => found.map(|found| *found),
            };
            row.doubt = before;
            match found.as_ref().map_or(Refusal::Lost, |found| row.refusal(found)) {
                Refusal::Released => {
                    self.released(found.as_ref().and_then(Lease::holder));
                    return Ok(true);
                }
                Refusal::Lost => {
                    let owner = holder(found.as_ref());
                    tracing::warn!(shard = %self.shard, epoch = self.epoch, owner, "another wrote the lease: lost");
                    self.end();
                    return Ok(false);
                }
                Refusal::Renewed | Refusal::AskedFor => {
                    row.doubt = Doubt::default();
                    row.lease = found.unwrap_or_else(|| row.lease.clone());
                    if row.lease.checkpoint_owner.is_some() {
                        self.ask();
                    }
                }
            }
        }
        let what = format!("write the lease of {}", self.shard);
        Err(SourceError::Failed { what, source: "it changes all the time".into() })
    }

    /// The write that is due, and the bytes of which it tells.
    fn change(&self, row: &Row, purpose: Purpose) -> (Change, u64) {
        let reached = self.reached.borrow().clone();
        let children = if reached == Position::ShardEnd { self.children.get() } else { None };
        let checkpoint = (reached > row.floor)
            .then(|| Checkpoint { position: reached, children: children.cloned().unwrap_or_default() });
        match purpose {
            Purpose::Release => (Change::Release { checkpoint }, 0),
            Purpose::Renew => {
                let bytes = self.bytes.load(Ordering::Relaxed);
                let seconds = self.proven.borrow().elapsed().as_secs_f64();
                let kbps = if seconds > 0.0 { bytes as f64 / 1024.0 / seconds } else { 0.0 };
                // Saturates, which is what is wanted of a rate that no shard can have.
                (Change::Renew { checkpoint, throughput_kbps: Some(kbps.round() as u32) }, bytes)
            }
        }
    }

    /// Under the lock of the row: a renewal that waits for it must not find the lease lost.
    fn released(&self, to: Option<&str>) {
        let to = to.unwrap_or("nobody");
        tracing::info!(shard = %self.shard, epoch = self.epoch, to, "gave up the lease");
        self.given_up.store(true, Ordering::SeqCst);
        self.end();
    }
}

/// Who has the lease now, for messages.
fn holder(lease: Option<&Lease>) -> &str {
    match lease {
        Some(lease) => lease.holder().unwrap_or("nobody"),
        None => "nobody: the row is gone",
    }
}

#[cfg(test)]
mod tests;
