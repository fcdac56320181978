//! A Kinesis stream that answers with what was made ready before, on a thread of its own.
//!
//! It knows what a consumer calls that polls: nothing is refused, nothing throttled, nothing kept.

use std::fmt::Write;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::base64;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use trailgraph::generate::Generated;

/// What one answer holds at the most:
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html>.
const ANSWER_RECORDS: usize = 10_000;
const ANSWER_BYTES: usize = 10 << 20;

/// Records, ready to be sent.
pub(crate) struct Puts(Vec<Put>);

struct Put {
    partition_key: String,
    /// The members of the record that do not depend on when and where it was put.
    members: String,
    /// Of data and partition key.
    bytes: usize,
}

impl Puts {
    pub(crate) fn of(records: impl Iterator<Item = Generated>) -> Self {
        let put = |Generated { partition_key, body, .. }: Generated| Put {
            members: format!("\"PartitionKey\":\"{partition_key}\",\"Data\":\"{}\"", base64::encode(&body)),
            bytes: body.len() + partition_key.len(),
            partition_key,
        };
        Self(records.map(put).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|put| put.bytes).sum()
    }
}

/// A stream that is being served; dropped, it answers no more.
pub(crate) struct Stream {
    pub(crate) addr: SocketAddr,
    /// Of the shard that has most.
    pub(crate) most_bytes: usize,
    _end: oneshot::Sender<()>,
}

impl Stream {
    /// Serves these records in so many shards. They come at so many a second, beginning now; without a rate, they all
    /// have come already.
    pub(crate) fn serve(puts: &Arc<Puts>, shards: usize, rate: Option<u32>) -> std::io::Result<Self> {
        let log = Log::new(Arc::clone(puts), shards, rate);
        let bytes = |numbers: &Vec<usize>| numbers.iter().map(|number| puts.0[*number].bytes).sum();
        let most_bytes = log.shards.iter().map(bytes).max().unwrap_or(0);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (end, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(Arc::new(log));
        thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("it is listening already");
                tokio::select! {
                    served = axum::serve(listener, router) => served.expect("a stream is served until it is dropped"),
                    _ = ended => {}
                }
            });
        });
        Ok(Self { addr, most_bytes, _end: end })
    }
}

struct Log {
    puts: Arc<Puts>,
    /// The numbers of the records in each.
    shards: Vec<Vec<usize>>,
    rate: Option<u32>,
    begun: Duration,
}

impl Log {
    fn new(puts: Arc<Puts>, shards: usize, rate: Option<u32>) -> Self {
        let mut dealt = vec![Vec::new(); shards];
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        for (number, put) in puts.0.iter().enumerate() {
            // Accounts are few: a shard with one of them would have far more than the others.
            let names_account = put.partition_key.bytes().all(|byte| byte.is_ascii_digit());
            let hash = if names_account { number as u64 } else { hasher.hash_one(&put.partition_key) };
            dealt[usize::try_from(hash % shards as u64).unwrap_or(0)].push(number);
        }
        Self { puts, shards: dealt, rate, begun: now() }
    }

    fn arrives(&self, number: usize) -> Duration {
        self.begun + self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(number as f64 / f64::from(rate)))
    }

    fn list(&self) -> Value {
        let shards = (0..self.shards.len()).map(|number| {
            json!({
                "ShardId": shard_id(number),
                "HashKeyRange": { "StartingHashKey": "0", "EndingHashKey": "0" },
                "SequenceNumberRange": { "StartingSequenceNumber": "0" },
            })
        });
        json!({ "Shards": shards.collect::<Value>() })
    }

    /// What follows a place in a shard, as far as it has come.
    fn records(&self, iterator: &str) -> Option<String> {
        let (shard, from) = iterator.split_once(' ')?;
        let (shard, from): (usize, usize) = (shard.parse().ok()?, from.parse().ok()?);
        let (numbers, now) = (self.shards.get(shard)?, now());
        let come = numbers.partition_point(|number| self.arrives(*number) <= now);
        let waiting = numbers.get(from..come)?;
        let mut bytes = 0;
        let fits = |number: &&usize| {
            bytes += self.puts.0[**number].bytes;
            bytes <= ANSWER_BYTES
        };
        let sent = waiting.iter().take(ANSWER_RECORDS).take_while(fits).count();
        let mut body = String::with_capacity(sent * 256 + bytes * 4 / 3);
        body.push_str("{\"Records\":[");
        for (place, number) in waiting[..sent].iter().enumerate() {
            let (comma, at, sequence) = (if place == 0 { "" } else { "," }, self.arrives(*number), from + place);
            write!(body, "{comma}{{\"SequenceNumber\":\"{sequence:056}\",").ok()?;
            write!(body, "\"ApproximateArrivalTimestamp\":{}.{:03},", at.as_secs(), at.subsec_millis()).ok()?;
            body.push_str(&self.puts.0[*number].members);
            body.push('}');
        }
        let behind = waiting.get(sent).map_or(0, |next| now.saturating_sub(self.arrives(*next)).as_millis().max(1));
        let next = from + sent;
        write!(body, "],\"NextShardIterator\":\"{shard} {next}\",\"MillisBehindLatest\":{behind}}}").ok()?;
        Some(body)
    }
}

async fn answer(State(log): State<Arc<Log>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let operation = headers.get("x-amz-target").and_then(|target| target.to_str().ok()?.split_once('.'));
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = match operation.map(|(_, operation)| operation) {
        Some("DescribeStreamSummary") => Some(summary(log.shards.len())),
        Some("ListShards") => Some(log.list().to_string()),
        Some("GetShardIterator") => iterator(&input),
        Some("GetRecords") => input["ShardIterator"].as_str().and_then(|iterator| log.records(iterator)),
        _ => None,
    };
    let refused = || (StatusCode::BAD_REQUEST, json!({ "__type": "InvalidArgumentException" }).to_string());
    answer.map_or_else(refused, |answer| (StatusCode::OK, answer))
}

fn summary(shards: usize) -> String {
    let summary = json!({ "StreamDescriptionSummary": {
        "StreamName": "whole",
        "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/whole",
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": 0,
        "EnhancedMonitoring": [],
        "OpenShardCount": shards,
    }});
    summary.to_string()
}

/// Only who begins and who goes on is known: sequence numbers are places in their shard.
fn iterator(input: &Value) -> Option<String> {
    let shard: usize = input["ShardId"].as_str()?.strip_prefix("shardId-")?.parse().ok()?;
    let from: usize = match input["ShardIteratorType"].as_str()? {
        "TRIM_HORIZON" => 0,
        "AT_SEQUENCE_NUMBER" => input["StartingSequenceNumber"].as_str()?.parse().ok()?,
        _ => return None,
    };
    Some(json!({ "ShardIterator": format!("{shard} {from}") }).to_string())
}

fn shard_id(number: usize) -> String {
    format!("shardId-{number:012}")
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
