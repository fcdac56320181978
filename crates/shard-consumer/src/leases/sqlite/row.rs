//! A lease as a row, and the statements that touch it.

use rusqlite::Row;
use rusqlite::types::Type;

use super::super::Lease;
use crate::record::{Position, ShardId};

pub(super) const SELECT: &str = "SELECT shard, owner, counter, checkpoint, checkpoint_sub_sequence, \
     start_timestamp_ms, parents, children, starting_hash_key, ending_hash_key \
     FROM leases WHERE app = ?1 AND stream = ?2";

pub(super) const INSERT: &str = "INSERT INTO leases (app, stream, shard, owner, counter, checkpoint, \
     checkpoint_sub_sequence, start_timestamp_ms, parents, children, starting_hash_key, ending_hash_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING";

pub(super) const UPDATE: &str = "UPDATE leases SET owner = ?4, counter = ?5, checkpoint = ?6, \
     checkpoint_sub_sequence = ?7, children = ?8 WHERE app = ?1 AND stream = ?2 AND shard = ?3";

pub(super) const DELETE: &str = "DELETE FROM leases WHERE app = ?1 AND stream = ?2 AND shard = ?3";

/// A position as the Kinesis Client Library writes it: a word or a sequence number, and the sub-sequence number.
/// A time is not in the word: it stands in the row's start timestamp.
pub(super) fn words(position: &Position) -> (&str, i64) {
    match position {
        Position::TrimHorizon => ("TRIM_HORIZON", 0),
        Position::AtTimestamp(_) => ("AT_TIMESTAMP", 0),
        Position::After { sequence, sub_sequence } => (sequence, sub_sequence.cast_signed()),
        Position::ShardEnd => ("SHARD_END", 0),
    }
}

fn position(word: &str, sub_sequence: i64, start_timestamp_ms: Option<i64>) -> Option<Position> {
    match word {
        "TRIM_HORIZON" => Some(Position::TrimHorizon),
        "AT_TIMESTAMP" => start_timestamp_ms.map(Position::AtTimestamp),
        "SHARD_END" => Some(Position::ShardEnd),
        digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Position::After { sequence: digits.into(), sub_sequence: sub_sequence.cast_unsigned() })
        }
        _ => None,
    }
}

/// Shard names have no spaces.
pub(super) fn joined(shards: &[ShardId]) -> String {
    shards.iter().map(ShardId::as_str).collect::<Vec<_>>().join(" ")
}

fn split(joined: &str) -> Vec<ShardId> {
    joined.split_whitespace().map(ShardId::from).collect()
}

pub(super) fn lease(row: &Row<'_>) -> rusqlite::Result<Lease> {
    let word: String = row.get(3)?;
    let start_timestamp_ms = row.get(5)?;
    let checkpoint = position(&word, row.get(4)?, start_timestamp_ms).ok_or_else(|| {
        let why = format!("{word:?} is no position; was the row written by hand?");
        rusqlite::Error::FromSqlConversionFailure(3, Type::Text, why.into())
    })?;
    let starting: Option<String> = row.get(8)?;
    Ok(Lease {
        shard: ShardId::from(row.get::<_, String>(0)?.as_str()),
        owner: row.get(1)?,
        counter: row.get::<_, i64>(2)?.cast_unsigned(),
        checkpoint,
        start_timestamp_ms,
        parents: split(&row.get::<_, String>(6)?),
        children: split(&row.get::<_, String>(7)?),
        hash_keys: starting.zip(row.get(9)?),
    })
}
