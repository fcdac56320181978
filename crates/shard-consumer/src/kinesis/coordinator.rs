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
use super::stream::Shard;
use super::tenure::{Tenure, chain};
use super::{KinesisSource, plan};
use crate::leases::Lease;
use crate::record::{Position, ShardId};
use crate::source::{Deliver, ShardEvent, SourceError};

const POLL_LEAST: Duration = Duration::from_millis(50);
const POLL_MOST: Duration = Duration::from_secs(2);

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
            match self.turn().await {
                Ok(()) => complaint.over(),
                Err(error @ SourceError::Configuration(_)) => break Err(error),
                Err(error) if complaint.due() => tracing::warn!(error = %chain(&error), "cannot use the leases"),
                Err(_) => {}
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
                    self.listed = listed;
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
        let mut leases = self.source.leases.list().await?;
        if self.listing_is_new && self.write_rows(&leases).await? {
            leases = self.source.leases.list().await?;
        }
        let retold = std::mem::take(&mut self.listing_is_new);
        let now = Instant::now();
        self.sightings.observe(&leases, now);
        self.take(&leases, now).await?;
        self.tell(&leases, now, retold).await;
        Ok(())
    }

    /// Makes the rows that are missing and removes those that are obsolete; says whether there were any.
    async fn write_rows(&self, leases: &[Lease]) -> Result<bool, SourceError> {
        let since_ms = leases.iter().filter_map(|lease| lease.start_timestamp_ms).min();
        let start = self.source.start.position(since_ms);
        let missing = plan::missing(&self.listed, leases, &start);
        for lease in &missing {
            self.source.leases.create(lease).await?;
        }
        let obsolete = plan::obsolete(&self.listed, leases);
        for shard in &obsolete {
            self.source.leases.delete(shard).await?;
        }
        Ok(!missing.is_empty() || !obsolete.is_empty())
    }

    async fn take(&mut self, leases: &[Lease], now: Instant) -> Result<(), SourceError> {
        let source = self.source;
        let take = plan::to_take(
            leases,
            |shard| self.reading.contains(shard),
            |lease| self.is_free(lease, now),
            |shard| {
                // Its last event, too, comes before the first of its children.
                let is_told = !self.reading.contains(shard);
                is_told && source.tenures.of(shard).is_some_and(|tenure| tenure.is_finished() && tenure.is_held())
            },
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
        self.source.tenures.begin(&tenure);
        tokio::spawn(Arc::clone(&tenure).keep());
        let reader = Reader {
            stream: self.source.stream.clone(),
            leases: Arc::clone(&self.source.leases),
            tenure,
            from,
            deliver: Arc::clone(&self.deliver),
            stop: self.stop_readers.clone(),
        };
        self.reading.insert(shard.clone());
        self.readers.spawn(async move { (shard, reader.run().await) });
    }

    /// Tells how many shards are read, after each listing and whenever that changes.
    async fn tell(&mut self, leases: &[Lease], now: Instant, retold: bool) {
        let read_elsewhere: HashSet<&ShardId> = leases
            .iter()
            .filter(|lease| lease.owner.is_some() && !self.is_free(lease, now))
            .map(|lease| &lease.shard)
            .collect();
        let (open, unread) =
            plan::open_and_unread(&self.listed, |shard| self.reading.contains(shard) || read_elsewhere.contains(shard));
        if retold || self.told != Some((open, unread)) {
            self.told = Some((open, unread));
            (self.deliver)(ShardEvent::Shards { open, unread }).await;
        }
    }
}
