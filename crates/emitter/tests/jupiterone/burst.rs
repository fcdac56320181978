//! A burst: 1,200 calls on 100 buckets of 3 accounts within seconds, at 30 requests a minute.

use std::sync::Arc;
use std::time::Duration;

use bucket_state::{Event, Owner};
use emitter::{EmitReport, OutboxError, Scope};
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{create, event, logging};
use crate::world::{Worker, World, clock};

const BUCKETS: u32 = 100;
const CALLS: u32 = 12;
const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "777788889999"];

/// What a Terraform apply calls on a bucket, `second` seconds after it began.
fn call(bucket: u32, number: u32, second: u32) -> Event {
    let name = format!("bucket-{bucket:03}");
    let one = match number {
        0 => create(&name, second),
        1 => logging(&name, second, "logs"),
        2 => event(&name, "PutBucketVersioning", second, &json!({"VersioningConfiguration": {"Status": "Enabled"}})),
        3 => event(&name, "DeleteBucketPublicAccessBlock", second, &json!({})),
        _ => {
            let tag = json!({"Key": format!("step-{number}"), "Value": "done"});
            event(&name, "PutBucketTagging", second, &json!({"Tagging": {"TagSet": {"Tag": tag}}}))
        }
    };
    let account = ACCOUNTS[bucket as usize % ACCOUNTS.len()].into();
    Event { owner: Some(Owner { named: true, account }), ..one }
}

struct Outcome {
    requests: usize,
    waits: f64,
    last: Duration,
    freshness: Vec<f64>,
}

/// The worker reads for ten seconds, in windows of five, and emits beside it until nothing waits, or until the stop.
async fn read_and_emit(worker: &Worker, stop: &CancellationToken) -> Vec<f64> {
    let (wake, freshness) = (Arc::new(Notify::new()), Arc::new(std::sync::Mutex::new(Vec::new())));
    let (outbox, woken, ended, fresh) = (worker.outbox(0), Arc::clone(&wake), stop.clone(), Arc::clone(&freshness));
    let emitting = tokio::spawn(async move {
        let tell = |round: Result<&EmitReport, &OutboxError>| {
            let settled = round.map(|report| report.settled.clone()).unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "some minutes")]
            let ages = settled.iter().map(|settled| (clock() - settled.mark.arrived_ms) as f64 / 1_000.0);
            fresh.lock().unwrap().extend(ages);
        };
        outbox.run(&woken, &ended, clock, tell).await
    });
    for window in 0..2 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let half = window * CALLS / 2..(window + 1) * CALLS / 2;
        let events: Vec<Event> =
            half.flat_map(|number| (0..BUCKETS).map(move |bucket| call(bucket, number, number))).collect();
        worker.save(&events).await;
        wake.notify_one();
    }
    while worker.waiting().await > 0 && !stop.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    stop.cancel();
    emitting.await.unwrap().unwrap();
    std::mem::take(&mut *freshness.lock().unwrap())
}

async fn burst(scope: Scope) -> Outcome {
    let world = World::new();
    let worker = world.worker("worker", |params| params.scope = scope).await;
    let begun = Instant::now();
    let mut freshness = read_and_emit(&worker, &CancellationToken::new()).await;
    freshness.sort_by(f64::total_cmp);
    let shown = world.entities();
    for bucket in 0..BUCKETS {
        let entity = &shown[&format!("arn:aws:s3:::bucket-{bucket:03}")];
        assert_eq!((&entity["versioningEnabled"], &entity["tag.step-11"]), (&json!(true), &json!("done")));
    }
    assert!(world.server.most_in_a_minute() <= 30);
    let waits = world.waited.lock().unwrap().as_secs_f64();
    Outcome { requests: world.server.requests(), waits, last: begun.elapsed(), freshness }
}

fn print(name: &str, outcome: &Outcome) {
    let Outcome { requests, waits, last, freshness } = outcome;
    let at = |share: usize| freshness[(freshness.len() - 1) * share / 100];
    let last = last.as_secs();
    println!(
        "{name}: {requests} requests, {waits:.0} s waited for the pace, the last bucket after {last} s; from the arrival of \
         the oldest news of a snapshot to its acknowledgement p10 {:.0} s, p50 {:.0} s, p90 {:.0} s, max {:.0} s, of {}",
        at(10),
        at(50),
        at(90),
        at(100),
        freshness.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_burst_takes_few_requests_by_account_and_loses_nothing_by_bucket_either() {
    let by_account = burst(Scope::Account).await;
    print("by account", &by_account);
    let by_bucket = burst(Scope::Bucket).await;
    print("by bucket", &by_bucket);
    // What a job for each event would take, at what a job of one bucket takes here.
    let a_job = by_bucket.requests.div_ceil(BUCKETS as usize);
    let events = (BUCKETS * CALLS) as usize;
    println!("a job for each event: {} requests, {} minutes at this pace", events * a_job, events * a_job / 25);
    assert!(by_account.requests <= 48, "{}", by_account.requests);
    assert!(by_account.last < Duration::from_secs(120), "{:?}", by_account.last);
    assert!(by_bucket.requests >= 400);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_told_to_stop_in_the_middle_of_a_burst_leaves_the_rest_to_the_next() {
    for after in [6, 9, 12, 14, 17, 20] {
        let world = World::new();
        let first = world.worker("first", |_| {}).await;
        let stop = CancellationToken::new();
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(after)).await;
            stop.cancel();
            Instant::now()
        };
        let (_, stopped) = tokio::join!(read_and_emit(&first, &stop), stopping);
        // It also reads its last window to the end here; the emission itself ends within this time.
        assert!(stopped.elapsed() < Duration::from_secs(25), "{:?} after the stop", stopped.elapsed());
        assert!(first.claim().await.get("job").is_none(), "the claim is free");
        let next = world.worker("next", |_| {}).await;
        next.settle().await;
        assert_eq!(world.buckets().len(), BUCKETS as usize);
        assert!(world.server.most_in_a_minute() <= 30);
    }
}
