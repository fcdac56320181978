//! Kinesis streams, read to the end: leases, shards in order, checkpoints.
//!
//! A [`ShardSource`] delivers [`ShardEvent`]s; its caller keeps a [`Cut`] of what it has handled and hands
//! that cut back as a checkpoint once it is durable. Nothing here knows what a record means.
//!
//! [`KinesisSource`] takes a [`Lease`] per shard from a [`LeaseStore`], reads each shard in order and its parents
//! before it, and renews what it holds until it is released. [`MemorySource`] has the shards in memory.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong"))]

mod aggregate;
mod cut;
mod denied;
mod kinesis;
mod leases;
mod memory;
mod record;
mod source;

pub use aggregate::Misplaced;
pub use cut::Cut;
pub use kinesis::{KinesisParams, KinesisSource, Reading, Start, Wire, kinesis_client, sdk_config};
pub use leases::{
    Change, Checkpoint, DynamoLeases, DynamoLeasesParams, Leader, Lease, LeaseStore, LeaseTable, SqliteLeases,
    UnreadableLease, Written, stream_name,
};
pub use memory::{Fault, FaultAt, MemoryInput, MemoryParams, MemorySource};
pub use record::{Batch, Epoch, Position, Record, ShardId};
pub use source::{Deliver, ShardEvent, ShardSource, SourceError, TakenFrom};
