//! Against a server in this process, for what no real one does on demand: refuse some messages of a batch, or all, or
//! take them and not say so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::*;

/// What becomes of one call.
#[derive(Clone, Copy)]
enum Fate {
    /// Every second message is refused.
    HalfRefused,
    AllRefused,
    /// Taken, but the caller hears of an error.
    AnswerLost,
    Denied,
}

#[derive(Default)]
struct Server {
    /// Of the next calls; all that follow are answered well.
    fates: VecDeque<Fate>,
    /// By body, how often it was taken.
    taken: BTreeMap<String, usize>,
    calls: usize,
    deduplication_ids: Vec<String>,
}

impl Server {
    fn answer(&mut self, request: &[u8]) -> (StatusCode, String) {
        let request: Value = serde_json::from_slice(request).unwrap();
        let fate = self.fates.pop_front();
        self.calls += 1;
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for (number, entry) in request["Entries"].as_array().unwrap().iter().enumerate() {
            self.deduplication_ids.extend(entry["MessageDeduplicationId"].as_str().map(str::to_owned));
            match fate {
                Some(Fate::AllRefused | Fate::Denied) => refused.push(entry),
                Some(Fate::HalfRefused) if number % 2 == 1 => refused.push(entry),
                _ => {
                    *self.taken.entry(entry["MessageBody"].as_str().unwrap().to_owned()).or_default() += 1;
                    taken.push(entry);
                }
            }
        }
        let good = |entry: &&Value| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "0"});
        let bad = |entry: &&Value| json!({"Id": entry["Id"], "SenderFault": false, "Code": "InternalError"});
        match fate {
            Some(Fate::AnswerLost) => {
                (StatusCode::INTERNAL_SERVER_ERROR, json!({"__type": "InternalFailure"}).to_string())
            }
            Some(Fate::Denied) => {
                (StatusCode::FORBIDDEN, json!({"__type": "a.b#AccessDeniedException", "message": "no"}).to_string())
            }
            _ => {
                let (successful, failed): (Vec<_>, Vec<_>) =
                    (taken.iter().map(good).collect(), refused.iter().map(bad).collect());
                (StatusCode::OK, json!({"Successful": successful, "Failed": failed}).to_string())
            }
        }
    }
}

async fn queue(name: &str, fates: &[Fate]) -> (LetterQueue, Arc<Mutex<Server>>) {
    let server = Arc::new(Mutex::new(Server { fates: fates.iter().copied().collect(), ..Server::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{name}", listener.local_addr().unwrap());
    let answering = Arc::clone(&server);
    let answer = axum::routing::post(move |body: axum::body::Bytes| {
        let answer = answering.lock().unwrap().answer(&body);
        std::future::ready(answer)
    });
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback_service(answer)).await });
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url.trim_end_matches(name));
    (LetterQueue { client: Client::from_conf(config.build()), url, process: 1 }, server)
}

fn letters(count: usize) -> Vec<DeadLetter> {
    let letter = |number: usize| DeadLetter {
        reason: "not_json",
        message: "expected value".into(),
        stream: "trail".into(),
        shard: "shardId-000000000000".into(),
        sequence_number: number.to_string(),
        sub_sequence_number: 0,
        arrived_at: "2026-03-01T12:00:00Z".into(),
        partition_key: None,
        data: "eA==".into(),
        data_truncated: false,
    };
    (0..count).map(letter).collect()
}

/// Writes until all is written. Gives what was left after each try, and the last error.
async fn write_all(queue: &LetterQueue, letters: &[DeadLetter]) -> (Vec<usize>, String) {
    let (mut left, mut said) = (Vec::new(), String::new());
    let mut unwritten: Vec<&DeadLetter> = letters.iter().collect();
    while let Err(Unwritten { error, letters }) = queue.write(unwritten).await {
        left.push(letters.len());
        (unwritten, said) = (letters, error);
    }
    (left, said)
}

#[tokio::test]
async fn only_what_the_queue_has_not_taken_is_sent_again() {
    let cases: [(&str, &[Fate], &[usize], usize); 5] = [
        ("all is taken", &[], &[], 3),
        ("some of each batch are refused", &[Fate::HalfRefused; 3], &[12], 3 + 2),
        ("the second of three is refused", &[Fate::HalfRefused, Fate::AllRefused], &[20], 2 + 2),
        ("the first is refused", &[Fate::AllRefused], &[25], 1 + 3),
        ("none is allowed", &[Fate::Denied, Fate::Denied], &[25, 25], 2 + 3),
    ];
    for (case, fates, expected, calls) in cases {
        let (queue, server) = queue("letters", fates).await;
        let letters = letters(25);
        let (left, said) = write_all(&queue, &letters).await;
        let server = server.lock().unwrap();
        assert_eq!((&left[..], server.calls), (expected, calls), "{case}");
        assert_eq!((server.taken.len(), server.taken.values().sum::<usize>()), (25, 25), "{case}: whole, and once");
        let expected = match fates.last() {
            None => String::new(),
            Some(Fate::Denied) => {
                let mend = "allow sqs:GetQueueAttributes and sqs:SendMessage on the queue";
                format!("{}: AccessDeniedException: no: {mend}", queue.url)
            }
            Some(_) => format!("{}: InternalError: a message was refused", queue.url),
        };
        assert_eq!(said, expected, "{case}");
    }
}

#[tokio::test]
async fn what_may_have_been_taken_is_sent_again_under_the_same_name() {
    let (queue, server) = queue("letters.fifo", &[Fate::AnswerLost]).await;
    let letters = letters(10);
    assert_eq!(write_all(&queue, &letters).await.0, [10]);
    let server = server.lock().unwrap();
    assert!(server.taken.len() == 10 && server.taken.values().all(|times| *times == 2), "none is lost");
    let (first, again) = server.deduplication_ids.split_at(10);
    assert_eq!(first, again, "so that the queue knows them again");
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), 10);
}

#[tokio::test]
async fn a_refusal_names_the_permission_that_is_missing() {
    let (queue, _) = queue("letters", &[]).await;
    let cases = [
        ("AWS.SimpleQueueService.NonExistentQueue", "no such queue in us-east-1"),
        ("com.amazonaws.sqs#QueueDoesNotExist", "no such queue in us-east-1"),
        ("AccessDeniedException", "allow sqs:GetQueueAttributes and sqs:SendMessage"),
        ("KMS.AccessDeniedException", "allow kms:GenerateDataKey and kms:Decrypt"),
        ("KmsAccessDenied", "allow kms:GenerateDataKey and kms:Decrypt"),
        ("RequestThrottled", "RequestThrottled: why"),
    ];
    for (code, expected) in cases {
        let said = queue.mend(code, "why");
        assert!(said.contains(expected), "{code}: {said}");
    }
}
