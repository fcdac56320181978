//! What is set for an account shows in every bucket of it.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::convert::Infallible;
use std::time::Duration;

use bucket_state::{Event, ResourceId};
use emitter::{
    FanOutReport, FanOutWork, Save, SaveOutcome, SaveReport, SqliteFile, SqliteStore, StateStore, StoreError,
};
use serde_json::{Value, json};
use support::disturbed::{Before, disturbed};
use support::{NOW, World, clock, create, delete, event, id, never, save, sealed};
use tokio_util::sync::CancellationToken;

const OWNER: &str = "arn:aws:iam::111122223333:root";

/// A bucket that its policy opens to everybody.
fn open(bucket: &str) -> [Event; 3] {
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"});
    [
        create(bucket, 1),
        event(bucket, "DeleteBucketPublicAccessBlock", 2, &json!({})),
        event(bucket, "PutBucketPolicy", 3, &json!({"bucketPolicy": {"Statement": statement}})),
    ]
}

fn close_the_account(second: u32) -> Event {
    let all = json!({"IgnorePublicAcls": true, "RestrictPublicBuckets": true});
    event("-", "PutAccountPublicAccessBlock", second, &json!({"PublicAccessBlockConfiguration": all}))
}

fn open_the_account(second: u32) -> Event {
    event("-", "DeleteAccountPublicAccessBlock", second, &json!({}))
}

async fn window(store: &SqliteStore, events: &[Event]) -> SaveReport {
    let saved = sealed(events, 1).save(store, clock).await.unwrap();
    saved.checkpoint(async |_| Ok::<_, Infallible>(())).await.unwrap()
}

async fn emit(world: &World) {
    while world.outbox("worker").round(NOW, &never()).await.unwrap().is_some() {}
}

/// How many buckets are public, how many are not, and of how many nobody knows.
async fn exposures(world: &World) -> (usize, usize, usize) {
    let (entities, _) = world.graph.export().await.unwrap();
    let buckets: Vec<&Value> = entities.iter().filter(|entity| entity["_type"] == "aws_s3_bucket").collect();
    let count = |public: Value| buckets.iter().filter(|bucket| bucket["public"] == public).count();
    (count(json!(true)), count(json!(false)), count(Value::Null))
}

/// One pass of this worker, which leaves to others what they saved within ten seconds.
async fn fan_out_by(worker: &str, store: &dyn StateStore, clock: fn() -> i64) -> Result<FanOutReport, StoreError> {
    let work = FanOutWork { store, worker, adopt_after: Duration::from_secs(10), clock: &clock };
    work.pass(&CancellationToken::new()).await
}

async fn fan_out(store: &dyn StateStore) -> Result<FanOutReport, StoreError> {
    fan_out_by("worker", store, clock).await
}

fn report(accounts: u64, marked: u64) -> FanOutReport {
    FanOutReport { accounts, marked }
}

#[tokio::test]
async fn a_change_of_an_account_flips_the_exposure_of_its_thousand_stored_buckets_and_back() {
    let world = World::new().await;
    let buckets: Vec<Event> = (0..1_000).flat_map(|number| open(&format!("open-{number:04}"))).collect();
    window(&world.store, &buckets).await;
    emit(&world).await;
    assert_eq!(exposures(&world).await, (1_000, 0, 0));

    for (change, expected) in [(close_the_account(60), (0, 1_000, 0)), (open_the_account(120), (1_000, 0, 0))] {
        window(&world.store, &[change]).await;
        assert_eq!(fan_out(&world.store).await.unwrap(), report(1, 1_000));
        emit(&world).await;
        assert_eq!(exposures(&world).await, expected);
        assert_eq!(fan_out(&world.store).await.unwrap(), report(0, 0), "it is done once");
    }
}

#[tokio::test]
async fn a_worker_that_dies_before_it_has_marked_the_buckets_leaves_them_to_another() {
    let world = World::new().await;
    window(&world.store, &open("app")).await;
    emit(&world).await;
    window(&world.store, &[close_the_account(60)]).await;
    let heir = world.colleague("heir");
    assert_eq!(fan_out_by("heir", &heir, clock).await.unwrap(), report(0, 0), "the other may be at it");
    assert_eq!(heir.claim_fan_outs("heir", NOW + 1, NOW + 10_001).await.unwrap().len(), 1);
    assert_eq!(heir.claim_fan_outs("third", NOW + 10_001, NOW + 15_000).await.unwrap(), [], "it is the heir's now");
    assert_eq!(fan_out_by("heir", &heir, || NOW + 10_001).await.unwrap(), report(1, 1));
    // The marks are the heir's; they are emitted by whoever finds them.
    while world.outbox("heir").round(NOW, &never()).await.unwrap().is_some() {}
    assert_eq!(exposures(&world).await, (0, 1, 0));
}

#[tokio::test]
async fn an_account_that_changes_again_meanwhile_is_gone_through_again() {
    let world = World::new().await;
    window(&world.store, &open("app")).await;
    window(&world.store, &[close_the_account(60)]).await;
    let under_way = world.store.claim_fan_outs("worker", 0, NOW).await.unwrap().remove(0);
    window(&world.store, &[open_the_account(120)]).await;
    world.store.end_fan_out(&under_way).await.unwrap();
    let again = world.store.claim_fan_outs("worker", 0, NOW).await.unwrap();
    assert_eq!(again.iter().map(|change| change.version).collect::<Vec<_>>(), [under_way.version + 1]);
}

#[tokio::test]
async fn an_account_that_changes_without_end_tells_only_the_news_that_is_not_marked_yet() {
    let world = World::new().await;
    let account = ResourceId::from(OWNER);
    let change = async |version: u64, arrived_ms: i64| {
        let (state, mark) = (support::state(&[close_the_account(60)]), Some(support::mark(arrived_ms + 5)));
        let resource = account.clone();
        let save = Save {
            resource,
            based_on: version - 1,
            state,
            account: None,
            former_account: None,
            mark,
            set_aside: false,
        };
        assert_eq!(world.store.save(vec![save]).await.unwrap(), [SaveOutcome::Saved(version)]);
    };
    let claimed = async || world.store.claim_fan_outs("worker", 0, NOW).await.unwrap().remove(0);
    change(1, 1_000).await;
    let first = claimed().await;
    change(2, 9_000).await;
    assert_eq!(claimed().await.mark.arrived_ms, 1_000, "the first change may not be marked yet");
    world.store.end_fan_out(&first).await.unwrap();
    assert_eq!(claimed().await.mark.arrived_ms, 9_000, "it is now; the second waits");
}

#[tokio::test]
async fn only_buckets_that_the_account_owns_or_owned_are_marked() {
    let world = World::new().await;
    let of = |account: &str, events: Vec<Event>| -> Vec<Event> {
        let owner = Some(bucket_state::Owner { named: true, account: account.into() });
        events.into_iter().map(|event| Event { owner: owner.clone(), ..event }).collect()
    };
    window(&world.store, &open("ours")).await;
    window(&world.store, &of("444455556666", open("theirs").into())).await;
    window(&world.store, &open("sold")).await;
    window(&world.store, &of("444455556666", vec![event("sold", "PutBucketVersioning", 9, &json!({}))])).await;
    let members = world.store.members(&ResourceId::from(OWNER), None, 10).await.unwrap();
    assert_eq!(members, [id("ours"), id("sold")], "a member stays listed");
    emit(&world).await;
    window(&world.store, &[close_the_account(60)]).await;
    assert_eq!(fan_out(&world.store).await.unwrap(), report(1, 2));
    emit(&world).await;
    assert_eq!(exposures(&world).await, (2, 1, 0), "what others own stays as it was");
}

#[tokio::test]
async fn a_save_that_was_under_way_when_its_row_was_marked_is_made_again() {
    let world = World::new().await;
    window(&world.store, &open("app")).await;
    let before = world.store.load(&[id("app")]).await.unwrap().remove(0).version();
    world.store.mark(&[id("app"), id("never-heard-of")], support::mark(NOW)).await.unwrap();
    assert_eq!(save(&world.store, "app", before, &open("app")).await, SaveOutcome::Conflict);
    assert_eq!(world.store.load(&[id("app")]).await.unwrap().remove(0).version(), before + 1);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_leaves_the_rest_to_the_next() {
    let world = World::new().await;
    window(&world.store, &open("app")).await;
    window(&world.store, &[close_the_account(60)]).await;
    let stop = CancellationToken::new();
    stop.cancel();
    let work = FanOutWork { store: &world.store, worker: "worker", adopt_after: Duration::ZERO, clock: &clock };
    assert_eq!(work.pass(&stop).await.unwrap(), report(0, 0));
    assert_eq!(fan_out(&world.store).await.unwrap(), report(1, 1));
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_delays_the_marks_and_loses_none() {
    let world = World::new().await;
    window(&world.store, &open("app")).await;
    window(&world.store, &[close_the_account(60)]).await;
    let shaky = disturbed(&world, Before::Failure);
    assert!(fan_out(&shaky).await.unwrap_err().is_transient());
    let work = FanOutWork { store: &shaky, worker: "worker", adopt_after: Duration::ZERO, clock: &clock };
    assert_eq!(work.drain(Duration::from_secs(60)).await.unwrap(), report(1, 1));
}

#[tokio::test]
async fn an_accounts_row_that_cannot_be_read_leaves_the_exposure_of_its_buckets_open() {
    let world = World::new().await;
    window(&world.store, &open("app")).await;
    window(&world.store, &[close_the_account(60)]).await;
    world.damage(&ResourceId::from(OWNER));
    fan_out(&world.store).await.unwrap();
    emit(&world).await;
    assert_eq!(exposures(&world).await, (0, 0, 1));
}

#[tokio::test]
async fn a_bucket_is_deduplicated_as_its_account_makes_it_look() {
    let world = World::new().await;
    // Two deletions of a former bucket in one second change what is known of that second, and not the graph.
    let deleted_as = |identity: &str| {
        let mut event = delete("app", 0);
        let mut origin = (*event.origin).clone();
        origin.stamp.identity = identity.into();
        event.origin = origin.into();
        event
    };
    window(&world.store, &open("app")).await;
    window(&world.store, &[deleted_as("m"), close_the_account(60)]).await;
    fan_out(&world.store).await.unwrap();
    emit(&world).await;
    let report = window(&world.store, &[deleted_as("n")]).await;
    assert_eq!((report.saved, report.deduplicated), (0, 1));
    assert_eq!(exposures(&world).await, (0, 1, 0));
}

#[tokio::test]
async fn a_file_that_did_not_list_members_lists_them_when_it_is_opened() {
    let world = World::new().await;
    window(&world.store, &[open("app"), open("web")].concat()).await;
    world.forget_members();
    let file = SqliteFile::open(&world.folder.path().join("trailgraph.db")).unwrap();
    let reopened = SqliteStore::open(file, "worker", NOW).unwrap();
    assert_eq!(reopened.members(&ResourceId::from(OWNER), None, 10).await.unwrap(), [id("app"), id("web")]);
    let after = reopened.members(&ResourceId::from(OWNER), Some(&id("app")), 10).await.unwrap();
    assert_eq!(after, [id("web")]);
}
