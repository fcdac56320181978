//! A lease as a row, and the statements that touch it.

use rusqlite::Row;

use super::super::{Lease, UnreadableLease, words};
use crate::record::ShardId;

pub(super) const SELECT: &str = "SELECT shard, owner, checkpoint_owner, counter, checkpoint, checkpoint_sub_sequence, \
     start_timestamp_ms, parents, children, starting_hash_key, ending_hash_key \
     FROM leases WHERE app = ?1 AND stream = ?2";

pub(super) const INSERT: &str = "INSERT INTO leases (app, stream, shard, owner, checkpoint_owner, counter, checkpoint, \
     checkpoint_sub_sequence, start_timestamp_ms, parents, children, starting_hash_key, ending_hash_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING";

pub(super) const UPDATE: &str = "UPDATE leases SET owner = ?4, checkpoint_owner = ?5, counter = ?6, checkpoint = ?7, \
     checkpoint_sub_sequence = ?8, start_timestamp_ms = ?9, children = ?10 \
     WHERE app = ?1 AND stream = ?2 AND shard = ?3";

pub(super) const DELETE: &str = "DELETE FROM leases WHERE app = ?1 AND stream = ?2 AND shard = ?3 \
     AND owner IS ?4 AND checkpoint_owner IS ?5 AND counter = ?6";

/// Shard names have no spaces.
pub(super) fn joined(shards: &[ShardId]) -> String {
    shards.iter().map(ShardId::as_str).collect::<Vec<_>>().join(" ")
}

fn split(joined: &str) -> Vec<ShardId> {
    joined.split_whitespace().map(ShardId::from).collect()
}

/// The lease; or why the row, which others may write to, is none.
pub(super) fn lease(row: &Row<'_>) -> rusqlite::Result<Result<Lease, UnreadableLease>> {
    let shard = ShardId::from(row.get::<_, String>(0)?.as_str());
    let word: String = row.get(4)?;
    let start_timestamp_ms = row.get(6)?;
    let sub_sequence: i64 = row.get(5)?;
    let Some(checkpoint) = words::position(&word, sub_sequence.cast_unsigned(), start_timestamp_ms) else {
        let why = format!("its checkpoint is {}, which is no position: {}", words::quoted(&word), words::MEND);
        return Ok(Err(UnreadableLease { shard, why }));
    };
    let starting: Option<String> = row.get(9)?;
    Ok(Ok(Lease {
        shard,
        owner: row.get(1)?,
        checkpoint_owner: row.get(2)?,
        counter: row.get::<_, i64>(3)?.cast_unsigned(),
        checkpoint,
        start_timestamp_ms,
        parents: split(&row.get::<_, String>(7)?),
        children: split(&row.get::<_, String>(8)?),
        hash_keys: starting.zip(row.get(10)?),
    }))
}
