//! The rows of shards, made before anybody reads them.

use super::stream::Shard;
use super::{Start, plan};
use crate::leases::{Lease, LeaseStore};
use crate::source::SourceError;

/// Makes the rows that `shards` lack; says whether there were any.
///
/// `shards` must hold every listed ancestor that has no row: a parent without a row counts as trimmed, so a row that
/// came before its parent's would be read before it.
pub(super) async fn make_rows(
    store: &dyn LeaseStore,
    shards: &[Shard],
    leases: &[Lease],
    start: Start,
) -> Result<bool, SourceError> {
    let since_ms = leases.iter().filter_map(|lease| lease.start_timestamp_ms).min();
    let missing = plan::missing(shards, leases, &start.position(since_ms));
    for lease in &missing {
        store.create(lease).await?;
    }
    Ok(!missing.is_empty())
}
