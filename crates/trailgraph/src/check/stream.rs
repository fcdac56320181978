//! The stream: that it is there, how its records are dealt out to its shards, and what time AWS has.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Record, Shard, ShardIteratorType};
use shard_consumer::kinesis_client;

use super::sample::Sample;
use super::server_clock::ServerClock;
use super::{Answer, Finding};
use crate::clock;
use crate::failure::told;

/// Records of so long ago are looked at.
const LOOK_BACK: Duration = Duration::from_secs(3_600);
/// Of so many shards …
const SHARDS_MOST: usize = 16;
/// … so many records each, in so many calls: an answer may be empty though there are records further on.
const RECORDS_MOST: i32 = 100;
const CALLS_MOST: usize = 3;

/// Beyond this, events seem to come from the future, and how fresh the graph is cannot be told.
const SKEW_MOST: Duration = Duration::from_secs(5);

/// A stream and the client to reach it.
struct Stream {
    client: Client,
    name: Option<String>,
    arn: Option<String>,
}

pub(super) async fn check(stream: &str) -> Vec<Finding> {
    let what = format!("stream {stream}");
    let client = match kinesis_client().await {
        Ok(client) => client,
        Err(error) => return vec![Finding::new(what, Err(error.chain()))],
    };
    let (name, arn) =
        if stream.starts_with("arn:") { (None, Some(stream.into())) } else { (Some(stream.into()), None) };
    let stream = Stream { client, name, arn };
    let server = ServerClock::default();
    let shards = match stream.shards(&server).await {
        Ok(shards) => shards,
        Err(error) => return vec![Finding::new(what, Err(error))],
    };
    let open = shards.iter().filter(|shard| is_open(shard)).count();
    let summary = stream.summary().await;
    let listed = match summary {
        Ok(retention) => Answer::Ok(format!("{open} open shards, keeps records for {retention} h")),
        Err(error) => {
            Answer::Note(format!("{open} open shards; their lag is not compared with the retention: {error}"))
        }
    };
    let keys = stream.sample(&shards).await;
    vec![
        Finding::new(what, listed),
        Finding::new("partition keys", keys.map_or_else(Answer::Failed, |sample| sample.judge(LOOK_BACK))),
        Finding::new("clock", skew(&server)),
    ]
}

fn is_open(shard: &Shard) -> bool {
    shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none())
}

fn skew(server: &ServerClock) -> Answer {
    let Some(ahead_ms) = server.ahead_ms() else {
        return Answer::Note("the service did not tell its time".into());
    };
    let apart = Duration::from_millis(ahead_ms.unsigned_abs());
    if apart <= SKEW_MOST {
        return Answer::Ok("within a few seconds of the service's".into());
    }
    let direction = if ahead_ms > 0 { "ahead of" } else { "behind" };
    Answer::Failed(format!(
        "{} s {direction} the service's: have this host synchronise its clock (Amazon Time Sync, chrony)",
        apart.as_secs()
    ))
}

impl Stream {
    async fn shards(&self, server: &ServerClock) -> Result<Vec<Shard>, String> {
        let (mut shards, mut token) = (Vec::new(), None);
        loop {
            let call = self.client.list_shards();
            let call = match token {
                Some(token) => call.next_token(token),
                None => call.set_stream_name(self.name.clone()).set_stream_arn(self.arn.clone()),
            };
            let answer = call.customize().interceptor(server.clone()).send().await;
            let answer = answer.map_err(|error| explain("kinesis:ListShards", &error))?;
            shards.extend(answer.shards.unwrap_or_default());
            token = answer.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
    }

    /// For how many hours records are kept.
    async fn summary(&self) -> Result<i32, String> {
        let call = self.client.describe_stream_summary();
        let answer = call.set_stream_name(self.name.clone()).set_stream_arn(self.arn.clone()).send().await;
        let answer = answer.map_err(|error| explain("kinesis:DescribeStreamSummary", &error))?;
        Ok(answer.stream_description_summary.map_or(0, |summary| summary.retention_period_hours))
    }

    async fn sample(&self, shards: &[Shard]) -> Result<Sample, String> {
        let mut sample = Sample::default();
        for shard in shards.iter().filter(|shard| is_open(shard)).take(SHARDS_MOST) {
            for record in self.records(shard.shard_id()).await? {
                sample.take(record.partition_key().unwrap_or_default(), record.data().as_ref());
            }
        }
        Ok(sample)
    }

    async fn records(&self, shard: &str) -> Result<Vec<Record>, String> {
        let from = clock::now_ms() - i64::try_from(LOOK_BACK.as_millis()).unwrap_or(0);
        let call = self.client.get_shard_iterator().set_stream_name(self.name.clone());
        let call = call.set_stream_arn(self.arn.clone()).shard_id(shard);
        let call = call.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(from));
        let answer = call.send().await.map_err(|error| explain("kinesis:GetShardIterator", &error))?;
        let (mut iterator, mut records) = (answer.shard_iterator, Vec::new());
        for _ in 0..CALLS_MOST {
            let Some(at) = iterator.take().filter(|_| records.is_empty()) else { break };
            let call = self.client.get_records().shard_iterator(at).limit(RECORDS_MOST);
            let answer = call.set_stream_arn(self.arn.clone()).send().await;
            let answer = answer.map_err(|error| explain("kinesis:GetRecords", &error))?;
            records.extend(answer.records);
            iterator = answer.next_shard_iterator;
        }
        Ok(records)
    }
}

fn explain<E>(action: &str, error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let mend = match error.code() {
        Some("ResourceNotFoundException") => {
            "there is no such stream: check --stream, AWS_REGION and the account".into()
        }
        Some("AccessDeniedException") => {
            format!("the credentials do not allow {action}: see deploy/worker-policy.json")
        }
        _ => format!("{action} fails: check AWS_REGION, the credentials and the network"),
    };
    format!("{mend} ({})", told(error))
}
