//! One shard under one tenure: taken, read, and either finished or lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Start;
use super::budget::Budget;
use super::consumer::Consumer;
use super::cursor::{Cursor, Page};
use super::fault::Complaint;
use super::pace::back_off;
use super::rows::make_rows;
use super::stream::{Shard, Stream};
use super::subscription::Subscription;
use super::tenure::Tenure;
use crate::aggregate::Unpacker;
use crate::leases::LeaseStore;
use crate::record::{Batch, Position, Record, ShardId};
use crate::source::{Deliver, ShardEvent, TakenFrom};

/// A batch is delivered when it has this many records: those of one aggregate stay together.
const BATCH_MOST: usize = 10_000;

/// A shard that the service does not know, and that has no children, is gone if that stays so for this long.
const GONE_FOR: Duration = Duration::from_secs(40);

/// Reads one shard.
pub(super) struct Reader {
    pub(super) stream: Stream,
    pub(super) budget: Budget,
    /// Absent where the shard is polled.
    pub(super) consumer: Option<Consumer>,
    pub(super) leases: Arc<dyn LeaseStore>,
    /// Where ancestors of the children begin that nobody has heard of.
    pub(super) start: Start,
    pub(super) unpacker: Unpacker,
    pub(super) tenure: Arc<Tenure>,
    pub(super) taken_from: TakenFrom,
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
    /// The lease was handed over, and [`ShardEvent::HandedOver`] was delivered.
    HandedOver,
    /// Nothing more is read, for another worker asks for the lease.
    Asked,
    Stopped,
}

impl Reader {
    /// Reads until the shard ends, the tenure is over, or `stop`. Only the delivery of a batch may be cut short, and
    /// only by the loss of the lease.
    pub(super) async fn run(self) -> Ended {
        let (shard, epoch) = (self.tenure.shard.clone(), self.tenure.epoch);
        (self.deliver)(ShardEvent::LeaseTaken { shard: shard.clone(), epoch, from: self.taken_from }).await;
        let (ended, come) = self.read().await;
        let ended = if ended == Ended::Asked { self.leave(&come.delivered).await } else { ended };
        match ended {
            Ended::Finished => (self.deliver)(ShardEvent::Finished { shard, epoch }).await,
            Ended::Lost => (self.deliver)(ShardEvent::LeaseLost { shard, epoch }).await,
            Ended::HandedOver => (self.deliver)(ShardEvent::HandedOver { shard, epoch }).await,
            Ended::Stopped | Ended::Asked => {}
        }
        if matches!(ended, Ended::Lost | Ended::HandedOver) {
            // However the lease was written: nobody reads under it any more, so nobody may renew it.
            self.tenure.end();
        }
        ended
    }

    /// Hands the lease over once the last record, which ended at `delivered`, is checkpointed.
    async fn leave(&self, delivered: &Position) -> Ended {
        let (shard, epoch) = (self.tenure.shard.clone(), self.tenure.epoch);
        (self.deliver)(ShardEvent::Leaving { shard, epoch }).await;
        tokio::select! {
            biased;
            // Releasing it is then up to the end of the run.
            () = self.stop.cancelled() => Ended::Stopped,
            handed_over = self.tenure.hand_over(delivered) => if handed_over { Ended::HandedOver } else { Ended::Lost },
        }
    }

    /// Why reading ended, and how far it had come.
    async fn read(&self) -> (Ended, Come) {
        let mut come = Come::to(self.from.clone());
        let ended = self.pages(&mut come).await.unwrap_or_else(|ended| ended);
        (ended, come)
    }

    async fn pages(&self, come: &mut Come) -> Result<Ended, Ended> {
        let mut pages = self.open();
        let mut delivered = false;
        loop {
            let end = match self.unless_over(pages.next()).await? {
                Page::Records { records, behind_latest_ms, ended, room } => {
                    self.deliver(records, behind_latest_ms, come).await?;
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
                    return Err(Ended::Lost);
                }
                Page::StartedOver => {
                    self.unless_over(self.tenure.start_over()).await?;
                    *come = Come::to(Position::TrimHorizon);
                    None
                }
            };
            let Some(end) = end else { continue };
            if let Some(children) = self.unless_over(self.announce(&end)).await? {
                self.finish(&end, &come.after, children);
                return Ok(Ended::Finished);
            }
        }
    }

    fn open(&self) -> Pages {
        let (stream, budget) = (self.stream.clone(), self.budget.clone());
        let (shard, from) = (self.tenure.shard.clone(), self.from.clone());
        match self.consumer.clone() {
            None => Pages::Polled(Cursor::new(stream, budget, shard, from)),
            Some(consumer) => Pages::Pushed(Subscription::new(stream, consumer, budget, shard, from)),
        }
    }

    /// Delivers what the service had, as one batch or, where producers packed very many records into one, as several.
    async fn deliver(&self, records: Vec<Record>, behind_latest_ms: i64, come: &mut Come) -> Result<(), Ended> {
        self.tenure.read(records.iter().map(|record| record.data.len()).sum());
        let mut batch = (Vec::new(), 0);
        for record in records {
            let unpacked = self.unpacker.unpack(record, &come.after);
            batch.0.extend(unpacked.records);
            batch.1 += unpacked.misplaced;
            come.after = unpacked.after;
            if batch.0.len() >= BATCH_MOST {
                self.deliver_batch(std::mem::take(&mut batch), behind_latest_ms, come).await?;
            }
        }
        self.deliver_batch(batch, behind_latest_ms, come).await
    }

    async fn deliver_batch(
        &self,
        (records, misplaced): (Vec<Record>, u64),
        behind_latest_ms: i64,
        come: &mut Come,
    ) -> Result<(), Ended> {
        if let Some(last) = records.last() {
            come.delivered = last.position();
        }
        let after = come.after.clone();
        let (shard, epoch) = (self.tenure.shard.clone(), self.tenure.epoch);
        let batch = Batch { shard, epoch, records, after, misplaced, behind_latest_ms };
        tokio::select! {
            biased;
            // However long the delivery waits, it does not outlive the tenure.
            () = self.tenure.over() => Err(Ended::Lost),
            () = (self.deliver)(ShardEvent::Batch(batch)) => Ok(()),
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
            () = self.tenure.asked() => Err(Ended::Asked),
            done = step => Ok(done),
        }
    }

    /// Sees to it that the children of this shard have rows, however long it takes; gives their names. None if the
    /// shard has not ended after all.
    async fn announce(&self, end: &End) -> Option<Vec<ShardId>> {
        let mut complaint = Complaint::default();
        let mut failures = 0;
        let begun = Instant::now();
        loop {
            let error = match self.try_announce(end).await {
                // A child is told before it is listed, and may be read before it is there: only time shows that it is
                // gone, and not new.
                Ok(Some(children)) if children.is_empty() && end.is_gone() && begun.elapsed() < GONE_FOR => {
                    sleep(GONE_FOR / 4).await;
                    continue;
                }
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
        let table = self.leases.list().await.map_err(|error| error.chain())?;
        let is_gone = end.is_gone();
        let mut shards = match end {
            End::Closed(children) => children.clone(),
            End::Gone => Vec::new(),
        };
        let has_row = |parent: &ShardId| table.leases.iter().any(|lease| lease.shard == *parent);
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
        make_rows(&*self.leases, &shards, &table, self.start).await.map_err(|error| error.chain())?;
        Ok(Some(shards.into_iter().filter(|shard| shard.parents.contains(this)).map(|child| child.id).collect()))
    }
}

/// How far reading has come.
struct Come {
    /// After everything that was read, what was dropped among it: where the next tenure may begin.
    after: Position,
    /// After the last record that was delivered, never beyond `after`. A caller that notes the positions of records
    /// checkpoints no further.
    delivered: Position,
}

impl Come {
    fn to(position: Position) -> Self {
        Self { delivered: position.clone(), after: position }
    }
}

/// The pages of a shard, however they come.
enum Pages {
    Polled(Cursor),
    Pushed(Subscription),
}

impl Pages {
    async fn next(&mut self) -> Page {
        match self {
            Self::Polled(cursor) => cursor.next().await,
            Self::Pushed(subscription) => subscription.next().await,
        }
    }
}

/// How a shard ended.
enum End {
    /// Its last record was read; some servers tell its children.
    Closed(Vec<Shard>),
    /// The service says that it is not there.
    Gone,
}

impl End {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}
