//! What a window costs. `--nocapture` tells how long it took.

use std::collections::BTreeMap;
use std::time::Instant;

use bucket_state::Event;
use emitter::{DynamoStore, StateStore};

use crate::support::{NOW, clock, create, id, listed, logging, sealed};
use crate::world::Table;

const ROWS: usize = 400;

fn calls(counted: &BTreeMap<String, usize>, operation: &str) -> usize {
    counted.get(operation).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_row_costs_one_write_and_a_known_one_no_read() {
    for cache_bytes in [64 << 20, 0] {
        let table = Table::new().await;
        let params = emitter::DynamoStoreParams { cache_bytes, ..table.params("worker") };
        let store = DynamoStore::open(params).await.unwrap();
        store.add_sinks(&[listed("graph", "first")], NOW).await.unwrap();
        table.wire.answered();
        for window in 0..3_u32 {
            let events: Vec<Event> = (0..ROWS)
                .map(|number| match window {
                    0 => create(&format!("bucket-{number}"), 1),
                    _ => logging(&format!("bucket-{number}"), 1 + window, "logs"),
                })
                .collect();
            let begun = Instant::now();
            let saved = sealed(&events, 1).save(&store, clock).await.unwrap();
            let (took, counted) = (begun.elapsed(), table.wire.answered());
            let report = saved.checkpoint(async |_| Ok::<_, std::convert::Infallible>(())).await.unwrap();
            assert_eq!((report.saved, report.conflicts), (ROWS as u64, 0));
            println!("cache {cache_bytes} bytes, window {window}: {ROWS} rows in {took:?}: {counted:?}");
            assert_eq!(calls(&counted, "UpdateItem"), ROWS);
            let members = if window == 0 { ROWS } else { 0 };
            assert_eq!(calls(&counted, "PutItem"), members, "membership is written once");
            let reads = if window == 0 || cache_bytes == 0 { ROWS / 100 } else { 0 };
            assert_eq!(calls(&counted, "BatchGetItem"), reads);
        }
        let ids: Vec<_> = (0..ROWS).map(|number| id(&format!("bucket-{number}"))).collect();
        let begun = Instant::now();
        store.load(&ids).await.unwrap();
        println!("cache {cache_bytes} bytes: {ROWS} rows loaded in {:?}", begun.elapsed());
    }
}
