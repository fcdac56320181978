//! Positions that the stream no longer holds, or not yet.

use fake_aws::FakeAws;
use shard_consumer::{Lease, LeaseStore, Position, ShardEvent, ShardId, Start};

use crate::worker::{at_once, name, numbered, texts};
use crate::world::{BEGIN_MS, STREAM, World, error, owner, pass, start};

fn after(sequence: &str) -> Position {
    Position::After { sequence: sequence.into(), sub_sequence: 0 }
}

fn shard() -> ShardId {
    ShardId::from(name(0).as_str())
}

fn trim(fake: &FakeAws, keep_last: usize) {
    fake.trim(STREAM, &name(0), keep_last);
}

#[tokio::test(start_paused = true)]
async fn a_position_that_was_trimmed_starts_over_at_the_oldest_record_and_can_be_checkpointed() {
    // The second one is beyond every record: the stream was made anew.
    for stored in [format!("49{:054}", 0), "9".repeat(60)] {
        let world = World::new(1).await;
        world.leases().await.create(&Lease::unowned(shard(), after(&stored), vec![])).await.unwrap();
        world.put(0, numbered("zero", 0..10)).await;
        trim(&world.fake, 2);
        let mut worker = world.worker("a").await;
        let told = worker.until_records(2).await;
        assert_eq!(texts(&told)[&name(0)], ["zero-8", "zero-9"]);
        let (_, _, reached) = worker.cut().iter().next().map(|(s, e, p)| (s.clone(), e, p.clone())).unwrap();
        worker.checkpoint().await.unwrap();
        let row = world.row_that(0, |row| row.checkpoint == reached).await;
        assert_eq!(owner(&row), Some("a"));
        assert!(!told.iter().any(|event| matches!(event, ShardEvent::LeaseLost { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_that_is_trimmed_while_reading_starts_over_under_another_epoch() {
    let world = World::new(1).await;
    world.put(0, numbered("zero", 0..2)).await;
    let mut worker = world.worker("a").await;
    worker.until_records(2).await;
    let fake = world.fake.clone();
    let mut is_expired = false;
    world.put(0, numbered("zero", 2..5)).await;
    trim(&fake, 1);
    world.faults(move |call| {
        let expires = call.operation == "GetRecords" && !std::mem::replace(&mut is_expired, true);
        if expires { error(400, "ExpiredIteratorException") } else { None }
    });
    let told = worker.until_records(3).await;
    assert_eq!(texts(&told)[&name(0)], ["zero-0", "zero-1", "zero-4"]);
    let of = |which: fn(&ShardEvent) -> Option<u64>| told.iter().filter_map(which).collect::<Vec<_>>();
    let lost = of(|event| if let ShardEvent::LeaseLost { epoch, .. } = event { Some(*epoch) } else { None });
    let taken = of(|event| if let ShardEvent::LeaseTaken { epoch, .. } = event { Some(*epoch) } else { None });
    assert_eq!((lost, taken), (vec![1], vec![1, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_start_in_the_services_future_is_waited_for() {
    let world = World::new(1).await;
    let mut params = world.params("a").await;
    params.start = Start::At(BEGIN_MS + 60_000);
    let mut worker = start(params, at_once());
    pass(30).await;
    world.put(0, numbered("early", 0..3)).await;
    pass(40).await;
    world.put(0, numbered("zero", 0..3)).await;
    let told = worker.until_records(3).await;
    assert_eq!(texts(&told)[&name(0)], numbered("zero", 0..3).collect::<Vec<_>>());
    assert!(world.asked("GetShardIterator").len() < 60);
}
