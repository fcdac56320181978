use std::ops::RangeInclusive;

use md5::{Digest, Md5};
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use serde_json::Value;

use super::message::{AggregatedRecord, AggregatedUserRecord, FIELDS_MAX, KEY_BYTES_MAX, MAGIC};
use super::{Misplaced, Unpacked, Unpacker};
use crate::record::{Position, Record};

const HALF: u128 = 1 << 127;

fn record(data: Vec<u8>) -> Record {
    let partition_key = Some("of the aggregate".to_owned());
    Record { sequence_number: "495".into(), sub_sequence_number: 0, partition_key, arrived_ms: 1_700, data }
}

/// Any message as an aggregate: the bytes around it are right.
fn signed(message: &[u8]) -> Vec<u8> {
    [&MAGIC[..], message, &Md5::digest(message)].concat()
}

fn user(key: u64, explicit: Option<u64>, data: &[u8]) -> AggregatedUserRecord {
    let (partition_key_index, data) = (Some(key), Some(data.to_vec()));
    AggregatedUserRecord { partition_key_index, explicit_hash_key_index: explicit, data }
}

fn message(keys: &[&str], explicit: &[&str], records: Vec<AggregatedUserRecord>) -> AggregatedRecord {
    let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    AggregatedRecord { partition_key_table: owned(keys), explicit_hash_key_table: owned(explicit), records }
}

fn unpacker(range: Option<RangeInclusive<u128>>, misplaced: Misplaced) -> Unpacker {
    let range = range.map(|range| (range.start().to_string(), range.end().to_string()));
    Unpacker::new(range.as_ref(), misplaced)
}

/// The user records, and how many of them are misplaced, where nothing is handled yet.
fn take_apart(unpacker: &Unpacker, record: Record) -> (Vec<Record>, u64) {
    let Unpacked { records, misplaced, .. } = unpacker.unpack(record, &Position::TrimHorizon);
    (records, misplaced)
}

fn unpack(data: Vec<u8>) -> Vec<Record> {
    take_apart(&unpacker(None, Misplaced::Drop), record(data)).0
}

fn is_plain(data: &[u8]) -> bool {
    let whole = unpacker(Some(0..=0), Misplaced::Drop);
    take_apart(&whole, record(data.to_vec())) == (vec![record(data.to_vec())], 0)
}

#[test]
fn another_encoders_aggregates_are_taken_apart_into_what_it_was_given() {
    let hex = |value: &Value| -> Vec<u8> {
        let digits = value.as_str().unwrap().as_bytes();
        digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    };
    let everywhere = unpacker(Some(0..=u128::MAX), Misplaced::Drop);
    let cases = include_str!("../../tests/aggregates/aggregates.jsonl");
    for case in cases.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let given = (0..).zip(case["records"].as_array().unwrap()).map(|(sub_sequence_number, given)| Record {
            sub_sequence_number,
            partition_key: given["key"].as_str().map(str::to_owned),
            ..record(hex(&given["data"]))
        });
        let (users, misplaced) = take_apart(&everywhere, record(hex(&case["aggregate"])));
        assert!(users == given.collect::<Vec<_>>(), "{}", case["name"]);
        assert_eq!(misplaced, 0, "no key is outside of all: {}", case["name"]);
    }
    assert_eq!(cases.lines().count(), 10);
}

#[test]
fn whatever_breaks_a_rule_of_the_format_is_delivered_as_it_came() {
    let good = message(&["a"], &["7"], vec![user(0, Some(0), b"x"), user(0, None, b"y")]);
    let with_last = |last| {
        let records = [good.records.clone(), vec![last]].concat();
        signed(&AggregatedRecord { records, ..good.clone() }.encode_to_vec())
    };
    let packed = signed(&good.encode_to_vec());
    assert_eq!(unpack(packed.clone()).len(), 2);
    let cases: [(&str, Vec<u8>); 16] = [
        ("nothing", Vec::new()),
        ("no magic number", b"{\"detail\":{}}".to_vec()),
        ("a part of the magic number", MAGIC[..3].to_vec()),
        ("only the magic number", MAGIC.to_vec()),
        ("no message", signed(b"")),
        ("one byte less", packed[..packed.len() - 1].to_vec()),
        ("one byte more", [&packed[..], b"x"].concat()),
        ("another digest", [&packed[..packed.len() - 1], &[!packed[packed.len() - 1]]].concat()),
        ("no protobuf", signed(b"{\"Records\":[]}")),
        ("a message that was cut", signed(&good.encode_to_vec()[..10])),
        ("no user record", signed(&message(&["a"], &[], Vec::new()).encode_to_vec())),
        ("no such partition key, at the end", with_last(user(1, None, b"z"))),
        ("no such explicit hash key", with_last(user(0, Some(u64::MAX), b"z"))),
        ("no index", with_last(AggregatedUserRecord { partition_key_index: None, ..user(0, None, b"z") })),
        ("no data", with_last(AggregatedUserRecord { data: None, ..user(0, None, b"z") })),
        ("a key that is not UTF-8", signed(&[&[0x0a, 1, 0xff][..], &good.encode_to_vec()].concat())),
    ];
    for (case, data) in cases {
        assert!(is_plain(&data), "{case}");
    }
}

#[test]
fn the_tags_of_a_user_record_and_fields_of_later_versions_are_passed_over() {
    // Field 4 of a user record is a tag with a key; field 9 of the message is unknown.
    let user = [&[0x08, 0, 0x1a, 1, b'x'][..], &[0x22, 3, 0x0a, 1, b't']].concat();
    let bytes = [&[0x0a, 1, b'a', 0x1a, user.len() as u8][..], &user, &[0x4a, 1, 0]].concat();
    let users = unpack(signed(&bytes));
    assert_eq!(users, [Record { partition_key: Some("a".into()), ..record(b"x".to_vec()) }]);
}

#[test]
fn an_aggregate_that_would_grow_beyond_all_measure_is_delivered_as_it_came() {
    let tiny = |count: usize| signed(&message(&["a"], &[], vec![user(0, None, b""); count]).encode_to_vec());
    assert_eq!(unpack(tiny(FIELDS_MAX - 1)).len(), FIELDS_MAX - 1, "and the key makes it the most");
    assert!(is_plain(&tiny(FIELDS_MAX)));
    let keys = signed(&[0x0a, 0].repeat(FIELDS_MAX + 1));
    assert!(is_plain(&keys));

    let key = "k".repeat(KEY_BYTES_MAX / 4);
    let long = |count: usize| signed(&message(&[&key], &[], vec![user(0, None, b""); count]).encode_to_vec());
    assert_eq!(unpack(long(4)).len(), 4);
    assert!(is_plain(&long(5)));
}

#[test]
fn an_explicit_hash_key_goes_before_the_partition_key() {
    // MD5 of "a" begins with 0x0c: it belongs to the lower half.
    let upper = HALF.to_string();
    let records = vec![user(0, None, b"lower"), user(0, Some(0), b"upper"), user(0, Some(1), b"no number")];
    let data = signed(&message(&["a"], &[&upper, "-1"], records).encode_to_vec());
    let unpacked = |range| {
        let (users, misplaced) = take_apart(&unpacker(range, Misplaced::Drop), record(data.clone()));
        (users.iter().map(|user| (user.sub_sequence_number, user.data.len())).collect::<Vec<_>>(), misplaced)
    };
    let (lower, upper, none) = ((0, 5), (1, 5), (2, 9));
    assert_eq!(unpacked(Some(0..=HALF - 1)), (vec![lower, none], 1));
    assert_eq!(unpacked(Some(HALF..=u128::MAX)), (vec![upper, none], 1));
    assert_eq!(unpacked(Some(HALF..=HALF)), (vec![upper, none], 1), "both bounds are of the range");
    assert_eq!(unpacked(None), (vec![lower, upper, none], 0), "nothing is judged without a range");
}

#[test]
fn nothing_is_judged_where_keys_do_not_decide_the_shard() {
    let data = signed(&message(&["a"], &[], vec![user(0, None, b"x")]).encode_to_vec());
    let elsewhere = unpacker(Some(HALF..=u128::MAX), Misplaced::Drop);
    assert_eq!(take_apart(&elsewhere, record(data.clone())), (Vec::new(), 1));
    let (users, misplaced) = take_apart(&elsewhere, Record { partition_key: None, ..record(data.clone()) });
    assert_eq!((users.len(), misplaced), (1, 0), "the stream has chosen the shard by itself");
    let unknown = Unpacker::new(Some(&("0".into(), "a shard's end".into())), Misplaced::Drop);
    assert_eq!(take_apart(&unknown, record(data)).1, 0);
}

#[test]
fn what_is_handled_is_left_out_and_not_counted_and_the_position_is_after_what_was_dropped() {
    // MD5 of "a" begins with 0x0c, and of "b" with 0x92: only the first belongs to the lower half.
    let users = [0, 1, 0, 1, 1].map(|key| user(key, None, b"x"));
    let data = signed(&message(&["a", "b"], &[], users.to_vec()).encode_to_vec());
    let after = |sub_sequence| Position::After { sequence: "495".into(), sub_sequence };
    let before = Position::After { sequence: "99".into(), sub_sequence: 7 };
    let cases: [(Position, &[u64], u64); 5] = [
        (Position::TrimHorizon, &[0, 2], 3),
        (before, &[0, 2], 3),
        (after(1), &[2], 2),
        (after(2), &[], 2),
        (after(4), &[], 0),
    ];
    for (handled, kept, counted) in cases {
        let unpacked = unpacker(Some(0..=HALF - 1), Misplaced::Drop).unpack(record(data.clone()), &handled);
        let numbers: Vec<u64> = unpacked.records.iter().map(|user| user.sub_sequence_number).collect();
        assert_eq!((numbers.as_slice(), unpacked.misplaced, unpacked.after), (kept, counted, after(4)), "{handled:?}");
    }
    let plain = |handled| unpacker(None, Misplaced::Drop).unpack(record(b"x".to_vec()), &handled);
    assert_eq!(plain(after(0)), Unpacked { records: Vec::new(), misplaced: 0, after: after(0) });
    assert_eq!((plain(Position::TrimHorizon).records.len(), plain(Position::TrimHorizon).after), (1, after(0)));
}

fn aggregates() -> impl Strategy<Value = AggregatedRecord> {
    let keys = proptest::collection::vec(any::<String>(), 1..5);
    let explicit = proptest::collection::vec(any::<u128>(), 1..3);
    let data = proptest::collection::vec(any::<u8>(), 0..9);
    let users = proptest::collection::vec((any::<Index>(), any::<Option<Index>>(), data), 1..9);
    (keys, explicit, users).prop_map(|(keys, explicit, users)| {
        let position = |index: Index, length| index.index(length) as u64;
        let users = users.iter().map(|(key, other, data)| {
            user(position(*key, keys.len()), other.map(|other| position(other, explicit.len())), data)
        });
        let records = users.collect();
        let explicit_hash_key_table = explicit.iter().map(u128::to_string).collect();
        AggregatedRecord { partition_key_table: keys, explicit_hash_key_table, records }
    })
}

/// What may come of bytes: they themselves, or user records in order.
fn judge(data: Vec<u8>) -> Result<(), TestCaseError> {
    let users = unpack(data.clone());
    if users != [record(data)] {
        let numbers = users.iter().map(|user| user.sub_sequence_number);
        prop_assert!(numbers.eq(0..users.len() as u64) && users.iter().all(|user| user.arrived_ms == 1_700));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        judge(bytes.clone())?;
        judge([&MAGIC[..], &bytes].concat())?;
        judge(signed(&bytes))?;
    }

    #[test]
    fn any_mutation_of_an_aggregate_is_survived(
        aggregate in aggregates(),
        edits in proptest::collection::vec((any::<Index>(), any::<u8>(), any::<bool>()), 1..4),
    ) {
        let mut message = aggregate.encode_to_vec();
        for (at, byte, insert) in edits {
            let at = at.index(message.len());
            if insert { message.insert(at, byte) } else { message[at] = byte }
        }
        judge(signed(&message))?;
    }

    #[test]
    fn two_halves_of_the_keys_deliver_every_user_record_once(aggregate in aggregates()) {
        let data = signed(&aggregate.encode_to_vec());
        let deliver = |range, misplaced| take_apart(&unpacker(Some(range), misplaced), record(data.clone()));
        let (mut users, below) = deliver(0..=HALF - 1, Misplaced::Drop);
        let (above, over) = deliver(HALF..=u128::MAX, Misplaced::Drop);
        prop_assert_eq!(below, above.len() as u64);
        prop_assert_eq!(over, users.len() as u64);
        users.extend(above);
        users.sort_by_key(|user| user.sub_sequence_number);
        prop_assert_eq!(&users, &unpack(data.clone()));
        let data_of = |user: &AggregatedUserRecord| user.data.clone().unwrap();
        prop_assert!(users.iter().map(|user| user.data.clone()).eq(aggregate.records.iter().map(data_of)));
        prop_assert_eq!(deliver(0..=HALF - 1, Misplaced::Deliver), (users, below), "delivered, and counted all the same");
    }
}
