//! Rows as this worker last saw or wrote them.

use std::sync::Arc;

use bucket_state::ResourceId;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::record::{Kept, Record};
use crate::row::Version;

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
        // What maps and counters take besides.
        const ROW: usize = 200;
        const MARK: usize = 250;
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

    /// Rows and bytes kept.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.rows.len(), self.rows.weight())
    }
}
