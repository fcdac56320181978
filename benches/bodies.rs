//! Answers of Kinesis to `GetRecords`, as they come over the wire.

use std::fmt::Write;

use aws_smithy_types::base64;
use serde::Deserialize;
use trailgraph::generate::Generated;

/// Records in one answer: 1 MB or so, which is what a busy shard has when it is asked.
const RECORDS: usize = 500;

/// Answers, one after the other.
#[derive(Clone, Debug)]
pub struct Bodies {
    /// Each as it comes.
    pub texts: Vec<Vec<u8>>,
    /// Records in all of them.
    pub records: usize,
    /// Bytes of the records.
    pub bytes: usize,
}

/// A record as it was put.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its bytes.
    pub data: Vec<u8>,
    /// When it arrived, in milliseconds since 1970.
    pub arrived_ms: i64,
}

impl Bodies {
    /// Of these records, 500 in each.
    ///
    /// # Panics
    /// Never: memory takes what is written.
    #[must_use]
    pub fn of(records: impl Iterator<Item = Generated>) -> Self {
        Self::of_each(RECORDS, records)
    }

    /// All in one answer.
    #[must_use]
    pub fn one(records: impl Iterator<Item = Generated>) -> Vec<u8> {
        Self::of_each(usize::MAX, records).texts.concat()
    }

    fn of_each(most: usize, records: impl Iterator<Item = Generated>) -> Self {
        let mut bodies = Self { texts: Vec::new(), records: 0, bytes: 0 };
        let mut open = String::new();
        for record in records {
            open.push_str(if open.is_empty() { "{\"MillisBehindLatest\":0,\"Records\":[" } else { "," });
            let arrived = format!("{}.{:03}", record.event_time_ms / 1_000, record.event_time_ms % 1_000);
            write!(open, "{{\"ApproximateArrivalTimestamp\":{arrived},\"Data\":\"").expect("memory is written to");
            open.push_str(&base64::encode(&record.body));
            let (key, number) = (&record.partition_key, bodies.records);
            write!(open, "\",\"PartitionKey\":\"{key}\",\"SequenceNumber\":\"{number:056}\"}}").expect("as above");
            bodies.records += 1;
            bodies.bytes += record.body.len();
            if bodies.records.is_multiple_of(most) {
                bodies.close(&mut open);
            }
        }
        if !open.is_empty() {
            bodies.close(&mut open);
        }
        bodies
    }

    fn close(&mut self, open: &mut String) {
        open.push_str("]}");
        self.texts.push(std::mem::take(open).into_bytes());
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow)]
    records: Vec<Put<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put<'a> {
    data: &'a str,
    approximate_arrival_timestamp: f64,
}

/// What a consumer's client does: base64 is read by the AWS SDK's own reader.
///
/// # Errors
/// When it is no such answer.
pub fn decode(body: &[u8]) -> Result<Vec<Record>, Box<dyn std::error::Error>> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    let record = |put: &Put<'_>| {
        let arrived_ms = (put.approximate_arrival_timestamp * 1e3).round() as i64;
        Ok(Record { data: base64::decode(put.data)?, arrived_ms })
    };
    answer.records.iter().map(record).collect()
}
