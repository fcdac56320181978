//! What is pending, since when, and how it is settled.

use bucket_state::{Digest, ResourceId};
use emitter::{Mark, PendingMark, PendingQuery, SaveOutcome, Settlement, Settling, StateStore, Version};

use crate::support::{NOW, SINK, create, id, listed, logging, mark};
use crate::world::{World, backlog, of, pending, row, save, sink};

const DIGEST: Digest = [7; 32];

fn times(since_ms: i64, arrived_ms: i64, happened_ms: i64) -> PendingMark {
    PendingMark { since_ms, arrived_ms, happened_ms }
}

async fn saved(store: &dyn StateStore, bucket: &str, based_on: Version, mark: PendingMark) {
    let events = [create(bucket, 1), logging(bucket, u32::try_from(based_on).unwrap() + 2, "logs")];
    assert_eq!(save(store, of(bucket, based_on, &events, Some(mark))).await, SaveOutcome::Saved(based_on + 1));
}

async fn settle(store: &dyn StateStore, name: &str, bucket: &str, version: Version, verdict: Settling) -> usize {
    let settlement = Settlement { resource: id(bucket), version, verdict };
    store.settle(&sink(name), vec![settlement]).await.unwrap()
}

async fn marked(store: &dyn StateStore, bucket: &str) -> Mark {
    row(store, &id(bucket)).await.marks.get(&sink(SINK)).cloned().unwrap()
}

pub(crate) async fn a_save_marks_for_every_sink_and_keeps_the_oldest_news_while_it_waits(world: &World) {
    let store = world.store().await;
    store.add_sinks(&[listed("other", "one")], NOW).await.unwrap();
    saved(&*store, "app", 0, times(50, 40, 30)).await;
    saved(&*store, "app", 1, times(60, 35, 31)).await;
    let row = row(&*store, &id("app")).await;
    assert_eq!(row.marks.len(), 2);
    for mark in row.marks.values() {
        assert_eq!(mark, &Mark { pending: Some(times(50, 35, 30)), digest: None, rejected: None });
    }
}

pub(crate) async fn a_mark_is_cleared_on_its_version_and_leaves_the_digest(world: &World) {
    let store = world.store().await;
    saved(&*store, "app", 0, mark(NOW)).await;
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(1, Some(NOW), 0));
    assert_eq!(settle(&*store, SINK, "app", 1, Settling::Acknowledged(DIGEST)).await, 1);
    assert_eq!(marked(&*store, "app").await, Mark { digest: Some(DIGEST), ..Mark::default() });
    assert_eq!(settle(&*store, SINK, "app", 1, Settling::Rejected).await, 0, "it is settled");
    assert_eq!(pending(&*store, "worker", i64::MAX).await, []);
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(0, None, 0));

    saved(&*store, "app", 1, mark(NOW + 9)).await;
    let expected = Mark { pending: Some(mark(NOW + 9)), digest: Some(DIGEST), rejected: None };
    assert_eq!(marked(&*store, "app").await, expected, "what it showed is known while it waits again");
}

pub(crate) async fn a_row_that_has_moved_stays_pending_with_its_last_news_only(world: &World) {
    let store = world.store().await;
    saved(&*store, "app", 0, times(10, 10, 10)).await;
    saved(&*store, "app", 1, times(20, 20, 20)).await;
    assert_eq!(marked(&*store, "app").await.pending, Some(times(10, 10, 10)));
    assert_eq!(settle(&*store, SINK, "app", 1, Settling::Rejected).await, 0);
    assert_eq!(marked(&*store, "app").await.pending, Some(times(10, 10, 10)), "a rejected version shows nothing");
    assert_eq!(settle(&*store, SINK, "app", 1, Settling::Acknowledged(DIGEST)).await, 0);
    assert_eq!(marked(&*store, "app").await, Mark { pending: Some(times(20, 20, 20)), ..Mark::default() });
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(1, Some(20), 0));
    assert_eq!(pending(&*store, "worker", 0).await, [id("app")]);
}

pub(crate) async fn a_rejected_version_is_counted_until_the_row_is_saved_again(world: &World) {
    let store = world.store().await;
    saved(&*store, "app", 0, mark(NOW)).await;
    saved(&*store, "web", 0, mark(NOW)).await;
    settle(&*store, SINK, "app", 1, Settling::Acknowledged(DIGEST)).await;
    saved(&*store, "app", 1, mark(NOW)).await;
    assert_eq!(settle(&*store, SINK, "app", 2, Settling::Rejected).await, 1);
    assert_eq!(marked(&*store, "app").await, Mark { pending: None, digest: None, rejected: Some(2) });
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(1, Some(NOW), 1));
    let colleague = world.worker("colleague").await;
    assert_eq!(colleague.backlog(&sink(SINK)).await.unwrap(), backlog(1, Some(NOW), 1));
    saved(&*colleague, "app", 2, mark(NOW + 1)).await;
    for store in [&store, &colleague] {
        assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(2, Some(NOW), 0));
    }
}

pub(crate) async fn a_superseded_row_is_cleared_and_its_digest_forgotten(world: &World) {
    let store = world.store().await;
    saved(&*store, "app", 0, mark(NOW)).await;
    settle(&*store, SINK, "app", 1, Settling::Acknowledged(DIGEST)).await;
    saved(&*store, "app", 1, mark(NOW)).await;
    assert_eq!(settle(&*store, SINK, "app", 2, Settling::Superseded).await, 1);
    assert_eq!(marked(&*store, "app").await, Mark::default());
}

pub(crate) async fn each_sink_settles_for_itself(world: &World) {
    let store = world.store().await;
    store.add_sinks(&[listed("other", "one"), listed("third", "one")], NOW).await.unwrap();
    saved(&*store, "app", 0, mark(NOW)).await;
    settle(&*store, "other", "app", 1, Settling::Acknowledged(DIGEST)).await;
    assert_eq!(pending(&*store, "worker", 0).await, [id("app")]);
    settle(&*store, SINK, "app", 1, Settling::Rejected).await;
    assert_eq!(pending(&*store, "worker", 0).await, []);
    for (name, expected) in
        [("other", backlog(0, None, 0)), (SINK, backlog(0, None, 1)), ("third", backlog(1, Some(NOW), 0))]
    {
        assert_eq!(store.backlog(&sink(name)).await.unwrap(), expected, "{name}");
    }
    assert_eq!(settle(&*store, "never-heard-of", "app", 1, Settling::Superseded).await, 0);
}

pub(crate) async fn two_workers_settle_one_row_for_their_sinks_at_once(world: &World) {
    let (store, colleague) = (world.store().await, world.worker("colleague").await);
    store.add_sinks(&[listed("other", "one")], NOW).await.unwrap();
    let buckets: Vec<String> = (0..50).map(|number| format!("b-{number}")).collect();
    let settlements = || {
        let verdict = Settling::Acknowledged(DIGEST);
        buckets.iter().map(|bucket| Settlement { resource: id(bucket), version: 1, verdict }).collect::<Vec<_>>()
    };
    let saves = buckets.iter().map(|bucket| of(bucket, 0, &[create(bucket, 1)], Some(mark(NOW))));
    store.save(saves.collect()).await.unwrap();
    let (sink, other) = (sink(SINK), sink("other"));
    let (one, two) = tokio::join!(store.settle(&sink, settlements()), colleague.settle(&other, settlements()));
    assert_eq!((one.unwrap(), two.unwrap()), (50, 50));
    for bucket in &buckets {
        let marks = row(&*store, &id(bucket)).await.marks;
        assert!(
            marks.values().all(|mark| mark.pending.is_none() && mark.digest == Some(DIGEST)),
            "{bucket}: {marks:?}"
        );
    }
}

pub(crate) async fn rows_of_others_are_pending_once_they_have_waited_and_ones_own_at_once(world: &World) {
    let (store, colleague) = (world.store().await, world.worker("colleague").await);
    saved(&*store, "app", 0, mark(NOW)).await;
    assert_eq!(pending(&*store, "worker", 0).await, [id("app")]);
    assert_eq!(pending(&*colleague, "colleague", NOW).await, []);
    assert_eq!(pending(&*colleague, "colleague", NOW + 1).await, [id("app")]);
    let reborn = world.worker("worker").await;
    assert_eq!(pending(&*reborn, "worker", 0).await, [id("app")], "a worker finds what it marked in a former life");
}

pub(crate) async fn the_longest_waiting_come_first_and_no_more_than_asked_for(world: &World) {
    let store = world.store().await;
    for number in [3, 1, 4, 2, 5] {
        saved(&*store, &format!("b-{number}"), 0, mark(NOW + number)).await;
    }
    let asked =
        |worker: &str| PendingQuery { sink: sink(SINK), worker: worker.into(), others_before_ms: NOW + 5, limit: 3 };
    let first: Vec<ResourceId> = ["b-1", "b-2", "b-3"].map(id).into();
    assert_eq!(store.pending(&asked("worker")).await.unwrap(), first);
    let colleague = world.worker("colleague").await;
    assert_eq!(colleague.pending(&asked("colleague")).await.unwrap(), first);
}

pub(crate) async fn marking_counts_the_version_up_and_passes_over_what_is_not_there(world: &World) {
    let store = world.store().await;
    saved(&*store, "app", 0, mark(NOW)).await;
    settle(&*store, SINK, "app", 1, Settling::Acknowledged(DIGEST)).await;
    let before = row(&*store, &id("app")).await;
    let marked = store.mark(&[id("app"), id("never-heard-of")], mark(NOW + 5)).await.unwrap();
    assert_eq!(marked, 1);
    let after = row(&*store, &id("app")).await;
    assert_eq!((after.version, &after.state), (before.version + 1, &before.state));
    assert_eq!(after.marks[&sink(SINK)].pending, Some(mark(NOW + 5)));
    assert_eq!(after.marks[&sink(SINK)].digest, Some(DIGEST));
    assert_eq!(save(&*store, of("app", 1, &[create("app", 3)], None)).await, SaveOutcome::Conflict);
}

pub(crate) async fn marking_all_forgets_what_the_sinks_have_acknowledged(world: &World) {
    let (store, colleague) = (world.store().await, world.worker("colleague").await);
    store.add_sinks(&[listed("other", "one")], NOW).await.unwrap();
    for bucket in ["app", "web"] {
        saved(&*store, bucket, 0, mark(NOW)).await;
        settle(&*store, SINK, bucket, 1, Settling::Acknowledged(DIGEST)).await;
    }
    assert_eq!(colleague.mark_all(Some(&sink("other")), NOW + 7).await.unwrap(), 2);
    let app = row(&*store, &id("app")).await;
    assert_eq!((app.version, app.marks[&sink(SINK)].digest), (2, Some(DIGEST)));
    assert_eq!(app.marks[&sink("other")].pending, Some(times(NOW + 7, NOW + 7, NOW + 7)));
    assert_eq!(colleague.mark_all(None, NOW + 8).await.unwrap(), 2);
    let app = row(&*store, &id("app")).await;
    let expected = Mark { pending: Some(times(NOW + 8, NOW + 8, NOW + 8)), ..Mark::default() };
    assert_eq!((app.version, app.marks.values().all(|mark| *mark == expected)), (3, true), "{app:?}");
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(2, Some(NOW + 8), 0));
}
