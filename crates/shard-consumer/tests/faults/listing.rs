//! Listings of the stream that fail, or come in pages.

use std::time::Duration;

use fake_aws::Fault;
use serde_json::{Value, json};
use shard_consumer::{ShardEvent, SourceError};
use tokio::time::Instant;

use crate::wire::edited;
use crate::worker::{Worker, at_once, finished, name, numbered, shards, taken, texts};
use crate::world::{World, error, kinesis, pass, start};

#[tokio::test(start_paused = true)]
async fn a_listing_that_fails_for_a_minute_stops_neither_reading_nor_the_children_of_a_shard() {
    let world = World::new(2).await;
    let mut worker = world.worker("a").await;
    worker.until(|told| shards(told, 2, 0)).await;
    let until = Instant::now() + Duration::from_secs(60);
    world.faults(move |call| match call.operation.as_str() {
        "ListShards" | "DescribeStreamSummary" if call.at < until => error(400, "LimitExceededException"),
        _ => None,
    });
    world.put(0, numbered("zero", 0..3)).await;
    world.put(1, numbered("one", 0..3)).await;
    world.split(0).await;
    world.put(2, numbered("two", 0..3)).await;
    worker.until_records(9).await;
    assert!(Instant::now() < until, "the last answer of the parent tells its children");
    tokio::time::sleep_until(until).await;
    let told = worker.until(|told| shards(told, 3, 0)).await;
    assert!(until.elapsed() < Duration::from_secs(12), "{:?}", until.elapsed());
    assert!(finished(&told, 0) < taken(&told, 2));
    assert!(!told.iter().any(|event| matches!(event, ShardEvent::LeaseLost { .. })));
    let listings = world.asked("ListShards").len();
    assert!(listings < 40, "{listings} listings in little more than a minute");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_silent_at_the_start_for_two_seconds_is_read_and_one_that_stays_so_ends_the_run() {
    let hangs = Fault::LateStart(Duration::from_secs(3_600));
    for (silence, silent_s, is_read) in [(Fault::Reset, 2, true), (Fault::Reset, 60, false), (hangs, 60, false)] {
        let world = World::new(1).await;
        let until = Instant::now() + Duration::from_secs(silent_s);
        world.faults(move |call| (call.at < until && call.operation == "ListShards").then(|| silence.clone()));
        let begun = Instant::now();
        let mut worker = world.worker("a").await;
        if is_read {
            worker.until(|told| taken(told, 0).is_some()).await;
        } else {
            let error = worker.ended().await.unwrap_err();
            assert!(
                matches!(error, SourceError::Failed { .. }),
                "starting again helps once the stream answers: {error:?}"
            );
            let said = error.chain();
            assert!(
                said.contains("\"stream\"") && said.contains("does not answer") && said.lines().count() == 1,
                "{said}"
            );
        }
        assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_of_several_pages_is_read_to_its_end_and_an_arn_is_sent_as_one() {
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/stream";
    let world = World::new(5).await;
    let http = edited(world.fake.http_client(), |operation, message| {
        if operation == "ListShards" && message.get("Shards").is_none() {
            message["MaxResults"] = json!(2);
        }
    });
    let mut params = world.params("a").await;
    (params.client, params.stream) = (kinesis(http, "a"), arn.into());
    let mut worker = start(params, at_once());
    for shard in 0..5 {
        world.put(shard, numbered("text", 0..2)).await;
    }
    let told = worker.until_records(10).await;
    assert_eq!(texts(&told).len(), 5);
    assert!(shards(&told, 5, 0));
    let asked = world.asked_for("ListShards", "StreamARN");
    assert_eq!(asked[..3], [json!(arn), Value::Null, Value::Null]);
    assert!(world.asked_for("ListShards", "NextToken")[1..3].iter().all(Value::is_string));
    assert!(world.asked_for("GetShardIterator", "StreamARN").iter().all(|sent| *sent == json!(arn)));
}

/// What `run` ends with: one line, of the configuration.
async fn refusal(worker: Worker) -> String {
    let error = worker.ended().await.unwrap_err();
    assert!(matches!(error, SourceError::Configuration(_)));
    let said = error.to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_the_start_is_one_line_that_names_the_stream_and_the_mend() {
    let world = World::new(1).await;
    world.faults(|call| if call.operation == "ListShards" { error(400, "AccessDeniedException") } else { None });
    let begun = Instant::now();
    let said = refusal(world.worker("a").await).await;
    assert!(said.contains("\"stream\"") && said.contains("kinesis:ListShards"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_may_not_be_described_is_read_all_the_same() {
    let world = World::new(1).await;
    let denied = "DescribeStreamSummary";
    world.faults(move |call| if call.operation == denied { error(400, "AccessDeniedException") } else { None });
    world.put(0, numbered("zero", 0..3)).await;
    let mut worker = world.worker("a").await;
    let told = worker.until_records(3).await;
    assert_eq!(texts(&told)[&name(0)].len(), 3);
    pass(60).await;
    let retention = worker.told().into_iter().find_map(|event| match event {
        ShardEvent::Shards { retention, .. } => Some(retention),
        _ => None,
    });
    assert_eq!(retention, Some(None));
}
