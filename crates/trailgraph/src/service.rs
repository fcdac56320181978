//! `trailgraph run`: the service.

use std::sync::Arc;

use bucket_state::RECORD_BYTES_MAX;
use emitter::{OutboxSettings, Window};
use shard_consumer::{Cut, KinesisParams, KinesisSource, Misplaced, Reading, ShardEvent, kinesis_client};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::RunArgs;
use crate::counted_leases::CountedLeases;
use crate::failure::Failure;
use crate::intake::Intake;
use crate::logs;
use crate::metrics::Metrics;
use crate::parts::{limits, worker_id};
use crate::permit::Permit;
use crate::pipeline::Pipeline;
use crate::server::{self, Readiness};
use crate::stores::{Stores, sink_names};

/// Snapshots emitted together.
pub(crate) const EMIT_BATCH: usize = 1_000;

/// Runs until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// [`Failure::Usage`] before anything was read, else [`Failure::Running`].
pub async fn run(args: RunArgs) -> Result<(), Failure> {
    logs::start(args.log, tracing::Level::INFO);
    let permit = Permit::from_args(&args.permit, None)?;
    let reading = reading(&args)?;
    let worker = args.worker_id.clone().unwrap_or_else(worker_id);
    let metrics = Arc::new(Metrics::new(&sink_names(&args.stores)));
    let stores = Stores::open(&args.stores, &permit, &worker, &metrics).await?;
    let lease_args = &args.leases;
    let leases = lease_args.open().await?;
    let readiness = Readiness::default();
    let bound = server::serve(args.metrics_addr, Arc::clone(&metrics), readiness.clone()).await.map_err(|error| {
        Failure::flag("--metrics-addr", args.metrics_addr, format!("{error}; name a free address of this host"))
    })?;

    let source = KinesisSource::new(KinesisParams {
        client: kinesis_client().await?,
        stream: lease_args.stream.clone(),
        leases: Arc::new(CountedLeases { leases, metrics: Arc::clone(&metrics) }),
        reading,
        misplaced: Misplaced::Deliver,
        worker_id: worker.clone(),
        start: args.start,
        failover_after: lease_args.failover_after,
    });
    let Stores { state: store, sinks, dead_letters, .. } = stores;
    let stop = CancellationToken::new();
    let (ready, stopping) = (readiness.clone(), stop.clone());
    let intake = Intake {
        stream: lease_args.stream.clone(),
        window: Arc::new(Window::new(limits(args.window), Cut::default())),
        permit,
        until_ms: None,
        input_bytes_max: RECORD_BYTES_MAX,
        dead_letters,
        metrics,
        observe: Box::new(move |event| {
            // The stream was listed and the leases were looked at: what can be read is being read.
            if matches!(event, ShardEvent::Shards { .. }) && !stopping.is_cancelled() {
                ready.set(true);
            }
        }),
    };
    let outbox = OutboxSettings { worker: worker.clone(), adopt_after: lease_args.failover_after, batch: EMIT_BATCH };
    let pipeline = Pipeline { source: Arc::new(source), intake: Arc::new(intake), store, sinks, outbox };

    stop_on_signal(&stop, &readiness).map_err(|error| Failure::Running(error.into()))?;
    tracing::info!(stream = lease_args.stream, worker, metrics = %bound, "reading");
    pipeline.run(&stop).await?;
    tracing::info!("drained");
    Ok(())
}

/// A consumer's name is of at most 128 of these characters:
/// <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_RegisterStreamConsumer.html>.
fn reading(args: &RunArgs) -> Result<Reading, Failure> {
    if !args.fan_out {
        return Ok(Reading::Polling);
    }
    let consumer = args.leases.app_name.clone();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=128).contains(&consumer.len()) || !consumer.bytes().all(is_allowed) {
        let mend = "with --fan-out it names the consumer: take 1 to 128 letters, digits, '_', '-' and '.'";
        return Err(Failure::flag("--app-name", consumer, mend));
    }
    Ok(Reading::FanOut { consumer })
}

/// SIGTERM is how ECS ends a task, SIGINT how a person does. Readiness turns false first. A second signal does not wait:
/// what is not saved then is read again.
fn stop_on_signal(stop: &CancellationToken, readiness: &Readiness) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, readiness) = (stop.clone(), readiness.clone());
    tokio::spawn(async move {
        let mut signal = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        signal().await;
        readiness.set(false);
        tracing::info!("stopping: reading ends, the window is saved, leases are released");
        stop.cancel();
        signal().await;
        tracing::warn!("stopped at once by a second signal");
        std::process::exit(1);
    });
    Ok(())
}
