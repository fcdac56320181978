//! From a record's bytes to the open window.

use std::sync::Arc;
use std::time::Duration;

use bucket_state::{Event, Malformed, Parsed, Parser};
use emitter::Window;
use futures::FutureExt;
use shard_consumer::{Batch, Cut, Deliver, Position, Record, ShardEvent};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::dead_letters::{DeadLetter, DeadLetters, Unwritten};
use crate::metrics::{AFTER_UNTIL, Metrics};
use crate::permit::{Admitted, Senders};

/// Parsing keeps a thread: after this many records others get a turn.
const RECORDS_BEFORE_YIELD: usize = 256;
const DEAD_LETTER_RETRY_FIRST: Duration = Duration::from_secs(1);
const DEAD_LETTER_RETRY_MOST: Duration = Duration::from_secs(30);

/// What every shard's reader does with its events. Shared by all of them.
pub struct Intake {
    /// Names the stream in dead letters.
    pub stream: String,
    /// Where events are folded.
    pub window: Arc<Window<Cut>>,
    /// Whose events are folded.
    pub senders: Arc<Senders>,
    /// Events after this time, in milliseconds since 1970, are ignored.
    pub until_ms: Option<i64>,
    /// A record's bytes after decompression, at the most.
    pub input_bytes_max: usize,
    /// Where records go that cannot be understood.
    pub dead_letters: Arc<DeadLetters>,
    /// Counts everything.
    pub metrics: Arc<Metrics>,
    /// Called with every shard event before it is handled.
    pub observe: Box<dyn Fn(&ShardEvent) + Send + Sync>,
}

impl Intake {
    /// The handler of a source; gives up waiting when `stop` is called.
    #[must_use]
    pub fn deliver(self: &Arc<Self>, stop: &CancellationToken) -> Deliver {
        let (intake, stop) = (Arc::clone(self), stop.clone());
        Arc::new(move |event| {
            let (intake, stop) = (Arc::clone(&intake), stop.clone());
            async move {
                (intake.observe)(&event);
                intake.handle(event, &stop).await;
            }
            .boxed()
        })
    }

    /// After `stop`, batches are given up: their positions do not move, so they are read again. The end of a shard
    /// is then given up, too, for it may follow such a batch.
    async fn handle(&self, event: ShardEvent, stop: &CancellationToken) {
        match event {
            ShardEvent::Batch(batch) => {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = self.fold(&batch) => {}
                }
            }
            ShardEvent::Finished { .. } if stop.is_cancelled() => {}
            ShardEvent::Finished { shard, epoch } => {
                self.window.advance(true, |cut| cut.advance(&shard, epoch, Position::ShardEnd));
            }
            ShardEvent::LeaseTaken { shard, epoch, from } => self.metrics.lease_taken(shard.as_str(), epoch, from),
            ShardEvent::LeaseLost { shard, epoch } => {
                self.window.retract(|cut| cut.forget(&shard, epoch));
                self.metrics.lease_lost(shard.as_str(), epoch);
            }
            // The window is due at once, though nothing of it is new: the next worker waits for the checkpoint.
            ShardEvent::Leaving { .. } => self.window.advance(true, |_| {}),
            ShardEvent::HandedOver { shard, epoch } => {
                self.window.retract(|cut| cut.forget(&shard, epoch));
                self.metrics.lease_handed_over(shard.as_str(), epoch);
            }
            ShardEvent::Shards { open, unread, retention } => {
                self.metrics.shards_listed(open, unread, retention);
                self.warn_of_late_shards();
            }
        }
    }

    /// Folds a batch, and only then moves the shard's position past it.
    async fn fold(&self, batch: &Batch) {
        // Before anything waits: how late a shard is counts most while it stands.
        self.metrics.batch_read(batch);
        self.window.room().await;
        let mut parser = Parser::new(self.input_bytes_max);
        let (admitted, mut letters) = (self.senders.admitted(), Vec::new());
        for (number, record) in batch.records.iter().enumerate() {
            self.fold_record(&mut parser, &admitted, batch, record, &mut letters);
            if number % RECORDS_BEFORE_YIELD == RECORDS_BEFORE_YIELD - 1 {
                tokio::task::yield_now().await;
            }
        }
        self.bury(letters).await;
        self.metrics.batch_folded(batch, clock::now_ms());
        self.warn_of_late_shards();
        if !batch.records.is_empty() {
            self.window.advance(false, |cut| cut.advance(&batch.shard, batch.epoch, batch.after.clone()));
        }
    }

    /// Past the whole of the retention, records are gone before they are read.
    fn warn_of_late_shards(&self) {
        for late in self.metrics.late_shards() {
            tracing::warn!(
                shard = late.shard,
                lag_seconds = late.lag.as_secs(),
                retention_seconds = late.retention.as_secs(),
                "a shard lags by more than half of the stream's retention, after which its records are gone unread: run \
                 more workers, read with --fan-out, or raise the retention"
            );
        }
    }

    fn fold_record(
        &self,
        parser: &mut Parser,
        admitted: &Admitted,
        batch: &Batch,
        record: &Record,
        letters: &mut Vec<(Malformed, DeadLetter)>,
    ) {
        parser.parse(&record.data, record.arrived_ms, &mut |parsed| match parsed {
            Parsed::Event(event) => self.fold_event(admitted, event, record.arrived_ms),
            Parsed::Ignored { reason, call } => self.metrics.event_ignored(call, reason.as_str()),
            Parsed::Malformed { reason, message, data } => {
                let (data, arrived_at) = DeadLetter::encode(data, record.arrived_ms);
                let letter = DeadLetter {
                    reason: reason.as_str(),
                    message,
                    stream: self.stream.clone(),
                    shard: batch.shard.to_string(),
                    sequence_number: record.sequence_number.to_string(),
                    sub_sequence_number: record.sub_sequence_number,
                    arrived_at,
                    partition_key: record.partition_key.clone(),
                    data,
                    data_truncated: false,
                };
                letters.push((reason, letter));
            }
        });
    }

    fn fold_event(&self, admitted: &Admitted, event: Event, arrived_ms: i64) {
        let (call, happened_ms) = (event.name, event.origin.stamp.happened_ms());
        if !admitted.admits(&event, arrived_ms) {
            self.senders.refused(&event);
        } else if self.until_ms.is_some_and(|until_ms| happened_ms > until_ms) {
            self.metrics.event_ignored(Some(call), AFTER_UNTIL);
        } else {
            self.window.fold(event, arrived_ms);
            self.metrics.event_applied(call, happened_ms, arrived_ms);
        }
    }

    /// Writes dead letters before the position passes them; while they cannot be written, the shard waits.
    async fn bury(&self, letters: Vec<(Malformed, DeadLetter)>) {
        if letters.is_empty() {
            return;
        }
        let mut unwritten: Vec<&DeadLetter> = letters.iter().map(|(_, letter)| letter).collect();
        let mut pause_most = DEAD_LETTER_RETRY_FIRST;
        while let Err(Unwritten { error, letters }) = self.dead_letters.write(unwritten).await {
            tracing::error!(error, "dead letters cannot be written; the shard waits until they can");
            unwritten = letters;
            tokio::time::sleep(pause_most.mul_f64(fastrand::f64())).await;
            pause_most = (pause_most * 2).min(DEAD_LETTER_RETRY_MOST);
        }
        letters.iter().for_each(|(reason, _)| self.metrics.dead_lettered(*reason));
        // One line for all of a batch: the letters have the rest.
        if let Some((_, first)) = letters.first() {
            tracing::warn!(
                letters = letters.len(),
                reason = first.reason,
                fault = first.message,
                shard = first.shard,
                sequence_number = first.sequence_number,
                "records became dead letters; this is the first of them"
            );
        }
    }
}
