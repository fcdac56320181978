//! Rows that this worker itself has marked and not yet seen cleared, so that it need not look for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bucket_state::ResourceId;

use super::record::Record;
use crate::row::{SinkName, Version};

/// For each sink, about 15 MB. What does not fit is found in the index, so one sink that is down costs the others nothing.
const ROWS_MOST: usize = 50_000;

/// A memory of own pending rows. It may name rows that are not pending any more, until they are read again.
#[derive(Debug)]
pub(super) struct Own {
    worker: String,
    rows_most: usize,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    rows: HashMap<ResourceId, Entry>,
    /// By sink: since when each waits.
    waiting: BTreeMap<SinkName, BTreeSet<(i64, ResourceId)>>,
    /// By sink: rows whose current version it has rejected.
    rejected: BTreeMap<SinkName, BTreeSet<ResourceId>>,
    /// Sinks for which every pending row of this worker is here.
    complete: BTreeSet<SinkName>,
}

#[derive(Debug)]
struct Entry {
    version: Version,
    since: Vec<(SinkName, i64)>,
}

impl Own {
    pub(super) fn new(worker: &str) -> Self {
        Self { worker: worker.to_owned(), rows_most: ROWS_MOST, memory: Mutex::default() }
    }

    pub(super) fn worker(&self) -> &str {
        &self.worker
    }

    /// Learns of a row as it was read consistently, or written. Within a version marks are only ever cleared, so what is
    /// not pending at this version or a later one than is remembered is not pending any more.
    pub(super) fn observe(&self, resource: &ResourceId, record: &Record) {
        let since = self.since(record);
        let mut memory = self.lock();
        if memory.rows.get(resource).is_some_and(|known| known.version > record.version) {
            return;
        }
        for (name, mark) in &record.marks {
            let is_rejected = mark.rejected == Some(record.version);
            match memory.rejected.get_mut(name) {
                Some(rejected) if !is_rejected => {
                    rejected.remove(resource);
                }
                None if !is_rejected => {}
                _ => {
                    let rejected = memory.rejected.entry(name.clone()).or_default();
                    if rejected.len() < self.rows_most {
                        rejected.insert(resource.clone());
                    }
                }
            }
        }
        memory.set(resource, record.version, since, self.rows_most);
    }

    /// Learns of a row from the index, which is behind: only what is not known yet, and only until it is read.
    pub(super) fn observe_entry(&self, resource: &ResourceId, entry: &Record) {
        let since = self.since(entry);
        let mut memory = self.lock();
        if !memory.rows.contains_key(resource) {
            memory.set(resource, 0, since, self.rows_most);
        }
    }

    /// Since when it waits, for each sink for which this worker marked it last.
    fn since(&self, record: &Record) -> Vec<(SinkName, i64)> {
        let own = record.marks.iter().filter_map(|(name, mark)| {
            let waiting = mark.waiting.as_ref().filter(|waiting| waiting.worker == self.worker)?;
            Some((name.clone(), waiting.mark.since_ms))
        });
        own.collect()
    }

    /// A write to the row of this version may have landed, and nobody knows.
    pub(super) fn suspect<'a>(
        &self,
        resource: &ResourceId,
        version: Version,
        sinks: impl Iterator<Item = &'a SinkName>,
        since_ms: i64,
    ) {
        let since = sinks.map(|name| (name.clone(), since_ms)).collect();
        let mut memory = self.lock();
        if memory.rows.get(resource).is_none_or(|known| known.version <= version) {
            memory.set(resource, version, since, self.rows_most);
        }
    }

    /// The rows that wait longest for the sink; and whether there are none but those remembered.
    pub(super) fn waiting(&self, sink: &SinkName, limit: usize) -> (Vec<(i64, ResourceId)>, bool) {
        let memory = self.lock();
        let rows = memory.waiting.get(sink).into_iter().flatten().take(limit).cloned().collect();
        (rows, memory.complete.contains(sink))
    }

    pub(super) fn rejected(&self, sink: &SinkName) -> Vec<ResourceId> {
        self.lock().rejected.get(sink).into_iter().flatten().cloned().collect()
    }

    /// The whole index was gone through.
    pub(super) fn note_complete(&self, sink: &SinkName) {
        let mut memory = self.lock();
        if memory.waiting.get(sink).is_none_or(|waiting| waiting.len() < self.rows_most) {
            memory.complete.insert(sink.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn set(&mut self, resource: &ResourceId, version: Version, since: Vec<(SinkName, i64)>, rows_most: usize) {
        if let Some(Entry { since, .. }) = self.rows.remove(resource) {
            for (name, since_ms) in since {
                if let Some(waiting) = self.waiting.get_mut(&name) {
                    waiting.remove(&(since_ms, resource.clone()));
                }
            }
        }
        let Self { waiting, complete, .. } = self;
        let remembered = since.into_iter().filter(|(name, since_ms)| {
            let waiting = waiting.entry(name.clone()).or_default();
            let fits = waiting.len() < rows_most;
            if fits {
                waiting.insert((*since_ms, resource.clone()));
            } else {
                complete.remove(name);
            }
            fits
        });
        let since: Vec<(SinkName, i64)> = remembered.collect();
        if since.is_empty() {
            return;
        }
        self.rows.insert(resource.clone(), Entry { version, since });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo_store::record::{SinkMark, Waiting};
    use crate::row::PendingMark;

    fn record(version: Version, since_ms: Option<i64>) -> Record {
        let mark = |since_ms| PendingMark { since_ms, arrived_ms: since_ms, happened_ms: since_ms };
        let waiting = since_ms.map(|at| Waiting { mark: mark(at), last: mark(at), worker: "me".into() });
        let marks = [(SinkName::from("graph"), SinkMark { waiting, ..SinkMark::default() })];
        Record { version, marks: marks.into_iter().collect(), ..Record::default() }
    }

    fn waiting(own: &Own) -> (Vec<i64>, bool) {
        let (rows, complete) = own.waiting(&SinkName::from("graph"), 10);
        (rows.into_iter().map(|(since, _)| since).collect(), complete)
    }

    #[test]
    fn a_row_is_remembered_until_it_is_seen_cleared_at_its_version_or_later() {
        let (own, row) = (Own::new("me"), ResourceId::from("row"));
        own.observe(&row, &record(2, Some(5)));
        own.observe(&row, &record(1, None));
        assert_eq!(waiting(&own).0, [5], "an older read tells nothing");
        own.observe(&row, &record(2, None));
        assert_eq!(waiting(&own).0, [0; 0]);
    }

    #[test]
    fn rows_that_one_sink_has_too_many_of_are_left_to_the_index_and_those_of_others_are_not() {
        let own = Own { rows_most: 1, ..Own::new("me") };
        let down = SinkName::from("down");
        for name in ["third", "fourth"] {
            own.suspect(&ResourceId::from(name), 1, std::iter::once(&down), 0);
        }
        assert_eq!(own.waiting(&down, 10).0.len(), 1);
        own.note_complete(&SinkName::from("graph"));
        for (name, since_ms) in [("one", 1), ("other", 2)] {
            own.observe(&ResourceId::from(name), &record(1, Some(since_ms)));
        }
        assert_eq!(waiting(&own), (vec![1], false));
    }
}
