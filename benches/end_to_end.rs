//! How many events a second does one worker bring from record bodies into a graph?
//!
//! What is between them is the service's own, on disk as in the service: parser, window, state store, outbox, graph. Only
//! here one window is saved and emitted before the next is folded, so that no scheduling is measured.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bucket_state::{Parsed, Parser};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use emitter::{
    GraphSink, Limits, ListedSink, Outbox, OutboxSettings, SinkName, SqliteFile, SqliteGraph, SqliteStore, StateStore,
    Window,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use trailgraph::generate::Generated;

const WORKER: &str = "bench";
/// Snapshots that an outbox hands over together, as in the service.
const EMIT_BATCH: usize = 500;
/// Records after which a reader moves its position.
const READ_BATCH: usize = 100;
const NOW_MS: i64 = 1_772_400_000_000;

fn main() {
    divan::main();
}

/// A window is flushed at this many dirty buckets; the last one holds the whole corpus.
#[divan::bench(args = [100, 500, 1_000_000], sample_count = 7, sample_size = 1)]
fn records_into_sqlite(bencher: Bencher<'_, '_>, flush_at: usize) {
    let runtime = Runtime::new().expect("a runtime");
    let records = corpus::all();
    let counted = bencher.counter(ItemsCount::new(records.len())).counter(BytesCount::new(corpus::bytes(&records)));
    counted.with_inputs(|| Worker::new(&runtime, flush_at).expect("a folder for temporary files")).bench_local_values(
        |worker| {
            runtime.block_on(worker.work(&records)).expect("nothing of it can fail on a sound disk");
            worker
        },
    );
}

/// A worker that has done nothing yet, with files of its own.
struct Worker {
    flush_at: usize,
    window: Window<usize>,
    store: Arc<SqliteStore>,
    outbox: Outbox,
    _folder: TempDir,
}

impl Worker {
    fn new(runtime: &Runtime, flush_at: usize) -> Result<Self, Box<dyn Error>> {
        let folder = TempDir::new()?;
        let file = SqliteFile::open(&folder.path().join("trailgraph.db"))?;
        let store = Arc::new(SqliteStore::open(file.clone(), WORKER, NOW_MS)?);
        let graph = Arc::new(SqliteGraph::open(file, SinkName::from("sqlite:trailgraph.db"))?);
        let sink = ListedSink { name: graph.name().clone(), instance: graph.instance().to_owned() };
        runtime.block_on(store.add_sinks(&[sink], NOW_MS))?;
        let settings = OutboxSettings { worker: WORKER.into(), adopt_after: Duration::ZERO, batch: EMIT_BATCH };
        let outbox = Outbox::new(Arc::clone(&store) as Arc<dyn StateStore>, graph, settings);
        let limits = Limits { flush_after: Duration::from_secs(5), flush_at, dirty_max: usize::MAX };
        Ok(Self { flush_at, window: Window::new(limits, 0), store, outbox, _folder: folder })
    }

    async fn work(&self, records: &[&Generated]) -> Result<(), Box<dyn Error>> {
        let mut parser = Parser::default();
        for batch in records.chunks(READ_BATCH) {
            for record in batch {
                parser.parse(&record.body, record.event_time_ms, &mut |parsed| {
                    if let Parsed::Event(event) = parsed {
                        self.window.fold(&event, record.event_time_ms);
                    }
                });
            }
            self.window.advance(false, |cut| *cut += batch.len());
            if self.window.dirty() >= self.flush_at {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    /// Save, checkpoint, and emit until nothing is pending.
    async fn flush(&self) -> Result<(), Box<dyn Error>> {
        let saved = self.window.seal().save(self.store.as_ref(), || NOW_MS).await?;
        saved.checkpoint(async |_cut| Ok::<(), std::io::Error>(())).await?;
        while self.outbox.round(NOW_MS, &CancellationToken::new()).await?.is_some() {}
        Ok(())
    }
}
