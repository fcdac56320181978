//! A lease store that counts what is written to it: with DynamoDB, each write is paid for.

use std::sync::Arc;

use async_trait::async_trait;
use shard_consumer::{Change, Lease, LeaseStore, LeaseTable, SourceError, Written};

use crate::metrics::Metrics;

/// Passes everything on, and counts the writes.
pub struct CountedLeases {
    /// Where the leases are.
    pub leases: Arc<dyn LeaseStore>,
    /// Where writes are counted.
    pub metrics: Arc<Metrics>,
}

#[async_trait]
impl LeaseStore for CountedLeases {
    async fn list(&self) -> Result<LeaseTable, SourceError> {
        self.leases.list().await
    }

    async fn create(&self, lease: &Lease) -> Result<bool, SourceError> {
        self.metrics.lease_written();
        self.leases.create(lease).await
    }

    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        self.metrics.lease_written();
        self.leases.update(seen, change).await
    }

    async fn delete(&self, seen: &Lease) -> Result<bool, SourceError> {
        self.metrics.lease_written();
        self.leases.delete(seen).await
    }
}
