//! One shard, event by event, as the service pushes it: through the end of each subscription after five minutes,
//! refusals, silence and outages.

mod call;
mod pace;

use std::time::Duration;

use aws_sdk_kinesis::types::{SubscribeToShardEvent, SubscribeToShardEventStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::budget::Budget;
use super::consumer::Consumer;
use super::cursor::Page;
use super::fault::Complaint;
use super::pace::back_off;
use super::stream::{Stream, child, record};
use crate::record::{Position, Record, ShardId};
use call::{Events, Trouble};
use pace::Pace;

/// The service sends an event every few seconds, without records if there are none. After this long without any, the
/// connection is taken for dead. Nothing else would notice: the client sets no time-out on a stream of events.
const IDLE_MOST: Duration = Duration::from_secs(30);
/// Refusals in a row that are no news: another subscription may have begun up to five seconds ago.
const REFUSALS_EXPECTED: u32 = 5;

/// The place of a reader in its shard; it lives as long as the tenure, so there is one subscription per tenure.
///
/// Waiting deliveries hold the service back: while nobody asks for the next event, none is received. Dropped, it ends
/// the subscription.
pub(super) struct Subscription {
    stream: Stream,
    consumer: Consumer,
    /// Of the last call.
    consumer_arn: String,
    budget: Budget,
    shard: ShardId,
    position: Position,
    /// Where the next call goes on. It advances without records, too, so it is never behind `position`.
    continuation: Option<String>,
    /// Stands right after `continuation`, or at `position` if there is none. Taken out while an event is awaited, so
    /// that an event that is not delivered is sent again.
    events: Option<Box<Events>>,
    pace: Pace,
    failures: u32,
    complaint: Complaint,
}

impl Subscription {
    pub(super) fn new(stream: Stream, consumer: Consumer, budget: Budget, shard: ShardId, position: Position) -> Self {
        Self {
            stream,
            consumer,
            consumer_arn: String::new(),
            budget,
            shard,
            position,
            continuation: None,
            events: None,
            pace: Pace::default(),
            failures: 0,
            complaint: Complaint::default(),
        }
    }

    /// Waits for the next event as long as it takes. It may begin with the record at the position before it: of an
    /// aggregated one, a part may be new. Whoever delivers it drops what was handled.
    pub(super) async fn next(&mut self) -> Page {
        loop {
            let trouble = match self.try_next().await {
                Ok(Some(page)) => return page,
                Ok(None) => continue,
                Err(trouble) => trouble,
            };
            self.failures = self.failures.saturating_add(1);
            let is_gone = match &trouble {
                Trouble::InUse(_) => {
                    if self.failures > REFUSALS_EXPECTED {
                        self.complain(&trouble);
                    }
                    self.pace.refused(Instant::now(), fastrand::f64());
                    continue;
                }
                Trouble::Refused(fault) => match (self.continuation.take(), &self.position) {
                    (None, Position::After { .. }) => return self.start_over(fault),
                    // A continuation that is refused says nothing of the position; and a time that is refused lies in
                    // the service's future, so it will be accepted soon.
                    _ => false,
                },
                Trouble::NoStream(_) => true,
                // If that cannot be told, it is asked again after the next failure.
                Trouble::Missing(_) => self.consumer.is_there(&self.consumer_arn).await.unwrap_or(false),
                Trouble::Other(_) => false,
            };
            self.complain(&trouble);
            sleep(back_off(self.failures, fastrand::f64())).await;
            if is_gone {
                return Page::Gone;
            }
        }
    }

    fn start_over(&mut self, fault: &str) -> Page {
        tracing::warn!(
            shard = %self.shard, position = ?self.position, fault,
            "the stream no longer holds this position; reading goes on at the oldest record it holds"
        );
        self.position = Position::TrimHorizon;
        Page::StartedOver
    }

    fn complain(&mut self, trouble: &Trouble) {
        if self.complaint.due() {
            tracing::warn!(shard = %self.shard, failures = self.failures, fault = %trouble, "cannot subscribe; trying again");
        }
    }

    /// None if there was no event, but another subscription may bring one at once.
    async fn try_next(&mut self) -> Result<Option<Page>, Trouble> {
        let mut events = match self.events.take() {
            Some(events) => events,
            None => Box::new(self.subscribe().await?),
        };
        let event = match timeout(IDLE_MOST, events.recv()).await {
            Ok(Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)))) => event,
            Ok(Ok(Some(_))) => {
                self.events = Some(events);
                return Ok(None);
            }
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(error)) => return Err(Trouble::of_event(&error)),
            Err(_) => {
                let (shard, idle) = (&self.shard, IDLE_MOST.as_secs());
                tracing::warn!(%shard, "the service has sent nothing for {idle} s; subscribing anew");
                return Ok(None);
            }
        };
        let page = self.page(event).await;
        let has_ended = matches!(page, Page::Records { ended: Some(_), .. });
        self.events = (!has_ended).then_some(events);
        Ok(Some(page))
    }

    async fn subscribe(&mut self) -> Result<Events, Trouble> {
        self.consumer_arn = self.consumer.arn().await.map_err(Trouble::of_consumer)?;
        sleep_until(self.pace.next_call(Instant::now())).await;
        self.pace.called(Instant::now());
        let (consumer, continuation) = (&self.consumer_arn, self.continuation.as_deref());
        let events = self.stream.subscribe(consumer, &self.shard, &self.position, continuation).await?;
        self.pace.subscribed(Instant::now());
        Ok(events)
    }

    async fn page(&mut self, event: SubscribeToShardEvent) -> Page {
        let records: Vec<Record> = event.records.into_iter().map(record).collect();
        let room = self.budget.room_for(records.iter().map(|record| record.data.len()).sum()).await;
        self.failures = 0;
        // The record that the tenure started at comes again; the position does not go back to it.
        if let Some(last) = records.last().map(Record::position)
            && last > self.position
        {
            self.position = last;
        }
        // Only the end has nothing to continue at.
        let ended = if event.continuation_sequence_number.is_empty() {
            Some(event.child_shards.unwrap_or_default().into_iter().map(child).collect())
        } else {
            self.continuation = Some(event.continuation_sequence_number);
            None
        };
        Page::Records { records, behind_latest_ms: event.millis_behind_latest, ended, room }
    }
}

#[cfg(test)]
pub(super) mod script;
#[cfg(test)]
mod tests;
