//! How large a state can become, and that this build reads whatever it writes.

use bucket_state::{DecodeError, ResourceState, supported};
use serde_json::{Value, json};

use crate::support::samples::sample;
use crate::support::*;

const STATE_BYTES_MAX: usize = 256 << 20;

/// A text that JSON makes six times as long.
fn control(bytes: usize) -> String {
    "\u{1}".repeat(bytes)
}

/// `record` with the longest identity and actor that are taken, told apart by `number`.
fn longest(number: usize, record: Value) -> Value {
    let long = |length: usize| format!("{number:05}{}", control(length - 5));
    let identity = json!({"arn": long(2_048)});
    with(
        record,
        json!({"eventID": long(128), "sharedEventID": long(128), "awsRegion": control(64), "userIdentity": identity}),
    )
}

/// The member of the largest value.
fn largest(members: &serde_json::Map<String, Value>) -> Option<(String, &Value)> {
    let objects = members.iter().filter(|(_, value)| value.is_object());
    objects.max_by_key(|(_, value)| value.to_string().len()).map(|(key, value)| (key.clone(), value))
}

#[test]
fn the_largest_state_is_read_back_as_it_was() {
    let key = |number: usize| format!("{number:04}{}", control(124));
    let tags = (0..1_000).map(|number| json!({"Key": key(number), "Value": control(256)})).collect::<Value>();
    let body = json!({"x": "x".repeat((128 << 10) - 100)});
    let mut calls = Vec::new();
    for call in
        supported().iter().filter(|call| !["AccessPoint", "Account"].iter().any(|other| call.name.contains(other)))
    {
        let Some((root, _)) = sample(call.name).as_object().and_then(largest) else { continue };
        calls.push(record(
            call.name,
            json!({root: if call.name == "PutBucketPolicy" { json!({}) } else { body.clone() }}),
        ));
    }
    let id = |number: usize| format!("{number:04}{}", control(60));
    let report =
        |number: usize| json!({"id": id(number), "InventoryConfiguration": {"x": "x".repeat((8 << 10) - 100)}});
    calls.extend((0..2_000).map(|number| record("PutBucketInventoryConfiguration", report(number))));
    for call in
        ["PutBucketAnalyticsConfiguration", "PutBucketMetricsConfiguration", "PutBucketIntelligentTieringConfiguration"]
    {
        calls.extend((0..2_000).map(|number| record(call, json!({"id": id(number)}))));
    }
    calls.push(record("TagResource", json!({"resource": LEDGER, "TagResourceRequest": {"Tags": {"Tag": tags}}})));
    calls.push(record("DeleteBucket", json!({})));
    calls.extend((0..9).map(|_| record("CreateBucket", json!({}))));

    let mut state = ResourceState::default();
    // All in one second and each twice, so that every register is tied.
    for (number, call) in calls.iter().chain(&calls).enumerate() {
        state.fold(event(&longest(number, call.clone())));
    }
    let bytes = serde_json::to_vec(&state).expect("a state is JSON").len();
    println!("the largest state: {} MiB", bytes >> 20);
    assert!((140 << 20..STATE_BYTES_MAX * 3 / 4).contains(&bytes), "{bytes} bytes");
    assert_eq!(ResourceState::decode(&state.encode()).expect("just encoded"), state);
}

#[test]
fn a_stored_state_that_swells_beyond_the_limit_is_damaged_and_says_so() {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(vec![1], flate2::Compression::fast());
    let spaces = vec![b' '; STATE_BYTES_MAX - 1];
    encoder.write_all(b"{}").and_then(|()| encoder.write_all(&spaces)).expect("memory takes every write");
    let error = ResourceState::decode(&encoder.finish().expect("memory takes every write")).expect_err("too large");
    assert!(matches!(error, DecodeError::Damaged(_)));
    assert_eq!(error.to_string(), "the state is damaged: it is larger than 256 MiB");
}
