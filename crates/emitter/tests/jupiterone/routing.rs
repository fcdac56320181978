//! Which JupiterOne account shows which AWS account, and what a graph of others' entities gets.

use std::collections::BTreeMap;

use bucket_state::{Event, Owner};
use emitter::{Mode, Scope, StateStore, Verdict};
use serde_json::json;

use crate::server::Fault;
use crate::support::{create, event, id, logging};
use crate::world::{ACCOUNT, OTHER, World, clock, route};

fn owned_by(account: &str, event: Event) -> Event {
    Event { owner: Some(Owner { named: true, account: account.into() }), ..event }
}

#[tokio::test(start_paused = true)]
async fn each_aws_account_goes_to_its_jupiterone_account_and_none_waits_for_anothers() {
    let world = World::new();
    let worker = world.worker("worker", |params| params.routes = BTreeMap::from([(OTHER.into(), route("beta"))])).await;
    assert_eq!(worker.lanes.len(), 2);
    worker.save(&[create("app", 1), owned_by(OTHER, create("web", 1))]).await;
    // The first account's key does not work.
    world.server.fail("POST", Fault::Status(401, "UNAUTHORIZED"), 1);
    assert!(worker.outbox(0).round(clock(), &crate::support::never()).await.unwrap_err().is_denied());
    assert_eq!(worker.outbox(1).round(clock(), &crate::support::never()).await.unwrap().unwrap().cleared, 1);
    assert_eq!(world.buckets(), ["web"]);
    worker.settle().await;
    let of = |account: &str| {
        let starts =
            world.server.log().into_iter().filter(|logged| logged.path.ends_with("/jobs") && logged.status == 200);
        starts.filter(|logged| logged.account == account).map(|logged| logged.body["scope"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("acme"), [json!(format!("trailgraph:{ACCOUNT}"))]);
    assert_eq!(of("beta"), [json!(format!("trailgraph:{OTHER}"))]);
}

#[tokio::test(start_paused = true)]
async fn an_aws_account_that_nobody_shows_is_rejected_with_the_mend() {
    let world = World::new();
    let routes = BTreeMap::from([(OTHER.to_owned(), route("beta"))]);
    let worker = world
        .worker("worker", |params| {
            params.default = None;
            params.routes = routes;
        })
        .await;
    worker.save(&[create("app", 1), owned_by(OTHER, create("web", 1))]).await;
    let mut verdicts = Vec::new();
    while let Some(report) = worker.round().await.unwrap() {
        verdicts
            .extend(report.settled.into_iter().map(|settled| (settled.resource.name().to_owned(), settled.verdict)));
    }
    verdicts.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(
        matches!(&verdicts[0], (name, Verdict::Rejected(why)) if name == "app" && why.contains("set --jupiterone-account"))
    );
    assert_eq!(verdicts[1], ("web".into(), Verdict::Applied));
}

#[tokio::test(start_paused = true)]
async fn a_patch_adds_properties_to_entities_of_others_and_deletes_nothing() {
    let world = World::new();
    let mode = Mode::Patch { scope: "integration-scope".into() };
    let worker = world.worker("worker", |params| params.mode = mode).await;
    worker.save(&[create("app", 1), logging("app", 2, "logs"), create("web", 1)]).await;
    worker.settle().await;
    worker
        .save(&[event("web", "PutBucketVersioning", 3, &json!({"VersioningConfiguration": {"Status": "Enabled"}}))])
        .await;
    worker.settle().await;
    assert_eq!(world.buckets(), ["app", "web"]);
    assert_eq!(world.entities()["arn:aws:s3:::web"]["versioningEnabled"], true);
    assert_eq!(world.server.scopes(), ["integration-scope"]);
    assert_eq!(world.server.shown().1.len(), 0, "relationships cannot be patched");
    let jobs = world.server.log().into_iter().filter(|logged| logged.path.ends_with("/jobs"));
    assert_eq!(jobs.map(|logged| logged.body["syncMode"].clone()).collect::<Vec<_>>(), ["PATCH", "PATCH"]);
}

#[tokio::test(start_paused = true)]
async fn a_patch_clears_nothing_that_it_does_not_know() {
    let world = World::new();
    let mode = Mode::Patch { scope: "integration-scope".into() };
    let worker = world.worker("worker", |params| params.mode = mode).await;
    let theirs = json!({"_key": "arn:aws:s3:::app", "_type": "aws_s3_bucket", "name": "app", "classification": "secret", "encrypted": true});
    world.server.seed(["acme", "api", "integration-scope"], "arn:aws:s3:::app", theirs);
    worker.save(&[logging("app", 2, "logs")]).await;
    worker.settle().await;
    let shown = &world.entities()["arn:aws:s3:::app"];
    assert_eq!((&shown["classification"], &shown["encrypted"]), (&json!("secret"), &json!(true)), "{shown}");
    assert_eq!(shown["loggingEnabled"], true);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_sold_bought_back_and_sold_again_stands_in_one_scope() {
    let world = World::new();
    let worker = world.worker("worker", |params| params.scope = Scope::Bucket).await;
    worker.save(&[create("app", 1)]).await;
    worker.settle().await;
    for (second, owner) in [(2, OTHER), (3, ACCOUNT), (4, OTHER)] {
        worker.save(&[owned_by(owner, logging("app", second, "logs"))]).await;
        worker.settle().await;
        // The contract's server asserts that no key stands in several scopes.
        assert_eq!(world.entities()["arn:aws:s3:::app"]["accountId"], owner);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_whose_row_is_damaged_has_not_left_its_account() {
    let world = World::new();
    let worker = world.worker("worker", |params| params.scope = Scope::Bucket).await;
    worker.save(&[create("app", 1), create("web", 1)]).await;
    worker.settle().await;
    world.damage(&id("app"));
    // A bucket that leaves has the account shown anew.
    worker.save(&[owned_by(OTHER, logging("web", 2, "logs"))]).await;
    worker.settle().await;
    assert_eq!(world.buckets(), ["app", "web"]);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_row_that_is_pending_is_settled_in_either_scope() {
    for scope in [Scope::Account, Scope::Bucket] {
        let world = World::new();
        let worker = world.worker("worker", |params| params.scope = scope).await;
        worker.save(&[create("app", 1)]).await;
        worker.settle().await;
        world.damage(&id("app"));
        worker.store.mark_all(None, clock()).await.unwrap();
        worker.settle().await;
        let backlog = worker.store.backlog(worker.lanes[0].name()).await.unwrap();
        assert_eq!((backlog.rows, backlog.rejected), (0, 1), "{scope:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_aws_account_whose_jobs_cannot_be_started_holds_back_no_other() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    worker.save(&[create("app", 1)]).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    worker.save(&[owned_by(OTHER, create("web", 1))]).await;
    world.server.fail("POST /persister/synchronization/jobs", Fault::Status(400, "BUSY"), 1);
    assert!(worker.round().await.unwrap_err().is_transient());
    worker.round().await.unwrap().unwrap();
    assert_eq!(world.buckets(), ["web"]);
    worker.settle().await;
    assert_eq!(world.buckets(), ["app", "web"]);
}

#[tokio::test(start_paused = true)]
async fn an_aws_account_whose_jobs_fail_holds_back_no_other() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    worker.save(&[create("app", 1)]).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    worker.save(&[owned_by(OTHER, create("web", 1))]).await;
    world.server.end_next_job_as("ERROR_BAD_DATA");
    assert!(worker.round().await.unwrap_err().is_transient());
    worker.round().await.unwrap().unwrap();
    assert_eq!(world.buckets(), ["web"], "the one that waits for longer has failed, and stands behind");
    worker.settle().await;
    assert_eq!(world.buckets(), ["app", "web"]);
}

#[tokio::test(start_paused = true)]
async fn rows_of_another_lane_that_wait_for_longer_hide_none() {
    let world = World::new();
    let worker = world.worker("worker", |params| params.routes = BTreeMap::from([(OTHER.into(), route("beta"))])).await;
    let many: Vec<_> = (0..300).map(|number| create(&format!("bucket-{number}"), 1)).collect();
    worker.save(&many).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    worker.save(&[owned_by(OTHER, create("web", 1))]).await;
    // Three batches of the first lane's rows come before the second's.
    assert_eq!(worker.outbox(1).round(clock(), &crate::support::never()).await.unwrap().unwrap().cleared, 1);
    assert_eq!(world.buckets(), ["web"]);
}
