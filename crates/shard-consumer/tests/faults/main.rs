//! How a source takes what the service can do to it.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod budget;
mod lease;
mod server;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use server::{Behaviour, Server};
use shard_consumer::{
    Cut, Deliver, KinesisParams, KinesisSource, Lease, LeaseStore, Position, ShardEvent, ShardId, ShardSource,
    SourceError, SqliteLeases, Start,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

type Answer = Result<Value, &'static str>;

/// Told when the script is at its end.
const QUIET: &str = "quiet";

fn listing(shards: &[(&str, Option<&str>)]) -> Value {
    let shard = |(id, parent): &(&str, Option<&str>)| {
        let end = shards.iter().any(|(_, parent)| *parent == Some(id)).then_some("99");
        json!({
            "ShardId": id, "ParentShardId": parent,
            "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
            "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": end},
        })
    };
    json!({"Shards": shards.iter().map(shard).collect::<Vec<_>>()})
}

fn page(sequences: &[u32], next: Option<&str>) -> Answer {
    let record = |sequence: &u32| {
        json!({"SequenceNumber": sequence.to_string(), "Data": "eA==", "PartitionKey": "p",
               "ApproximateArrivalTimestamp": 1.5})
    };
    let records: Vec<Value> = sequences.iter().map(record).collect();
    Ok(json!({"Records": records, "NextShardIterator": next, "MillisBehindLatest": 0}))
}

/// One shard; answers to GetRecords as scripted, then empty pages. An iterator is the position it was asked for.
fn scripted(pages: impl IntoIterator<Item = Answer>) -> Behaviour {
    let mut pages: VecDeque<Answer> = pages.into_iter().collect();
    Box::new(move |operation, _| match operation {
        "ListShards" => Ok(listing(&[("shard-0", None)])),
        "GetShardIterator" => Ok(json!({"ShardIterator": "fresh"})),
        "GetRecords" => pages.pop_front().unwrap_or_else(|| page(&[], Some(QUIET))),
        other => panic!("not scripted: {other}"),
    })
}

/// A source that runs.
struct Run {
    source: Arc<KinesisSource>,
    leases: Arc<SqliteLeases>,
    told: mpsc::UnboundedReceiver<ShardEvent>,
    _stop: tokio_util::sync::DropGuard,
    _dir: tempfile::TempDir,
}

fn source(stream: &str, server: &Server, leases: Arc<dyn LeaseStore>, failover_after: Duration) -> Arc<KinesisSource> {
    Arc::new(KinesisSource::new(KinesisParams {
        client: server.client(),
        stream: stream.into(),
        leases,
        worker_id: "me".into(),
        start: Start::TrimHorizon,
        failover_after,
    }))
}

async fn run(server: &Server, at: Position) -> Run {
    run_on("stream", server, at).await
}

async fn run_on(stream: &str, server: &Server, at: Position) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let leases = Arc::new(SqliteLeases::open(dir.path().join("leases.db"), "test", "stream").await.unwrap());
    leases.create(&Lease::unowned(ShardId::from("shard-0"), at, vec![])).await.unwrap();
    let source = source(stream, server, Arc::clone(&leases) as _, Duration::from_secs(10));
    start(source, leases, dir)
}

fn start(source: Arc<KinesisSource>, leases: Arc<SqliteLeases>, dir: tempfile::TempDir) -> Run {
    let (tell, told) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    tokio::spawn({
        let (source, stop) = (Arc::clone(&source), stop.clone());
        let deliver = Arc::new(move |event| {
            let _ = tell.send(event);
            Box::pin(async {}) as futures::future::BoxFuture<'static, ()>
        });
        async move { source.run(deliver, stop).await }
    });
    Run { source, leases, told, _stop: stop.drop_guard(), _dir: dir }
}

impl Run {
    async fn next(&mut self) -> ShardEvent {
        tokio::time::timeout(Duration::from_secs(60), self.told.recv()).await.expect("an event").unwrap()
    }

    /// The sequence numbers of the next `count` records of a shard.
    async fn sequences(&mut self, count: usize) -> Vec<String> {
        let mut sequences = Vec::new();
        while sequences.len() < count {
            if let ShardEvent::Batch(batch) = self.next().await {
                sequences.extend(batch.records.into_iter().map(|record| record.sequence_number.into()));
            }
        }
        sequences
    }

    async fn until_finished(&mut self) {
        while !matches!(self.next().await, ShardEvent::Finished { .. }) {}
    }
}

fn after(sequence: &str) -> Position {
    Position::After { sequence: sequence.into(), sub_sequence: 0 }
}

#[tokio::test]
async fn throttles_and_failures_of_the_service_lose_and_repeat_nothing() {
    let server = Server::start(scripted([
        page(&[1, 2], Some("second")),
        Err("ProvisionedThroughputExceededException"),
        Err("KMSThrottlingException"),
        page(&[3], Some("third")),
        Err("InternalFailure"),
        page(&[4], Some("fourth")),
    ]))
    .await;
    let mut run = run(&server, Position::TrimHorizon).await;
    assert_eq!(run.sequences(4).await, ["1", "2", "3", "4"]);
    let iterators: Vec<Value> = server.asked("GetRecords").iter().map(|input| input["ShardIterator"].clone()).collect();
    assert_eq!(iterators[..6], ["fresh", "second", "second", "second", "third", "third"]);
    assert_eq!(server.asked("GetShardIterator").len(), 1);
}

#[tokio::test]
async fn an_expired_iterator_is_replaced_by_one_after_the_last_record() {
    let server = Server::start(scripted([
        page(&[1, 2], Some("old")),
        Err("ExpiredIteratorException"),
        page(&[3], Some("next")),
        Err("InvalidArgumentException"),
        page(&[4], Some("next")),
    ]))
    .await;
    let mut run = run(&server, Position::TrimHorizon).await;
    assert_eq!(run.sequences(4).await, ["1", "2", "3", "4"]);
    let asked = server.asked("GetShardIterator");
    let kinds: Vec<_> =
        asked.iter().map(|input| (&input["ShardIteratorType"], &input["StartingSequenceNumber"])).collect();
    assert_eq!(
        kinds,
        [
            (&json!("TRIM_HORIZON"), &Value::Null),
            (&json!("AFTER_SEQUENCE_NUMBER"), &json!("2")),
            (&json!("AFTER_SEQUENCE_NUMBER"), &json!("3")),
        ]
    );
}

#[tokio::test]
async fn an_iterator_that_always_fails_is_replaced_and_the_client_repeats_nothing_by_itself() {
    let failures = std::iter::repeat_n(Err("InternalFailure"), 3);
    let server = Server::start(scripted(failures.chain([page(&[1], Some("next"))]))).await;
    let mut run = run(&server, Position::TrimHorizon).await;
    assert_eq!(run.sequences(1).await, ["1"]);
    assert_eq!(server.asked("GetShardIterator").len(), 2);
}

#[tokio::test]
async fn an_iterator_that_is_not_found_is_replaced_where_the_shard_is_listed() {
    let pages = [page(&[1], Some("stale")), Err("ResourceNotFoundException"), page(&[2], Some("next"))];
    let server = Server::start(scripted(pages)).await;
    let mut run = run(&server, Position::TrimHorizon).await;
    assert_eq!(run.sequences(2).await, ["1", "2"]);
    let iterators: Vec<Value> = server.asked("GetRecords").iter().map(|input| input["ShardIterator"].clone()).collect();
    assert_eq!(iterators[..3], ["fresh", "stale", "fresh"]);
}

#[tokio::test]
async fn a_last_page_of_a_shard_that_is_listed_as_open_is_not_its_end() {
    let server = Server::start(scripted([page(&[1], None), page(&[2], Some("next"))])).await;
    let mut run = run(&server, Position::TrimHorizon).await;
    assert_eq!(run.sequences(2).await, ["1", "2"]);
    assert_eq!(server.asked("GetShardIterator")[1]["StartingSequenceNumber"], json!("1"));
}

/// At first there are p1 and q. Then q is split into p2 and p3, and p2 is merged with p1, which ends first.
#[tokio::test]
async fn a_merged_shard_waits_for_a_parent_that_was_not_there_at_the_last_listing() {
    let shard = |id: &str, parents: [Option<&str>; 2], end: Option<&str>| {
        json!({"ShardId": id, "ParentShardId": parents[0], "AdjacentParentShardId": parents[1],
               "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": end}})
    };
    let ended = |child: &str, parents: &[&str]| {
        let range = json!({"StartingHashKey": "0", "EndingHashKey": "9"});
        let mut page = page(&[1], None)?;
        page["ChildShards"] = json!([{"ShardId": child, "ParentShards": parents, "HashKeyRange": range}]);
        Ok(page)
    };
    let (mut listings, mut pages_of_q) = (0, 0);
    let server = Server::start(Box::new(move |operation, input| match operation {
        "ListShards" => {
            listings += 1;
            let end = (listings > 1).then_some("99");
            let mut shards = vec![shard("p1", [None; 2], end), shard("q", [None; 2], end)];
            if listings > 1 {
                shards.push(shard("m", [Some("p1"), Some("p2")], None));
                shards.push(shard("p2", [Some("q"), None], end));
                shards.push(shard("p3", [Some("q"), None], None));
            }
            Ok(json!({"Shards": shards}))
        }
        "GetShardIterator" => Ok(json!({"ShardIterator": input["ShardId"]})),
        _ => match input["ShardIterator"].as_str().unwrap() {
            "p1" => ended("m", &["p1", "p2"]),
            "q" if pages_of_q == 4 => ended("p2", &["q"]),
            "q" => {
                pages_of_q += 1;
                page(&[pages_of_q], Some("q"))
            }
            "p2" => ended("m", &["p1", "p2"]),
            other => page(&[1], Some(other)),
        },
    }))
    .await;
    let dir = tempfile::tempdir().unwrap();
    let leases = Arc::new(SqliteLeases::open(dir.path().join("leases.db"), "test", "stream").await.unwrap());
    let mut run = start(source("stream", &server, Arc::clone(&leases) as _, Duration::from_secs(60)), leases, dir);
    let mut finished = Vec::new();
    loop {
        match run.next().await {
            ShardEvent::Finished { shard, .. } => finished.push(shard.to_string()),
            ShardEvent::LeaseTaken { shard, .. } if shard.as_str() == "m" => break,
            _ => {}
        }
    }
    assert_eq!(finished, ["p1", "q", "p2"]);
}

#[tokio::test]
async fn a_position_that_was_trimmed_starts_over_at_the_oldest_record_and_can_be_checkpointed() {
    let mut rest = scripted([page(&[3], Some("next"))]);
    let server = Server::start(Box::new(move |operation, input| match &input["ShardIteratorType"] {
        kind if *kind == "AFTER_SEQUENCE_NUMBER" => Err("InvalidArgumentException"),
        _ => rest(operation, input),
    }))
    .await;
    let mut run = run(&server, after("900")).await;
    assert_eq!(run.sequences(1).await, ["3"]);
    let mut cut = Cut::default();
    cut.advance(&ShardId::from("shard-0"), 1, after("3"));
    run.source.checkpoint(&cut).await.unwrap();
    assert_eq!(run.leases.list().await.unwrap()[0].checkpoint, after("3"));
}

#[tokio::test]
async fn a_position_that_is_trimmed_while_reading_starts_over_under_another_epoch() {
    let mut rest = scripted([page(&[7, 8], Some("old")), Err("ExpiredIteratorException"), page(&[9], Some("next"))]);
    let server = Server::start(Box::new(move |operation, input| match &input["ShardIteratorType"] {
        kind if *kind == "AFTER_SEQUENCE_NUMBER" => Err("InvalidArgumentException"),
        _ => rest(operation, input),
    }))
    .await;
    let mut run = run(&server, Position::TrimHorizon).await;
    assert_eq!(run.sequences(2).await, ["7", "8"]);
    let shard = ShardId::from("shard-0");
    while run.next().await != (ShardEvent::LeaseLost { shard: shard.clone(), epoch: 1 }) {}
    while run.next().await != (ShardEvent::LeaseTaken { shard: shard.clone(), epoch: 3 }) {}
    assert_eq!(run.sequences(1).await, ["9"]);
}

#[tokio::test]
async fn children_that_the_last_answer_does_not_tell_are_found_in_a_listing() {
    let mut listings = 0;
    let mut rest = scripted([page(&[1], None)]);
    let server = Server::start(Box::new(move |operation, input| match operation {
        "ListShards" => {
            listings += 1;
            let children = [("shard-0", None), ("shard-1", Some("shard-0")), ("shard-2", Some("shard-0"))];
            Ok(listing(if listings == 1 { &children[..1] } else { &children }))
        }
        _ => rest(operation, input),
    }))
    .await;
    let mut run = run(&server, Position::TrimHorizon).await;
    run.until_finished().await;
    let rows = run.leases.list().await.unwrap();
    assert_eq!(rows.iter().map(|row| row.shard.as_str()).collect::<Vec<_>>(), ["shard-0", "shard-1", "shard-2"]);
    assert!(rows[1..].iter().all(|row| row.parents == [ShardId::from("shard-0")]));
}

#[tokio::test]
async fn a_shard_that_the_stream_no_longer_holds_has_ended_but_not_one_of_a_deleted_stream() {
    for deleted in [false, true] {
        let mut listings = 0;
        let server = Server::start(Box::new(move |operation, _| match operation {
            "ListShards" => {
                listings += 1;
                match listings {
                    1 => Ok(listing(&[("shard-0", None)])),
                    _ if deleted => Err("ResourceNotFoundException"),
                    _ => Ok(listing(&[("shard-1", Some("shard-0"))])),
                }
            }
            _ => Err("ResourceNotFoundException"),
        }))
        .await;
        let mut run = run(&server, Position::TrimHorizon).await;
        if !deleted {
            run.until_finished().await;
            continue;
        }
        while server.asked("ListShards").len() < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        while let Ok(event) = run.told.try_recv() {
            assert!(!matches!(event, ShardEvent::Finished { .. }));
        }
    }
}

#[tokio::test]
async fn a_listing_of_several_pages_is_read_to_its_end_and_an_arn_is_sent_as_one() {
    let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/stream";
    let mut rest = scripted([]);
    let server = Server::start(Box::new(move |operation, input| match (operation, &input["NextToken"]) {
        ("ListShards", Value::Null) => {
            let mut first = listing(&[("shard-0", None)]);
            first["NextToken"] = json!("more");
            Ok(first)
        }
        ("ListShards", _) => Ok(listing(&[("shard-1", None)])),
        _ => rest(operation, input),
    }))
    .await;
    let mut run = run_on(arn, &server, Position::TrimHorizon).await;
    while run.next().await != (ShardEvent::Shards { open: 2, unread: 0 }) {}
    assert_eq!(server.asked("ListShards"), [json!({"StreamARN": arn}), json!({"NextToken": "more"})]);
    assert!(server.asked("GetShardIterator").iter().all(|input| input["StreamARN"] == json!(arn)));
}

#[tokio::test]
async fn a_refusal_at_the_start_is_one_line_that_names_the_stream_and_the_mend() {
    let server = Server::start(Box::new(|_, _| Err("AccessDeniedException"))).await;
    let dir = tempfile::tempdir().unwrap();
    let leases = SqliteLeases::open(dir.path().join("leases.db"), "test", "stream").await.unwrap();
    let source = source("stream", &server, Arc::new(leases), Duration::from_secs(10));
    let error = source.run(Arc::new(|_| Box::pin(async {})), CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, SourceError::Configuration(_)));
    let said = error.to_string();
    assert!(said.contains("\"stream\"") && said.contains("kinesis:ListShards"), "{said}");
    assert_eq!(said.lines().count(), 1);
}
