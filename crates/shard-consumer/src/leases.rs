//! Who reads which shard, and from where: one row per shard, in the terms of the Kinesis Client Library.

mod sqlite;

use async_trait::async_trait;

use crate::record::{Position, ShardId};
use crate::source::SourceError;

pub use sqlite::SqliteLeases;

/// The row of one shard.
///
/// `counter` grows by one with every conditional write, so it is heartbeat and fencing token in one: a writer
/// that names the counter it last saw is refused once anyone else has written. The counter at the moment of
/// taking is the [`crate::Epoch`] of that tenure; renewals and checkpoints move the counter on, not the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The lease key.
    pub shard: ShardId,
    /// The worker that reads the shard; absent when nobody does.
    pub owner: Option<String>,
    /// How often the row has been written.
    pub counter: u64,
    /// Where the next tenure begins.
    pub checkpoint: Position,
    /// The time at which reading began, in milliseconds since 1970, where it began at a time. Written once, so
    /// that "latest" means the same instant after a restart.
    pub start_timestamp_ms: Option<i64>,
    /// The shards that this one was split or merged from.
    pub parents: Vec<ShardId>,
    /// The shards that follow this one; known from its end on.
    pub children: Vec<ShardId>,
    /// The first and last hash key, decimal and inclusive, if known.
    pub hash_keys: Option<(String, String)>,
}

impl Lease {
    /// A row that nobody has owned yet.
    #[must_use]
    pub fn unowned(shard: ShardId, checkpoint: Position, parents: Vec<ShardId>) -> Self {
        let start_timestamp_ms = match checkpoint {
            Position::AtTimestamp(ms) => Some(ms),
            _ => None,
        };
        Self {
            shard,
            owner: None,
            counter: 0,
            checkpoint,
            start_timestamp_ms,
            parents,
            children: Vec::new(),
            hash_keys: None,
        }
    }
}

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It landed: the row's counter is now one more.
    Landed,
    /// The row is not as the writer believed; nothing was changed.
    Refused,
}

/// The leases of one application on one stream. DynamoDB and SQLite run every day.
///
/// After an error it is unknown whether a write landed. The caller then repeats it; where that is refused, it reads
/// the row again: its own name with a counter of one more means that the first attempt had landed.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Every row, read consistently.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn list(&self) -> Result<Vec<Lease>, SourceError>;

    /// The row of `shard`, read consistently.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn get(&self, shard: &ShardId) -> Result<Option<Lease>, SourceError>;

    /// Writes the row, unless the shard has one; says whether it did.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn create(&self, lease: &Lease) -> Result<bool, SourceError>;

    /// Makes `owner` the owner, if the counter is still that of `seen`.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn take(&self, seen: &Lease, owner: &str) -> Result<Written, SourceError>;

    /// Moves the counter on, if owner and counter are still those of `held`.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn renew(&self, held: &Lease) -> Result<Written, SourceError>;

    /// Writes `position` and `children`, if owner and counter are still those of `held`. That condition means that
    /// the stored position is `held.checkpoint`, so it is the caller who sees to it that positions only grow.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn checkpoint(&self, held: &Lease, position: &Position, children: &[ShardId])
    -> Result<Written, SourceError>;

    /// Removes the owner, if owner and counter are still those of `held`.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn release(&self, held: &Lease) -> Result<Written, SourceError>;

    /// Removes the row, whoever owns it.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn delete(&self, shard: &ShardId) -> Result<(), SourceError>;
}
