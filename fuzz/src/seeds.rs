//! The inputs that fuzzing begins with, and the dictionary: all made of the samples of the calls.

use std::collections::BTreeMap;

use bucket_state::{Event, ResourceState, supported};
use serde_json::{Value, json};

use crate::aggregates::packed;
use crate::answers;
use crate::mutate::written;
use crate::pieces::{KEYS, VALUES};
use crate::rows::ATTRIBUTES;
use crate::support::samples::sample;
use crate::support::{at, dead_letter, envelope, gzip, log_message, named, with, without};

const ARRIVED: &str = "2026-03-01T00:01:00Z";

/// The types of DynamoDB's attributes.
const TYPES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"];
/// What the attributes of a lease say.
const WORDS: [&str; 5] = ["LEASE", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "SHARD_END"];
const PERMIT_KEYS: [&str; 5] = ["accounts", "regions", "jupiterone", "account", "apiKeySecret"];

/// A file: `TARGET/NAME`, and what is in it.
pub type Seed = (String, Vec<u8>);

/// Every seed of every target.
pub fn all() -> Vec<Seed> {
    let histories = histories();
    let named = |target: &str, (name, bytes): Seed| (format!("{target}/{name}"), bytes);
    let forms = forms().into_iter().map(|seed| named("parse", seed));
    let states = histories.iter().flat_map(states).map(|seed| named("decode", seed));
    let lines = histories.iter().map(|(name, records)| (name.clone(), lines(records)));
    let folded = lines.map(|seed| named("parse_fold_project", seed));
    let aggregates = aggregates().into_iter().map(|seed| named("aggregate", seed));
    let rows = rows().into_iter().map(|seed| named("lease_row", seed));
    let permits = permits().into_iter().map(|seed| named("permit", seed));
    forms.chain(folded).chain(states).chain(aggregates).chain(rows).chain(permits).collect()
}

/// The words of records in libFuzzer's own form: one a line, in quotes.
pub fn dictionary() -> String {
    let names = supported().iter().flat_map(|call| [call.name].into_iter().chain(call.aliases.iter().copied()));
    let texts = VALUES.iter().filter_map(Value::as_str).chain(WORDS);
    let keys = KEYS.iter().map(String::as_str).chain(ATTRIBUTES).chain(TYPES).chain(PERMIT_KEYS);
    let words = names.map(quoted).chain(keys.map(|key| format!("{}:", quoted(key)))).chain(texts.map(quoted));
    let literals = ["null", "true", "false", "{}", "[]", "\"\"", ",{", "},", "\\u0000", "1e999"];
    let mut lines: Vec<String> =
        words.chain(literals.map(str::to_owned)).map(|word| Value::from(word).to_string()).collect();
    lines.sort();
    lines.dedup();
    lines.join("\n") + "\n"
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// One record after the other, by facet: what its calls do to a new resource.
fn histories() -> BTreeMap<String, Vec<Value>> {
    let mut histories: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for call in supported() {
        let history =
            histories.entry(call.facet().to_owned()).or_insert_with(|| vec![at(0.0, "CreateBucket", json!({}))]);
        let second = history.len() as f64;
        history.push(at(second, call.name, sample(call.name)));
    }
    let put = |second: f64, call: &str| at(second, call, sample(call));
    histories.insert(
        "exposure".into(),
        vec![
            with(put(0.0, "CreateBucket"), json!({"awsRegion": "us-east-1"})),
            put(1.0, "PutBucketPolicy"),
            put(1.0, "PutBucketAcl"),
            put(2.0, "PutBucketPublicAccessBlock"),
            put(3.0, "PutAccountPublicAccessBlock"),
            put(4.0, "DeleteBucketPublicAccessBlock"),
        ],
    );
    histories.insert(
        "one-second".into(),
        vec![
            named("a", put(1.0, "PutBucketVersioning")),
            named("b", put(1.25, "CreateBucket")),
            named("c", put(1.5, "DeleteBucket")),
            named("d", put(1.0, "TagResource")),
            named("e", put(1.5, "UntagResource")),
        ],
    );
    histories.insert(
        "two-copies".into(),
        vec![
            with(put(1.0, "PutBucketTagging"), json!({"sharedEventID": "shared-1"})),
            with(
                without(put(1.0, "PutBucketTagging"), &["resources"]),
                json!({
                    "sharedEventID": "shared-1", "eventID": "copy", "recipientAccountId": "444455556666",
                    "requestParameters": {"bucketName": "ledger", "omitted": true},
                }),
            ),
        ],
    );
    histories
}

fn lines(records: &[Value]) -> Vec<u8> {
    records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n").into_bytes()
}

/// The states of one history, as they are stored.
fn states((name, records): (&String, &Vec<Value>)) -> Vec<Seed> {
    let mut states: BTreeMap<String, ResourceState> = BTreeMap::new();
    let events = records.iter().flat_map(|record| answers::events(record.to_string().as_bytes()));
    let fold = |event: Event| states.entry(event.resource.name().to_owned()).or_default().fold(event);
    events.for_each(fold);
    states.into_iter().map(|(resource, state)| (format!("{name}-{resource}"), state.encode())).collect()
}

/// The forms in which records travel.
fn forms() -> Vec<Seed> {
    let record = |call: &str| at(1.0, call, sample(call));
    let bytes = written;
    let record_bytes = |call: &str| bytes(record(call));
    let both = [record("CreateAccessPoint").to_string(), record("PutBucketCors").to_string()];
    let website = String::from_utf8_lossy(&bytes(envelope(&record("PutBucketWebsite")))).into_owned();
    let forms = [
        ("bare", record_bytes("CreateBucket")),
        ("bare-account", record_bytes("PutAccountPublicAccessBlock")),
        ("bare-failed", bytes(with(record("PutBucketPolicy"), json!({"errorCode": "AccessDenied"})))),
        ("bare-other-call", record_bytes("GetBucketAcl")),
        ("bare-pretty", format!("\u{feff}{:#}", record("TagResource")).into_bytes()),
        ("envelope", bytes(envelope(&record("PutBucketAcl")))),
        ("envelope-escaped", website.replace("https", "\\u0068ttps").into_bytes()),
        ("envelope-other", bytes(json!({"detail-type": "Object Created", "detail": {"version": "0"}}))),
        ("records-file", bytes(json!({"Records": [record("PutBucketLogging"), record("DeleteBucketCors"), 7]}))),
        ("log-message", bytes(log_message("DATA_MESSAGE", &both.each_ref().map(String::as_str)))),
        ("log-control", bytes(log_message("CONTROL_MESSAGE", &["checking"]))),
        ("dead-letter", bytes(dead_letter(&record_bytes("DeleteBucket"), ARRIVED))),
        ("dead-letter-gzip", bytes(dead_letter(&gzip(&record_bytes("PutBucketAbac")), ARRIVED))),
        ("dead-letter-twice", bytes(dead_letter(&bytes(dead_letter(b"{", ARRIVED)), ARRIVED))),
        ("gzip", gzip(&bytes(envelope(&record("PutBucketReplication"))))),
        ("gzip-two-members", [gzip(b"{\"Records\":"), gzip(b"[]}")].concat()),
    ];
    forms.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

/// Records packed into one; and the messages of such, which fuzzing packs itself.
fn aggregates() -> Vec<Seed> {
    let several = packed(&[b"{}", b"", b"{\"detail\":{}}", &[b'x'; 200]]);
    let message = several[4..several.len() - 16].to_vec();
    let seeds = [
        ("one", packed(&[b"{\"detail\":{}}"])),
        ("several", several.clone()),
        ("cut", several[..several.len() - 1].to_vec()),
        ("message", message.clone()),
        // Tags, and fields of later versions.
        ("message-with-others", [&message[..], b"\x4a\x01\x00\x1a\x0a\x08\x00\x1a\x01x\x22\x03\x0a\x01t"].concat()),
        ("message-without-keys", b"\x1a\x04\x08\x00\x1a\x00".to_vec()),
        ("lines", b"{}\n\n{\"detail\":{}}\nx".to_vec()),
    ];
    seeds.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}

/// Rows as the Kinesis Client Library and this consumer leave them, in DynamoDB's notation.
fn rows() -> Vec<Seed> {
    let row = |members: Value| {
        let lease = json!({
            "leaseKey": {"S": "shardId-000000000001"}, "entityType": {"S": "LEASE"}, "leaseCounter": {"N": "4"},
            "leaseOwner": {"S": "worker"}, "checkpoint": {"S": "TRIM_HORIZON"},
        });
        written(with(lease, members))
    };
    let seeds = [
        ("begun", row(json!({"checkpoint": {"S": "AT_TIMESTAMP"}, "startTimestamp": {"N": "1772323260000"}}))),
        ("latest", row(json!({"checkpoint": {"S": "LATEST"}, "stream": {"S": "trail"}}))),
        ("read", row(json!({"checkpoint": {"S": "495"}, "checkpointSubSequenceNumber": {"N": "5"}}))),
        (
            "changing-hands",
            row(
                json!({"checkpointOwner": {"S": "old"}, "pendingCheckpoint": {"S": "496"}, "throughputKBps": {"N": "1.5"}}),
            ),
        ),
        (
            "ended",
            row(json!({
                "checkpoint": {"S": "SHARD_END"}, "parentShardId": {"SS": ["shardId-000000000000"]},
                "childShardIds": {"SS": ["shardId-000000000002", "shardId-000000000003"]},
                "startingHashKey": {"S": "0"}, "endingHashKey": {"S": "170141183460469231731687303715884105727"},
            })),
        ),
        ("wrong-type", row(json!({"leaseCounter": {"S": "4"}, "checkpoint": {"NULL": true}}))),
        ("other-stream-of-a-long-name", row(json!({"stream": {"S": "x".repeat(1_000)}}))),
        ("other-stream", row(json!({"stream": {"S": "other"}}))),
        (
            "of-several-streams",
            row(json!({"leaseKey": {"S": "111122223333:trail:1:shardId-0"}, "streamName": {"S": "a"}})),
        ),
        ("leader", row(json!({"leaseKey": {"S": "Leader"}, "entityType": {"S": "LEADER"}}))),
    ];
    seeds.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}

fn permits() -> Vec<Seed> {
    let list = |accounts: Value| written(json!({"accounts": accounts}));
    let route = json!({"account": "audit", "apiKeySecret": "jupiterone/audit"});
    let seeds = [
        ("none", list(json!({}))),
        ("everywhere", list(json!({"111122223333": {}, "444455556666": {"regions": null}}))),
        (
            "regions",
            list(json!({"111122223333": {"regions": ["eu-west-1", "us-east-1"]}, "444455556666": {"regions": []}})),
        ),
        (
            "routes",
            list(json!({"111122223333": {"jupiterone": route}, "444455556666": {"jupiterone": {"account": "a"}}})),
        ),
        ("short", list(json!({"1234": {}}))),
        ("twice", br#"{"accounts": {"111122223333": {}, "111122223333": {"regions": []}}}"#.to_vec()),
        ("array", br#"{"accounts": {"111122223333": [["eu-west-1"], null]}}"#.to_vec()),
    ];
    seeds.map(|(name, bytes)| (name.to_owned(), bytes)).into()
}
