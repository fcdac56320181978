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

    /// Makes this the row that a landed `change` leaves.
    pub fn apply(&mut self, change: &Change) {
        self.counter += 1;
        match change {
            Change::Take { owner } => self.owner = Some(owner.clone()),
            Change::Renew => {}
            Change::Checkpoint { position, children } => {
                self.checkpoint = position.clone();
                self.children.clone_from(children);
            }
            Change::Release => self.owner = None,
        }
    }
}

/// What a conditional write does besides moving the counter on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This worker is the owner.
    Take {
        /// Its name.
        owner: String,
    },
    /// Nothing else: the owner is alive.
    Renew,
    /// The next tenure begins here.
    Checkpoint {
        /// Never before the stored one, unless the stream no longer holds that: the caller sees to it.
        position: Position,
        /// The shards that follow; none before the end of the shard.
        children: Vec<ShardId>,
    },
    /// Nobody is the owner.
    Release,
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It landed: the row is what the writer believed, with [`Lease::apply`].
    Landed,
    /// Nothing was changed: the row is this one, or is not there.
    Refused(Option<Lease>),
}

/// The leases of one application on one stream. DynamoDB and SQLite run every day.
///
/// Every error is worth another attempt. After one it is unknown whether a write landed: the caller repeats it, and if
/// that is refused by a row of its own name with a counter of one more, the first attempt had landed.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Every row, read consistently.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn list(&self) -> Result<Vec<Lease>, SourceError>;

    /// Writes the row, unless the shard has one; says whether it did.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn create(&self, lease: &Lease) -> Result<bool, SourceError>;

    /// Makes the change, if owner and counter are still those of `seen`.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError>;

    /// Removes the row, whoever owns it.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn delete(&self, shard: &ShardId) -> Result<(), SourceError>;
}
