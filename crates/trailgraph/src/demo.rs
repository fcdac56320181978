//! `trailgraph demo`: generated traffic through the real pipeline, everything embedded.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bucket_state::RECORD_BYTES_MAX;
use shard_consumer::{MemoryInput, Record, ShardId};

use crate::cli::DemoArgs;
use crate::failure::Failure;
use crate::finite::Finite;
use crate::generate::{Generated, Traffic};
use crate::metrics::Metrics;
use crate::parts::worker_id;
use crate::permit::Permit;
use crate::server::{self, Readiness};
use crate::stores::{Stores, of_file};
use crate::{clock, logs, summary};

const FILE: &str = "trailgraph-demo.db";
const DEAD_LETTERS: &str = "trailgraph-demo-dead-letters.jsonl";
const METRICS_PORT: u16 = 9464;
const BATCH: usize = 250;

/// Runs the demo to its end.
///
/// # Errors
/// [`Failure`] when its file cannot be written.
pub async fn run(args: DemoArgs) -> Result<(), Failure> {
    logs::start(None, tracing::Level::WARN);
    make_anew(Path::new(FILE))?;
    let worker = worker_id();
    let stores = Stores::in_file(Path::new(FILE), Path::new(DEAD_LETTERS), &worker).await?;
    let graph = stores.files.first().map(Arc::clone);
    let metrics = Arc::new(Metrics::new(&[of_file(Path::new(FILE)).to_string()]));
    let addr = serve(args.metrics_addr, &metrics).await?;
    eprintln!(
        "demo: {} events about {} buckets into ./{FILE}; metrics at http://{addr}/metrics",
        args.events, args.buckets
    );
    let run = Finite {
        name: "demo",
        worker,
        stores,
        window: args.window,
        permit: Permit::accounts(Traffic::accounts()),
        until_ms: None,
        input_bytes_max: RECORD_BYTES_MAX,
        adopt_after: Duration::from_secs(10),
        metrics: Arc::clone(&metrics),
    };
    let ((), mut result) = run.run(|input, shards| feed(traffic(&args), args.rate, input, shards)).await?;
    result.push_str(&summary::freshness(&metrics).unwrap_or_default());
    if let Some(graph) = graph {
        result.push_str(&look_at(graph.as_ref()).await.map_err(|error| Failure::Running(anyhow::anyhow!(error)))?);
    }
    summary::print(&result)
}

/// The events end about now, so that none seems to come from the future.
fn traffic(args: &DemoArgs) -> Traffic {
    let spacing_ms = 1_000_u32.checked_div(args.rate).unwrap_or(10).max(1);
    let traffic = Traffic { seed: args.seed, events: args.events, buckets: args.buckets, start_ms: 0, spacing_ms };
    let start_ms = clock::now_ms() - if args.rate == 0 { traffic.duration_ms() } else { 0 };
    Traffic { start_ms, ..traffic }
}

/// Deals events out to the shards by bucket, as the partition key of a real stream does.
async fn feed(traffic: Traffic, rate: u32, input: MemoryInput, shards: Vec<ShardId>) {
    let begun = Instant::now();
    let mut waiting: Vec<Vec<Record>> = shards.iter().map(|_| Vec::new()).collect();
    // Timers are too coarse for single events: a rate is kept a hundredth of a second at a time.
    let pace = u64::from(rate / 100).max(1);
    for (number, event) in (1_u64..).zip(traffic.generate()) {
        let place = shard_of(&event, shards.len());
        waiting[place].push(record(number, event));
        if waiting[place].len() >= BATCH {
            input.push_batch(&shards[place], std::mem::take(&mut waiting[place])).await;
        }
        if rate > 0 && number % pace == 0 {
            push_all(&input, &shards, &mut waiting).await;
            let due = Duration::from_micros(number.saturating_mul(1_000_000) / u64::from(rate));
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        }
    }
    push_all(&input, &shards, &mut waiting).await;
}

async fn push_all(input: &MemoryInput, shards: &[ShardId], waiting: &mut [Vec<Record>]) {
    for (shard, records) in shards.iter().zip(waiting) {
        input.push_batch(shard, std::mem::take(records)).await;
    }
}

fn shard_of(event: &Generated, shards: usize) -> usize {
    let hash =
        event.partition_key.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
    hash % shards
}

fn record(number: u64, event: Generated) -> Record {
    Record {
        sequence_number: number.to_string().into(),
        sub_sequence_number: 0,
        partition_key: Some(event.partition_key),
        arrived_ms: clock::now_ms(),
        data: event.body,
    }
}

/// The demo's own file begins empty every time.
fn make_anew(file: &Path) -> Result<(), Failure> {
    for suffix in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{suffix}", file.display()));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::Usage(format!(
                    "./{}: {error}; run the demo in a folder that can be written",
                    path.display()
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The usual address; where another program has it, any free port.
async fn serve(asked: Option<SocketAddr>, metrics: &Arc<Metrics>) -> Result<SocketAddr, Failure> {
    let readiness = Readiness::default();
    readiness.set(true);
    let at = |addr| server::serve(addr, Arc::clone(metrics), readiness.clone());
    let refused = |addr: SocketAddr| move |error: std::io::Error| Failure::flag("--metrics-addr", addr, error);
    if let Some(addr) = asked {
        return at(addr).await.map_err(refused(addr));
    }
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, METRICS_PORT));
    if let Ok(addr) = at(usual).await {
        return Ok(addr);
    }
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let addr = at(free).await.map_err(refused(free))?;
    eprintln!("demo: {usual} is taken, so metrics are served at {addr}");
    Ok(addr)
}

async fn look_at(graph: &emitter::SqliteGraph) -> Result<String, String> {
    let (entities, relationships) = graph.export().await?;
    let buckets: Vec<&str> = entities
        .iter()
        .filter(|entity| entity["_type"] == "aws_s3_bucket" && entity["placeholder"] != true)
        .filter_map(|entity| entity["name"].as_str())
        .collect();
    let (all, edges) = (entities.len(), relationships.len());
    let mut text = format!("  {:<18}{} buckets, {all} entities, {edges} relationships\n", "graph", buckets.len());
    if let Some(example) = buckets.first() {
        text.push_str(&format!(
            "\nLook at it:\n  trailgraph graph show {example} --graph sqlite:{FILE}\n  \
             trailgraph graph export --graph sqlite:{FILE} > graph.json\n  \
             (or, from the source: cargo run --release -- graph show {example} --graph sqlite:{FILE})\n"
        ));
    }
    Ok(text)
}
