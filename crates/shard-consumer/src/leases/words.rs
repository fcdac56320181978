//! Positions as the Kinesis Client Library writes them.

use crate::record::Position;

/// What mends a row whose position is not understood.
pub(super) const MEND: &str = "set it to the sequence number that was handled last, to TRIM_HORIZON or to SHARD_END";

/// What a row says, short enough for a log.
pub(super) fn quoted(word: &str) -> String {
    const MOST: usize = 60;
    match word.char_indices().nth(MOST) {
        None => format!("{word:?}"),
        Some((cut, _)) => format!("{:?} and more", &word[..cut]),
    }
}

/// A word or a sequence number, and the sub-sequence number. A time is not in the word: it stands in the row's start
/// timestamp.
pub(super) fn of(position: &Position) -> (&str, u64) {
    match position {
        Position::TrimHorizon => ("TRIM_HORIZON", 0),
        Position::Latest => ("LATEST", 0),
        Position::AtUnknownTime | Position::AtTimestamp(_) => ("AT_TIMESTAMP", 0),
        Position::After { sequence, sub_sequence } => (sequence, *sub_sequence),
        Position::ShardEnd => ("SHARD_END", 0),
    }
}

/// The position; none if `word` is no word that anybody writes.
pub(super) fn position(word: &str, sub_sequence: u64, start_timestamp_ms: Option<i64>) -> Option<Position> {
    match word {
        "TRIM_HORIZON" => Some(Position::TrimHorizon),
        "LATEST" => Some(Position::Latest),
        "AT_TIMESTAMP" => Some(start_timestamp_ms.map_or(Position::AtUnknownTime, Position::AtTimestamp)),
        "SHARD_END" => Some(Position::ShardEnd),
        digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Position::After { sequence: digits.into(), sub_sequence })
        }
        _ => None,
    }
}
