//! The records of each shard, and its lease.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::record::{Epoch, Position, Record, ShardId};

/// Every shard. Outlives the sources that read it.
pub(super) struct Log {
    shelves: BTreeMap<ShardId, Arc<Shelf>>,
    pub(super) retain: bool,
}

/// One shard.
pub(super) struct Shelf {
    pub(super) shard: ShardId,
    waiting_most: usize,
    retain: bool,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    batches: VecDeque<Vec<Record>>,
    /// The batches before this index have been delivered in the present tenure; always 0 where nothing is retained.
    read: usize,
    /// The number of records in the others.
    waiting: usize,
    is_finished: bool,
    epoch: Epoch,
    checkpoint: Position,
}

/// What comes next in a shard.
pub(super) enum Next {
    Records(Vec<Record>),
    Finished,
    Taken,
}

impl Log {
    pub(super) fn new(shards: Vec<ShardId>, waiting_most: NonZeroUsize, retain: bool) -> Self {
        let shelf = |shard: ShardId| {
            let state = State {
                batches: VecDeque::new(),
                read: 0,
                waiting: 0,
                is_finished: false,
                epoch: 0,
                checkpoint: Position::TrimHorizon,
            };
            let (state, changed) = (Mutex::new(state), Notify::new());
            Arc::new(Shelf { shard, waiting_most: waiting_most.get(), retain, state, changed })
        };
        Self { shelves: shards.into_iter().map(|shard| (shard.clone(), shelf(shard))).collect(), retain }
    }

    pub(super) fn shelves(&self) -> impl Iterator<Item = &Arc<Shelf>> {
        self.shelves.values()
    }

    pub(super) fn shelf(&self, shard: &ShardId) -> &Arc<Shelf> {
        self.shelves.get(shard).unwrap_or_else(|| panic!("the source has no shard {shard}"))
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The one panic under the lock, of a push to a finished shard, has changed nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `attempt` gives, as soon as it gives something.
    async fn wait_for<T>(&self, mut attempt: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before the attempt, so that a change right after it wakes us.
            changed.as_mut().enable();
            if let Some(done) = attempt(&mut self.lock()) {
                self.changed.notify_waiters();
                return done;
            }
            changed.await;
        }
    }

    pub(super) async fn push(&self, records: Vec<Record>) {
        let mut records = Some(records);
        self.wait_for(|state| {
            if state.waiting >= self.waiting_most {
                return None;
            }
            let records = records.take()?;
            assert!(!state.is_finished, "{} was finished: nothing can follow", self.shard);
            state.waiting += records.len();
            state.batches.push_back(records);
            Some(())
        })
        .await;
    }

    pub(super) fn finish(&self) {
        self.lock().is_finished = true;
        self.changed.notify_waiters();
    }

    /// The records after `after`, under the tenure `epoch`.
    pub(super) async fn next(&self, epoch: Epoch, after: &Position) -> Next {
        self.wait_for(|state| {
            if state.epoch != epoch {
                return Some(Next::Taken);
            }
            while state.read < state.batches.len() {
                let batch = if self.retain {
                    let batch = state.batches[state.read].clone();
                    state.read += 1;
                    batch
                } else {
                    state.batches.pop_front()?
                };
                state.waiting -= batch.len();
                let unread = past(batch, after);
                if !unread.is_empty() {
                    return Some(Next::Records(unread));
                }
            }
            state.is_finished.then_some(Next::Finished)
        })
        .await
    }

    /// Begins a tenure: gives its epoch and where it begins.
    pub(super) fn take(&self) -> (Epoch, Position) {
        let mut state = self.lock();
        state.epoch += 1;
        state.read = 0;
        state.waiting = state.batches.iter().map(Vec::len).sum();
        let taken = (state.epoch, state.checkpoint.clone());
        drop(state);
        self.changed.notify_waiters();
        taken
    }

    /// Ends the present tenure.
    pub(super) fn release(&self) {
        self.lock().epoch += 1;
        self.changed.notify_waiters();
    }

    pub(super) fn checkpoint(&self) -> Position {
        self.lock().checkpoint.clone()
    }

    pub(super) fn write_checkpoint(&self, epoch: Epoch, position: &Position) {
        let mut state = self.lock();
        if state.epoch == epoch && state.checkpoint < *position {
            state.checkpoint = position.clone();
        }
    }
}

/// The records of `batch` that come after `after`.
fn past(mut batch: Vec<Record>, after: &Position) -> Vec<Record> {
    // Only the batch that a checkpoint cut through is searched: any other is wholly before or behind.
    if batch.first().is_some_and(|first| first.position() <= *after) {
        batch.retain(|record| record.position() > *after);
    }
    batch
}
