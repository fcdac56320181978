//! What takes minutes, or needs a service that refuses: in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition};
use fake_aws::{Call, FakeAws, Fault};
use shard_consumer::{ShardEvent, TakenFrom};
use tokio::time::{Instant, sleep};

use super::world::{Manner, Worker, World, by_batch, name, records};
use super::{numbered, texts};

const SUBSCRIBE: &str = "SubscribeToShard";

/// When a worker subscribed to a shard, in seconds, and how.
fn subscriptions(fake: &FakeAws, worker: &str, shard: u32, begun: Instant) -> Vec<(f64, String)> {
    let calls = fake.asked(SUBSCRIBE).into_iter();
    let calls = calls.filter(|call| call.caller == worker && call.input["ShardId"] == name(shard).as_str());
    let told = |call: Call| {
        let kind = call.input["StartingPosition"]["Type"].as_str().unwrap().to_owned();
        ((call.at - begun).as_secs_f64(), kind)
    };
    calls.map(told).collect()
}

/// At least a second between calls, as the service wants it.
fn assert_pace(calls: &[(f64, String)]) {
    assert!(calls.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 1.0), "{calls:?}");
}

fn everything(what: &str, count: u32) -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([(name(0), numbered(what, 0..count))])
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_ends_after_five_minutes_is_followed_by_the_next_one_without_a_gap() {
    let fake = FakeAws::new();
    let world = World::in_memory("minutes", 1, &fake).await;
    let (mut worker, begun) = (world.worker("a", &Manner::pushed()).await, Instant::now());
    for number in 0..100 {
        world.put(0, numbered("record", number..number + 1)).await;
        sleep(Duration::from_secs(10)).await;
        // Each is told long before the next one is put.
        assert_eq!(records(&worker.told()).count(), number as usize + 1);
    }
    assert_eq!(texts(&worker.until_records(100).await), everything("record", 100));
    let calls = subscriptions(&fake, "a", 0, begun);
    let kinds: Vec<&str> = calls.iter().map(|(_, kind)| kind.as_str()).collect();
    let after = "AFTER_SEQUENCE_NUMBER";
    assert_eq!(kinds, ["TRIM_HORIZON", after, after, after]);
    assert!(calls.iter().zip([0.0, 300.0, 600.0, 900.0]).all(|((at, _), due)| (at - due).abs() < 5.0), "{calls:?}");
    worker.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_throttled_fails_or_is_lost_on_its_way_comes_about_all_the_same() {
    let fake = FakeAws::new();
    let world = World::in_memory("refusals", 1, &fake).await;
    let refusal = |code| Some(Fault::Error { status: 400, code });
    let faults = [
        // The subscription stands, and nobody has it: for five seconds, it keeps the next one away.
        Some(Fault::LoseAnswer),
        None,
        Some(Fault::Late(Duration::from_secs(60))),
        Some(Fault::Reset),
        Some(Fault::Error { status: 500, code: "InternalFailure" }),
        refusal("ResourceInUseException"),
        refusal("ProvisionedThroughputExceededException"),
        refusal("LimitExceededException"),
    ];
    let failing = faults.len();
    let mut faults = faults.into_iter();
    fake.set_faults(move |call| if call.operation == SUBSCRIBE { faults.next().flatten() } else { None });
    world.put(0, numbered("record", 0..10)).await;
    let begun = Instant::now();
    let mut worker = world.worker("a", &Manner::pushed()).await;
    worker.until_records(10).await;
    world.put(0, numbered("record", 10..20)).await;
    assert_eq!(texts(&worker.until_records(20).await), everything("record", 20));
    let calls = subscriptions(&fake, "a", 0, begun);
    assert_eq!(calls.len(), failing + 1, "{calls:?}");
    assert_pace(&calls);
    worker.leave().await;
}

#[tokio::test(start_paused = true)]
async fn who_loses_the_subscription_to_another_reader_of_the_same_consumer_takes_it_back() {
    let fake = FakeAws::new();
    let world = World::in_memory("rivals", 1, &fake).await;
    let (mut worker, begun) = (world.worker("a", &Manner::pushed()).await, Instant::now());
    world.put(0, numbered("record", 0..10)).await;
    worker.until_records(10).await;
    sleep(Duration::from_secs(10)).await;
    let consumer = fake.asked(SUBSCRIBE)[0].input["ConsumerARN"].as_str().unwrap().to_owned();
    let start = StartingPosition::builder().r#type(ShardIteratorType::TrimHorizon).build().unwrap();
    let rival = world.client.subscribe_to_shard().consumer_arn(consumer).shard_id(name(0)).starting_position(start);
    let _rival = rival.send().await.unwrap();
    let stolen = begun.elapsed().as_secs_f64();
    world.put(0, numbered("record", 10..20)).await;
    assert_eq!(texts(&worker.until_records(20).await), everything("record", 20));
    let calls = subscriptions(&fake, "a", 0, begun);
    assert_pace(&calls);
    let (back, refused) = calls[1..].split_last().unwrap();
    assert!(!refused.is_empty() && (5.0..8.0).contains(&(back.0 - stolen)), "{stolen}: {calls:?}");
    worker.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_gets_its_share_though_the_subscriptions_of_the_old_owner_are_seconds_old() {
    let fake = FakeAws::new();
    let world = World::in_memory("share", 2, &fake).await;
    let begun = Instant::now();
    let mut old = world.worker("a", &Manner::pushed()).await;
    let mut put = [0; 2];
    let mut more = async |count: u32| {
        for shard in 0..2 {
            let from = &mut put[shard as usize];
            world.put(shard, numbered(&name(shard), *from..*from + count)).await;
            *from += count;
        }
    };
    more(10).await;
    old.until_records(20).await;
    let mut new = world.worker("b", &Manner::pushed()).await;
    for _ in 0..100 {
        more(1).await;
        sleep(Duration::from_millis(100)).await;
    }
    let left = |event: &ShardEvent| matches!(event, ShardEvent::HandedOver { .. });
    old.until(|told| told.iter().any(left)).await;
    let came = |event: &ShardEvent| matches!(event, ShardEvent::LeaseTaken { from: TakenFrom::HandOver, .. });
    new.until(|told| told.iter().any(came)).await;
    sleep(Duration::from_secs(10)).await;

    let (old_told, new_told) = (old.told(), new.told());
    let mut all = texts(&old_told);
    for (shard, texts) in texts(&new_told) {
        all.entry(shard).or_default().extend(texts);
    }
    let expected = [0, 1].map(|shard| (name(shard), numbered(&name(shard), 0..110)));
    assert!(all == BTreeMap::from(expected), "each once and in order: {all:?}");
    let handed_over: Vec<String> = texts(&new_told).into_keys().collect();
    assert_eq!(handed_over.len(), 1);
    let shard = if handed_over[0] == name(0) { 0 } else { 1 };
    let calls = subscriptions(&fake, "b", shard, begun);
    assert_pace(&calls);
    assert!(calls.len() > 1, "the old subscription stood in the way at first: {calls:?}");
    new.leave().await;
    old.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_takes_minutes_is_not_silence_and_may_outlast_the_subscription() {
    let fake = FakeAws::new();
    let world = World::in_memory("patience", 1, &fake).await;
    let takes = |event: &ShardEvent| match event {
        ShardEvent::Batch(batch) if batch.records.iter().any(|record| record.data.ends_with(b"-0")) => {
            Duration::from_secs(200)
        }
        ShardEvent::Batch(batch) if batch.records.iter().any(|record| record.data.ends_with(b"-1")) => {
            Duration::from_secs(400)
        }
        _ => Duration::ZERO,
    };
    let begun = Instant::now();
    let mut worker = Worker::start(world.source("a", &Manner::pushed()).await, takes, by_batch);
    sleep(Duration::from_secs(1)).await;
    for number in 0..40 {
        world.put(0, numbered("record", number..number + 1)).await;
        sleep(Duration::from_secs(5)).await;
    }
    sleep(Duration::from_secs(20)).await;
    assert_eq!(subscriptions(&fake, "a", 0, begun).len(), 1, "200 s of waiting are no reason for another one");
    sleep(Duration::from_secs(400)).await;
    let told = worker.until_records(40).await;
    assert_eq!(texts(&told), everything("record", 40));
    assert!(!told.iter().any(|event| matches!(event, ShardEvent::LeaseLost { .. })), "it was renewed all the while");
    let calls = subscriptions(&fake, "a", 0, begun);
    assert!(calls.len() == 2 && calls[1].0 > 600.0, "{calls:?}");
    worker.leave().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_next_worker_goes_on_at_the_checkpoint() {
    let fake = FakeAws::new();
    let world = World::in_memory("crash", 1, &fake).await;
    world.put(0, numbered("record", 0..20)).await;
    let mut worker = world.worker("a", &Manner::pushed()).await;
    let told = worker.until_records(20).await;
    let tenth = records(&told).nth(9).unwrap().position();
    worker.checkpoint(0, tenth.clone()).await;
    // The next renewal writes it.
    sleep(Duration::from_secs(8)).await;
    assert_eq!(world.rows().await[&name(0)].checkpoint, tenth);
    worker.crash().await;
    world.put(0, numbered("record", 20..30)).await;
    let (mut next, begun) = (world.worker("b", &Manner::pushed()).await, Instant::now());
    let told = next.until_records(20).await;
    assert_eq!(texts(&told), BTreeMap::from([(name(0), numbered("record", 10..30))]));
    assert!(begun.elapsed() < Duration::from_secs(10 + 3), "{:?}", begun.elapsed());
    assert_eq!(subscriptions(&fake, "b", 0, begun)[0].1, "AT_SEQUENCE_NUMBER");
    next.leave().await;
}
