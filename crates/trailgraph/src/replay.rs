//! `trailgraph replay`: the same pipeline over files.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use emitter::GraphSink;
use shard_consumer::{MemoryInput, Record, ShardId};
use tokio::sync::mpsc;

use crate::cli::{DeadLetterUrl, ReplayArgs};
use crate::failure::Failure;
use crate::finite::Finite;
use crate::metrics::Metrics;
use crate::parts::worker_id;
use crate::permit::{self, Permit};
use crate::stores::{Stores, sink_names};
use crate::{clock, files, logs, summary};

/// Records handed over together.
const BATCH_RECORDS: usize = 500;
const BATCH_BYTES: usize = 4 << 20;

/// Replays the files, and waits until every graph shows them.
///
/// # Errors
/// [`Failure::Usage`] before anything was read; [`Failure::Running`] when a file cannot be read to its end, a
/// sink rejected a snapshot, or accepted nothing for five minutes.
pub async fn run(args: ReplayArgs) -> Result<(), Failure> {
    logs::start(None, tracing::Level::WARN);
    let inputs = files::expand(&args.inputs).map_err(Failure::Usage)?;
    must_not_read_what_it_writes(&inputs, &args.stores.dead_letters)?;
    let (permit, _) = permit::open(&args.permit, Some(Permit::Any)).await?;
    let worker = worker_id();
    let metrics = Arc::new(Metrics::new(&sink_names(&args.stores)));
    let stores = Stores::open(&args.stores, &permit, &worker, &metrics).await?;
    if args.until.is_some() {
        must_be_empty(&stores).await?;
    }
    let run = Finite {
        name: "replay",
        worker,
        window: args.window,
        permit,
        until_ms: args.until,
        input_bytes_max: files::TEXT_BYTES_MAX,
        adopt_after: Duration::ZERO,
        metrics,
        stores,
    };
    let (fed, summary) = run.run(|input, shards| feed(inputs, input, shards)).await?;
    summary::print(&summary)?;
    fed.map_err(|error| Failure::Running(anyhow::anyhow!(error)))
}

/// Letters that are still bad would be appended to the file that is being read.
fn must_not_read_what_it_writes(inputs: &[PathBuf], dead_letters: &DeadLetterUrl) -> Result<(), Failure> {
    let DeadLetterUrl::File(path) = dead_letters else { return Ok(()) };
    let written = path.canonicalize().ok();
    if written.is_some() && inputs.iter().any(|input| input.canonicalize().ok() == written) {
        let mend = "this replay reads that file; name another one to write to";
        return Err(Failure::flag("--dead-letters", dead_letters, mend));
    }
    Ok(())
}

async fn must_be_empty(stores: &Stores) -> Result<(), Failure> {
    let because = "--until shows the graph as it was then, so it needs an empty one: name another file";
    if !stores.state.is_empty().await? {
        return Err(Failure::Usage(format!("--state is not empty; {because}")));
    }
    if stores.files.len() < stores.sinks.len() {
        let because = "a graph as of a moment in the past is shown in a file only";
        return Err(Failure::Usage(format!("--until goes with --graph sqlite:PATH: {because}")));
    }
    for graph in &stores.files {
        if !graph.is_empty().await.map_err(Failure::Usage)? {
            let name = graph.name();
            return Err(Failure::Usage(format!("--graph {name} is not empty; {because}")));
        }
    }
    Ok(())
}

/// Reads the files one after the other, and deals their records out to the shards.
async fn feed(inputs: Vec<PathBuf>, input: MemoryInput, shards: Vec<ShardId>) -> Result<(), String> {
    let (sender, mut batches) = mpsc::channel::<Vec<Record>>(2);
    let reading = tokio::task::spawn_blocking(move || read_all(&inputs, &sender));
    let mut turn = shards.iter().cycle();
    while let (Some(records), Some(shard)) = (batches.recv().await, turn.next()) {
        input.push_batch(shard, records).await;
    }
    reading.await.map_err(|error| error.to_string())?
}

/// A file that cannot be read does not hold back the others.
fn read_all(inputs: &[PathBuf], sender: &mpsc::Sender<Vec<Record>>) -> Result<(), String> {
    let arrived_ms = clock::now_ms();
    let (mut batch, mut bytes, mut sequence) = (Vec::new(), 0, 0_u64);
    let mut failed = Ok(());
    for path in inputs {
        let read = files::read(path, |data| {
            sequence += 1;
            bytes += data.len();
            batch.push(Record {
                sequence_number: sequence.to_string().into(),
                sub_sequence_number: 0,
                partition_key: Some(path.display().to_string()),
                arrived_ms,
                data,
            });
            if batch.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
                bytes = 0;
                // The receiver goes only when the pipeline has failed; that failure is reported.
                if sender.blocking_send(std::mem::take(&mut batch)).is_err() {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        if sender.is_closed() {
            break;
        }
        if let Err(error) = read {
            tracing::error!(error, "a file could not be read to its end");
            failed = Err(error);
        }
    }
    let _sent = sender.blocking_send(batch);
    failed
}
