//! The loop of one run: which shards there are, which leases to take, a reader for each.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::fault::Complaint;
use super::lister::{first_listing, keep_listing};
use super::reader::{Ended, Reader};
use super::rows::make_rows;
use super::stream::Shard;
use super::tenure::Tenure;
use super::{KinesisSource, plan};
use crate::leases::Lease;
use crate::record::{Position, ShardId};
use crate::source::{Deliver, ShardEvent, SourceError};

const POLL_LEAST: Duration = Duration::from_millis(50);
const POLL_MOST: Duration = Duration::from_secs(2);

/// A message names no more shards than this.
const NAMED_MOST: usize = 10;

/// One run of a source.
pub(super) struct Coordinator<'a> {
    source: &'a KinesisSource,
    deliver: Deliver,
    stop: CancellationToken,
    /// Stops the readers: with the run, or when it fails or is dropped.
    stop_readers: CancellationToken,
    _with_the_run: DropGuard,
    readers: JoinSet<(ShardId, Ended)>,
    /// The shards that have a reader. One that lost its lease is here until its last delivery is done, so that
    /// a new tenure here does not overtake it.
    reading: HashSet<ShardId>,
    sightings: plan::Sightings,
    listed: Vec<Shard>,
    listed_before: Option<Vec<Shard>>,
    /// The listing is newer than the rows made from it.
    listing_is_new: bool,
    /// What was told last.
    told: Option<(usize, usize)>,
    /// The rows of this worker's name that need no waiting: all on the first look (an earlier life of this worker),
    /// later those that it tried to take without getting an answer. Any other row with our name is another process's.
    ours: Ours,
}

enum Ours {
    All,
    Tried(HashMap<ShardId, u64>),
}

impl<'a> Coordinator<'a> {
    pub(super) fn new(source: &'a KinesisSource, deliver: Deliver, stop: CancellationToken) -> Self {
        let stop_readers = stop.child_token();
        Self {
            source,
            deliver,
            stop,
            _with_the_run: stop_readers.clone().drop_guard(),
            stop_readers,
            readers: JoinSet::new(),
            reading: HashSet::new(),
            sightings: plan::Sightings::default(),
            listed: Vec::new(),
            listed_before: None,
            listing_is_new: true,
            told: None,
            ours: Ours::All,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), SourceError> {
        self.listed = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            listed = first_listing(&self.source.stream) => listed?,
        };
        let (ask, asked) = mpsc::channel(1);
        let (send, mut listings) = mpsc::channel(1);
        let lister = tokio::spawn(keep_listing(self.source.stream.clone(), asked, send));
        let _lister = AbortOnDropHandle::new(lister);

        let poll = (self.source.failover_after / 5).clamp(POLL_LEAST, POLL_MOST);
        let mut complaint = Complaint::default();
        let outcome = loop {
            if let Err(error) = self.turn().await
                && complaint.due()
            {
                tracing::warn!(error = %error.chain(), "cannot use the leases");
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break Ok(()),
                Some(ended) = self.readers.join_next() => match ended {
                    Ok((shard, ended)) => {
                        self.reading.remove(&shard);
                        if ended == Ended::Finished {
                            // Full means that the lister has been asked already.
                            let _ = ask.try_send(());
                        }
                    }
                    Err(error) => {
                        break Err(SourceError::Failed { what: "read a shard".into(), source: error.into() });
                    }
                },
                Some(listed) = listings.recv() => {
                    self.listed_before = Some(std::mem::replace(&mut self.listed, listed));
                    self.listing_is_new = true;
                }
                () = sleep(poll) => {}
            }
        };
        self.stop_readers.cancel();
        while self.readers.join_next().await.is_some() {}
        outcome
    }

    /// Brings leases and readers up to date with the last listing and with the lease table as it is now.
    async fn turn(&mut self) -> Result<(), SourceError> {
        self.tell_lost().await;
        let leases = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            leases = self.rows() => leases?,
        };
        let retold = std::mem::take(&mut self.listing_is_new);
        let now = Instant::now();
        self.sightings.observe(&leases, now);
        self.take(&leases, now).await?;
        self.tell(&leases, now, retold).await;
        Ok(())
    }

    /// The rows, with those that a new listing calls for and without those that it makes obsolete.
    async fn rows(&self) -> Result<Vec<Lease>, SourceError> {
        let (source, store) = (self.source, &*self.source.leases);
        let leases = store.list().await?;
        if !self.listing_is_new {
            return Ok(leases);
        }
        let made = make_rows(store, &self.listed, &leases, source.start).await?;
        let obsolete = match &self.listed_before {
            Some(before) => plan::obsolete([before, &self.listed], &leases),
            None => Vec::new(),
        };
        for shard in &obsolete {
            store.delete(shard).await?;
        }
        if made || !obsolete.is_empty() { store.list().await } else { Ok(leases) }
    }

    async fn take(&mut self, leases: &[Lease], now: Instant) -> Result<(), SourceError> {
        let source = self.source;
        let take = plan::to_take(
            leases,
            |shard| self.reading.contains(shard),
            |lease| self.is_free(lease, now),
            |shard| self.is_finished(shard),
        );
        let mut tried = HashMap::new();
        let mut outcome = Ok(());
        for seen in take {
            if self.stop.is_cancelled() || outcome.is_err() {
                break;
            }
            let (id, failover_after) = (&source.worker_id, source.failover_after);
            match Tenure::take(&source.leases, seen, id, failover_after, &source.alive).await {
                Ok(Some(tenure)) => self.read(tenure, seen.checkpoint.clone()),
                Ok(None) => {}
                Err(error) => {
                    tried.insert(seen.shard.clone(), seen.counter + 1);
                    outcome = Err(error);
                }
            }
        }
        if outcome.is_ok() || matches!(self.ours, Ours::Tried(_)) {
            self.ours = Ours::Tried(tried);
        }
        outcome
    }

    /// Whether this worker has read the shard to its end, though not checkpointed that. Its last event has been told,
    /// too: it comes before the first of its children.
    fn is_finished(&self, shard: &ShardId) -> bool {
        let is_told = !self.reading.contains(shard);
        is_told && self.source.tenures.of(shard).is_some_and(|tenure| tenure.is_finished() && tenure.is_held())
    }

    fn is_free(&self, lease: &Lease, now: Instant) -> bool {
        let ours = match (&lease.owner, &self.ours) {
            (None, _) => return true,
            (Some(owner), _) if *owner != self.source.worker_id => false,
            (Some(_), Ours::All) => true,
            (Some(_), Ours::Tried(tried)) => tried.get(&lease.shard) == Some(&lease.counter),
        };
        ours || self.sightings.is_expired(lease, self.source.failover_after, now)
    }

    fn read(&mut self, tenure: Arc<Tenure>, from: Position) {
        let shard = tenure.shard.clone();
        tracing::info!(%shard, epoch = tenure.epoch, ?from, "took the lease");
        self.source.tenures.begin(&tenure);
        tokio::spawn(Arc::clone(&tenure).keep());
        let reader = Reader {
            stream: self.source.stream.clone(),
            budget: self.source.budget.clone(),
            leases: Arc::clone(&self.source.leases),
            start: self.source.start,
            tenure,
            from,
            deliver: Arc::clone(&self.deliver),
            stop: self.stop_readers.clone(),
        };
        self.reading.insert(shard.clone());
        self.readers.spawn(async move { (shard, reader.run().await) });
    }

    /// Tells which leases were lost after the end of the shard: they have no reader any more that would.
    async fn tell_lost(&self) {
        for lost in self.source.tenures.lost_at_the_end(|shard| self.reading.contains(shard)) {
            (self.deliver)(ShardEvent::LeaseLost { shard: lost.shard.clone(), epoch: lost.epoch }).await;
        }
    }

    /// Tells how many shards are read, after each listing and whenever that changes.
    async fn tell(&mut self, leases: &[Lease], now: Instant, retold: bool) {
        let read_elsewhere: HashSet<&ShardId> = leases
            .iter()
            .filter(|lease| lease.owner.is_some() && !self.is_free(lease, now))
            .map(|lease| &lease.shard)
            .collect();
        let open: Vec<&ShardId> = self.listed.iter().filter(|shard| shard.open).map(|shard| &shard.id).collect();
        let is_read = |shard: &ShardId| self.reading.contains(shard) || read_elsewhere.contains(shard);
        let unread: Vec<&ShardId> = open.iter().copied().filter(|shard| !is_read(shard)).collect();
        if retold && !unread.is_empty() {
            let named = &unread[..unread.len().min(NAMED_MOST)];
            let why = plan::why_unread(named, leases, |shard| self.is_finished(shard)).join(", ");
            tracing::info!(open = open.len(), unread = unread.len(), why, "open shards are not read");
        }
        let (open, unread) = (open.len(), unread.len());
        if retold || self.told != Some((open, unread)) {
            self.told = Some((open, unread));
            (self.deliver)(ShardEvent::Shards { open, unread }).await;
        }
    }
}
