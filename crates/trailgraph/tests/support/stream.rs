//! A stream on a real protocol server, and the service that reads it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use shard_consumer::Position;
use xtask::servers::KinesisServer;

use super::Sandbox;

/// How long anything may take that happens by itself; far more than it needs on a busy machine. What a worker that was killed
/// has claimed of JupiterOne is free after two minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A stream with the records that were put into it.
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) client: Client,
    endpoint: String,
    /// What ends with this value; nothing where somebody else keeps the server.
    server: Option<KinesisServer>,
    /// More of the program's environment.
    pub(crate) more: Vec<(&'static str, String)>,
    /// By shard, in order: sequence number and body.
    pub(crate) records: BTreeMap<String, Vec<(String, Vec<u8>)>>,
}

impl Stream {
    pub(crate) async fn start(shards: i32) -> Self {
        let server = tokio::task::spawn_blocking(KinesisServer::start).await.unwrap().unwrap();
        let stream = Self::at(server.endpoint(), shards).await;
        Self { server: Some(server), ..stream }
    }

    /// On a server that is there.
    pub(crate) async fn at(endpoint: String, shards: i32) -> Self {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .region(Region::new("us-east-1"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(&endpoint)
            .build();
        let client = Client::from_conf(config);
        let name = "cloudtrail".to_owned();
        client.create_stream().stream_name(&name).shard_count(shards).send().await.unwrap();
        let stream = Self { name, client, endpoint, server: None, more: Vec::new(), records: BTreeMap::new() };
        stream.wait_until_active().await;
        stream
    }

    pub(crate) async fn wait_until_active(&self) {
        let begun = Instant::now();
        loop {
            let summary = self.client.describe_stream_summary().stream_name(&self.name).send().await.unwrap();
            let status = summary.stream_description_summary().unwrap().stream_status().clone();
            if status.as_str() == "ACTIVE" {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the stream stays {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn arn(&self) -> String {
        let summary = self.client.describe_stream_summary().stream_name(&self.name).send().await.unwrap();
        summary.stream_description_summary().unwrap().stream_arn().to_owned()
    }

    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Has the server answer nobody until it [thaws](Self::thaw).
    pub(crate) fn freeze(&self) {
        self.server.as_ref().unwrap().freeze().unwrap();
    }

    pub(crate) fn thaw(&self) {
        self.server.as_ref().unwrap().thaw().unwrap();
    }

    /// Puts events, keyed by bucket.
    pub(crate) async fn send(&self, events: &[Vec<u8>]) -> PutRecordsOutput {
        let entries = events.iter().map(|event| {
            let entry = PutRecordsRequestEntry::builder().data(Blob::new(event.clone())).partition_key(key_of(event));
            entry.build().unwrap()
        });
        let request = self.client.put_records().stream_name(&self.name).set_records(Some(entries.collect()));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.failed_record_count(), Some(0));
        answer
    }

    /// Puts events, and remembers where each went.
    pub(crate) async fn put(&mut self, events: &[Vec<u8>]) {
        for events in events.chunks(100) {
            let answer = self.send(events).await;
            for (result, event) in answer.records().iter().zip(events) {
                let place = self.records.entry(result.shard_id().unwrap().to_owned()).or_default();
                place.push((result.sequence_number().unwrap().to_owned(), event.clone()));
            }
        }
    }

    /// Splits an open shard in the middle of its range.
    pub(crate) async fn split(&self, shard: &str) {
        let listed = self.client.list_shards().stream_name(&self.name).send().await.unwrap();
        let found = listed.shards().iter().find(|listed| listed.shard_id() == shard).unwrap();
        let range = found.hash_key_range().unwrap();
        let bound = |text: &str| text.parse::<u128>().unwrap();
        let (low, high) = (bound(range.starting_hash_key()), bound(range.ending_hash_key()));
        let middle = (low + (high - low) / 2).to_string();
        let request =
            self.client.split_shard().stream_name(&self.name).shard_to_split(shard).new_starting_hash_key(middle);
        request.send().await.unwrap();
        self.wait_until_active().await;
    }

    /// Starts `trailgraph run` on the stream, for every account.
    pub(crate) fn serve(&self, sandbox: &Sandbox, flags: &[&str]) -> Service {
        self.serve_permitted(sandbox, &[&["--permit-any"], flags].concat())
    }

    /// Starts `trailgraph run` on the stream.
    pub(crate) fn serve_permitted(&self, sandbox: &Sandbox, flags: &[&str]) -> Service {
        let metrics = free_addr();
        let child = self
            .command(sandbox, &[&["run", "--stream", &self.name, "--metrics-addr", &metrics], flags].concat())
            .stdout(Stdio::null())
            .stderr(std::fs::File::options().create(true).append(true).open(sandbox.path("run.log")).unwrap())
            .spawn()
            .unwrap();
        Service { child, metrics }
    }

    /// A service that was started another way.
    #[expect(clippy::unused_self, reason = "it reads this stream, which must outlive it")]
    pub(crate) fn adopt(&self, child: Child, metrics: &str) -> Service {
        Service { child, metrics: metrics.to_owned() }
    }

    /// The program, with this server for Kinesis.
    pub(crate) fn command(&self, sandbox: &Sandbox, arguments: &[&str]) -> Command {
        let mut command = sandbox.command(arguments);
        command.env("AWS_ENDPOINT_URL_KINESIS", &self.endpoint).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_EC2_METADATA_DISABLED", "true").envs(self.more.iter().cloned());
        command
    }

    /// Whether a checkpoint covers every record of every shard.
    pub(crate) fn is_covered_by(&self, checkpoints: &BTreeMap<String, Position>) -> bool {
        self.records.iter().all(|(shard, records)| {
            let last = records.last().map(|(sequence, _)| after(sequence));
            checkpoints.get(shard).is_some_and(|position| Some(position) >= last.as_ref())
        })
    }
}

/// The position after a record.
pub(crate) fn after(sequence: &str) -> Position {
    Position::After { sequence: sequence.into(), sub_sequence: 0 }
}

fn key_of(event: &[u8]) -> String {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap_or_default();
    let bucket = event["detail"]["requestParameters"]["bucketName"].as_str();
    bucket.or(event["account"].as_str()).unwrap_or("unknown").to_owned()
}

pub(crate) fn free_addr() -> String {
    format!("127.0.0.1:{}", xtask::ports::reserve().unwrap())
}

/// A running `trailgraph run`; killed when dropped.
pub(crate) struct Service {
    pub(crate) child: Child,
    pub(crate) metrics: String,
}

impl Service {
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and returns its exit code and the time it took.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        let sent = std::process::Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let status = self.child.wait().unwrap();
        (status.code(), begun.elapsed())
    }

    /// One GET of its HTTP endpoint: status line and body. Nothing while it does not listen yet.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut connection = TcpStream::connect(&self.metrics).ok()?;
        write!(connection, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
