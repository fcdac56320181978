//! What does the whole program cost?
//!
//! `trailgraph run`, as it is built for release, is a process of its own, with states, graph and leases in one SQLite file.
//! It polls a stream over loopback HTTP, without TLS. The stream is served by a thread of this process, so what is told of
//! the service is its own; but they share the machine, so give them two cores.

mod service;
mod stream;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use corpus::measure::{cpu_seconds, median, per};
use memchr::memmem;
use trailgraph::generate::{Generated, Traffic};

use service::{Scrape, Service};
use stream::{Puts, Stream};

const EVENTS: u64 = 1_000_000;
const ROUNDS: usize = 3;
const STEADY_BUCKETS: u32 = 20_000;
/// A shard lets itself be read 10 MB at once, then at 2 MB a second, and the service keeps to that: with so many, it is
/// seldom what is waited for.
const BACKLOG_SHARDS: usize = 128;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A window closes after 5 s: nothing comes any more when nothing came for longer.
const QUIET: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(10);
const STEADY: Duration = Duration::from_secs(60);

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let asked = std::env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    let program = service::build()?;
    let is_asked = |name: &str| name.contains(&asked);
    for buckets in [1_000, 20_000] {
        let backlog = format!("backlog of {EVENTS} events about {buckets} buckets, {BACKLOG_SHARDS} shards");
        if is_asked(&backlog) {
            let puts = puts(buckets, |_| true);
            println!("{backlog}; medians of {ROUNDS} rounds");
            let rounds: Vec<Backlog> =
                (0..ROUNDS).map(|_| Backlog::measure(&program, &puts)).collect::<Fallible<_>>()?;
            report(&rounds);
        }
    }
    for (what, is_wanted) in [
        ("about single buckets", (|event| !is_of_an_account(event)) as fn(&Generated) -> bool),
        ("of which some change an account with all its buckets", |_| true),
    ] {
        for (shards, rate) in [(4, 1_000), (32, 10_000)] {
            let name = format!("steady {rate} events/s {what}, {STEADY_BUCKETS} buckets, {shards} shards");
            if is_asked(&name) {
                let puts = puts(STEADY_BUCKETS, is_wanted);
                println!("{name}, for {STEADY:?} after {WARM_UP:?}");
                measure_steady(&program, &puts, shards, rate)?;
            }
        }
    }
    Ok(())
}

fn puts(buckets: u32, is_wanted: impl Fn(&Generated) -> bool) -> Arc<Puts> {
    let traffic = Traffic { seed: 7, events: EVENTS, buckets, ..Traffic::default() };
    let puts = Puts::of(traffic.generate().filter(is_wanted));
    println!("{} events about {buckets} buckets, {:.0} bytes each", puts.len(), puts.bytes() as f64 / per(puts.len()));
    Arc::new(puts)
}

/// Whether it sets what holds for all buckets of an account, each of which is shown anew then. Who makes thousands of
/// changes a second has thousands of accounts, and sets this when an account begins; here sixty are set each second.
fn is_of_an_account(event: &Generated) -> bool {
    memmem::find(&event.body, b"AccountPublicAccessBlock").is_some()
}

/// What a backlog took.
struct Backlog {
    /// Seconds until everything was folded.
    folded: f64,
    /// Seconds until the graph showed everything.
    shown: f64,
    /// Processor seconds of the service until then.
    cpu: f64,
    /// Processor seconds of the stream.
    stream_cpu: f64,
    /// Seconds for which the largest shard may not be read faster.
    paced: f64,
    peak_bytes: usize,
    saves: f64,
    snapshots: f64,
}

impl Backlog {
    fn measure(program: &Path, puts: &Arc<Puts>) -> Fallible<Self> {
        let stream = Stream::serve(puts, BACKLOG_SHARDS, None)?;
        let (begun, stream_cpu) = (Instant::now(), cpu_seconds());
        let service = Service::start(program, stream.addr)?;
        let mut folded = None;
        let (mut changed, mut last) = (Instant::now(), (0.0, 0.0));
        let mut shown = (0.0, 0.0, 0.0);
        loop {
            thread::sleep(LOOK_EVERY);
            let metrics = service.metrics().map_err(|error| format!("{error}; its log:\n{}", service.log()))?;
            let passed = begun.elapsed().as_secs_f64();
            let progress = (metrics.sum("records_total", ""), snapshots(&metrics));
            if progress != last {
                shown = (passed, service.cpu_seconds(), cpu_seconds() - stream_cpu);
                (last, changed) = (progress, Instant::now());
            }
            if folded.is_none() && progress.0 >= per(puts.len()) {
                folded = Some(passed);
            }
            if changed.elapsed() > QUIET {
                let (read, _) = progress;
                let folded = folded.ok_or_else(|| format!("only {read} were read; its log:\n{}", service.log()))?;
                let paced = (stream.most_bytes as f64 / 2e6 - 5.0).max(0.0);
                let (shown, cpu, stream_cpu) = shown;
                let (saves, snapshots) = (metrics.sum("saves_total", "saved"), snapshots(&metrics));
                let peak_bytes = service.peak_resident_bytes();
                return Ok(Self { folded, shown, cpu, stream_cpu, paced, peak_bytes, saves, snapshots });
            }
        }
    }
}

fn report(rounds: &[Backlog]) {
    let middle = |of: fn(&Backlog) -> f64| median(rounds.iter().map(of).collect());
    let (folded, shown) = (middle(|round| round.folded), middle(|round| round.shown));
    let (cpu, events) = (middle(|round| round.cpu), EVENTS as f64);
    println!("  {:<30} {folded:>9.1} s, so {:.0} events/s", "folded after", events / folded);
    println!("  {:<30} {shown:>9.1} s, so {:.0} events/s", "in the graph after", events / shown);
    println!("  {:<30} {cpu:>9.1} s, so {:.0} events/s and core", "CPU", events / cpu);
    println!("  {:<30} {:>9.0} MB", "peak of memory", middle(|round| round.peak_bytes as f64) / 1e6);
    println!("  {:<30} {:>9.0}", "rows saved", middle(|round| round.saves));
    println!("  {:<30} {:>9.0}", "snapshots", middle(|round| round.snapshots));
    println!("  {:<30} {:>9.1} s", "CPU of the stream", middle(|round| round.stream_cpu));
    println!("  {:<30} {:>9.1} s", "least time by Kinesis' limits", middle(|round| round.paced));
}

fn measure_steady(program: &Path, puts: &Arc<Puts>, shards: usize, rate: u32) -> Fallible<()> {
    let stream = Stream::serve(puts, shards, Some(rate))?;
    let service = Service::start(program, stream.addr)?;
    thread::sleep(WARM_UP);
    let (before, begun, cpu) = (service.metrics()?, Instant::now(), service.cpu_seconds());
    thread::sleep(STEADY);
    let (after, cpu, wall) = (service.metrics()?, service.cpu_seconds() - cpu, begun.elapsed().as_secs_f64());
    let since = |count: fn(&Scrape) -> f64| count(&after) - count(&before);
    let events = since(|metrics| metrics.sum("records_total", ""));
    let quantile = |quantile| after.quantile(&before, "freshness_seconds", "stage=\"emit\"", quantile);
    println!("  {:<30} {:>9.0} events/s", "read", events / wall);
    println!("  {:<30} {:>9.3} cores, {:.0} µs an event", "CPU", cpu / wall, cpu * 1e6 / events);
    println!("  {:<30} {:>9.0} MB", "peak of memory", service.peak_resident_bytes() as f64 / 1e6);
    println!("  {:<30} {:>9.1} s, p99 {:.1} s", "arrival to graph, p50", quantile(0.5), quantile(0.99));
    println!("  {:<30} {:>9.0}", "rows saved", since(|metrics| metrics.sum("saves_total", "saved")));
    println!("  {:<30} {:>9.0}", "snapshots", since(snapshots));
    Ok(())
}

fn snapshots(metrics: &Scrape) -> f64 {
    metrics.sum("snapshots_total", "outcome=\"emitted\"") + metrics.sum("snapshots_total", "outcome=\"unchanged\"")
}
