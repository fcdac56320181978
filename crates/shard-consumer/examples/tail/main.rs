//! Prints what a fleet of workers reads from a stream, as one JSON object a line:
//! `tail STREAM sqlite:PATH|dynamodb:TABLE [WORKER] [FAILOVER_SECONDS]`. Ends in good order at SIGTERM and Ctrl-C, and
//! when nobody reads its standard output any more: what was not printed is not checkpointed.

mod follow;

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use serde_json::{Value, json};
use shard_consumer::{
    DynamoLeases, DynamoLeasesParams, KinesisParams, KinesisSource, LeaseStore, Misplaced, Reading, Record, ShardEvent,
    ShardId, SqliteLeases, Start, kinesis_client, sdk_config,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

const USAGE: &str = "usage: tail STREAM sqlite:PATH|dynamodb:TABLE [WORKER] [FAILOVER_SECONDS]";

#[tokio::main]
async fn main() -> ExitCode {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr);
    log.with_ansi(io::stderr().is_terminal()).init();
    match tail().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed, too.
            let _unheard = writeln!(io::stderr(), "tail: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn tail() -> Result<(), Box<dyn Error>> {
    // First of all: until then, a signal ends the process at once.
    let stop = stop_at_signals()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(source) = stop.run_until_cancelled(source(&arguments)).await else { return Ok(()) };
    // A reader of standard output that pauses may hold up a thread, but none that renews leases.
    let handle = |event: &ShardEvent| {
        let lines = lines(event);
        tokio::task::spawn_blocking(move || print(lines)).map(|done| done.map_err(io::Error::other).flatten()).boxed()
    };
    let followed = follow::follow(&source?, Duration::from_secs(1), stop, handle).await;
    followed.map_err(|error| error.chain())?;
    print([json!({"event": "stopped"})])?;
    Ok(())
}

fn stop_at_signals() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.cancel();
        // If nobody hears it, the next line fails as well, and that one is told.
        let _unheard = tokio::task::spawn_blocking(|| print([json!({"event": "stopping"})])).await;
    });
    Ok(stop)
}

async fn source(arguments: &[String]) -> Result<KinesisSource, Box<dyn Error>> {
    let (stream, leases, rest) = match arguments {
        [stream, leases, rest @ ..] if rest.len() <= 2 => (stream, leases, rest),
        _ => return Err(USAGE.into()),
    };
    let worker_id = rest.first().cloned().unwrap_or_else(|| format!("tail-{}", std::process::id()));
    let failover_seconds = rest.get(1).map_or("10", String::as_str).parse().map_err(|_| USAGE)?;
    Ok(KinesisSource::new(KinesisParams {
        client: kinesis_client().await.map_err(|error| error.chain())?,
        stream: stream.clone(),
        leases: open(leases, stream).await?,
        reading: Reading::Polling,
        misplaced: Misplaced::Deliver,
        worker_id,
        start: Start::TrimHorizon,
        failover_after: Duration::from_secs(failover_seconds),
    }))
}

async fn open(url: &str, stream: &str) -> Result<Arc<dyn LeaseStore>, Box<dyn Error>> {
    match url.split_once(':') {
        Some(("sqlite", path)) => {
            Ok(Arc::new(SqliteLeases::open(path, "tail", stream).await.map_err(|error| error.chain())?))
        }
        Some(("dynamodb", table)) => {
            let client = aws_sdk_dynamodb::Client::new(&sdk_config().await.map_err(|error| error.chain())?);
            let params = DynamoLeasesParams { client, table: table.into(), stream: stream.into() };
            Ok(Arc::new(DynamoLeases::open(params).await.map_err(|error| error.chain())?))
        }
        _ => Err(USAGE.into()),
    }
}

fn lines(event: &ShardEvent) -> Vec<Value> {
    let about = |event: &str, shard: &ShardId| vec![json!({"event": event, "shard": shard.as_str()})];
    match event {
        ShardEvent::LeaseTaken { shard, .. } => about("taken", shard),
        ShardEvent::Leaving { shard, .. } => about("leaving", shard),
        ShardEvent::HandedOver { shard, .. } => about("handed over", shard),
        ShardEvent::LeaseLost { shard, .. } => about("lost", shard),
        ShardEvent::Finished { shard, .. } => about("finished", shard),
        ShardEvent::Shards { open, unread, .. } => vec![json!({"event": "shards", "open": open, "unread": unread})],
        ShardEvent::Batch(batch) => {
            let line = |record: &Record| {
                let text = String::from_utf8_lossy(&record.data);
                json!({"event": "record", "shard": batch.shard.as_str(), "text": text})
            };
            batch.records.iter().map(line).collect()
        }
    }
}

/// Prints all of them together, each with the time.
fn print(lines: impl IntoIterator<Item = Value>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for mut line in lines {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        line["at_ms"] = json!(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        writeln!(out, "{line}")?;
    }
    out.flush()
}
