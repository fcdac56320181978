//! What each failure of the API leads to.

use std::time::Duration;

use emitter::{Header, Request, StateStore, Verdict};
use serde_json::json;
use tokio::time::Instant;

use crate::server::Fault;
use crate::support::{create, event, logging};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn what_fails_for_a_while_is_sent_again_under_one_correlation_id() {
    for fault in [Fault::Status(503, "UNAVAILABLE"), Fault::Status(500, "INTERNAL"), Fault::Lost, Fault::Unanswered] {
        let world = World::new();
        let worker = world.worker("worker", |_| {}).await;
        worker.save(&[create("app", 1)]).await;
        world.server.fail("/entities", fault, 2);
        assert_eq!(worker.round().await.unwrap().unwrap().cleared, 1);
        assert_eq!(world.buckets(), ["app"]);
        let uploads = world.server.log().into_iter().filter(|logged| logged.path.contains("/entities"));
        let ids: std::collections::BTreeSet<_> =
            uploads.map(|logged| logged.headers["jupiterone-correlation-id"].clone()).collect();
        assert_eq!(ids.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_long_fails_the_turn_which_leaves_no_open_job_and_no_claim() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    worker.save(&[create("app", 1)]).await;
    world.server.fail("/entities", Fault::Status(503, "UNAVAILABLE"), 5);
    assert!(worker.round().await.unwrap_err().is_transient());
    assert_eq!(worker.waiting().await, 1);
    assert!(worker.claim().await.get("job").is_none());
    assert!(world.server.log().iter().any(|logged| logged.path.ends_with("/abort") && logged.status == 200));
    worker.settle().await;
    assert_eq!(world.buckets(), ["app"]);
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_are_waited_out_for_as_long_as_the_server_says() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    worker.save(&[create("app", 1)]).await;
    // Another client of the account has spent all of it.
    world.server.limit(0);
    let begun = Instant::now();
    let server = std::sync::Arc::clone(&world.server);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(15)).await;
        server.limit(30);
    });
    worker.round().await.unwrap().unwrap();
    let refused: Vec<_> = world.server.log().into_iter().filter(|logged| logged.status == 429).collect();
    assert!((1..=3).contains(&refused.len()), "{} were refused", refused.len());
    assert!(begun.elapsed() > Duration::from_secs(20), "each refusal was waited out");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_taken_is_told_with_its_mend_and_not_tried_again_at_once() {
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "FORBIDDEN")] {
        let world = World::new();
        let worker = world.worker("worker", |_| {}).await;
        worker.save(&[create("app", 1)]).await;
        world.server.fail("POST", Fault::Status(status, code), 1);
        let error = worker.round().await.unwrap_err();
        assert!(error.is_denied());
        let text = error.to_string();
        assert!(
            text.contains("JupiterOne account acme is not taken") && text.contains("check the account's id"),
            "{text}"
        );
        assert_eq!(world.server.requests(), 1);
        assert!(worker.lanes[0].check().await.unwrap().contains("acme"), "the key is right after all");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_takes_no_uploads_any_more_is_replaced_by_a_new_one() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    worker.save(&[create("app", 1)]).await;
    world.server.fail("/entities", Fault::Status(400, "JOB_NOT_AWAITING_UPLOADS"), 1);
    assert!(worker.round().await.unwrap_err().is_transient());
    worker.round().await.unwrap().unwrap();
    let starts = world.server.log().into_iter().filter(|logged| logged.path.ends_with("/jobs")).count();
    assert_eq!((starts, world.buckets()), (2, vec!["app".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn an_entity_that_is_refused_stays_bare_until_it_changes_and_holds_back_no_other() {
    let world = World::new();
    let worker = world.worker("worker", |params| params.requests_per_minute = 6_000).await;
    world.server.limit(6_000);
    let events: Vec<_> = (0..50).map(|number| create(&format!("bucket-{number}"), 1)).collect();
    worker.save(&events).await;
    world.server.refuse("arn:aws:s3:::bucket-7");
    let report = worker.round().await.unwrap().unwrap();
    let rejected: Vec<_> = report.settled.iter().filter(|one| matches!(one.verdict, Verdict::Rejected(_))).collect();
    assert_eq!((report.cleared, rejected.len()), (50, 1));
    assert!(matches!(&rejected[0].verdict, Verdict::Rejected(why) if why.contains("bucket-7: HTTP 400, BAD_DATA")));
    assert_eq!(world.entities().len(), 50);
    assert!(world.entities()["arn:aws:s3:::bucket-7"].get("region").is_none(), "bare");
    assert_eq!(worker.store.backlog(worker.lanes[0].name()).await.unwrap().rejected, 1);
    let halving = world.server.log().iter().filter(|logged| logged.status == 400).count();
    assert!(halving <= 7, "{halving} chunks were refused until it was found");

    // While it does not change, it is sent bare at once.
    worker.save(&[logging("bucket-1", 2, "logs")]).await;
    worker.round().await.unwrap().unwrap();
    assert_eq!(world.server.log().iter().filter(|logged| logged.status == 400).count(), halving);
    assert_eq!(world.entities().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_sheds_raw_data_and_is_split() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"});
    let policy = json!({"bucketPolicy": {"Statement": statement}});
    worker.save(&[create("app", 1), event("app", "PutBucketPolicy", 2, &policy), create("web", 1)]).await;
    world.server.fail("/entities", Fault::Status(413, "RequestEntityTooLargeException"), 2);
    worker.round().await.unwrap().unwrap();
    let uploads: Vec<_> =
        world.server.log().into_iter().filter(|logged| logged.path.contains("/entities")).map(|one| one.body).collect();
    let counts: Vec<_> = uploads.iter().map(|body| body["entities"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [3, 3, 1, 2], "whole, without raw data, and in halves");
    assert!(uploads[0].to_string().contains("_rawData") && !uploads[1].to_string().contains("_rawData"));
    assert_eq!(world.entities().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_finalize_whose_fate_is_not_known_is_asked_for_and_not_given_up() {
    for fault in [Fault::Lost, Fault::Unanswered] {
        let world = World::new();
        let worker = world.worker("worker", |_| {}).await;
        worker.save(&[create("app", 1)]).await;
        world.server.fail("/finalize", fault, 1);
        assert_eq!(worker.round().await.unwrap().unwrap().cleared, 1);
        assert!(!world.server.log().iter().any(|logged| logged.path.ends_with("/abort")));
        assert_eq!(world.buckets(), ["app"]);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_finished_job_counts() {
    for end in ["ERROR_BAD_DATA", "ABORTED_DUE_TO_INVALID_CONFIGURATION", "ERROR_UNEXPECTED_FAILURE"] {
        let world = World::new();
        let worker = world.worker("worker", |_| {}).await;
        worker.save(&[create("app", 1)]).await;
        world.server.end_next_job_as(end);
        let error = worker.round().await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains(end), "{error}");
        assert_eq!(worker.waiting().await, 1);
        worker.settle().await;
        assert_eq!(world.buckets(), ["app"]);
    }
}

#[tokio::test(start_paused = true)]
async fn many_megabytes_go_in_chunks_that_the_server_takes() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    let mut events = Vec::new();
    for number in 0..700 {
        let bucket = format!("bucket-{number}");
        let sid: String = (0..17_000).map(|letter| char::from(b'a' + (letter % 23) as u8)).collect();
        let statement = json!({"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": "s3:*"});
        events.push(create(&bucket, 1));
        events.push(event(&bucket, "PutBucketPolicy", 2, &json!({"bucketPolicy": {"Statement": statement}})));
    }
    for events in events.chunks(400) {
        worker.save(events).await;
    }
    worker.settle().await;
    assert_eq!(world.buckets().len(), 700);
    let uploads: Vec<usize> = world
        .server
        .log()
        .iter()
        .filter(|logged| logged.path.contains("/entities"))
        .map(|logged| logged.body.to_string().len())
        .collect();
    assert!(uploads.len() >= 3 && uploads.iter().all(|bytes| *bytes < 5_000_000), "{uploads:?}");
    let log = world.server.log();
    let upload = log.iter().find(|logged| logged.path.contains("/entities")).unwrap();
    assert_eq!(upload.headers["content-encoding"], "gzip");
    assert!(upload.bytes * 3 < upload.body.to_string().len(), "and compressed");
}

#[test]
fn a_key_is_never_shown() {
    let header = Header { name: "Authorization", value: "Bearer secret-word".into(), secret: true };
    let request = Request { method: "GET", path: "/x".into(), headers: vec![header], body: vec![] };
    let route = crate::world::route("acme");
    for text in [format!("{request:?}"), format!("{route:?}")] {
        assert!(!text.contains("secret-word") && !text.contains(crate::server::KEY), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_speaks_of_the_moment_is_no_verdict_on_what_was_sent() {
    for status in [408, 409, 425] {
        let world = World::new();
        let worker = world.worker("worker", |_| {}).await;
        worker.save(&[create("app", 1)]).await;
        world.server.fail("/entities", Fault::Status(status, "BUSY"), 1);
        let report = worker.round().await.unwrap().unwrap();
        assert_eq!(report.cleared, 1);
        assert!(report.settled.iter().all(|settled| settled.verdict == Verdict::Applied), "{status}");
        assert_eq!(world.entities()["arn:aws:s3:::app"]["region"], "eu-west-1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_takes_minutes_to_finalize_is_waited_for_and_cleared() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    worker.save(&[create("app", 1)]).await;
    world.server.polls(25);
    let begun = Instant::now();
    assert_eq!(worker.round().await.unwrap().unwrap().cleared, 1);
    assert!(begun.elapsed() > Duration::from_secs(240), "{:?}", begun.elapsed());
    assert_eq!(worker.claim().await["held"], false);
}

#[tokio::test(start_paused = true)]
async fn a_finalize_that_may_have_been_heard_keeps_the_claim_though_its_repeat_is_refused() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    worker.save(&[create("app", 1)]).await;
    world.server.polls(1_000);
    world.server.fail("/finalize", Fault::Unanswered, 1);
    world.server.fail("/finalize", Fault::Status(403, "FORBIDDEN"), 1);
    assert!(worker.round().await.unwrap_err().is_denied());
    let claim = worker.claim().await;
    assert!(claim["held"] == true && claim["job"].is_string(), "{claim}");
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_for_too_long_fail_the_turn_after_the_fourth_refusal() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    worker.save(&[create("app", 1)]).await;
    world.server.fail("/entities", Fault::Status(429, "TOO_MANY_REQUESTS"), 20);
    assert!(worker.round().await.unwrap_err().is_transient());
    let refused = world.server.log().into_iter().filter(|logged| logged.status == 429);
    assert_eq!(refused.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_turn_has_found_to_be_refused_is_not_looked_for_again() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    let buckets: Vec<_> = (0..64).map(|number| create(&format!("bucket-{number:02}"), 1)).collect();
    worker.save(&buckets).await;
    world.server.refuse("arn:aws:s3:::bucket-00");
    world.server.refuse("arn:aws:s3:::bucket-63");
    // The first is found, and then the server is down for longer than it is asked again.
    world.server.fail("/entities", Fault::Late(Duration::ZERO), 9);
    world.server.fail("/entities", Fault::Status(503, "UNAVAILABLE"), 5);
    assert!(worker.round().await.unwrap_err().is_transient());
    let before = world.server.log().iter().filter(|logged| logged.status == 400).count();
    worker.settle().await;
    let after = world.server.log().iter().filter(|logged| logged.status == 400).count() - before;
    println!("{before} refusals before, {after} after");
    assert!(after <= 8, "one entity in 64 is found by 7 halvings: {after}");
    assert_eq!(world.buckets().len(), 64);
}
