//! Shards, positions in them, and the records between two positions.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The name of a shard, such as `shardId-000000000003`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(Arc<str>);

impl ShardId {
    /// The name as the service gives it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ShardId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One unbroken tenure of a lease: the lease's counter at the moment it was taken.
///
/// A lease that was lost and taken again has another epoch, so nothing read in the old tenure can be
/// checkpointed in the new one.
pub type Epoch = u64;

/// How far a shard has been read. Always exclusive: the record named has been handled.
///
/// Ordered by progress: the starts first, then sequence numbers by value, then the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before the oldest record that the stream still holds.
    TrimHorizon,
    /// Where the shard's tip was when another consumer library first heard of it: that library decides at the first
    /// read. Found in its rows only, and resolved to a time before anything is read.
    Latest,
    /// At a time that only the configuration of another consumer library knows. As [`Position::Latest`].
    AtUnknownTime,
    /// Before the first record that arrived at or after this time, in milliseconds since 1970.
    AtTimestamp(i64),
    /// After this record.
    After {
        /// The record's sequence number: decimal digits, of any length.
        sequence: Box<str>,
        /// The index of the last handled user record of an aggregated record; 0 otherwise.
        sub_sequence: u64,
    },
    /// After the last record of a closed shard.
    ShardEnd,
}

impl Position {
    fn rank(&self) -> u8 {
        match self {
            Self::TrimHorizon => 0,
            Self::Latest => 1,
            Self::AtUnknownTime => 2,
            Self::AtTimestamp(_) => 3,
            Self::After { .. } => 4,
            Self::ShardEnd => 5,
        }
    }

    /// The time, in milliseconds since 1970, if this is one.
    #[must_use]
    pub fn timestamp_ms(&self) -> Option<i64> {
        match self {
            Self::AtTimestamp(ms) => Some(*ms),
            _ => None,
        }
    }

    /// Whether this is a place to begin at, not one that reading has reached.
    #[must_use]
    pub fn is_start(&self) -> bool {
        !matches!(self, Self::After { .. } | Self::ShardEnd)
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::AtTimestamp(a), Self::AtTimestamp(b)) => a.cmp(b),
            (Self::After { sequence: a, sub_sequence: x }, Self::After { sequence: b, sub_sequence: y }) => {
                compare_decimal(a, b).then(x.cmp(y))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// Sequence numbers have up to 56 digits and more, so they are compared as text: longer is greater.
fn compare_decimal(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// One user record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Decimal digits, unique in the shard and growing.
    pub sequence_number: Box<str>,
    /// The index in an aggregated record; 0 otherwise.
    pub sub_sequence_number: u64,
    /// Absent on streams that distribute records themselves.
    pub partition_key: Option<String>,
    /// When the stream received the record, in milliseconds since 1970.
    pub arrived_ms: i64,
    /// The bytes that the producer sent.
    pub data: Vec<u8>,
}

impl Record {
    /// The position after this record.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::After { sequence: self.sequence_number.clone(), sub_sequence: self.sub_sequence_number }
    }
}

/// Consecutive records of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The shard that was read.
    pub shard: ShardId,
    /// The tenure of the lease under which it was read.
    pub epoch: Epoch,
    /// In shard order; may be empty.
    pub records: Vec<Record>,
    /// The position after everything that was read, after dropped user records too; the previous one where nothing new
    /// was.
    pub after: Position,
    /// How many user records, delivered or dropped, came by another shard than their key calls for: a producer aggregated them before the
    /// stream was resharded, or does not aggregate by key. 0 where the stream ignores producers' keys.
    pub misplaced: u64,
    /// How far this batch was behind the tip of the shard, in milliseconds, as the service says.
    pub behind_latest_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sequence: &str) -> Position {
        Position::After { sequence: sequence.into(), sub_sequence: 0 }
    }

    #[test]
    fn positions_are_ordered_by_progress() {
        let ordered = [
            Position::TrimHorizon,
            Position::AtTimestamp(5),
            after("9"),
            after("10"),
            after("00000000000000000000000000000000000000011"),
            after("49590338271490256608559692538361571095921575989136588898"),
            Position::ShardEnd,
        ];
        assert!(ordered.is_sorted());
        assert!(after("010") == after("010") && after("010").cmp(&after("10")).is_eq());
    }
}
