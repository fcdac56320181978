//! One worker at a time emits to a JupiterOne account, and one that is gone holds nobody back for long.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::server::Fault;
use crate::support::{create, logging};
use crate::world::{World, clock};

#[tokio::test(start_paused = true)]
async fn the_job_of_a_worker_that_has_died_is_aborted_and_another_one_goes_on() {
    let world = World::new();
    let (dead, heir) = (world.worker("dead", |_| {}).await, world.worker("heir", |_| {}).await);
    dead.save(&[create("app", 1)]).await;
    // It dies while its upload is on the way.
    world.server.fail("/entities", Fault::Late(Duration::from_secs(3_600)), 1);
    tokio::time::timeout(Duration::from_secs(5), dead.round()).await.unwrap_err();
    assert!(dead.claim().await["job"].is_string());
    let begun = Instant::now();
    heir.settle().await;
    assert_eq!(world.buckets(), ["app"]);
    let took = begun.elapsed().as_secs();
    assert!((120..180).contains(&took), "the claim stood still for {took} s");
    assert!(world.server.log().iter().any(|logged| logged.body["reason"] == "its worker is gone"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_its_dead_worker_had_finalized_is_waited_for_and_not_aborted() {
    let world = World::new();
    let (dead, heir) = (world.worker("dead", |_| {}).await, world.worker("heir", |_| {}).await);
    dead.save(&[create("app", 1)]).await;
    world.server.fail("/finalize", Fault::Late(Duration::from_secs(3_600)), 1);
    tokio::time::timeout(Duration::from_secs(5), dead.round()).await.unwrap_err();
    let begun = Instant::now();
    heir.settle().await;
    assert_eq!(world.buckets(), ["app"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "its end was seen after {:?}", begun.elapsed());
    assert!(!world.server.log().iter().any(|logged| logged.path.ends_with("/abort")));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_wakes_up_late_finds_its_job_aborted_and_shows_nothing_old() {
    let world = World::new();
    let (slow, fast) = (world.worker("slow", |_| {}).await, world.worker("fast", |_| {}).await);
    slow.save(&[create("app", 1), logging("app", 2, "old-logs")]).await;
    // A process that is stopped for five minutes between its upload and what follows.
    world.server.fail("/entities", Fault::Late(Duration::from_secs(300)), 1);
    let (woken, ()) = tokio::join!(slow.round(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fast.save(&[logging("app", 3, "new-logs")]).await;
        fast.settle().await;
    });
    let error = woken.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(world.entities()["arn:aws:s3:::app"]["loggingTargetBucket"], "new-logs");
    let finalized = world.server.log().iter().filter(|logged| logged.path.ends_with("/finalize")).count();
    assert_eq!(finalized, 1);
}

#[tokio::test(start_paused = true)]
async fn two_workers_at_one_account_never_send_more_than_its_pace_together() {
    let world = World::new();
    let (one, two) = (world.worker("one", |_| {}).await, world.worker("two", |_| {}).await);
    let work = async |worker: &crate::world::Worker, bucket: &str| {
        for second in 0..40 {
            worker.save(&[create(bucket, 1), logging(bucket, second + 2, &format!("logs-{second}"))]).await;
            let _whether_or_not_the_other_is_at_it = worker.round().await.unwrap();
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    };
    tokio::join!(work(&one, "app"), work(&two, "web"));
    one.settle().await;
    assert_eq!(world.buckets(), ["app", "web"]);
    assert!(world.server.most_in_a_minute() <= 30, "{} requests within a minute", world.server.most_in_a_minute());
    assert!(!world.server.log().iter().any(|logged| logged.status == 429));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_changes_hands_leaves_its_former_account() {
    use emitter::Scope;
    for scope in [Scope::Account, Scope::Bucket] {
        let world = World::new();
        let worker = world.worker("worker", |params| params.scope = scope).await;
        worker.save(&[create("app", 1), create("web", 1)]).await;
        worker.settle().await;
        let mut sold = logging("app", 9, "logs");
        sold.owner = Some(bucket_state::Owner { named: true, account: crate::world::OTHER.into() });
        worker.save(&[sold]).await;
        worker.settle().await;
        // The server would not show an entity of two scopes.
        assert_eq!(world.entities()["arn:aws:s3:::app"]["accountId"], crate::world::OTHER);
        assert_eq!(world.buckets(), ["app", "web"], "{scope:?}");
        assert!(clock() > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_turn_at_once_and_gives_back_what_it_held() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    let events: Vec<_> = (0..20).map(|number| create(&format!("bucket-{number}"), 1)).collect();
    worker.save(&events).await;
    // The server makes the worker wait in the middle of its upload.
    world.server.fail("/entities", Fault::Status(429, "TOO_MANY_REQUESTS"), 3);
    let stop = tokio_util::sync::CancellationToken::new();
    let (outbox, begun) = (worker.outbox(0), Instant::now());
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
        Instant::now()
    };
    let (ended, stopped) = tokio::join!(outbox.round(clock(), &stop), stopping);
    assert!(ended.unwrap_err().to_string().contains("the next one goes on"));
    assert!(begun.elapsed() < Duration::from_secs(25) && stopped.elapsed() < Duration::from_secs(1));
    let claim = worker.claim().await;
    assert!(claim.get("job").is_none(), "{claim}");
    assert!(world.server.log().iter().any(|logged| logged.path.ends_with("/abort")));
    assert_eq!(outbox.round(clock(), &stop).await.unwrap().map(|_| ()), None, "nothing is begun any more");
    assert_eq!(json!(worker.waiting().await), json!(20));
    world.worker("next", |_| {}).await.settle().await;
    assert_eq!(world.buckets().len(), 20);
}
