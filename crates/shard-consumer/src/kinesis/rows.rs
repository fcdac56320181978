//! The rows of shards: made before anybody reads them, cleared away when nobody needs them any more.

use std::collections::HashSet;

use super::stream::Shard;
use super::{Start, lineage};
use crate::leases::{LeaseStore, LeaseTable};
use crate::record::{Position, ShardId};
use crate::source::SourceError;

/// Makes the rows that `shards` lack; says whether there were any.
///
/// `shards` must hold every listed ancestor that has no row: a parent without a row counts as trimmed, so a row that
/// came before its parent's would be read before it.
pub(super) async fn make_rows(
    store: &dyn LeaseStore,
    shards: &[Shard],
    table: &LeaseTable,
    start: Start,
) -> Result<bool, SourceError> {
    let since_ms = table.leases.iter().filter_map(|lease| lease.start_timestamp_ms).min();
    let missing = lineage::missing(shards, &table.leases, &table.unreadable, &start.position(since_ms));
    for lease in &missing {
        store.create(lease).await?;
    }
    Ok(!missing.is_empty())
}

/// A lease table and the shards of its stream.
pub(super) struct House<'a> {
    pub(super) store: &'a dyn LeaseStore,
    pub(super) shards: &'a [Shard],
    /// The listing before that, if this one is new.
    pub(super) before: Option<&'a [Shard]>,
    pub(super) start: Start,
}

impl House<'_> {
    /// Makes the rows that are missing, and clears away those that a new listing makes obsolete. Says whether anything
    /// may have changed, and what has failed: that is tried again the next time, and holds back nothing else.
    pub(super) async fn keep(&self, table: &LeaseTable) -> (bool, Option<SourceError>) {
        let made = make_rows(self.store, self.shards, table, self.start).await;
        let mut changed = matches!(made, Ok(true) | Err(_));
        let mut failed = made.err();
        let obsolete = self.before.map(|before| lineage::obsolete([before, self.shards], &table.leases));
        for lease in obsolete.unwrap_or_default() {
            match self.store.delete(lease).await {
                Ok(done) => changed |= done,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        (changed, failed)
    }

    /// Warns of hash keys that nobody will ever read.
    pub(super) fn tell_holes(&self, stream: &str, table: &LeaseTable) {
        for (first, last) in lineage::holes(self.shards, &table.leases) {
            tracing::warn!(
                stream, %first, %last,
                "no unfinished lease covers these hash keys: their records are not read; `leases show` tells which open \
                 shard is marked as finished, and `leases rewind` mends it"
            );
        }
    }

    /// The shards of which nobody can say how far they were read: they have no row yet, or one that is not understood.
    pub(super) fn unknown(&self, table: &LeaseTable) -> HashSet<ShardId> {
        let missing = lineage::missing(self.shards, &table.leases, &table.unreadable, &Position::TrimHorizon);
        let unreadable = table.unreadable.iter().map(|unreadable| unreadable.shard.clone());
        missing.into_iter().map(|lease| lease.shard).chain(unreadable).collect()
    }
}
