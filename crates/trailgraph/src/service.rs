//! `trailgraph run`: the service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bucket_state::RECORD_BYTES_MAX;
use emitter::{OutboxSettings, Window};
use shard_consumer::{
    Cut, KinesisParams, KinesisSource, LeaseStore, Misplaced, Reading, ShardEvent, kinesis_client, stream_name,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::cli::{LogFormat, RunArgs};
use crate::counted_leases::CountedLeases;
use crate::failure::Failure;
use crate::intake::Intake;
use crate::metrics::{EMBED_EVERY, Embedded, Metrics};
use crate::parts::{limits, worker_id};
use crate::permit::{self, Permit, PermitSource, Senders, keep_up_to_date};
use crate::pipeline::Pipeline;
use crate::server::{self, Readiness};
use crate::stores::{Stores, must_route, sink_names};
use crate::{clock, dry_run, logs};

/// Snapshots emitted together.
pub(crate) const EMIT_BATCH: usize = 1_000;

/// Runs until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// [`Failure::Usage`] where flags or what they name are wrong, [`Failure::Running`] where something failed or did not
/// answer.
pub async fn run(args: RunArgs) -> Result<(), Failure> {
    let log = logs::start(args.log, tracing::Level::INFO);
    let reading = reading(&args)?;
    let (mut permit, mut source) = permit::open(&args.permit, None).await?;
    let id = args.worker_id.clone().unwrap_or_else(worker_id);
    let metrics = Arc::new(Metrics::new(&sink_names(&args.stores)));
    let (mut stores, leases) = if args.dry_run {
        dry_run::open(&args, &id).await?
    } else {
        (Stores::open(&args.stores, &permit, &id, &metrics).await?, args.leases.open().await?)
    };
    let leases = Arc::new(CountedLeases { leases, metrics: Arc::clone(&metrics) });
    let readiness = Readiness::default();
    let bound = server::serve(args.metrics_addr, Arc::clone(&metrics), readiness.clone()).await.map_err(|error| {
        Failure::flag("--metrics-addr", args.metrics_addr, format!("{error}; name a free address of this host"))
    })?;
    let senders = Arc::new(Senders::new(&permit, Arc::clone(&metrics)));
    let stop = CancellationToken::new();
    stop_on_signal(&stop, &readiness).map_err(|error| Failure::Running(error.into()))?;
    let worker = Worker { args, id, metrics, leases, readiness, senders, reading };
    if worker.args.dry_run {
        tracing::info!("a dry run: nothing is written anywhere");
    }
    tracing::info!(stream = worker.args.leases.stream, worker = worker.id, permitted = %permit, metrics = %bound, "reading");
    if log == LogFormat::Json {
        tokio::spawn(embed(Arc::clone(&worker.metrics), &worker.args));
    }
    loop {
        let routes = worker.work(stores, &permit, source.as_mut(), &stop).await?;
        let Some(routed) = routes else { break };
        tracing::info!("reading goes on with the new JupiterOne routes");
        permit = routed;
        stores = Stores::open(&worker.args.stores, &permit, &worker.id, &worker.metrics).await?;
    }
    tracing::info!("drained");
    Ok(())
}

/// What lives as long as the service.
struct Worker {
    args: RunArgs,
    id: String,
    metrics: Arc<Metrics>,
    leases: Arc<CountedLeases>,
    readiness: Readiness,
    senders: Arc<Senders>,
    reading: Reading,
}

impl Worker {
    /// Works until `stop`, or until the permit list routes accounts to other JupiterOne accounts: each of those has a lane
    /// of its own, so the pipeline is drained, and begun anew with the list that this returns.
    async fn work(
        &self,
        stores: Stores,
        permit: &Permit,
        source: Option<&mut PermitSource>,
        stop: &CancellationToken,
    ) -> Result<Option<Permit>, Failure> {
        let (end, next) = (stop.child_token(), Mutex::new(None));
        let pipeline = self.pipeline(stores, &end).await?;
        let routed = async |permit: &Permit| {
            if self.args.dry_run || !must_route(&self.args.stores, permit).await? {
                return Ok(());
            }
            // The list may change once more while the pipeline drains.
            *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit.clone());
            end.cancel();
            Ok(())
        };
        let permitting = async {
            match source {
                Some(source) => {
                    keep_up_to_date(source, permit.clone(), &self.senders, &self.metrics, routed).await;
                }
                None => std::future::pending().await,
            }
        };
        // What is said of windows is said of a rehearsal.
        let span = if self.args.dry_run { tracing::info_span!("dry_run") } else { tracing::Span::none() };
        tokio::select! {
            ended = pipeline.run(&end).instrument(span) => ended?,
            () = permitting => {}
        }
        let next = next.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(next.filter(|_| !stop.is_cancelled()))
    }

    async fn pipeline(&self, stores: Stores, stop: &CancellationToken) -> Result<Pipeline, Failure> {
        let Self { args, id, metrics, leases, readiness, senders, reading } = self;
        let failover_after = args.leases.failover_after;
        let source = KinesisSource::new(KinesisParams {
            client: kinesis_client().await?,
            stream: args.leases.stream.clone(),
            leases: Arc::clone(leases) as Arc<dyn LeaseStore>,
            reading: reading.clone(),
            misplaced: Misplaced::Deliver,
            worker_id: id.clone(),
            start: args.start,
            failover_after,
        });
        let Stores { state: store, sinks, dead_letters, .. } = stores;
        let (ready, stopping) = (readiness.clone(), stop.clone());
        let intake = Intake {
            stream: args.leases.stream.clone(),
            window: Arc::new(Window::new(limits(args.window), Cut::default())),
            senders: Arc::clone(senders),
            until_ms: None,
            input_bytes_max: RECORD_BYTES_MAX,
            dead_letters,
            metrics: Arc::clone(metrics),
            observe: Box::new(move |event| {
                // The stream was listed and the leases were looked at: what can be read is being read.
                if matches!(event, ShardEvent::Shards { .. }) && !stopping.is_cancelled() {
                    ready.set(true);
                }
            }),
        };
        let outbox = OutboxSettings { worker: id.clone(), adopt_after: failover_after, batch: EMIT_BATCH };
        Ok(Pipeline { source: Arc::new(source), intake: Arc::new(intake), store, sinks, outbox, clock: clock::wall() })
    }
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

/// Logs once a minute what ECS scales on, in the form from which CloudWatch makes metrics; from when the shards are known.
fn embed(metrics: Arc<Metrics>, args: &RunArgs) -> impl Future<Output = ()> + use<> {
    let leases = &args.leases;
    let mut embedded = Embedded::new(&leases.app_name, stream_name(&leases.stream), sink_names(&args.stores));
    async move {
        loop {
            let line = embedded.line(&metrics, clock::now_ms());
            if let Some(line) = &line {
                eprintln!("{line}");
            }
            tokio::time::sleep(if line.is_some() { EMBED_EVERY } else { Duration::from_secs(1) }).await;
        }
    }
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
