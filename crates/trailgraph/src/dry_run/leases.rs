//! Leases of this process alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use shard_consumer::{Change, Lease, LeaseStore, LeaseTable, ShardId, SourceError, Written};

/// A lease table that nobody else sees.
#[derive(Debug, Default)]
pub(super) struct RememberedLeases(Mutex<BTreeMap<ShardId, Lease>>);

impl RememberedLeases {
    /// As they are, but without their owners: reading begins at the stored checkpoints, beside whoever reads.
    pub(super) fn of(leases: Vec<Lease>) -> Self {
        let free = |lease: Lease| (lease.shard.clone(), Lease { owner: None, checkpoint_owner: None, ..lease });
        Self(Mutex::new(leases.into_iter().map(free).collect()))
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<ShardId, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LeaseStore for RememberedLeases {
    async fn list(&self) -> Result<LeaseTable, SourceError> {
        let leases = self.rows().values().cloned().collect();
        Ok(LeaseTable { leases, unreadable: Vec::new(), leader: None })
    }

    async fn create(&self, lease: &Lease) -> Result<bool, SourceError> {
        let mut rows = self.rows();
        let is_new = !rows.contains_key(&lease.shard);
        rows.entry(lease.shard.clone()).or_insert_with(|| lease.clone());
        Ok(is_new)
    }

    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        let mut rows = self.rows();
        match rows.get_mut(&seen.shard) {
            Some(lease) if lease.is_unchanged(seen) => {
                lease.apply(change);
                Ok(Written::Landed)
            }
            refusing => Ok(Written::Refused(refusing.map(|lease| Box::new(lease.clone())))),
        }
    }

    async fn delete(&self, seen: &Lease) -> Result<bool, SourceError> {
        let mut rows = self.rows();
        let is_seen = rows.get(&seen.shard).is_some_and(|lease| lease.is_unchanged(seen));
        if is_seen {
            rows.remove(&seen.shard);
        }
        Ok(is_seen)
    }
}
