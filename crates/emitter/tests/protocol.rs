//! The commit protocol on the embedded store: what is saved, marked, emitted and cleared.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use async_trait::async_trait;
use bucket_state::ResourceId;
use emitter::{
    Backlog, Emission, Generation, GraphSink, Outbox, OutboxError, OutboxSettings, PendingQuery, Row, SaveOutcome,
    SaveReport, SinkError, SinkName, SqliteStore, StateStore, Verdict,
};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use support::disturbed::{Before, disturbed};
use support::{NOW, SINK, World, clock, create, delete, id, listed, logging, never, save, save_at, sealed};

async fn window(world: &World, events: &[bucket_state::Event]) -> SaveReport {
    let saved = sealed(events, 1).save(&world.store, clock).await.unwrap();
    saved.checkpoint(async |_| Ok::<_, Infallible>(())).await.unwrap()
}

async fn row(world: &World, bucket: &str) -> Row {
    world.store.load(&[id(bucket)]).await.unwrap().remove(0).row().unwrap()
}

async fn pending(store: &SqliteStore, worker: &str, others_before_ms: i64) -> Vec<ResourceId> {
    let query = PendingQuery { sink: SinkName::from(SINK), worker: worker.into(), others_before_ms, limit: 10 };
    store.pending(&query).await.unwrap()
}

#[tokio::test]
async fn a_window_is_saved_marked_emitted_and_cleared() {
    let world = World::new().await;
    let report = window(&world, &[create("app", 1), logging("app", 2, "logs"), create("logs", 1)]).await;
    assert_eq!((report.saved, report.unchanged, report.conflicts), (2, 0, 0));
    assert_eq!(pending(&world.store, "worker", 0).await.len(), 2);

    let emitted = world.outbox("worker").round(NOW, &never()).await.unwrap().unwrap();
    assert_eq!((emitted.settled.len(), emitted.cleared), (2, 2));
    assert_eq!(pending(&world.store, "worker", NOW).await, []);
    assert!(world.outbox("worker").round(NOW, &never()).await.unwrap().is_none());
    assert_eq!(world.shown().await.1.len(), 3);
}

#[tokio::test]
async fn events_that_are_known_already_write_nothing() {
    let world = World::new().await;
    let events = [create("app", 1), logging("app", 2, "logs")];
    window(&world, &events).await;
    let before = row(&world, "app").await;
    let report = window(&world, &events).await;
    assert_eq!((report.saved, report.deduplicated, report.unchanged), (0, 0, 1));
    assert_eq!(row(&world, "app").await, before);
}

#[tokio::test]
async fn news_that_do_not_show_are_saved_without_an_emission_unless_one_is_under_way() {
    let world = World::new().await;
    // Two deletions in one second change what is known of that second, and not the graph.
    let deleted_as = |identity: &str| {
        let mut event = delete("app", 10);
        let mut origin = (*event.origin).clone();
        origin.stamp.identity = identity.into();
        event.origin = Arc::new(origin);
        event
    };
    window(&world, &[create("app", 1), deleted_as("m")]).await;
    let report = window(&world, &[deleted_as("n")]).await;
    assert_eq!((report.saved, report.deduplicated), (1, 0), "the row is pending: whatever is saved is emitted");

    world.outbox("worker").round(NOW, &never()).await.unwrap();
    let before = row(&world, "app").await;
    let report = window(&world, &[deleted_as("o")]).await;
    assert_eq!((report.saved, report.deduplicated), (0, 1));
    assert_eq!(row(&world, "app").await.version, before.version + 1);
    assert_eq!(pending(&world.store, "worker", NOW).await, []);

    let report = window(&world, &[create("app", 20)]).await;
    assert_eq!((report.saved, report.deduplicated), (1, 0), "this shows");
}

#[tokio::test]
async fn a_row_that_moved_is_loaded_and_merged_again() {
    for exists in [false, true] {
        let world = World::new().await;
        let mut expected = vec![create("app", 1), logging("app", 2, "logs")];
        if exists {
            expected.push(logging("app", 0, "old-logs"));
            window(&world, &expected[2..]).await;
        }
        let contender = disturbed(&world, Before::AnotherSave(u64::from(exists)));
        let saved = sealed(&expected[..1], 1).save(&contender, clock).await.unwrap();
        assert_eq!((saved.report.saved, saved.report.conflicts), (1, 1));
        let row = row(&world, "app").await;
        assert_eq!(row.version, 2 + u64::from(exists));
        assert_eq!(row.state, support::state(&expected), "nothing of any writer is lost");
    }
}

#[tokio::test]
async fn a_mark_is_cleared_only_on_the_version_that_was_emitted() {
    let world = World::new().await;
    window(&world, &[create("app", 1)]).await;
    let slow = Arc::new(Overtaken { world_store: world.store.clone(), inner: world.graph.clone() });
    let settings = OutboxSettings { worker: "worker".into(), adopt_after: Duration::from_secs(10), batch: 10 };
    let outbox = Outbox::new(Arc::new(world.store.clone()), slow, settings);
    let round = outbox.round(NOW, &never()).await.unwrap().unwrap();
    assert_eq!((round.settled.len(), round.cleared), (1, 0));
    assert_eq!(pending(&world.store, "worker", 0).await, [id("app")], "the row moved while it was emitted");
    let backlog = world.store.backlog(&SinkName::from(SINK)).await.unwrap();
    assert_eq!(backlog.oldest_ms, Some(NOW + 500), "what was emitted waits no longer, only what came after it");
    world.outbox("worker").round(NOW, &never()).await.unwrap();
    assert_eq!(pending(&world.store, "worker", NOW).await, []);
    assert_eq!(world.shown().await.1.len(), 2, "the edge that came meanwhile is shown");
}

#[tokio::test]
async fn another_worker_adopts_a_pending_row_when_it_has_waited() {
    let world = World::new().await;
    let dead = world.colleague("dead");
    assert_eq!(save(&dead, "app", 0, &[create("app", 1)]).await, SaveOutcome::Saved(1));
    assert!(world.outbox("worker").round(NOW + 9_000, &never()).await.unwrap().is_none());
    assert_eq!(world.outbox("worker").round(NOW + 11_000, &never()).await.unwrap().unwrap().cleared, 1);
}

#[tokio::test]
async fn a_new_sink_and_one_that_was_made_anew_get_every_row_as_a_new_version() {
    let world = World::new().await;
    window(&world, &[create("app", 1), create("logs", 1)]).await;
    world.outbox("worker").round(NOW, &never()).await.unwrap();
    let before = row(&world, "app").await.version;
    let other = SinkName::from("sqlite:other");
    for (instance, now_ms, version) in
        [("one", NOW + 1, before + 1), ("one", NOW + 2, before + 1), ("two", NOW + 3, before + 2)]
    {
        let sinks = [listed(SINK, "first"), listed(other.as_str(), instance)];
        world.store.add_sinks(&sinks, now_ms).await.unwrap();
        assert_eq!(row(&world, "app").await.version, version, "{instance} at {now_ms}");
    }
    assert_eq!(world.store.backlog(&other).await.unwrap(), Backlog { rows: 2, oldest_ms: Some(NOW + 3), rejected: 0 });
}

#[tokio::test]
async fn a_damaged_row_holds_back_no_other_and_begins_anew_with_its_bytes_kept() {
    let world = World::new().await;
    window(&world, &[create("app", 1), create("bad", 1)]).await;
    world.damage(&id("bad"));
    let emitted = world.outbox("worker").round(NOW, &never()).await.unwrap().unwrap();
    assert_eq!((emitted.settled.len(), emitted.cleared), (1, 2), "the other is shown, and the damaged one is rejected");
    assert!(world.outbox("worker").round(NOW, &never()).await.unwrap().is_none());
    assert_eq!(world.store.backlog(&SinkName::from(SINK)).await.unwrap().rejected, 1);

    let report = window(&world, &[logging("bad", 2, "logs"), logging("app", 2, "logs")]).await;
    assert_eq!((report.saved, report.conflicts), (2, 0));
    let anew = row(&world, "bad").await;
    assert_eq!((anew.version, &anew.state), (2, &support::state(&[logging("bad", 2, "logs")])));
    assert_eq!(world.set_aside(), ["arn:aws:s3:::bad"]);

    window(&world, &[create("bad", 1)]).await;
    assert_eq!(row(&world, "bad").await.state, support::state(&[create("bad", 1), logging("bad", 2, "logs")]));
}

#[tokio::test]
async fn what_a_store_did_not_take_at_once_is_counted_once() {
    let world = World::new().await;
    window(&world, &[create("known", 1)]).await;
    let shaky = disturbed(&world, Before::Failure);
    let tied = [logging("app", 2, "a"), logging("app", 2, "b")].map(|mut event| {
        let mut origin = (*event.origin).clone();
        origin.stamp.identity = format!("{:?}", event.change).as_str().into();
        event.origin = Arc::new(origin);
        event
    });
    let events = [vec![create("known", 1)], tied.to_vec()].concat();
    let saved = sealed(&events, 1).save(&shaky, clock).await.unwrap();
    let report = saved.report;
    assert_eq!((report.saved, report.unchanged, report.contested, report.arrived_ms.len()), (1, 1, 1, 2));
}

#[tokio::test]
async fn a_rejected_snapshot_does_not_hold_back_the_others_and_is_tried_again_at_the_next_change() {
    let world = World::new().await;
    window(&world, &[create("app", 1), create("bad", 1)]).await;
    let sink = Arc::new(Picky(world.graph.clone()));
    let settings = OutboxSettings { worker: "worker".into(), adopt_after: Duration::from_secs(10), batch: 10 };
    let outbox = Outbox::new(Arc::new(world.store.clone()), sink, settings);
    assert_eq!(outbox.round(NOW, &never()).await.unwrap().unwrap().cleared, 2);
    assert!(outbox.round(NOW, &never()).await.unwrap().is_none(), "it is not tried again by itself");
    assert_eq!(world.store.backlog(&SinkName::from(SINK)).await.unwrap().rejected, 1);
    assert!(world.shown().await.0.iter().any(|(key, _)| key.ends_with(":app")));

    window(&world, &[logging("bad", 2, "logs")]).await;
    assert_eq!(pending(&world.store, "worker", 0).await, [id("bad")]);
    assert_eq!(world.outbox("worker").round(NOW, &never()).await.unwrap().unwrap().cleared, 1);
    assert_eq!(world.store.backlog(&SinkName::from(SINK)).await.unwrap().rejected, 0);
}

#[tokio::test]
async fn a_graph_that_is_ahead_of_its_store_stops_the_outbox_and_clears_nothing() {
    let world = World::new().await;
    window(&world, &[create("app", 1)]).await;
    // The graph was fed by a store that has been restored from a backup since.
    let later = support::project(&id("app"), &support::state(&[create("app", 1), logging("app", 2, "logs")]));
    world.graph.replace(NOW, &[Emission::new(9, later)]).await.unwrap();
    let error = world.outbox("worker").round(NOW, &never()).await.unwrap_err();
    assert!(matches!(&error, OutboxError::Sink(SinkError::Ahead { .. })) && !error.is_transient(), "{error}");
    assert_eq!(pending(&world.store, "worker", 0).await, [id("app")]);
}

/// A graph that is slow enough for the row to change while it is emitted.
struct Overtaken {
    world_store: SqliteStore,
    inner: emitter::SqliteGraph,
}

#[async_trait]
impl GraphSink for Overtaken {
    fn name(&self) -> &SinkName {
        self.inner.name()
    }

    fn instance(&self) -> &str {
        self.inner.instance()
    }

    async fn check(&self) -> Result<String, SinkError> {
        self.inner.check().await
    }

    async fn replace(&self, generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError> {
        let events = [create("app", 1), logging("app", 2, "logs")];
        assert_eq!(save_at(NOW + 500, &self.world_store, "app", 1, &events).await, SaveOutcome::Saved(2));
        self.inner.replace(generation, emissions).await
    }
}

/// A graph that takes nothing called "bad".
struct Picky(emitter::SqliteGraph);

#[async_trait]
impl GraphSink for Picky {
    fn name(&self) -> &SinkName {
        self.0.name()
    }

    fn instance(&self) -> &str {
        self.0.instance()
    }

    async fn check(&self) -> Result<String, SinkError> {
        self.0.check().await
    }

    async fn replace(&self, generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError> {
        let mut verdicts = Vec::new();
        for emission in emissions {
            verdicts.push(match emission.snapshot.resource.name() {
                "bad" => Verdict::Rejected("it is called bad".into()),
                _ => self.0.replace(generation, std::slice::from_ref(emission)).await?.remove(0),
            });
        }
        Ok(verdicts)
    }
}
