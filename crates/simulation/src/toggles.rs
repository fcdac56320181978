//! What is switched on and off in quick succession: a bucket that comes and goes, an account's setting that does. A graph
//! looks the same after every second one, and that is what a protocol errs on.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use trailgraph::generate::Generated;

use crate::setting::{EPOCH_MS, STORM};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "eu-west-1";

/// The records, with the times when they are put: in the order in which they happened, for the most part.
pub(crate) fn draw(rng: &mut Rng) -> Vec<(Duration, Generated)> {
    let mut toggles = Toggles { records: Vec::new(), second: 0 };
    let mut at = STORM.mul_f64(0.6 * rng.f64());
    let gap_most = rng.u64(100..1_500);
    toggles.put(at, "CreateBucket", "switched");
    let block = rng.bool();
    for number in 0..rng.usize(4..14) {
        at += Duration::from_millis(rng.u64(0..gap_most));
        let is_on = number % 2 == 0;
        match (block, is_on) {
            (true, true) => toggles.put(at, "PutAccountPublicAccessBlock", ""),
            (true, false) => toggles.put(at, "DeleteAccountPublicAccessBlock", ""),
            (false, true) => toggles.put(at, "DeleteBucket", "switched"),
            (false, false) => toggles.put(at, "CreateBucket", "switched"),
        }
    }
    toggles.records
}

struct Toggles {
    records: Vec<(Duration, Generated)>,
    /// Each happens a second after the one before, so that nothing of it is contested.
    second: u32,
}

impl Toggles {
    fn put(&mut self, at: Duration, name: &str, bucket: &str) {
        self.second += 1;
        let time = format!("2026-01-01T00:00:{:02}Z", self.second);
        let record = json!({
            "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": name, "eventTime": time,
            "eventID": format!("00000000-0000-0000-0000-{:012}", self.second),
            "awsRegion": REGION, "recipientAccountId": ACCOUNT, "requestParameters": parameters(name, bucket),
        });
        let partition_key = if bucket.is_empty() { ACCOUNT } else { bucket };
        let event_time_ms = EPOCH_MS + i64::from(self.second) * 1_000;
        let body = record.to_string().into_bytes();
        self.records.push((at, Generated { partition_key: partition_key.into(), body, event_time_ms }));
    }
}

fn parameters(name: &str, bucket: &str) -> Value {
    match name {
        "PutAccountPublicAccessBlock" => {
            let all = json!({
                "BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true
            });
            json!({"publicAccessBlock": "", "PublicAccessBlockConfiguration": all})
        }
        "CreateBucket" => {
            let configuration = json!({"LocationConstraint": REGION});
            json!({"bucketName": bucket, "CreateBucketConfiguration": configuration})
        }
        "DeleteBucket" => json!({"bucketName": bucket}),
        _ => json!({"publicAccessBlock": ""}),
    }
}
