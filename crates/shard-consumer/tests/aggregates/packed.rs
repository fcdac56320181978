//! What another encoder packed, and what it was given.

use md5::{Digest, Md5};
use serde_json::Value;

pub(crate) struct Packed {
    name: String,
    pub(crate) aggregate: Vec<u8>,
    /// Partition key and data of each user record.
    pub(crate) users: Vec<(String, Vec<u8>)>,
    /// Where each belongs: its explicit hash key, else that of its partition key.
    pub(crate) hashes: Vec<u128>,
}

pub(crate) fn packed() -> Vec<Packed> {
    let cases: Vec<Packed> = include_str!("aggregates.jsonl").lines().map(read).collect();
    assert_eq!(cases.len(), 10);
    cases
}

pub(crate) fn packed_as(name: &str) -> Packed {
    packed().into_iter().find(|packed| packed.name == name).unwrap()
}

fn read(line: &str) -> Packed {
    let case: Value = serde_json::from_str(line).unwrap();
    let given = case["records"].as_array().unwrap();
    let key = |given: &Value| given["key"].as_str().unwrap().to_owned();
    let hash = |given: &Value| match given["explicit"].as_str() {
        Some(explicit) => explicit.parse().unwrap(),
        None => u128::from_be_bytes(Md5::digest(key(given)).into()),
    };
    Packed {
        name: case["name"].as_str().unwrap().to_owned(),
        aggregate: hex(&case["aggregate"]),
        users: given.iter().map(|given| (key(given), hex(&given["data"]))).collect(),
        hashes: given.iter().map(hash).collect(),
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap().as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
