//! Versions, and rows that cannot be read.

use emitter::{Save, SaveOutcome, StoreError, Stored};

use crate::support::{NOW, create, id, logging, mark, state};
use crate::world::{World, of, pending, row, save};

pub(crate) async fn a_row_is_saved_only_on_the_version_that_was_loaded(world: &World) {
    let (store, colleague) = (world.store().await, world.worker("colleague").await);
    let (first, both) = ([create("app", 1)], [create("app", 1), logging("app", 2, "logs")]);
    assert_eq!(save(&*store, of("app", 0, &first, Some(mark(NOW)))).await, SaveOutcome::Saved(1));
    assert_eq!(save(&*colleague, of("app", 0, &both, Some(mark(NOW)))).await, SaveOutcome::Conflict);
    assert_eq!(save(&*colleague, of("app", 1, &both, Some(mark(NOW)))).await, SaveOutcome::Saved(2));
    assert_eq!(save(&*store, of("app", 1, &first, Some(mark(NOW)))).await, SaveOutcome::Conflict);
    assert_eq!(save(&*store, of("web", 3, &first, Some(mark(NOW)))).await, SaveOutcome::Conflict, "there is none");
    for store in [&store, &colleague] {
        let row = row(&**store, &id("app")).await;
        assert_eq!((row.version, &row.state), (2, &state(&both)));
        assert_eq!(store.load_bases(&[id("app"), id("web")]).await.unwrap()[1], Stored::Nothing);
    }
}

pub(crate) async fn rows_are_loaded_in_the_order_asked_for_however_often(world: &World) {
    let store = world.store().await;
    let buckets: Vec<String> = (0..250).map(|number| format!("b-{number}")).collect();
    let saves = buckets.iter().map(|bucket| of(bucket, 0, &[create(bucket, 1)], Some(mark(NOW))));
    let saved = store.save(saves.collect()).await.unwrap();
    assert_eq!(saved, vec![SaveOutcome::Saved(1); 250]);
    let mut ids: Vec<_> = buckets.iter().rev().map(|bucket| id(bucket)).collect();
    ids.insert(100, id("never-heard-of"));
    ids.push(id("b-7"));
    for loaded in [store.load(&ids).await.unwrap(), store.load_bases(&ids).await.unwrap()] {
        for (id, stored) in ids.iter().zip(loaded) {
            let expected = (id.name() != "never-heard-of").then(|| state(&[create(id.name(), 1)]));
            assert_eq!(stored.row().map(|row| row.state), expected, "{id}");
        }
    }
}

pub(crate) async fn a_store_tells_when_it_was_made_and_whether_it_holds_a_row(world: &World) {
    let store = world.store().await;
    assert_eq!(store.generation(), NOW);
    assert!(store.is_empty().await.unwrap());
    save(&*store, of("app", 0, &[create("app", 1)], None)).await;
    assert!(!store.is_empty().await.unwrap());
}

pub(crate) async fn a_damaged_row_is_told_and_kept_aside_by_the_next_save(world: &World) {
    let store = world.store().await;
    for bucket in ["bad", "good"] {
        save(&*store, of(bucket, 0, &[create(bucket, 1)], Some(mark(NOW)))).await;
    }
    world.overwrite(&id("bad"), &[1, 255, 0]).await;
    let loaded = store.load(&[id("bad"), id("good")]).await.unwrap();
    assert!(matches!(loaded[0], Stored::Damaged { version: 1, .. }), "{loaded:?}");
    assert!(matches!(loaded[1], Stored::Row(_)));
    let anew = Save { set_aside: true, ..of("bad", 1, &[create("bad", 9)], Some(mark(NOW))) };
    assert_eq!(save(&*store, anew).await, SaveOutcome::Saved(2));
    assert_eq!(row(&*store, &id("bad")).await.state, state(&[create("bad", 9)]));
    assert_eq!(world.set_aside(&id("bad")).await, [[1, 255, 0]]);
}

pub(crate) async fn a_row_of_a_newer_build_is_refused_by_name(world: &World) {
    let store = world.store().await;
    save(&*store, of("app", 0, &[create("app", 1)], Some(mark(NOW)))).await;
    world.overwrite(&id("app"), &[200, 1, 2]).await;
    let error = store.load(&[id("app")]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Newer { what } if what.contains("arn:aws:s3:::app")), "{error}");
    assert!(!error.is_transient());
}

pub(crate) async fn a_save_without_a_mark_leaves_all_marks(world: &World) {
    let store = world.store().await;
    save(&*store, of("app", 0, &[create("app", 1)], Some(mark(NOW)))).await;
    let before = row(&*store, &id("app")).await;
    save(&*store, of("app", 1, &[create("app", 1), logging("app", 2, "logs")], None)).await;
    let after = row(&*store, &id("app")).await;
    assert_eq!((after.version, &after.marks), (2, &before.marks));
    assert_eq!(pending(&*store, "worker", 0).await, [id("app")]);
}
