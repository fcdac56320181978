//! Who reads which shard, and from where: one row per shard, in the terms of the Kinesis Client Library.

mod dynamodb;
mod sqlite;
mod words;

use std::time::Duration;

use async_trait::async_trait;

use crate::record::{Position, ShardId};
use crate::source::SourceError;

pub use dynamodb::{DynamoLeases, DynamoLeasesParams};
pub use sqlite::SqliteLeases;

/// The row of one shard.
///
/// `counter` grows by one with every write but [`Change::Ask`] and [`Change::Withdraw`], so it is heartbeat and fencing token in one: a writer
/// that names the counter it last saw is refused once anyone else has written. The counter at the moment of
/// taking is the [`crate::Epoch`] of that tenure; renewals and checkpoints move the counter on, not the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The lease key.
    pub shard: ShardId,
    /// The worker that reads the shard, or that will once `checkpoint_owner` has handed it over; absent when nobody
    /// does.
    pub owner: Option<String>,
    /// While the lease changes hands: the worker that still renews and checkpoints it. `owner` waits until this is
    /// absent.
    pub checkpoint_owner: Option<String>,
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
        Self {
            shard,
            owner: None,
            checkpoint_owner: None,
            counter: 0,
            start_timestamp_ms: checkpoint.timestamp_ms(),
            checkpoint,
            parents,
            children: Vec::new(),
            hash_keys: None,
        }
    }

    /// The worker that renews the lease: who hands it over, for as long as that takes, else the owner.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.checkpoint_owner.as_deref().or(self.owner.as_deref())
    }

    /// Whether everything of the shard has been handled.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.checkpoint == Position::ShardEnd
    }

    /// Whether `other` is the same version of this row: what every conditional write asks.
    #[must_use]
    pub fn is_unchanged(&self, other: &Self) -> bool {
        let version = |lease: &Self| (lease.counter, lease.owner.clone(), lease.checkpoint_owner.clone());
        version(self) == version(other)
    }

    /// Makes this the row that a landed `change` leaves.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Take { owner } => {
                self.owner = Some(owner.clone());
                self.checkpoint_owner = None;
            }
            Change::Renew { checkpoint, .. } => self.reach(checkpoint.as_ref()),
            Change::Ask { owner } => {
                self.checkpoint_owner = self.owner.replace(owner.clone());
                return;
            }
            Change::Withdraw => {
                self.owner = self.checkpoint_owner.take().or(self.owner.take());
                return;
            }
            Change::Release { checkpoint } => {
                self.reach(checkpoint.as_ref());
                if self.checkpoint_owner.take().is_none() {
                    self.owner = None;
                }
            }
            Change::Rewind { position } => {
                self.owner = None;
                self.checkpoint_owner = None;
                self.start_timestamp_ms = position.timestamp_ms();
                self.checkpoint = position.clone();
            }
        }
        self.counter += 1;
    }

    fn reach(&mut self, checkpoint: Option<&Checkpoint>) {
        if let Some(Checkpoint { position, children }) = checkpoint {
            self.checkpoint = position.clone();
            self.start_timestamp_ms = position.timestamp_ms().or(self.start_timestamp_ms);
            if !children.is_empty() {
                self.children.clone_from(children);
            }
        }
    }
}

/// A position to begin at, and what is known of the shards that follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Never before the stored one, unless the stream no longer holds that: the caller sees to it.
    pub position: Position,
    /// The shards that follow; none before the end of the shard, and what is stored then stays.
    pub children: Vec<ShardId>,
}

/// A conditional write. Each lands only on the very row that was seen: counter, owner and checkpoint owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This worker reads from now on. A hand-over that was under way is over.
    Take {
        /// Its name.
        owner: String,
    },
    /// The holder is alive; and, in the same write, the next tenure begins at `checkpoint`.
    Renew {
        /// What to begin with; absent: as it is.
        checkpoint: Option<Checkpoint>,
        /// The mean throughput of the shard, in KB/s, which other consumers of the table balance by.
        throughput_kbps: Option<u32>,
    },
    /// This worker asks for a lease that another one holds: that one becomes the checkpoint owner. The counter stays,
    /// for this is no sign of life of the holder.
    Ask {
        /// The name of the worker that asks.
        owner: String,
    },
    /// The worker that asked does not want the lease any more: it stays with its holder. The counter stays, too.
    Withdraw,
    /// The holder gives the lease up: to the worker that asked for it, else to nobody.
    Release {
        /// What to begin with; absent: as it is.
        checkpoint: Option<Checkpoint>,
    },
    /// A person sets the position; nobody owns the lease.
    Rewind {
        /// Anywhere.
        position: Position,
    },
}

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It landed: the row is what the writer believed, with [`Lease::apply`].
    Landed,
    /// Nothing was changed: the row is this one, or is not there.
    Refused(Option<Box<Lease>>),
}

/// Everything that a lease table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseTable {
    /// The rows of this application on this stream.
    pub leases: Vec<Lease>,
    /// Rows of shards that were not understood. They are left alone, and hold back none but their children.
    pub unreadable: Vec<UnreadableLease>,
    /// The leader of a fleet of another consumer library that balances the leases of this table, if there is one.
    pub leader: Option<Leader>,
}

/// A row that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableLease {
    /// The lease key.
    pub shard: ShardId,
    /// What is wrong with it, and what would mend it.
    pub why: String,
}

/// The heartbeat of a leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub name: String,
    /// Changes with each heartbeat.
    pub beat: String,
    /// A leader is dead when its beat has not changed for so long, by the observer's own clock.
    pub lasts: Duration,
}

/// The name of a stream that is given by its name or its ARN.
#[must_use]
pub fn stream_name(stream: &str) -> &str {
    stream.rsplit('/').next().unwrap_or(stream)
}

/// The leases of one application on one stream. DynamoDB and SQLite run every day.
///
/// Every error is worth another attempt. After one it is unknown whether a write landed: the caller repeats it, and if
/// that is refused by the very row that [`Lease::apply`] would have left, the first attempt had landed.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Every row, read consistently.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn list(&self) -> Result<LeaseTable, SourceError>;

    /// Writes the row, unless the shard has one; says whether it did.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn create(&self, lease: &Lease) -> Result<bool, SourceError>;

    /// Makes the change, if counter, owner and checkpoint owner are still those of `seen`. Nothing else of the row
    /// changes.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError>;

    /// Removes the row, if counter, owner and checkpoint owner are still those of `seen`; says whether it did.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn delete(&self, seen: &Lease) -> Result<bool, SourceError>;
}
