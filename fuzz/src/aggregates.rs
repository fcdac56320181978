//! What is promised of records that a producer packed into one.

use md5::{Digest, Md5};

use crate::ARRIVED_MS;
use crate::record::{Position, Record};
use crate::shard_consumer::aggregate::{Misplaced, Unpacked, Unpacker};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;
/// Of the smallest user record: tag and length, then an index and data that is empty.
const USER_BYTES_MIN: usize = 6;
const KEY_BYTES_MAX: usize = 16 << 20;
/// The last hash key of the lower of two shards.
const MIDDLE: u128 = u128::MAX / 2;

/// The tables of keys that [`packed`] makes.
const KEYS: [&str; 3] = ["ledger", "", "\u{fc}ber"];
const EXPLICIT_KEYS: [&str; 3] = ["0", "340282366920938463463374607431768211455", "no hash key"];

/// Takes `bytes` apart: as they are, as the message of an aggregate, and as user records, one a line, that are packed
/// here.
///
/// # Panics
/// Where what comes out is not what went in.
pub fn check(bytes: &[u8]) {
    laws(bytes.to_vec());
    laws(signed(bytes));
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let users = (0..).zip(&lines).map(|(sub_sequence_number, line)| Record {
        sub_sequence_number,
        partition_key: Some(KEYS[key(line)].to_owned()),
        ..record(line.to_vec())
    });
    let unpacked = laws(packed(&lines));
    assert!(unpacked.into_iter().eq(users), "what was packed is taken apart");
}

/// User records with these data, in one.
pub(crate) fn packed(data: &[&[u8]]) -> Vec<u8> {
    let users = data.iter().map(|data| {
        let explicit = match data.len() % 2 {
            0 => vec![0x10, key(data) as u8],
            _ => Vec::new(),
        };
        field(3, &[&[0x08, key(data) as u8], &explicit[..], &field(3, data)].concat())
    });
    let keys = KEYS.iter().map(|key| field(1, key.as_bytes()));
    let explicit_keys = EXPLICIT_KEYS.iter().map(|key| field(2, key.as_bytes()));
    signed(&keys.chain(explicit_keys).chain(users).collect::<Vec<_>>().concat())
}

/// The key of the table that a user record with this data has.
fn key(data: &[u8]) -> usize {
    data.first().map_or(0, |byte| usize::from(*byte) % KEYS.len())
}

/// A field of a protobuf message that has a length.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let (mut field, mut length) = (vec![tag << 3 | 2], bytes.len());
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    [&field, bytes].concat()
}

fn signed(message: &[u8]) -> Vec<u8> {
    [&MAGIC[..], message, &Md5::digest(message)].concat()
}

fn is_signed(bytes: &[u8]) -> bool {
    let message = bytes.strip_prefix(&MAGIC).and_then(<[u8]>::split_last_chunk::<DIGEST_BYTES>);
    message.is_some_and(|(message, digest)| *digest == <[u8; DIGEST_BYTES]>::from(Md5::digest(message)))
}

fn record(data: Vec<u8>) -> Record {
    let (sequence_number, partition_key) = ("495".into(), Some("of the aggregate".to_owned()));
    Record { sequence_number, sub_sequence_number: 0, partition_key, arrived_ms: ARRIVED_MS, data }
}

fn unpack(shard: Option<(u128, u128)>, data: &[u8], handled: &Position) -> Unpacked {
    let hash_keys = shard.map(|(first, last)| (first.to_string(), last.to_string()));
    Unpacker::new(hash_keys.as_ref(), Misplaced::Drop).unpack(record(data.to_vec()), handled)
}

/// Checks what comes of `data`, and returns it.
fn laws(data: Vec<u8>) -> Vec<Record> {
    let whole = record(data);
    let data = &whole.data;
    let Unpacked { records, misplaced, after } = unpack(None, data, &Position::TrimHorizon);
    assert_eq!(misplaced, 0, "without hash keys");
    assert_eq!(records.last().map(Record::position), Some(after), "the position after the last one");
    if records == [whole.clone()] {
        return records;
    }
    assert!(is_signed(data), "no aggregate, and taken apart all the same");
    assert!(USER_BYTES_MIN * records.len() <= data.len(), "{} user records", records.len());
    let key_bytes: usize = records.iter().filter_map(|user| user.partition_key.as_deref().map(str::len)).sum();
    assert!(key_bytes <= KEY_BYTES_MAX, "{key_bytes} bytes of keys");

    let mut rest = &data[..];
    for (sub_sequence, user) in (0..).zip(&records) {
        assert_eq!(user.sub_sequence_number, sub_sequence);
        assert_eq!((&user.sequence_number, user.arrived_ms), (&whole.sequence_number, whole.arrived_ms));
        let at = find(rest, &user.data).expect("the data of each lies behind that of the one before it");
        rest = &rest[at + user.data.len()..];
    }

    let (lower, upper) = (Some((0, MIDDLE)), Some((MIDDLE + 1, u128::MAX)));
    let halves = [lower, upper].map(|shard| unpack(shard, data, &Position::TrimHorizon));
    for half in &halves {
        assert!(
            half.records.iter().all(|user| records[user.sub_sequence_number as usize] == *user),
            "as without a shard"
        );
        assert!(half.records.is_sorted_by_key(|user| user.sub_sequence_number), "in order");
        assert_eq!(half.records.len() as u64 + half.misplaced, records.len() as u64, "delivered or counted");
        assert_eq!(half.after, records[records.len() - 1].position(), "also behind what was dropped");
    }
    let [lower, upper] = halves.map(|half| half.records.len());
    assert!(lower + upper >= records.len(), "each belongs to a shard");

    let middle = records.len() / 2;
    let resumed = unpack(None, data, &records[middle].position());
    assert_eq!(resumed.records, records[middle + 1..], "what lies behind the position that was handled");
    records
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
