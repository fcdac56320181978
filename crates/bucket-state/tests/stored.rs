//! What is stored: small, bounded, and read by every later build.

use crate::support::samples::sample;
use crate::support::*;
use bucket_state::{AccountLevel, DecodeError, ResourceId, ResourceState, project};
use serde_json::{Value, json};

/// Written by the build that knew schema version 1, after eight events.
const VERSION_1: &[u8] = include_bytes!("fixtures/state-1.bin");
/// Written by it after the creation of a bucket in eu-west-1 that was then opened by its ACL. It passed over the facets
/// that it did not know.
const VERSION_1_BORN: &[u8] = include_bytes!("fixtures/state-1-born.bin");
/// What versions 2 and 3 are packed with. Changed in the least, it would give other values, or none, for all that is stored.
const DICTIONARY_2: &[u8] = include_bytes!("../src/codec/dictionary-2.txt");

fn shown(state: &ResourceState, names: &[&str]) -> Value {
    let snapshot = project(&ResourceId::from(LEDGER), state, AccountLevel::Silent);
    let bucket = snapshot.entities.iter().find(|entity| entity.key() == LEDGER).expect("it exists");
    names.iter().map(|name| ((*name).to_owned(), bucket.0.get(*name).cloned().unwrap_or_default())).collect()
}

#[test]
fn a_state_of_schema_version_1_is_read_and_goes_on() {
    let mut state = ResourceState::decode(VERSION_1).expect("an earlier version");
    let names = ["aclPublic", "policyPublic", "versioningEnabled", "loggingEnabled", "encryptionAlgorithm", "tag.team"];
    let expected = json!({
        "aclPublic": true, "policyPublic": true, "versioningEnabled": true, "loggingEnabled": null,
        "encryptionAlgorithm": "AES256", "tag.team": "billing",
    });
    assert_eq!(shown(&state, &names), expected);
    assert_eq!(shown(&state, &["contestedFacets"]), json!({"contestedFacets": ["versioning"]}));

    state.fold(event(&at(7.0, "PutBucketInventoryConfiguration", sample("PutBucketInventoryConfiguration"))));
    state.fold(event(&at(8.0, "DeleteBucketPolicy", json!({}))));
    let state = ResourceState::decode(&state.encode()).expect("just written");
    assert_eq!(
        shown(&state, &["inventoryEnabled", "policyPublic"]),
        json!({"inventoryEnabled": true, "policyPublic": false})
    );
}

#[test]
fn what_an_earlier_build_may_have_passed_over_has_no_default() {
    let mut state = ResourceState::decode(VERSION_1_BORN).expect("an earlier version");
    let names = ["aclPublic", "policyPublic", "restrictPublicBuckets", "objectOwnership", "websiteEnabled", "public"];
    let expected = json!({
        "aclPublic": true, "policyPublic": false, "restrictPublicBuckets": false, "objectOwnership": null,
        "websiteEnabled": null, "public": null,
    });
    assert_eq!(shown(&state, &names), expected);
    let state_now = ResourceState::decode(&state.encode()).expect("just written");
    assert_eq!(shown(&state_now, &names), expected, "it is not forgotten with the next write");

    state.fold(event(&at(50.0, "DeleteBucketOwnershipControls", json!({}))));
    assert_eq!(shown(&state, &["public", "websiteEnabled"]), json!({"public": true, "websiteEnabled": null}));
    state.fold(event(&at(51.0, "DeleteBucket", json!({}))));
    state.fold(event(&at(52.0, "CreateBucket", json!({}))));
    assert_eq!(shown(&state, &["public", "websiteEnabled"]), json!({"public": false, "websiteEnabled": false}));
}

#[test]
fn facets_are_stored_by_their_names_whatever_holds_them_in_memory() {
    let mut state = ResourceState::default();
    for call in ["PutBucketPolicy", "PutBucketInventoryConfiguration", "TagResource"] {
        state.fold(event(&at(1.0, call, sample(call))));
    }
    let json = serde_json::to_value(&state).expect("a state is JSON");
    for (member, key) in [("facets", "policy"), ("ids", "inventory"), ("tags", "stage")] {
        assert!(json[member][key].is_object(), "{member} has no {key}: {}", json[member]);
    }
}

#[test]
fn the_dictionary_of_version_2_is_what_it_was() {
    let mut sum = flate2::Crc::new();
    sum.update(DICTIONARY_2);
    assert_eq!((DICTIONARY_2.len(), sum.sum()), (7768, 0x4ab97acf));
}

#[test]
fn a_stored_state_of_which_a_byte_has_changed_is_damaged_or_means_the_same() {
    let bytes = terraform(1).encode();
    for (at, bit) in (0..bytes.len()).flat_map(|at| [1, 2, 128].map(|bit| (at, bit))) {
        let mut changed = bytes.clone();
        changed[at] ^= bit;
        match ResourceState::decode(&changed) {
            Err(DecodeError::Damaged(_)) => {}
            Err(DecodeError::Newer(_)) => assert_eq!(at, 0),
            // There are bits that mean nothing, and places elsewhere that hold the same text.
            Ok(state) => assert_eq!(state, terraform(1), "bit {bit} of byte {at}"),
        }
    }
    assert!(matches!(ResourceState::decode(&bytes[..3]), Err(DecodeError::Damaged(_))));
}

#[test]
fn a_state_of_a_newer_build_is_named_as_such_and_never_as_damaged() {
    let mut bytes = ResourceState::default().encode();
    bytes[0] += 1;
    assert!(matches!(ResourceState::decode(&bytes), Err(DecodeError::Newer(version)) if version == bytes[0]));
}

/// What `terraform apply` of a common module does to bucket number `number`: twelve calls within a minute, by one role.
fn terraform(number: u64) -> ResourceState {
    let mut random = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uuid = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let more = random.wrapping_mul(0x2545_F491_4F6C_DD1D);
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            random >> 32,
            random & 0xffff,
            more & 0xfff,
            more >> 52,
            more >> 16 & 0xffff_ffff_ffff
        )
    };
    let bucket = format!("acme-orders-artifacts-{number:04}");
    let arn = format!("arn:aws:s3:::{bucket}");
    let denied = json!({
        "Sid": "DenyPlainHttp", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")], "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    });
    let tags = json!([{"Key": "team", "Value": "orders"}, {"Key": "env", "Value": "production"}, {"Key": "managed-by", "Value": "terraform"}, {"Key": "cost-center", "Value": 4711}]);
    let calls = [
        (
            "CreateBucket",
            json!({"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1", "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/"}, "x-amz-object-ownership": "BucketOwnerEnforced"}),
        ),
        (
            "PutBucketTagging",
            json!({"Tagging": {"xmlns": "http://s3.amazonaws.com/doc/2006-03-01/", "TagSet": {"Tag": tags}}}),
        ),
        ("PutBucketPolicy", json!({"bucketPolicy": {"Version": "2012-10-17", "Statement": [denied]}})),
        ("PutBucketPublicAccessBlock", sample("PutBucketPublicAccessBlock")),
        ("PutBucketOwnershipControls", sample("PutBucketOwnershipControls")),
        ("PutBucketVersioning", sample("PutBucketVersioning")),
        ("PutBucketEncryption", sample("PutBucketEncryption")),
        ("PutBucketLogging", sample("PutBucketLogging")),
        ("PutBucketLifecycle", sample("PutBucketLifecycle")),
        ("PutBucketCors", sample("PutBucketCors")),
        ("PutBucketNotification", sample("PutBucketNotification")),
        ("PutBucketAcl", json!({"x-amz-acl": "private"})),
    ];
    let actor =
        format!("arn:aws:sts::111122223333:assumed-role/terraform-deploy/{}", 1_772_323_200_000_000 + number * 7_919);
    let mut state = ResourceState::default();
    for (second, (call, parameters)) in calls.into_iter().enumerate() {
        let members = json!({
            "eventTime": format!("2026-03-01T00:00:{second:02}Z"), "eventID": uuid(),
            "additionalEventData": {"endTime": 1_772_323_200_000_i64 + second as i64 * 1_000 + number as i64 % 1_000},
            "userIdentity": {"arn": actor}, "resources": null,
        });
        let record = with(record(call, with(parameters, json!({"bucketName": bucket}))), members);
        state.fold(event(&record));
    }
    state
}

#[test]
fn a_bucket_that_terraform_made_is_stored_in_less_than_a_kibibyte() {
    let mut sizes: Vec<usize> = (0..500).map(|number| terraform(number).encode().len()).collect();
    sizes.sort_unstable();
    let (median, p99) = (sizes[250], sizes[495]);
    println!("stored row: median {median} bytes, p99 {p99} bytes");
    assert!(median <= 1_024, "median {median} bytes, p99 {p99} bytes");
}

#[test]
fn ten_thousand_changes_of_tags_leave_a_state_as_small_as_the_thousand_that_are_kept() {
    let tagged = |changes: usize| {
        let mut state = ResourceState::default();
        for number in 0..changes {
            let tag = json!({"Tag": {"Key": format!("key-{number}"), "Value": format!("value-{number}")}});
            let (minute, second) = (number / 60 % 60, number % 60);
            let record = record("TagResource", json!({"resource": LEDGER, "TagResourceRequest": {"Tags": tag}}));
            let time =
                format!("2026-02-{:02}T{:02}:{minute:02}:{second:02}Z", 1 + number / 86_400, number / 3_600 % 24);
            state.fold(event(&with(record, json!({"eventTime": time, "eventID": format!("event-{number}")}))));
        }
        state.encode().len()
    };
    let (thousand, ten_thousand) = (tagged(1_000), tagged(10_000));
    println!("stored row: {thousand} bytes after 1,000 changes of tags, {ten_thousand} after 10,000");
    assert!(ten_thousand < thousand * 11 / 10, "{thousand} and {ten_thousand} bytes");
}

#[test]
fn a_stored_state_with_a_body_that_no_record_can_have_is_damaged() {
    use std::io::Write;
    let origin = json!({"s": 1, "i": "event-1", "e": "event-1"});
    let json = json!({"facets": {"policy": {"o": origin, "v": {"set": "no object"}}}}).to_string();
    let mut encoder = flate2::write::DeflateEncoder::new(vec![1], flate2::Compression::fast());
    encoder.write_all(json.as_bytes()).expect("memory takes every write");
    let decoded = ResourceState::decode(&encoder.finish().expect("memory takes every write"));
    assert!(matches!(decoded, Err(DecodeError::Damaged(_))), "{decoded:?}");
}
