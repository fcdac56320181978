//! Rows as this worker last saw or wrote them.

use std::sync::Arc;

use bucket_state::ResourceId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::record::{Kept, Record, SinkMark};
use crate::row::{SinkName, Version};

/// What a window loads must be known still when it is saved, else every save reads once more.
const BYTES_LEAST: usize = 4 << 20;
/// What is guessed of rows, to lay out the cache.
const ROW_BYTES: usize = 2 << 10;

/// A bounded memory of rows, which may have moved since.
///
/// Basing a save on such a row is safe. Its write is refused unless the row is still the very one that was seen. What
/// was decided on it before, whether the graphs must hear of the save, holds as well: within a version marks are only
/// ever settled, so a row that was seen pending for nobody at version v is pending for nobody as long as it has version
/// v, with the same digests; and one that was seen pending and is not any more is only emitted once more than needed.
#[derive(Debug)]
pub(super) struct Seen {
    rows: Cache<ResourceId, Arc<Record>, Bytes>,
    /// Whether bases may be taken from here.
    serves_bases: bool,
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<ResourceId, Arc<Record>> for Bytes {
    fn weight(&self, resource: &ResourceId, record: &Arc<Record>) -> u64 {
        // The record, its two texts, its counters, and its place in the cache.
        const ROW: usize = 500;
        const MARK: usize = size_of::<(SinkName, SinkMark)>();
        let state = match &record.state {
            Some(Kept::Here(bytes)) => bytes.len(),
            Some(Kept::Apart(_)) | None => 0,
        };
        (ROW + resource.as_str().len() + state + record.marks.len() * MARK) as u64
    }
}

impl Seen {
    /// A memory of about this many bytes; with none, only for what lies between a load and its save.
    pub(super) fn new(bytes: usize) -> Self {
        let most = bytes.max(BYTES_LEAST);
        Self { rows: Cache::with_weighter(most / ROW_BYTES, most as u64, Bytes), serves_bases: bytes > 0 }
    }

    pub(super) fn get(&self, resource: &ResourceId) -> Option<Arc<Record>> {
        self.rows.get(resource)
    }

    /// A row of which everything is known here, for a save to be based on.
    pub(super) fn base(&self, resource: &ResourceId) -> Option<Arc<Record>> {
        self.get(resource).filter(|record| self.serves_bases && matches!(record.state, Some(Kept::Here(_))))
    }

    pub(super) fn at(&self, resource: &ResourceId, version: Version) -> Option<Arc<Record>> {
        self.get(resource).filter(|record| record.version == version)
    }

    /// Keeps what was read, unless more is known.
    pub(super) fn keep(&self, resource: &ResourceId, record: Arc<Record>) {
        if self.get(resource).is_none_or(|known| known.version <= record.version) {
            self.rows.insert(resource.clone(), record);
        }
    }

    /// Keeps what was written in the place of `base`; a state that was not written with it is the one before.
    pub(super) fn wrote(&self, resource: &ResourceId, base: Option<&Record>, record: &Record) {
        let known = self.get(resource).filter(|known| base.is_some_and(|base| base.write == known.write));
        let state = record.state.clone().or_else(|| known.and_then(|known| known.state.clone()));
        match state {
            Some(state) => {
                self.rows.insert(resource.clone(), Arc::new(Record { state: Some(state), ..record.clone() }));
            }
            None => self.forget(resource),
        }
    }

    pub(super) fn forget(&self, resource: &ResourceId) {
        self.rows.remove(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: Version, bytes: usize) -> Arc<Record> {
        let state = Some(Kept::Here(vec![7; bytes].into()));
        Arc::new(Record { version, write: version.to_string(), state, ..Record::default() })
    }

    #[test]
    fn ten_thousand_rows_stay_under_the_bound_and_the_last_ones_are_known() {
        let most = 8 << 20;
        let seen = Seen::new(most);
        for number in 0..10_000 {
            let resource = ResourceId::bucket("eu-west-1", &format!("bucket-{number}"));
            seen.keep(&resource, record(1, 1_000 + number % 3_000));
            assert!(seen.rows.weight() <= most as u64, "{} bytes after {number} rows", seen.rows.weight());
            assert!(seen.at(&resource, 1).is_some(), "a row is known until others push it out: {number}");
        }
        assert!(seen.rows.len() > 2_000, "{} rows", seen.rows.len());
    }

    #[test]
    fn an_older_read_does_not_replace_what_is_known_and_a_write_on_another_row_forgets_it() {
        let (seen, row) = (Seen::new(1 << 20), ResourceId::from("row"));
        seen.keep(&row, record(5, 10));
        seen.keep(&row, record(4, 10));
        assert_eq!(seen.get(&row).map(|record| record.version), Some(5));
        let marked = Record { version: 6, write: "6".into(), ..Record::default() };
        seen.wrote(&row, Some(&record(5, 10)), &marked);
        assert_eq!(seen.base(&row).map(|record| record.version), Some(6), "its state is the one before");
        seen.wrote(&row, Some(&record(5, 10)), &marked);
        assert_eq!(seen.get(&row), None, "whose state this is nobody knows");
    }
}
