//! Puts records into shards.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::shard::Record;
use super::stream::Stream;
use super::{Kinesis, invalid_argument};
use crate::clock::Now;
use crate::protocol::{Failure, Input};

const RECORDS_MAX: usize = 500;
/// What a stream takes unless it is set to take more, up to 10 MiB.
const RECORD_BYTES_MAX: usize = 1024 * 1024;
const REQUEST_BYTES_MAX: usize = 10 * 1024 * 1024;

impl Kinesis {
    pub(super) fn put_record(&mut self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        input.only(&["StreamName", "StreamARN", "Data", "PartitionKey", "ExplicitHashKey"])?;
        let stream = self.stream_mut(input)?;
        let entry = Entry::read(input, stream)?;
        stream.put(entry, now)
    }

    pub(super) fn put_records(&mut self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        input.only(&["StreamName", "StreamARN", "Records"])?;
        let stream = self.stream_mut(input)?;
        let records = input.needed("Records", input.list("Records")?)?;
        if records.is_empty() || records.len() > RECORDS_MAX {
            return Err(Failure::invalid(format!("{} records: it has to be from 1 to 500", records.len())));
        }
        let mut entries = Vec::with_capacity(records.len());
        for record in records {
            let entry = Input::new("PutRecords", record)?;
            entry.only(&["Data", "PartitionKey", "ExplicitHashKey"])?;
            entries.push(Entry::read(entry, stream)?);
        }
        let bytes: usize = entries.iter().map(|entry| entry.bytes).sum();
        if bytes > REQUEST_BYTES_MAX {
            return Err(invalid_argument(format!("the records have {bytes} bytes: it has to be 10 MiB at most")));
        }
        let put: Result<Value, Failure> = entries.into_iter().map(|entry| stream.put(entry, now)).collect();
        Ok(json!({ "FailedRecordCount": 0, "Records": put? }))
    }
}

/// A record that will be put.
struct Entry {
    data: String,
    bytes: usize,
    partition_key: Option<String>,
    /// None where the service chooses the shard.
    hash_key: Option<u128>,
}

impl Entry {
    fn read(input: Input<'_>, stream: &Stream) -> Result<Self, Failure> {
        let data = input.needed_text("Data")?;
        let decoded = BASE64_STANDARD.decode(data).map_err(|_| Failure::invalid("Data is no base64"))?;
        let partition_key = input.text("PartitionKey")?;
        let bytes = decoded.len() + partition_key.map_or(0, str::len);
        if bytes > RECORD_BYTES_MAX {
            return Err(Failure::invalid(format!("a record has {bytes} bytes: it has to be 1 MiB at most")));
        }
        let hash_key = match (input.text("ExplicitHashKey")?, partition_key) {
            _ if stream.strategy == "AUTO" => None,
            (_, None) => return Err(Failure::invalid("a record needs a PartitionKey")),
            (None, Some(key)) => Some(u128::from_be_bytes(Md5::digest(key).into())),
            (Some(key), _) => Some(key.parse().map_err(|_| {
                invalid_argument(format!("ExplicitHashKey {key}: it has to be a decimal number under 2^128"))
            })?),
        };
        Ok(Self { data: data.into(), bytes, partition_key: partition_key.map(Into::into), hash_key })
    }
}

impl Stream {
    fn put(&mut self, entry: Entry, now: Now) -> Result<Value, Failure> {
        let Entry { data, bytes, partition_key, hash_key } = entry;
        let count = self.count();
        self.turn += 1;
        let mut open: Vec<_> = self.shards.values_mut().filter(|shard| shard.is_open()).collect();
        let chosen = match hash_key {
            Some(key) => open.iter().position(|shard| (shard.first_key..=shard.last_key).contains(&key)),
            None => self.turn.checked_rem(open.len()),
        };
        // Missing only if a test has made the service forget an open shard.
        let Some(shard) = chosen.map(|at| open.swap_remove(at)) else {
            return Err(Failure::new("InternalFailure", "no open shard has this hash key").with_status(500));
        };
        shard.records.push_back(Record { count, at_ms: now.ms, data, bytes, partition_key });
        Ok(json!({ "ShardId": shard.id(), "SequenceNumber": shard.sequence(count) }))
    }
}
