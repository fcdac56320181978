//! Sinks that come, are made anew and go.

use emitter::{Mark, SaveOutcome, Settlement, Settling};

use crate::support::{NOW, SINK, create, id, listed, mark};
use crate::world::{World, backlog, of, pending, row, save, sink};

pub(crate) async fn a_new_sink_and_one_that_was_made_anew_get_every_row_as_a_new_version(world: &World) {
    let store = world.store().await;
    for bucket in ["app", "web"] {
        save(&*store, of(bucket, 0, &[create(bucket, 1)], Some(mark(NOW)))).await;
        let verdict = Settling::Acknowledged([1; 32]);
        store.settle(&sink(SINK), vec![Settlement { resource: id(bucket), version: 1, verdict }]).await.unwrap();
    }
    for (instance, now_ms, version) in [("one", NOW + 1, 2), ("one", NOW + 2, 2), ("two", NOW + 3, 3)] {
        store.add_sinks(&[listed(SINK, "first"), listed("other", instance)], now_ms).await.unwrap();
        assert_eq!(row(&*store, &id("app")).await.version, version, "{instance} at {now_ms}");
    }
    assert_eq!(store.sinks().await.unwrap(), [sink("other"), sink(SINK)]);
    assert_eq!(store.backlog(&sink("other")).await.unwrap(), backlog(2, Some(NOW + 3), 0));
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(0, None, 0), "what the first one shows, it shows");
    assert_eq!(row(&*store, &id("app")).await.marks[&sink(SINK)].digest, Some([1; 32]));
}

/// A server that is away at the start cannot tell which graph it has.
pub(crate) async fn an_instance_that_is_not_known_yet_is_no_news_nor_is_its_becoming_known(world: &World) {
    let store = world.store().await;
    save(&*store, of("app", 0, &[create("app", 1)], Some(mark(NOW)))).await;
    for (instance, version) in [("", 2), ("", 2), ("one", 2), ("", 2), ("one", 2), ("two", 3)] {
        store.add_sinks(&[listed("other", instance)], NOW + 1).await.unwrap();
        assert_eq!(row(&*store, &id("app")).await.version, version, "{instance:?}");
    }
}

pub(crate) async fn a_forgotten_sink_takes_its_marks_with_it_and_may_come_again(world: &World) {
    let store = world.store().await;
    store.add_sinks(&[listed("other", "one")], NOW).await.unwrap();
    save(&*store, of("app", 0, &[create("app", 1)], Some(mark(NOW)))).await;
    assert!(store.forget_sink(&sink(SINK)).await.unwrap());
    assert!(!store.forget_sink(&sink(SINK)).await.unwrap());
    assert_eq!(store.sinks().await.unwrap(), [sink("other")]);
    assert_eq!(pending(&*store, "worker", i64::MAX).await, []);
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(0, None, 0));
    assert_eq!(store.backlog(&sink("other")).await.unwrap(), backlog(1, Some(NOW), 0));
    let left = row(&*store, &id("app")).await;
    assert_eq!((left.version, left.marks.len()), (1, 1), "no emission has to be made again for that");

    store.add_sinks(&[listed(SINK, "first")], NOW + 5).await.unwrap();
    let back = row(&*store, &id("app")).await;
    assert_eq!(back.version, 2);
    let pending = mark(NOW + 5).since_ms;
    assert_eq!(back.marks[&sink(SINK)].pending.unwrap().since_ms, pending);
    assert_eq!(Mark { pending: None, ..back.marks[&sink(SINK)].clone() }, Mark::default());
}

pub(crate) async fn a_sink_that_joins_while_rows_are_saved_gets_all_of_them(world: &World) {
    let (store, colleague) = (world.store().await, world.worker("colleague").await);
    let buckets: Vec<String> = (0..60).map(|number| format!("b-{number}")).collect();
    let saving = async {
        for chunk in buckets.chunks(5) {
            let saves = chunk.iter().map(|bucket| of(bucket, 0, &[create(bucket, 1)], Some(mark(NOW))));
            let saved = store.save(saves.collect()).await.unwrap();
            assert!(saved.iter().all(|outcome| *outcome == SaveOutcome::Saved(1)), "{saved:?}");
        }
    };
    let joining = async {
        for name in ["second", "third"] {
            colleague.add_sinks(&[listed(name, "one")], NOW).await.unwrap();
        }
    };
    tokio::join!(saving, joining);
    for bucket in &buckets {
        let row = row(&*store, &id(bucket)).await;
        assert_eq!(row.marks.len(), 3, "{bucket} at version {}", row.version);
    }
    for name in [SINK, "second", "third"] {
        assert_eq!(store.backlog(&sink(name)).await.unwrap().rows, 60, "{name}");
    }
}
