//! One shard, page by page, through throttles, outages and iterators that grow old.

use tokio::time::{Instant, sleep, sleep_until};

use super::budget::{Budget, Room};
use super::fault::{Complaint, Fault};
use super::pace::{Pace, back_off};
use super::stream::{Answer, Shard, Stream};
use crate::record::{Position, Record, ShardId};

/// The place of a reader in its shard. `iterator`, where there is one, stands right after `position`; a new one stands
/// at it, so that the reader finds the rest of an aggregate there and drops what it has had.
pub(super) struct Cursor {
    stream: Stream,
    shard: ShardId,
    position: Position,
    iterator: Option<String>,
    pace: Pace,
    budget: Budget,
    /// When the shard last had nothing more.
    tip_seen: Option<Instant>,
    failures: u32,
    complaint: Complaint,
}

/// What comes next in a shard.
pub(super) enum Page {
    /// Records as the service has them, perhaps none; the first may have been there before. `ended` holds the children
    /// if they were the last. `room` is kept as long as the records.
    Records { records: Vec<Record>, behind_latest_ms: i64, ended: Option<Vec<Shard>>, room: Room },
    /// The service does not know this shard.
    Gone,
    /// The service does not know the position: reading goes on at the oldest record that it holds.
    StartedOver,
}

impl Cursor {
    pub(super) fn new(stream: Stream, budget: Budget, shard: ShardId, position: Position) -> Self {
        Self {
            stream,
            shard,
            position,
            iterator: None,
            pace: Pace::default(),
            budget,
            tip_seen: None,
            failures: 0,
            complaint: Complaint::default(),
        }
    }

    /// Waits for the next page as long as it takes.
    pub(super) async fn next(&mut self) -> Page {
        loop {
            let (call, result) = match self.iterator.take() {
                None => (Call::Iterator, self.fetch_iterator().await.map(|()| None)),
                Some(iterator) => (Call::Records, self.fetch_records(iterator).await.map(Some)),
            };
            let fault = match result {
                Ok(Some(page)) => return page,
                Ok(None) => continue,
                Err(fault) => fault,
            };
            self.failures = self.failures.saturating_add(1);
            let recovery = recovery(call, &fault, &self.position, self.failures);
            match recovery {
                Recovery::StartOver => {
                    tracing::warn!(
                        shard = %self.shard, position = ?self.position, %fault,
                        "the stream no longer holds this position; reading goes on at the oldest record it holds"
                    );
                    self.position = Position::TrimHorizon;
                    return Page::StartedOver;
                }
                // Should the shard be listed all the same, it is the iterator that the service does not know.
                Recovery::NewIterator | Recovery::Gone => self.iterator = None,
                Recovery::SameIterator => {}
            }
            if matches!(fault, Fault::Expired(_)) && self.failures == 1 {
                continue;
            }
            if self.complaint.due() {
                tracing::warn!(shard = %self.shard, failures = self.failures, %fault, "cannot read; trying again");
            }
            sleep(back_off(self.failures, fastrand::f64())).await;
            if recovery == Recovery::Gone {
                return Page::Gone;
            }
        }
    }

    async fn fetch_iterator(&mut self) -> Result<(), Fault> {
        self.iterator = Some(self.stream.iterator(&self.shard, &self.position).await?);
        Ok(())
    }

    /// Leaves the iterator in place when the call fails: whether it is still good is for the caller to say.
    async fn fetch_records(&mut self, iterator: String) -> Result<Page, Fault> {
        sleep_until(self.pace.next_call(Instant::now())).await;
        let mut room = self.budget.room(self.tip_seen).await;
        self.pace.called(Instant::now());
        let result = self.stream.records(&iterator).await;
        if result.is_err() {
            self.iterator = Some(iterator);
        }
        let Answer { records, behind_latest_ms, next, children } = result?;
        self.failures = 0;

        let bytes = records.iter().map(read_out).sum();
        room.shrink(bytes);
        let (no_more, empty) = (behind_latest_ms == 0, records.is_empty());
        self.pace.answered(Instant::now(), bytes, no_more, empty);
        self.tip_seen = no_more.then(Instant::now);
        if let Some(last) = records.last() {
            self.position = last.position();
        }
        self.iterator = next;
        let ended = self.iterator.is_none().then_some(children);
        Ok(Page::Records { records, behind_latest_ms, ended, room })
    }
}

/// What the service counts of a record: keys, too.
fn read_out(record: &Record) -> usize {
    record.data.len() + record.partition_key.as_ref().map_or(0, String::len)
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Iterator,
    Records,
}

#[derive(Debug, PartialEq, Eq)]
enum Recovery {
    SameIterator,
    NewIterator,
    StartOver,
    Gone,
}

/// Some servers answer a bad iterator with status 500: after this many failures in a row, it is not used again.
const FAILURES_PER_ITERATOR: u32 = 3;

fn recovery(call: Call, fault: &Fault, position: &Position, failures: u32) -> Recovery {
    match (call, fault) {
        (_, Fault::NotFound(_)) => Recovery::Gone,
        // A refused time lies in the service's future: it will be accepted soon. Only a sequence number can be lost.
        (Call::Iterator, Fault::Invalid(_)) if matches!(position, Position::After { .. }) => Recovery::StartOver,
        (Call::Records, Fault::Expired(_) | Fault::Invalid(_)) => Recovery::NewIterator,
        (Call::Records, _) if failures >= FAILURES_PER_ITERATOR => Recovery::NewIterator,
        _ => Recovery::SameIterator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after() -> Position {
        Position::After { sequence: "5".into(), sub_sequence: 0 }
    }

    fn passing() -> Fault {
        Fault::Passing("throttled".into())
    }

    #[test]
    fn an_iterator_that_expired_or_is_garbage_is_replaced() {
        for fault in [Fault::Expired(String::new()), Fault::Invalid(String::new())] {
            assert_eq!(recovery(Call::Records, &fault, &after(), 1), Recovery::NewIterator);
        }
    }

    #[test]
    fn an_iterator_survives_a_throttle_but_not_failures_without_end() {
        assert_eq!(recovery(Call::Records, &passing(), &after(), 1), Recovery::SameIterator);
        assert_eq!(recovery(Call::Records, &passing(), &after(), 3), Recovery::NewIterator);
    }

    #[test]
    fn a_sequence_number_that_is_gone_starts_over_but_a_time_in_the_future_is_waited_for() {
        let invalid = Fault::Invalid(String::new());
        assert_eq!(recovery(Call::Iterator, &invalid, &after(), 1), Recovery::StartOver);
        assert_eq!(recovery(Call::Iterator, &invalid, &Position::AtTimestamp(9), 1), Recovery::SameIterator);
    }

    #[test]
    fn a_shard_that_is_not_there_is_gone_whatever_was_asked() {
        let gone = Fault::NotFound(String::new());
        assert_eq!(recovery(Call::Iterator, &gone, &after(), 1), Recovery::Gone);
        assert_eq!(recovery(Call::Records, &gone, &after(), 1), Recovery::Gone);
    }
}
