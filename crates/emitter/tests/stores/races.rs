//! Many workers on the same rows.

use emitter::{Save, SaveOutcome};
use futures::future::join_all;

use crate::support::{NOW, create, id, logging, mark, state};
use crate::world::{World, backlog, of, row, sink};

/// Tasks, rows, and events that each task folds into each row.
const TASKS: u32 = 8;
const ROWS: u32 = 4;
const EVENTS: u32 = 3;

pub(crate) async fn what_eight_workers_save_at_once_is_all_in_the_final_states(world: &World) {
    let first = world.store().await;
    let mut workers = Vec::new();
    for task in 0..TASKS {
        workers.push(world.worker(&format!("w-{task}")).await);
    }
    // Each event makes a target of its own an edge of the past, and the identities of ties stay in the state.
    let event = |row: u32, task: u32, number: u32| {
        let bucket = format!("b-{row}");
        let mut event = logging(&bucket, 2 + number, &format!("logs-{task}"));
        let mut origin = (*event.origin).clone();
        origin.stamp.identity = format!("{task}-{number}").as_str().into();
        event.origin = origin.into();
        event
    };
    let tasks = workers.iter().zip(0_u32..).map(|(store, task)| async move {
        let mut left: Vec<(u32, u32)> =
            (0..EVENTS).flat_map(|number| (0..ROWS).map(move |row| (row, number))).collect();
        let mut conflicts = 0;
        while let Some((row_number, number)) = left.pop() {
            let bucket = format!("b-{row_number}");
            // Now and then from what is remembered.
            let stored = if conflicts % 2 == 0 {
                store.load_bases(&[id(&bucket)]).await.unwrap().remove(0)
            } else {
                store.load(&[id(&bucket)]).await.unwrap().remove(0)
            };
            let based_on = stored.version();
            let mut merged = stored.row().map_or_else(|| state(&[create(&bucket, 1)]), |row| row.state);
            merged.merge(state(&[event(row_number, task, number)]));
            let save = Save { state: merged, ..of(&bucket, based_on, &[create(&bucket, 1)], Some(mark(NOW))) };
            if store.save(vec![save]).await.unwrap()[0] == SaveOutcome::Conflict {
                conflicts += 1;
                assert!(conflicts < 2_000, "somebody wins each time");
                left.push((row_number, number));
            }
        }
    });
    join_all(tasks).await;
    for row_number in 0..ROWS {
        let bucket = format!("b-{row_number}");
        let tasks = (0..TASKS).flat_map(|task| (0..EVENTS).map(move |number| (task, number)));
        let events = tasks.map(|(task, number)| event(row_number, task, number));
        let expected = state(&std::iter::once(create(&bucket, 1)).chain(events).collect::<Vec<_>>());
        let row = row(&*first, &id(&bucket)).await;
        assert_eq!(row.state, expected);
        assert_eq!(row.version, u64::from(TASKS * EVENTS), "one version for each save that was not refused");
    }
    let counted = first.backlog(&sink(crate::support::SINK)).await.unwrap();
    assert_eq!(counted, backlog(u64::from(ROWS), Some(NOW), 0));
}
