//! What every graph does with snapshots, whatever kind it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bucket_state::Event;
use emitter::{Outbox, StateStore, Verdict};
use serde_json::json;
use tokio::time::Instant;

use crate::moody::{Mood, Moody};
use crate::subject::{Shown, Store, Subject, list, settings, settle, waiting};
use crate::support::{NOW, clock, create, delete, event, logging, never, sealed};

/// Reads windows of events into one graph.
struct Worker<'a> {
    subject: &'a dyn Subject,
    files: Store,
    store: Arc<dyn StateStore>,
    sink: Arc<dyn emitter::GraphSink>,
    seen: Vec<Event>,
}

impl<'a> Worker<'a> {
    async fn new(subject: &'a dyn Subject) -> Self {
        let files = Store::new();
        let store: Arc<dyn StateStore> = Arc::new(files.of("worker"));
        let sink = subject.sink("worker").await;
        list(store.as_ref(), sink.as_ref()).await;
        Self { subject, files, store, sink, seen: vec![] }
    }

    async fn save(&mut self, events: &[Event]) {
        self.seen.extend_from_slice(events);
        let saved = sealed(events, 1).save(self.store.as_ref(), clock).await.unwrap();
        saved.checkpoint(async |_| Ok::<_, Infallible>(())).await.unwrap();
    }

    fn outbox(&self) -> Outbox {
        let settings = settings("worker", Duration::from_secs(10));
        Outbox::new(Arc::clone(&self.store), Arc::clone(&self.sink), settings)
    }

    /// One window, and what the graph says to it.
    async fn window(&mut self, events: &[Event], why: &str) -> Vec<Verdict> {
        self.save(events).await;
        let mut verdicts = Vec::new();
        while let Some(report) = self.outbox().round(NOW, &never()).await.unwrap() {
            verdicts.extend(report.settled.into_iter().map(|settled| settled.verdict));
        }
        self.assert_shows_all(why).await;
        assert_eq!(waiting(self.store.as_ref(), self.sink.name()).await, 0, "{why}");
        verdicts
    }

    async fn assert_shows_all(&self, why: &str) {
        self.subject.shown().await.assert_is(&Shown::of_events(&self.seen, self.subject), why);
    }
}

/// A bucket is created, changed, said again, deleted and created again; an edge goes with what it showed.
pub(crate) async fn follows_a_bucket_through_its_life(subject: &dyn Subject) {
    let mut worker = Worker::new(subject).await;
    worker.window(&[create("app", 1), logging("app", 2, "logs")], "created").await;
    worker.window(&[logging("app", 3, "web")], "the edge goes to another bucket").await;
    let nothing = event("app", "PutBucketLogging", 4, &json!({"BucketLoggingStatus": ""}));
    worker.window(&[nothing], "the edge is gone").await;
    assert_eq!(worker.window(&[logging("app", 3, "web")], "said again").await, []);
    worker.window(&[create("web", 5)], "what was pointed to stands itself").await;
    worker.window(&[logging("app", 6, "web"), delete("web", 7)], "and is a placeholder again").await;
    worker.window(&[delete("app", 8)], "deleted").await;
    worker.window(&[create("app", 20)], "created again").await;
}

/// What is marked without a change is emitted, and nothing changes.
pub(crate) async fn takes_the_same_again(subject: &dyn Subject) {
    let mut worker = Worker::new(subject).await;
    worker.window(&[create("app", 1), logging("app", 2, "logs")], "created").await;
    worker.store.mark_all(None, NOW).await.unwrap();
    let verdicts = worker.window(&[], "marked").await;
    let same = if subject.compares() { Verdict::Unchanged } else { Verdict::Applied };
    assert_eq!(verdicts, [same]);
}

pub(crate) async fn takes_five_thousand_buckets_of_one_window(subject: &dyn Subject) {
    let mut worker = Worker::new(subject).await;
    let events: Vec<Event> = (0..5_000)
        .flat_map(|number| {
            let name = format!("bucket-{number:04}");
            [create(&name, 1), logging(&name, 2, "logs")]
        })
        .collect();
    let begun = std::time::Instant::now();
    assert_eq!(worker.window(&events, "five thousand").await.len(), 5_000);
    println!("5,000 buckets saved, emitted and compared in {:.1} s", begun.elapsed().as_secs_f64());
}

/// An older writer is refused, and a deleted bucket stays deleted.
pub(crate) async fn refuses_what_is_older(subject: &dyn Subject) {
    assert!(subject.compares());
    let mut worker = Worker::new(subject).await;
    let older = emissions(&[create("app", 1), logging("app", 2, "logs")], 1);
    worker.window(&[create("app", 1)], "version 1").await;
    worker.window(&[logging("app", 2, "logs")], "version 2").await;
    worker.window(&[delete("app", 9)], "version 3, deleted").await;
    let verdicts = worker.sink.replace(worker.store.generation(), &older).await.unwrap();
    assert_eq!(verdicts, [Verdict::Newer(3)]);
    worker.assert_shows_all("after the older emission").await;
}

fn emissions(events: &[Event], version: u64) -> Vec<emitter::Emission> {
    let state = crate::support::state(events);
    let id = events[0].resource.clone();
    vec![emitter::Emission::new(version, crate::support::project(&id, &state))]
}

/// While a graph is down, windows are saved and checkpointed, what waits grows with buckets and not with events, another
/// graph is up to date all the time, and then nothing is lost.
pub(crate) async fn catches_up_after_minutes_of_being_down(subject: &dyn Subject) {
    let mut worker = Worker::new(subject).await;
    let other = crate::subjects::Sqlite::new();
    let healthy = other.sink("worker").await;
    list(worker.store.as_ref(), healthy.as_ref()).await;
    let up = Instant::now() + Duration::from_secs(300);
    let moody = Arc::new(Moody::new(Arc::clone(&worker.sink), Mood::DownUntil(up)));
    let outbox_of = |sink: Arc<dyn emitter::GraphSink>| {
        Outbox::new(Arc::clone(&worker.store), sink, settings("worker", Duration::from_secs(10)))
    };
    let (down, fine) = (outbox_of(moody), outbox_of(Arc::clone(&healthy)));
    let (wake, stop) = (Arc::new(tokio::sync::Notify::new()), never());
    let (woken, stopped) = (Arc::clone(&wake), stop.clone());
    let trying = tokio::spawn(async move { down.run(&woken, &stopped, clock, |_| {}).await });
    for window in 0..60 {
        let bucket = format!("bucket-{}", window % 7);
        worker.save(&[create(&bucket, 1), logging(&bucket, window + 2, "logs")]).await;
        wake.notify_one();
        while fine.round(NOW, &never()).await.unwrap().is_some() {}
        let store = worker.store.as_ref();
        assert_eq!(waiting(store, healthy.name()).await, 0, "the other graph is not held back");
        assert!(waiting(store, worker.sink.name()).await <= 7, "what waits grows with buckets");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    while waiting(worker.store.as_ref(), worker.sink.name()).await > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!("caught up {:.0} s after it was up again", (Instant::now() - up).as_secs_f64());
    stop.cancel();
    trying.await.unwrap().unwrap();
    worker.assert_shows_all("after it was down").await;
    let expected = Shown::of_events(&worker.seen, &other);
    other.shown().await.assert_is(&expected, "the other graph");
}

/// A slow graph gets the last of what a bucket was meanwhile.
pub(crate) async fn coalesces_while_it_is_slow(subject: &dyn Subject) {
    let mut worker = Worker::new(subject).await;
    let moody = Arc::new(Moody::new(Arc::clone(&worker.sink), Mood::Slow(Duration::from_secs(60))));
    let (store, sink) = (Arc::clone(&worker.store), Arc::clone(&moody) as Arc<dyn emitter::GraphSink>);
    let outbox = Outbox::new(store, sink, settings("worker", Duration::from_secs(10)));
    let (wake, stop) = (Arc::new(tokio::sync::Notify::new()), never());
    let (woken, stopped) = (Arc::clone(&wake), stop.clone());
    let emitting = tokio::spawn(async move { outbox.run(&woken, &stopped, clock, |_| {}).await });
    for window in 0..60 {
        worker.save(&[create("app", 1), logging("app", window + 2, &format!("logs-{window}"))]).await;
        wake.notify_one();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    while waiting(worker.store.as_ref(), worker.sink.name()).await > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    stop.cancel();
    emitting.await.unwrap().unwrap();
    let snapshots = moody.snapshots.load(Ordering::SeqCst);
    assert!(snapshots <= 8, "60 windows over 5 minutes became {snapshots} snapshots of a minute each");
    worker.assert_shows_all("the last of it").await;
}

/// What of a batch was taken before it failed is taken again.
pub(crate) async fn survives_a_batch_of_which_it_took_a_half(subject: &dyn Subject) {
    let mut worker = Worker::new(subject).await;
    let events: Vec<Event> = (0..20).map(|number| create(&format!("bucket-{number}"), 1)).collect();
    worker.save(&events).await;
    let moody: Arc<dyn emitter::GraphSink> = Arc::new(Moody::new(Arc::clone(&worker.sink), Mood::Halves(3)));
    let outbox =
        Outbox::new(Arc::clone(&worker.store), Arc::clone(&moody), settings("worker", Duration::from_secs(10)));
    for _ in 0..3 {
        assert!(outbox.round(NOW, &never()).await.unwrap_err().is_transient());
        assert_eq!(waiting(worker.store.as_ref(), worker.sink.name()).await, 20);
    }
    settle(Arc::clone(&worker.store), moody, Duration::from_secs(1)).await;
    worker.assert_shows_all("all of it").await;
}

/// A snapshot that it will never take does not hold back the others.
pub(crate) async fn goes_on_without_what_it_rejects(subject: &dyn Subject) {
    let mut worker = Worker::new(subject).await;
    worker.save(&[create("app", 1), create("bad", 1)]).await;
    let moody: Arc<dyn emitter::GraphSink> = Arc::new(Moody::new(Arc::clone(&worker.sink), Mood::Picky("bad")));
    let outbox = Outbox::new(Arc::clone(&worker.store), moody, settings("worker", Duration::from_secs(10)));
    while outbox.round(NOW, &never()).await.unwrap().is_some() {}
    let backlog = worker.store.backlog(worker.sink.name()).await.unwrap();
    assert_eq!((backlog.rows, backlog.rejected), (0, 1));
    let shown = subject.shown().await;
    assert!(shown.entities.contains_key("arn:aws:s3:::app") && !shown.entities.contains_key("arn:aws:s3:::bad"));
    worker.window(&[logging("bad", 5, "logs")], "tried again at its next change").await;
    assert_eq!(worker.store.backlog(worker.sink.name()).await.unwrap().rejected, 0);
    drop(worker.files);
}

/// The checks that every graph passes, one test each.
macro_rules! conforms {
    ($kind:ident, $subject:expr, virtual_time: $paused:tt, [$($check:ident),* $(,)?]) => {
        mod $kind {
            #[allow(unused_imports, reason = "each kind has its own subject")]
            use super::*;
            $(
                #[tokio::test(start_paused = $paused)]
                async fn $check() {
                    super::$check(&$subject).await;
                }
            )*
        }
    };
}

conforms!(
    sqlite,
    crate::subjects::Sqlite::new(),
    virtual_time: true,
    [
        follows_a_bucket_through_its_life,
        takes_the_same_again,
        takes_five_thousand_buckets_of_one_window,
        refuses_what_is_older,
        catches_up_after_minutes_of_being_down,
        coalesces_while_it_is_slow,
        survives_a_batch_of_which_it_took_a_half,
        goes_on_without_what_it_rejects,
    ]
);

conforms!(
    bolt,
    crate::subjects::Bolt::new().await,
    virtual_time: false,
    [
        follows_a_bucket_through_its_life,
        takes_the_same_again,
        takes_five_thousand_buckets_of_one_window,
        refuses_what_is_older,
        survives_a_batch_of_which_it_took_a_half,
        goes_on_without_what_it_rejects,
    ]
);

conforms!(
    jupiterone_by_account,
    crate::subjects::Contracted::of(emitter::Scope::Account),
    virtual_time: true,
    [
        follows_a_bucket_through_its_life,
        takes_the_same_again,
        takes_five_thousand_buckets_of_one_window,
        catches_up_after_minutes_of_being_down,
        coalesces_while_it_is_slow,
        survives_a_batch_of_which_it_took_a_half,
        goes_on_without_what_it_rejects,
    ]
);

conforms!(
    jupiterone_by_bucket,
    crate::subjects::Contracted::of(emitter::Scope::Bucket),
    virtual_time: true,
    [
        follows_a_bucket_through_its_life,
        takes_the_same_again,
        catches_up_after_minutes_of_being_down,
        coalesces_while_it_is_slow,
        survives_a_batch_of_which_it_took_a_half,
        goes_on_without_what_it_rejects,
    ]
);
