//! Buckets with every facet, from a seed.

use std::collections::BTreeMap;

use bucket_state::{AccountLevel, Event, Parsed, Parser, ResourceId, ResourceState, Snapshot, project, supported};
use serde_json::{Value, json};

use crate::samples::sample;
use crate::support::NOW;

/// Targets of samples: some exist, so that they are promoted and demoted.
const TARGETS: [&str; 3] = ["logs", "replica", "reports"];

/// So many buckets, each with a history of some of all calls, and what else their events are about: snapshots of
/// several moments, in order.
pub(crate) fn lives(seed: u64, buckets: usize, moments: usize) -> Vec<Vec<Snapshot>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let names: Vec<String> = (0..buckets).map(|number| format!("bucket-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(TARGETS).collect();
    let mut states: BTreeMap<ResourceId, ResourceState> = BTreeMap::new();
    let mut second = 0;
    let moment = |_| {
        let mut touched = Vec::new();
        for name in &names {
            for _ in 0..random.usize(1..12) {
                second += 1;
                let calls = supported();
                let call = random.choice(calls).expect("there are calls").name;
                for event in events(name, call, second) {
                    touched.push(event.resource.clone());
                    states.entry(event.resource.clone()).or_default().fold(event);
                }
            }
        }
        touched.sort();
        touched.dedup();
        touched.into_iter().map(|id| project(&id, &states[&id], AccountLevel::Silent)).collect()
    };
    (0..moments).map(moment).collect()
}

/// The sample of a call, about this bucket.
fn events(bucket: &str, call: &str, second: i64) -> Vec<Event> {
    let parameters = sample(call).to_string().replace("ledger", bucket);
    let mut parameters: Value = serde_json::from_str(&parameters).unwrap();
    parameters["bucketName"] = bucket.into();
    let (hour, minute, rest) = (second / 3_600, second / 60 % 60, second % 60);
    let record = json!({
        "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": call, "awsRegion": "eu-west-1",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ada"},
        "eventTime": format!("2026-03-01T{hour:02}:{minute:02}:{rest:02}Z"), "recipientAccountId": "111122223333",
        "eventID": format!("event-{second}"), "requestParameters": parameters,
    });
    let mut found = Vec::new();
    Parser::default().parse(record.to_string().as_bytes(), NOW + 86_400_000, &mut |parsed| {
        if let Parsed::Event(event) = parsed {
            found.push(event);
        }
    });
    found
}
