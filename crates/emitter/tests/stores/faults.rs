//! A DynamoDB that throttles, fails, and answers in part or not at all.

use std::time::Duration;

use emitter::{DynamoStore, SaveOutcome, Settlement, Settling, StateStore, StoreError};
use futures::future::join_all;

use crate::support::{NOW, SINK, create, id, listed, mark, state};
use crate::wire::Fault;
use crate::world::{Table, backlog, of, pending, row, save, sink};

async fn opened() -> (Table, DynamoStore) {
    let table = Table::new().await;
    let store = table.open("worker").await;
    store.add_sinks(&[listed(SINK, "first")], NOW).await.unwrap();
    (table, store)
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_known_to_have_landed() {
    let (table, store) = opened().await;
    for fault in [Fault::LoseAnswer, Fault::LoseRequest, Fault::Fail, Fault::Throttle] {
        for operation in ["UpdateItem", "PutItem", "DeleteItem"] {
            table.wire.at_first(operation, fault);
        }
        let names: Vec<String> = (0..20).map(|number| format!("{fault:?}-{number}").to_lowercase()).collect();
        let saves = names.iter().map(|name| of(name, 0, &[create(name, 1)], Some(mark(NOW))));
        let saved = store.save(saves.collect()).await.unwrap();
        assert_eq!(saved, [SaveOutcome::Saved(1); 20], "{fault:?}");
        let verdict = Settling::Acknowledged([1; 32]);
        let settlements = names.iter().map(|name| Settlement { resource: id(name), version: 1, verdict });
        assert_eq!(store.settle(&sink(SINK), settlements.collect()).await.unwrap(), 20, "{fault:?}");
        assert_eq!(store.mark(&[id(&names[0])], mark(NOW)).await.unwrap(), 1, "{fault:?}");
        assert_eq!(row(&store, &id(&names[0])).await.version, 2, "{fault:?}: it is counted once");
        assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(1, Some(NOW), 0), "{fault:?}");
        let settlement = Settlement { resource: id(&names[0]), version: 2, verdict };
        store.settle(&sink(SINK), vec![settlement]).await.unwrap();
        table.wire.mend();
    }
}

#[tokio::test]
async fn of_many_that_claim_while_answers_are_lost_one_wins() {
    let (table, store) = opened().await;
    table.wire.sometimes("UpdateItem", Fault::LoseAnswer, 50);
    let mut seen: Option<String> = None;
    for round in 0..4 {
        let swaps = (0..8).map(|number| {
            let (store, seen, next) = (&store, seen.as_deref(), format!("{round}-{number}"));
            async move { store.swap_claim("scope", seen, &next).await.map(|won| won.then_some(next)) }
        });
        let told: Vec<_> = join_all(swaps).await;
        let now = store.claim("scope").await.unwrap();
        for winner in told.into_iter().flatten().flatten() {
            assert_eq!(Some(winner), now, "only one may believe that it has won");
        }
        seen = now;
    }
}

#[tokio::test]
async fn a_save_that_nobody_answered_is_pending_for_its_worker_whether_it_landed_or_not() {
    let (table, store) = opened().await;
    table.wire.fail("UpdateItem", Fault::LoseAnswer);
    let error = store.save(vec![of("app", 0, &[create("app", 1)], Some(mark(NOW)))]).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("arn:aws:s3:::app"), "{error}");
    table.wire.mend();
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(1, Some(NOW), 0));
    assert_eq!(pending(&store, "worker", 0).await, [id("app")]);
    let again = store.save(vec![of("app", 0, &[create("app", 1)], Some(mark(NOW)))]).await.unwrap();
    assert_eq!(again, [SaveOutcome::Conflict], "it landed: the merge is made again, and changes nothing");

    table.wire.fail("UpdateItem", Fault::LoseRequest);
    store.save(vec![of("web", 0, &[create("web", 1)], Some(mark(NOW)))]).await.unwrap_err();
    table.wire.mend();
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(1, Some(NOW), 0), "it did not");
    assert_eq!(save(&store, of("web", 0, &[create("web", 1)], Some(mark(NOW)))).await, SaveOutcome::Saved(1));
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(2, Some(NOW), 0));
}

#[tokio::test]
async fn a_batch_that_is_read_in_parts_is_read_to_its_end() {
    let (table, store) = opened().await;
    let names: Vec<String> = (0..25).map(|number| format!("b-{number}")).collect();
    let saves = names.iter().map(|name| of(name, 0, &[create(name, 1)], Some(mark(NOW))));
    store.save(saves.collect()).await.unwrap();
    table.wire.fail("BatchGetItem", Fault::Part);
    let ids: Vec<_> = names.iter().map(|name| id(name)).collect();
    let loaded = store.load(&ids).await.unwrap();
    for (name, stored) in names.iter().zip(loaded) {
        assert_eq!(stored.row().unwrap().state, state(&[create(name, 1)]));
    }
}

#[tokio::test]
async fn a_table_that_throttles_all_the_time_is_unavailable_and_given_up_soon() {
    let (table, store) = opened().await;
    for operation in ["BatchGetItem", "UpdateItem", "GetItem", "Query", "Scan", "PutItem"] {
        table.wire.fail(operation, Fault::Throttle);
    }
    let saves = (0..500).map(|number| of("app", number, &[create("app", 1)], Some(mark(NOW))));
    let saved = tokio::time::timeout(Duration::from_secs(20), store.save(saves.collect())).await.unwrap();
    for error in [saved.unwrap_err(), store.load(&[id("app")]).await.unwrap_err(), store.sinks().await.unwrap_err()] {
        assert!(
            matches!(&error, StoreError::Unavailable { .. }) && error.to_string().contains("Throttling"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_sink_whose_joining_was_cut_short_joins_at_the_next_start() {
    let (table, store) = opened().await;
    for name in ["app", "web"] {
        save(&store, of(name, 0, &[create(name, 1)], Some(mark(NOW)))).await;
    }
    table.wire.fail("Scan", Fault::Fail);
    store.add_sinks(&[listed("other", "one")], NOW).await.unwrap_err();
    table.wire.mend();
    assert_eq!(store.sinks().await.unwrap(), [sink("other"), sink(SINK)], "saves mark for it already");
    assert_eq!(store.backlog(&sink("other")).await.unwrap().rows, 0);
    let next = table.open("next").await;
    next.add_sinks(&[listed("other", "one")], NOW + 1).await.unwrap();
    assert_eq!(next.backlog(&sink("other")).await.unwrap(), backlog(2, Some(NOW + 1), 0));
    let version = row(&next, &id("app")).await.version;
    next.add_sinks(&[listed("other", "one")], NOW + 2).await.unwrap();
    assert_eq!(row(&next, &id("app")).await.version, version, "it is listed now");
}

#[tokio::test]
async fn a_sink_whose_forgetting_was_cut_short_is_forgotten_by_the_next_try() {
    let (table, store) = opened().await;
    save(&store, of("app", 0, &[create("app", 1)], Some(mark(NOW)))).await;
    table.wire.fail("Scan", Fault::Fail);
    store.forget_sink(&sink(SINK)).await.unwrap_err();
    table.wire.mend();
    assert_eq!(store.sinks().await.unwrap(), []);
    assert!(store.forget_sink(&sink(SINK)).await.unwrap());
    assert_eq!(row(&store, &id("app")).await.marks.len(), 0);
}

#[tokio::test]
async fn parts_that_a_failed_save_has_left_are_removed_by_the_next_one() {
    let (table, store) = opened().await;
    let events = crate::big::large("big");
    table.wire.fail("UpdateItem", Fault::LoseRequest);
    store.save(vec![of("big", 0, &events, Some(mark(NOW)))]).await.unwrap_err();
    table.wire.mend();
    let count = state(&events).encode().len().div_ceil(380 << 10);
    assert_eq!(table.items("arn:aws:s3:::big", "part#").await.len(), count, "left behind");
    assert_eq!(save(&store, of("big", 0, &events, Some(mark(NOW)))).await, SaveOutcome::Saved(1));
    assert_eq!(table.items("arn:aws:s3:::big", "part#").await.len(), count);
    assert_eq!(row(&store, &id("big")).await.state, state(&events));
}

#[tokio::test]
async fn what_the_index_does_not_show_yet_is_pending_for_its_worker_all_the_same() {
    let (table, store) = opened().await;
    table.wire.fail("Query", Fault::EmptyIndex);
    for name in ["app", "web"] {
        save(&store, of(name, 0, &[create(name, 1)], Some(mark(NOW)))).await;
    }
    store.mark(&[id("web")], mark(NOW)).await.unwrap();
    table.wire.fail("UpdateItem", Fault::LoseAnswer);
    store.save(vec![of("new", 0, &[create("new", 1)], Some(mark(NOW)))]).await.unwrap_err();
    table.wire.mend();
    table.wire.fail("Query", Fault::EmptyIndex);
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(3, Some(NOW), 0));
    assert_eq!(pending(&store, "worker", 0).await, [id("app"), id("new"), id("web")]);
    for (name, version, verdict) in
        [("app", 1, Settling::Rejected), ("web", 2, Settling::Superseded), ("new", 1, Settling::Superseded)]
    {
        let settlement = Settlement { resource: id(name), version, verdict };
        assert_eq!(store.settle(&sink(SINK), vec![settlement]).await.unwrap(), 1, "{name}");
    }
    assert_eq!(store.backlog(&sink(SINK)).await.unwrap(), backlog(0, None, 1));
    assert_eq!(pending(&store, "worker", i64::MAX).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_made_while_a_sink_joins_is_marked_for_it() {
    let (table, store) = opened().await;
    let colleague = table.again().await.open("colleague").await;
    // The list is read before the row is made, and every row is marked in between.
    table.wire.fail("UpdateItem", Fault::Hold);
    let joining = async {
        table.wire.holds().await;
        colleague.add_sinks(&[listed("other", "one")], NOW).await.unwrap();
        assert!(colleague.is_empty().await.unwrap(), "the row is made later");
        table.wire.let_go();
    };
    let made = of("app", 0, &[create("app", 1)], Some(mark(NOW)));
    let (saved, ()) = tokio::join!(store.save(vec![made]), joining);
    assert_eq!(saved.unwrap(), [SaveOutcome::Saved(1)]);
    let row = row(&colleague, &id("app")).await;
    assert_eq!((row.version, row.marks.len()), (2, 2));
    assert_eq!(colleague.backlog(&sink("other")).await.unwrap(), backlog(1, Some(NOW), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_saved_while_a_sink_is_forgotten_holds_nobody_up_and_loses_the_mark_at_the_next_save() {
    let (table, store) = opened().await;
    let colleague = table.again().await.open("colleague").await;
    colleague.add_sinks(&[listed("other", "one")], NOW).await.unwrap();
    table.wire.fail("UpdateItem", Fault::Hold);
    let forgetting = async {
        table.wire.holds().await;
        assert!(colleague.forget_sink(&sink("other")).await.unwrap());
        table.wire.let_go();
    };
    let made = of("app", 0, &[create("app", 1)], Some(mark(NOW)));
    let (saved, ()) = tokio::join!(store.save(vec![made]), forgetting);
    assert_eq!(saved.unwrap(), [SaveOutcome::Saved(1)]);
    table.wire.mend();
    // Its entry in the index is one of both sinks.
    assert_eq!(pending(&colleague, "colleague", i64::MAX).await, [id("app")]);
    assert_eq!(colleague.backlog(&sink(SINK)).await.unwrap(), backlog(1, Some(NOW), 0));
    save(&colleague, of("app", 1, &[create("app", 2)], Some(mark(NOW)))).await;
    assert_eq!(row(&store, &id("app")).await.marks.len(), 1);
}
