//! Dead letters in a queue of a real protocol server.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::process::{Output, Stdio};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use support::Sandbox;
use support::stream::{Service, Stream, eventually};
use xtask::servers::MinistackServer;

const CREATE: &[u8] = include_bytes!("fixtures/create.json");

/// A queue, made or not.
struct Queue {
    server: MinistackServer,
    client: Client,
    name: &'static str,
}

impl Queue {
    async fn start(name: &'static str) -> Self {
        let queue = Self::absent(name).await;
        queue.make(&[]).await;
        queue
    }

    /// The server alone.
    async fn absent(name: &'static str) -> Self {
        let server = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .region(Region::new("us-east-1"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(server.endpoint())
            .build();
        Self { server, client: Client::from_conf(config), name }
    }

    async fn make(&self, attributes: &[(QueueAttributeName, &str)]) {
        let mut call = self.client.create_queue().queue_name(self.name);
        if self.name.ends_with(".fifo") {
            call = call.attributes(QueueAttributeName::FifoQueue, "true");
        }
        for (name, value) in attributes {
            call = call.attributes(name.clone(), *value);
        }
        let made = call.send().await.unwrap();
        assert_eq!(made.queue_url(), Some(self.url().as_str()));
    }

    fn url(&self) -> String {
        format!("{}/000000000000/{}", self.server.endpoint(), self.name)
    }

    fn flag(&self) -> String {
        format!("sqs:{}", self.url())
    }

    fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL_SQS", self.server.endpoint()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ]
    }

    /// Takes every message out.
    async fn drain(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let call = self.client.receive_message().queue_url(self.url()).max_number_of_messages(10);
            let answer = call.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
            let received = answer.messages.unwrap_or_default();
            if received.is_empty() {
                return messages;
            }
            for message in received {
                let handle = message.receipt_handle().unwrap();
                self.client.delete_message().queue_url(self.url()).receipt_handle(handle).send().await.unwrap();
                messages.push(message);
            }
        }
    }

    /// Replays records, one a line, with their letters to this queue.
    fn replay(&self, sandbox: &Sandbox, records: &[Vec<u8>]) -> Output {
        std::fs::write(sandbox.path("records.jsonl"), records.join(&b'\n')).unwrap();
        let mut command = sandbox.command(&["replay", "records.jsonl", "--dead-letters", &self.flag()]);
        command.envs(self.environment()).output().unwrap()
    }
}

fn letters(messages: &[Message]) -> Vec<Value> {
    messages.iter().map(|message| serde_json::from_str(message.body().unwrap()).unwrap()).collect()
}

/// What letters hold, sorted.
fn data(letters: &[Value]) -> Vec<Vec<u8>> {
    let mut data: Vec<_> =
        letters.iter().map(|letter| STANDARD.decode(letter["data"].as_str().unwrap()).unwrap()).collect();
    data.sort();
    data
}

/// Records that were cut, each another one.
fn bad_records(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("{{\"number\": {number:03}, \"detail\": {{").into_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_arrive_whole_and_once_in_as_many_batches_as_they_need() {
    for name in ["letters", "letters.fifo"] {
        let queue = Queue::start(name).await;
        let sandbox = Sandbox::new();
        let bad = bad_records(25);
        let output = queue.replay(&sandbox, &[&bad[..], &[CREATE.to_vec()]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(sandbox.graph()["entities"].as_array().unwrap().len(), 2, "the bucket, and its account");

        let messages = queue.drain().await;
        let letters = letters(&messages);
        assert_eq!(data(&letters), bad, "{name}");
        for (letter, message) in letters.iter().zip(&messages) {
            assert_eq!((&letter["reason"], &letter["stream"]), (&"not_json".into(), &"replay".into()), "{letter}");
            assert_eq!(letter["subSequenceNumber"], 0);
            assert!(
                ["message", "sequenceNumber", "arrivedAt", "partitionKey"].iter().all(|key| letter[key].is_string())
            );
            assert!(letter.get("dataTruncated").is_none());
            let group = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::MessageGroupId));
            let expected = name.ends_with(".fifo").then(|| letter["shard"].as_str().unwrap());
            assert_eq!(group.map(String::as_str), expected);
        }
        assert!(!sandbox.path("dead-letters.jsonl").exists());

        // Who has emptied the queue and replays at once gets what is still bad once more.
        assert!(queue.replay(&sandbox, &bad).status.success());
        assert_eq!(queue.drain().await.len(), 25, "{name}: no duplicates of what was received");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_letter_is_cut_says_so_and_is_no_record_when_it_is_replayed() {
    let queue = Queue::start("letters").await;
    let sandbox = Sandbox::new();
    // No record, but what is sent of it is one: it must not be taken for the record.
    let large = [CREATE.trim_ascii_end(), &b" ".repeat(1 << 20), b"{"].concat();
    assert!(queue.replay(&sandbox, &[large.clone(), b"small {".to_vec()]).status.success());
    let mut letters = letters(&queue.drain().await);
    letters.sort_by_key(|letter| letter["data"].as_str().map(str::len));
    assert_eq!(letters.len(), 2, "the large one does not hold back the small one");
    assert_eq!((&letters[0]["data"], letters[0].get("dataTruncated")), (&STANDARD.encode("small {").into(), None));
    assert_eq!(letters[1]["dataTruncated"], true);
    let begins_with = data(&letters[1..]).remove(0);
    assert!(begins_with.len() > 150_000 && large.starts_with(&begins_with), "{} bytes", begins_with.len());

    std::fs::write(sandbox.path("cut.jsonl"), letters[1].to_string()).unwrap();
    let summary = sandbox.succeed(&["replay", "cut.jsonl"]);
    assert!(summary.contains("events applied    0\n") && summary.contains("truncated"), "{summary}");
    let again = std::fs::read_to_string(sandbox.path("dead-letters.jsonl")).unwrap();
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["reason"], "truncated");
    assert!(data(&[again]) == [letters[1].to_string().into_bytes()], "the letter itself is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_cannot_take_letters_is_named_before_anything_is_read() {
    let queue = Queue::absent("letters").await;
    let sandbox = Sandbox::new();
    let refused = |expected: &[&str]| {
        let output = queue.replay(&sandbox, &[CREATE.to_vec()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let prefix = format!("--dead-letters sqs:{}: ", queue.url());
        let line = said.lines().last().unwrap();
        println!("{line}");
        assert!(line.contains(&prefix) && expected.iter().all(|part| line.contains(part)), "{said}");
        let folded = sandbox.run(&["graph", "export"]).stdout;
        assert!(!String::from_utf8_lossy(&folded).contains("acme"), "nothing was folded");
    };
    refused(&["no such queue in us-east-1", "check the URL"]);
    queue.make(&[(QueueAttributeName::MaximumMessageSize, "65536")]).await;
    refused(&["65536 bytes", "MaximumMessageSize", "262144"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mended_letter_is_folded_when_it_is_replayed() {
    let queue = Queue::start("letters").await;
    let sandbox = Sandbox::new();
    let create = CREATE.trim_ascii_end();
    assert!(queue.replay(&sandbox, &[create[..create.len() - 1].to_vec()]).status.success());
    let mut letters = letters(&queue.drain().await);
    let mended = [&data(&letters)[0][..], b"}"].concat();
    let lines = |letters: &[Value]| letters.iter().map(|letter| format!("{letter}\n")).collect::<String>();
    let replayed = |letters: &[Value]| {
        std::fs::write(sandbox.path("letters.jsonl"), lines(letters)).unwrap();
        sandbox.succeed(&["replay", "letters.jsonl"])
    };
    assert!(replayed(&letters).contains("events applied    0\n"), "it is as bad as before");
    letters[0]["data"] = STANDARD.encode(&mended).into();
    assert!(replayed(&letters).contains("events applied    1\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shard_waits_while_the_queue_refuses_and_goes_on_afterwards() {
    let queue = Queue::start("letters").await;
    let mut stream = Stream::start(1).await;
    let sandbox = Sandbox::new();
    let metrics = "127.0.0.1:0";
    let flags = ["run", "--stream", &stream.name, "--permit-any", "--flush-after", "100ms", "--metrics-addr", metrics];
    let _running = Service {
        child: sandbox
            .command(&[&flags[..], &["--log", "json", "--dead-letters", &queue.flag()]].concat())
            .envs(queue.environment())
            .env("AWS_ENDPOINT_URL_KINESIS", stream.endpoint())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(sandbox.path("run.log")).unwrap())
            .spawn()
            .unwrap(),
        metrics: metrics.into(),
    };
    let log = || std::fs::read_to_string(sandbox.path("run.log")).unwrap();
    eventually("the shard is being read", async || log().contains("\"reading\"").then_some(())).await;
    queue.client.delete_queue().queue_url(queue.url()).send().await.unwrap();

    stream.put(&bad_records(1)).await;
    eventually("the queue refuses", async || (log().matches("the shard waits").count() >= 2).then_some(())).await;
    assert!(log().contains("no such queue in us-east-1"), "{}", log());
    stream.put(&[CREATE.to_vec()]).await;
    assert!(
        !sandbox.run(&["graph", "export"]).status.success() || sandbox.graph()["entities"] == serde_json::json!([])
    );

    queue.make(&[]).await;
    let letters = eventually("the letter arrives", async || {
        let letters = letters(&queue.drain().await);
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!(data(&letters), bad_records(1));
    assert_eq!(letters[0]["shard"], "shardId-000000000000");
    eventually("what follows is folded", async || {
        (sandbox.graph()["entities"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    assert!(queue.drain().await.is_empty(), "once");
}
