//! How large a state can become, and that this build reads whatever it writes.

mod support;

use bucket_state::{DecodeError, ResourceState};
use serde_json::{Value, json};

use support::*;

const STATE_BYTES_MAX: usize = 256 << 20;

/// A text that JSON makes six times as long.
fn control(bytes: usize) -> String {
    "\u{1}".repeat(bytes)
}

/// `record` with the longest identity and actor that are taken, told apart by `number`.
fn longest(number: usize, record: Value) -> Value {
    let long = |length: usize| format!("{number:04}{}", control(length - 4));
    let identity = json!({"arn": long(2_048)});
    with(
        record,
        json!({"eventID": long(128), "sharedEventID": long(128), "awsRegion": control(64), "userIdentity": identity}),
    )
}

#[test]
fn the_largest_state_is_read_back_as_it_was() {
    let key = |number: usize| format!("{number:04}{}", control(124));
    let tags = (0..1_000).map(|number| json!({"Key": key(number), "Value": control(256)})).collect::<Value>();
    let bodies = [
        ("PutBucketAcl", "AccessControlPolicy"),
        ("PutBucketPolicy", "bucketPolicy"),
        ("PutBucketPublicAccessBlock", "PublicAccessBlockConfiguration"),
        ("PutBucketEncryption", "ServerSideEncryptionConfiguration"),
        ("PutBucketVersioning", "VersioningConfiguration"),
        ("PutBucketLogging", "BucketLoggingStatus"),
        ("PutBucketTagging", "Tagging"),
    ];
    let mut calls: Vec<Value> =
        bodies.iter().map(|(call, key)| record(call, json!({*key: "x".repeat((128 << 10) - 50)}))).collect();
    calls.push(record("TagResource", json!({"resource": LEDGER, "TagResourceRequest": {"Tags": {"Tag": tags}}})));
    calls.push(record("DeleteBucket", json!({})));
    calls.extend((0..9).map(|_| record("CreateBucket", json!({}))));

    let mut state = ResourceState::default();
    // All in one second and each twice, so that every register is tied.
    for (number, call) in calls.iter().chain(&calls).enumerate() {
        state.fold(&event(&longest(number, call.clone())));
    }
    let bytes = serde_json::to_vec(&state).expect("a state is JSON").len();
    assert!((18 << 20..STATE_BYTES_MAX / 2).contains(&bytes), "{bytes} bytes");
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
