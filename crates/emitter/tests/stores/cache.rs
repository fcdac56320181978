//! Bases from memory.

use emitter::{SaveOutcome, Settlement, Settling, StateStore};

use crate::support::{NOW, SINK, clock, create, id, listed, logging, mark, sealed, state};
use crate::world::{Table, of, row, save, sink};

#[tokio::test]
async fn a_stale_base_ends_in_a_conflict_and_then_in_the_right_state() {
    let table = Table::new().await;
    let (store, colleague) = (table.open("worker").await, table.open("colleague").await);
    store.add_sinks(&[listed(SINK, "first")], NOW).await.unwrap();
    save(&store, of("app", 0, &[create("app", 1)], Some(mark(NOW)))).await;
    let moved = [create("app", 1), logging("app", 2, "logs")];
    assert_eq!(save(&colleague, of("app", 1, &moved, Some(mark(NOW)))).await, SaveOutcome::Saved(2));
    assert_eq!(store.load_bases(&[id("app")]).await.unwrap()[0].version(), 1, "it does not know yet");
    let window = [logging("app", 3, "other-logs")];
    let saved = sealed(&window, 1).save(&store, clock).await.unwrap();
    let report = saved.checkpoint(async |_| Ok::<_, std::convert::Infallible>(())).await.unwrap();
    assert_eq!((report.saved, report.conflicts), (1, 1));
    let row = row(&colleague, &id("app")).await;
    assert_eq!((row.version, row.state), (3, state(&[moved.to_vec(), window.to_vec()].concat())));
}

#[tokio::test]
async fn a_base_that_another_worker_has_settled_since_is_good_and_its_digest_is_kept() {
    let table = Table::new().await;
    let (store, colleague) = (table.open("worker").await, table.open("colleague").await);
    store.add_sinks(&[listed(SINK, "first")], NOW).await.unwrap();
    save(&store, of("app", 0, &[create("app", 1)], Some(mark(NOW)))).await;
    let settlement = Settlement { resource: id("app"), version: 1, verdict: Settling::Acknowledged([9; 32]) };
    assert_eq!(colleague.settle(&sink(SINK), vec![settlement]).await.unwrap(), 1);
    let more = [create("app", 1), logging("app", 2, "logs")];
    let saved = save(&store, of("app", 1, &more, Some(mark(NOW + 50)))).await;
    assert_eq!(saved, SaveOutcome::Saved(2), "marks that were settled are no conflict");
    let marks = row(&store, &id("app")).await.marks;
    assert_eq!(marks[&sink(SINK)].digest, Some([9; 32]));
    assert_eq!(marks[&sink(SINK)].pending, Some(mark(NOW + 50)), "what came before was shown");
}

#[tokio::test]
async fn a_load_for_the_outbox_never_comes_from_memory() {
    let table = Table::new().await;
    let (store, colleague) = (table.open("worker").await, table.open("colleague").await);
    save(&store, of("app", 0, &[create("app", 1)], None)).await;
    save(&colleague, of("app", 1, &[create("app", 1)], None)).await;
    assert_eq!(store.load(&[id("app")]).await.unwrap()[0].version(), 2);
}
