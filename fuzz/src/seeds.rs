//! The inputs that fuzzing begins with, and the dictionary: all made of the samples of the calls.

use std::collections::BTreeMap;

use bucket_state::{Event, ResourceState, supported};
use serde_json::{Value, json};

use crate::answers;
use crate::mutate::written;
use crate::pieces::{KEYS, VALUES};
use crate::support::samples::sample;
use crate::support::{at, dead_letter, envelope, gzip, log_message, named, with, without};

const ARRIVED: &str = "2026-03-01T00:01:00Z";

/// A file: `TARGET/NAME`, and what is in it.
pub type Seed = (String, Vec<u8>);

/// Every seed of every target.
pub fn all() -> Vec<Seed> {
    let histories = histories();
    let named = |target: &str, (name, bytes): Seed| (format!("{target}/{name}"), bytes);
    let forms = forms().into_iter().map(|seed| named("parse", seed));
    let states = histories.iter().flat_map(states).map(|seed| named("decode", seed));
    let lines = histories.iter().map(|(name, records)| (name.clone(), lines(records)));
    forms.chain(lines.map(|seed| named("parse_fold_project", seed))).chain(states).collect()
}

/// The words of records in libFuzzer's own form: one a line, in quotes.
pub fn dictionary() -> String {
    let names = supported().iter().flat_map(|call| [call.name].into_iter().chain(call.aliases.iter().copied()));
    let texts = VALUES.iter().filter_map(Value::as_str);
    let words = names.map(quoted).chain(KEYS.iter().map(|key| format!("{}:", quoted(key)))).chain(texts.map(quoted));
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
