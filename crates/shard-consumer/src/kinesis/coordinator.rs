//! The loop of one run: which shards there are, which leases to take, a reader for each.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::fault::Complaint;
use super::lister::{Listing, first_listing, keep_listing};
use super::plan::{Action, Here, PATIENCE, View};
use super::reader::{Ended, Reader};
use super::rows::House;
use super::sightings::Sightings;
use super::tenure::Tenure;
use super::withdraw::withdraw;
use super::{KinesisSource, RUN_MARK, WRITES_AT_ONCE};
use crate::aggregate::Unpacker;
use crate::leases::{Change, UnreadableLease};
use crate::leases::{Lease, LeaseTable, Written};
use crate::record::ShardId;
use crate::source::{Deliver, ShardEvent, SourceError, TakenFrom};

/// The table is read this often, at the most: a lease that was given up waits no longer.
const LOOK_MOST: Duration = Duration::from_millis(750);
/// Reading a table costs by its size: one of more leases than this is read less often.
const LEASES_PER_SECOND: u32 = 500;

/// A plan that others have overtaken is made anew after this time.
const STALE_LOOK: Duration = Duration::from_millis(100);

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
    reading: BTreeSet<ShardId>,
    sightings: Sightings,
    listed: Listing,
    listed_before: Option<Listing>,
    /// The listing is newer than the rows made from it.
    listing_is_new: bool,
    /// What was told last.
    told: Option<(usize, usize)>,
    /// The leases at the last look.
    size: usize,
    /// Nothing has been taken yet: what earlier runs of this worker left is still to be taken.
    is_first_look: bool,
    /// Leases may be on their way here.
    has_asked: bool,
    unreadable: Complaint,
    housekeeping: Complaint,
}

/// What became of an action.
enum Done {
    Taken(Arc<Tenure>),
    Written,
    /// The row was no longer the one that was seen.
    Refused,
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
            reading: BTreeSet::new(),
            sightings: Sightings::default(),
            listed: Listing::default(),
            listed_before: None,
            listing_is_new: true,
            told: None,
            size: 0,
            is_first_look: true,
            has_asked: false,
            unreadable: Complaint::default(),
            housekeeping: Complaint::default(),
        }
    }

    pub(super) async fn run(mut self) -> Result<(), SourceError> {
        self.listed = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(()),
            listed = first_listing(&self.source.stream) => listed?,
        };
        let (ask, asked) = mpsc::channel(1);
        let (send, mut listings) = mpsc::channel(1);
        let lister = tokio::spawn(keep_listing(self.source.stream.clone(), asked, send, self.listed.summary));
        let _lister = AbortOnDropHandle::new(lister);

        let mut complaint = Complaint::default();
        let outcome = 'run: loop {
            // One look at the table serves all that have ended.
            while let Some(ended) = self.readers.try_join_next() {
                if let Err(error) = self.ended(ended, &ask) {
                    break 'run Err(error);
                }
            }
            let look_again = match self.turn().await {
                Ok(look_again) => look_again,
                Err(error) => {
                    if complaint.due() {
                        tracing::warn!(error = %error.chain(), "cannot use the leases; trying again");
                    }
                    self.look_again(None)
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break Ok(()),
                Some(ended) = self.readers.join_next() => if let Err(error) = self.ended(ended, &ask) {
                    break Err(error);
                },
                Some(listed) = listings.recv() => {
                    self.listed_before = Some(std::mem::replace(&mut self.listed, listed));
                    self.listing_is_new = true;
                }
                () = sleep(look_again) => {}
            }
        };
        self.stop_readers.cancel();
        if self.has_asked {
            withdraw(self.source).await;
        }
        while self.readers.join_next().await.is_some() {}
        outcome
    }

    fn ended(&mut self, ended: Result<(ShardId, Ended), JoinError>, ask: &mpsc::Sender<()>) -> Result<(), SourceError> {
        let (shard, ended) =
            ended.map_err(|error| SourceError::Failed { what: "read a shard".into(), source: error.into() })?;
        self.reading.remove(&shard);
        if ended == Ended::Finished {
            // Full means that the lister has been asked already.
            let _ = ask.try_send(());
        }
        Ok(())
    }

    /// When to look again: soon, if the plan has a reason, but a large table less often.
    fn look_again(&self, wanted: Option<Duration>) -> Duration {
        let by_size = Duration::from_secs(1) * u32::try_from(self.size).unwrap_or(u32::MAX) / LEASES_PER_SECOND;
        let by_size = by_size.min(self.source.failover_after / 5);
        let most = LOOK_MOST.min(self.source.failover_after / 10);
        // Jitter keeps workers that were started together from asking together.
        wanted.map_or(most, |wanted| wanted.min(most)).max(by_size).mul_f64(0.8 + 0.2 * fastrand::f64())
    }

    /// Brings leases and readers up to date with the last listing and with the lease table as it is now. Says when to
    /// look again.
    async fn turn(&mut self) -> Result<Duration, SourceError> {
        self.tell_lost().await;
        let listed = self.source.leases.list();
        let table = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(Duration::ZERO),
            table = listed => table?,
        };
        let (table, unknown) = self.keep_house(table).await?;
        let retold = std::mem::take(&mut self.listing_is_new);
        let LeaseTable { leases, unreadable, leader } = table;
        let now = Instant::now();
        let patience = (self.source.owner.as_str(), PATIENCE);
        self.sightings.observe(&leases, leader.as_ref(), patience, now);
        self.notice(&leases);
        self.complain(&unreadable);
        let acted = self.act(&leases, &unknown, now).await;
        self.tell(&leases, &unknown, now, retold).await;
        self.size = leases.len();
        Ok(self.look_again(acted?))
    }

    /// The table once its rows are those that the last listing calls for, and the shards of which nobody can say how far
    /// they were read.
    async fn keep_house(&mut self, table: LeaseTable) -> Result<(LeaseTable, HashSet<ShardId>), SourceError> {
        let before = self.listed_before.as_ref().filter(|_| self.listing_is_new);
        let house = House {
            store: &*self.source.leases,
            shards: &self.listed.shards,
            before: before.map(|before| &before.shards[..]),
            start: self.source.start,
        };
        let (changed, failed) = house.keep(&table).await;
        if let Some(error) = failed
            && self.housekeeping.due()
        {
            tracing::warn!(error = %error.chain(), "cannot make or clear away the leases of shards; trying again");
        }
        let table = if changed { self.source.leases.list().await? } else { table };
        if self.listing_is_new {
            house.tell_holes(&self.source.stream.name, &table);
        }
        let unknown = house.unknown(&table);
        Ok((table, unknown))
    }

    /// Tells tenures of this worker what the table shows, sooner than their next renewal would.
    fn notice(&self, leases: &[Lease]) {
        let me = Some(self.source.owner.as_str());
        for lease in leases {
            let Some(tenure) = self.source.tenures.of(&lease.shard).filter(|tenure| tenure.is_held()) else { continue };
            if lease.holder() != me {
                tenure.doubt();
            } else if lease.checkpoint_owner.is_some() {
                tenure.ask();
            }
        }
    }

    fn complain(&mut self, unreadable: &[UnreadableLease]) {
        if unreadable.is_empty() || !self.unreadable.due() {
            return;
        }
        for UnreadableLease { shard, why } in unreadable.iter().take(NAMED_MOST) {
            tracing::error!(%shard, why, "a lease cannot be read: nobody reads its shard");
        }
    }

    /// Does what the plan says. Gives when it wants another look.
    async fn act(
        &mut self,
        leases: &[Lease],
        unknown: &HashSet<ShardId>,
        now: Instant,
    ) -> Result<Option<Duration>, SourceError> {
        let here = self.here();
        let plan = self.view(leases, unknown, now, &here).plan();
        let mut failed = None;
        let me = Some(self.source.owner.as_str());
        let is_coming = |lease: &Lease| lease.owner.as_deref() == me && !here.contains_key(&lease.shard);
        self.has_asked = leases.iter().any(is_coming) || !plan.actions.is_empty();
        for actions in plan.actions.chunks(WRITES_AT_ONCE) {
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            let done = join_all(actions.iter().map(|action| self.execute(action))).await;
            let (mut failures, mut refusals) = (0, 0);
            for (action, done) in actions.iter().zip(done) {
                match (action, done) {
                    (Action::Take(seen, from), Ok(Done::Taken(tenure))) => self.read(tenure, seen, *from),
                    (_, Ok(Done::Refused)) => refusals += 1,
                    (_, Ok(_)) => {}
                    (_, Err(error)) => {
                        failures += 1;
                        failed = Some(error);
                    }
                }
            }
            // Others have been here, or nothing can be written: the rest of the plan would fare no better. A row that
            // fails alone holds back no other.
            if refusals * 2 > actions.len() || failures == actions.len() {
                return failed.map_or(Ok(Some(STALE_LOOK)), Err);
            }
        }
        self.is_first_look = false;
        failed.map_or(Ok(plan.look_again), Err)
    }

    async fn execute(&self, action: &Action<'_>) -> Result<Done, SourceError> {
        let source = self.source;
        let (seen, change) = match action {
            Action::Take(seen, _) => {
                let (from, owner) = (source.start.resolved(&seen.checkpoint), &source.owner);
                let taken =
                    Tenure::take(&source.leases, seen, from, owner, source.failover_after, &source.alive).await?;
                return Ok(taken.map_or(Done::Refused, Done::Taken));
            }
            Action::Ask(seen) => (seen, Change::Ask { owner: source.owner.clone() }),
            Action::Withdraw(seen) => (seen, Change::Withdraw),
        };
        let written = source.leases.update(seen, &change).await?;
        if written != Written::Landed {
            return Ok(Done::Refused);
        }
        let (shard, holder) = (&seen.shard, seen.holder());
        match action {
            Action::Withdraw(_) => {
                tracing::warn!(%shard, holder, "the lease was not handed over, so it stays with its holder");
            }
            _ => tracing::info!(%shard, holder, "asked for the lease: its holder has more than this worker"),
        }
        Ok(Done::Written)
    }

    fn read(&mut self, tenure: Arc<Tenure>, seen: &Lease, taken_from: TakenFrom) {
        let source = self.source;
        let (shard, from) = (tenure.shard.clone(), tenure.from.clone());
        tracing::info!(%shard, epoch = tenure.epoch, ?from, ?taken_from, former = seen.holder(), "took the lease");
        source.tenures.begin(&tenure);
        tokio::spawn(Arc::clone(&tenure).keep());
        // Where keys do not decide the shard, or that is unknown, none is misplaced.
        let keys_decide = self.listed.summary.is_some_and(|summary| !summary.ignores_keys);
        let listed = self.listed.shards.iter().find(|listed| listed.id == shard);
        let hash_keys = listed.and_then(|listed| listed.hash_keys.as_ref()).or(seen.hash_keys.as_ref());
        let reader = Reader {
            stream: source.stream.clone(),
            budget: source.budget.clone(),
            consumer: source.consumer.clone(),
            leases: Arc::clone(&source.leases),
            start: source.start,
            unpacker: Unpacker::new(hash_keys.filter(|_| keys_decide), source.misplaced),
            tenure,
            taken_from,
            from,
            deliver: Arc::clone(&self.deliver),
            stop: self.stop_readers.clone(),
        };
        self.reading.insert(shard.clone());
        self.readers.spawn(async move { (shard, reader.run().await) });
    }

    fn view<'v, 'l: 'v>(
        &'v self,
        leases: &'l [Lease],
        unknown: &'v HashSet<ShardId>,
        now: Instant,
        here: &'v HashMap<ShardId, Here>,
    ) -> View<'v, 'l> {
        let owner = &self.source.owner;
        let earlier = owner.rfind(RUN_MARK).map(|mark| &owner[..=mark]);
        View {
            me: owner,
            earlier: earlier.filter(|_| self.is_first_look),
            now,
            failover_after: self.source.failover_after,
            leases,
            sightings: &self.sightings,
            here,
            unknown,
        }
    }

    /// A shard counts as read to its end once its last event has been told: that one comes before the first of its
    /// children.
    fn here(&self) -> HashMap<ShardId, Here> {
        let mut here = self.source.tenures.finished();
        here.extend(self.reading.iter().map(|shard| (shard.clone(), Here::Reading)));
        here
    }

    /// Tells which leases were lost after the end of the shard: they have no reader any more that would.
    async fn tell_lost(&self) {
        for lost in self.source.tenures.lost_at_the_end(|shard| self.reading.contains(shard)) {
            (self.deliver)(ShardEvent::LeaseLost { shard: lost.shard.clone(), epoch: lost.epoch }).await;
        }
    }

    /// Tells how many shards are read, after each listing and whenever that changes.
    async fn tell(&mut self, leases: &[Lease], unknown: &HashSet<ShardId>, now: Instant, retold: bool) {
        let here = self.here();
        let view = self.view(leases, unknown, now, &here);
        let elsewhere = |lease: &&Lease| !lease.is_finished() && lease.holder().is_some() && view.free(lease).is_none();
        let read_elsewhere: HashSet<&ShardId> = leases.iter().filter(elsewhere).map(|lease| &lease.shard).collect();
        let open: Vec<&ShardId> = self.listed.shards.iter().filter(|shard| shard.open).map(|shard| &shard.id).collect();
        let is_read = |shard: &ShardId| self.reading.contains(shard) || read_elsewhere.contains(shard);
        let unread: Vec<&ShardId> = open.iter().copied().filter(|shard| !is_read(shard)).collect();
        if retold && !unread.is_empty() {
            let why = view.why_unread(&unread[..unread.len().min(NAMED_MOST)]).join(", ");
            tracing::info!(open = open.len(), unread = unread.len(), why, "open shards are not read");
        }
        let (open, unread) = (open.len(), unread.len());
        if retold || self.told != Some((open, unread)) {
            self.told = Some((open, unread));
            let retention = self.listed.summary.map(|summary| summary.retention);
            (self.deliver)(ShardEvent::Shards { open, unread, retention }).await;
        }
    }
}
