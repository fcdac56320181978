//! The lease table in memory, and a worker's view of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use shard_consumer::{Change, Lease, LeaseStore, LeaseTable, ShardId, SourceError, Written};

use crate::calls::{Calls, NoAnswer};
use crate::planted::Planted;
use crate::witness::Witness;

/// One row for each shard.
pub(crate) type Table = BTreeMap<ShardId, Lease>;

pub(crate) struct WorkerLeases {
    pub(crate) table: Arc<Mutex<Table>>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) planted: Option<Planted>,
}

fn failed(_: NoAnswer) -> SourceError {
    SourceError::Failed { what: "use the leases".into(), source: "no answer".into() }
}

impl WorkerLeases {
    async fn on<T: Send + 'static>(
        &self,
        what: &'static str,
        act: impl FnOnce(&mut Table) -> T + Send + 'static,
    ) -> Result<T, SourceError> {
        let table = Arc::clone(&self.table);
        let call = self.calls.make(what, move || act(&mut table.lock().unwrap_or_else(PoisonError::into_inner)));
        call.await.map_err(failed)
    }
}

#[async_trait]
impl LeaseStore for WorkerLeases {
    async fn list(&self) -> Result<LeaseTable, SourceError> {
        let leases = self.on("list leases", |table| table.values().cloned().collect()).await?;
        Ok(LeaseTable { leases, ..LeaseTable::default() })
    }

    async fn create(&self, lease: &Lease) -> Result<bool, SourceError> {
        let lease = lease.clone();
        self.on("create a lease", move |table| {
            let is_new = !table.contains_key(&lease.shard);
            table.entry(lease.shard.clone()).or_insert(lease);
            is_new
        })
        .await
    }

    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        let (seen, change, witness) = (seen.clone(), change.clone(), Arc::clone(&self.witness));
        let worker = self.calls.worker.clone();
        let is_renewal = matches!(change, Change::Renew { .. });
        let written = self.on("update a lease", move |table| {
            let Some(row) = table.get_mut(&seen.shard) else { return Written::Refused(None) };
            if !row.is_unchanged(&seen) {
                return Written::Refused(Some(Box::new(row.clone())));
            }
            let before = row.checkpoint.clone();
            row.apply(&change);
            witness.trace(&worker, format_args!("lease of {}: {change:?}", row.shard));
            witness.checkpointed(&row.shard, &before, &row.checkpoint);
            Written::Landed
        });
        let written = written.await;
        if is_renewal && self.planted == Some(Planted::NoLeaseFence) {
            return Ok(Written::Landed);
        }
        written
    }

    async fn delete(&self, seen: &Lease) -> Result<bool, SourceError> {
        let seen = seen.clone();
        self.on("delete a lease", move |table| {
            let is_seen = table.get(&seen.shard).is_some_and(|row| row.is_unchanged(&seen));
            if is_seen {
                table.remove(&seen.shard);
            }
            is_seen
        })
        .await
    }
}
