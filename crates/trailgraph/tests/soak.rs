//! A service under steady load for as long as is asked: what it holds of the machine stays as it is.
//!
//! Two minutes, or as many as `TRAILGRAPH_SOAK_MINUTES` says, at so many events a second as `TRAILGRAPH_SOAK_RATE` says.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::time::{Duration, Instant};

use fake_aws::FakeAws;
use support::Sandbox;
use support::stream::{Service, Stream, eventually};
use trailgraph::generate::Traffic;

const MINUTES: u64 = 2;
/// Other tests run beside it, and it is not built to be fast.
const RATE: u64 = 100;
const SHARDS: i32 = 4;
/// So few that what the graph and its cache hold of a bucket has grown in the first third.
const BUCKETS_A_MINUTE: u64 = 10;
/// What the stream remembers of each shard: the rest would fill the memory of this process.
const KEPT_RECORDS: usize = 5_000;
/// 2025-12-31T00:00:00Z: a day before the stream's clock begins, since a service takes no events from the future.
const BEGIN_MS: i64 = 1_767_139_200_000;
const TICK: Duration = Duration::from_millis(250);
/// Between samples.
const TICKS_OF_A_SAMPLE: u64 = 4;
/// The last third may hold so much more than the one before.
const GROWTH_MOST: f64 = 1.1;

/// What the process holds at one moment.
#[derive(Clone, Copy, Debug)]
struct Held {
    resident_mib: f64,
    files: f64,
    /// Lines of `/metrics`: a label that grows without bound shows here.
    series: f64,
}

impl Held {
    fn by(service: &Service) -> Self {
        let process = format!("/proc/{}", service.child.id());
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        let files = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
        let series = service.get("/metrics").unwrap().lines().count();
        Self { resident_mib: kib / 1_024.0, files: files as f64, series: series as f64 }
    }
}

fn median(samples: &[Held], of: fn(&Held) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn asked(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

fn counted(service: &Service, metric: &str) -> f64 {
    let metrics = service.get("/metrics").unwrap_or_default();
    let lines = metrics.lines().filter(|line| line.starts_with(metric));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_files_and_metrics_stay_flat_under_steady_load() {
    let (minutes, rate) = (asked("TRAILGRAPH_SOAK_MINUTES", MINUTES), asked("TRAILGRAPH_SOAK_RATE", RATE));
    let fake = FakeAws::new();
    let served = fake.serve().await.unwrap();
    let stream = Stream::at(served.endpoint(), SHARDS).await;
    let sandbox = Sandbox::new();
    let service = stream.serve(&sandbox, &["--flush-after", "1s"]);
    eventually("the service is ready", async || service.get("/readyz").filter(|answer| answer.contains(" 200 "))).await;

    let ticks = minutes * 60 * 1_000 / TICK.as_millis() as u64;
    let of_a_tick = rate * TICK.as_millis() as u64 / 1_000;
    let buckets = (minutes * BUCKETS_A_MINUTE) as u32;
    let traffic = Traffic { events: ticks * of_a_tick, buckets, start_ms: BEGIN_MS, ..Traffic::default() };
    let (mut events, mut samples, mut sent) = (traffic.generate(), Vec::new(), 0);
    let begun = Instant::now();
    for tick in 0..ticks {
        let due: Vec<Vec<u8>> = events.by_ref().take(of_a_tick as usize).map(|event| event.body).collect();
        stream.send(&due).await;
        sent += due.len();
        if tick % TICKS_OF_A_SAMPLE == 0 {
            samples.push(Held::by(&service));
            for shard in 0..SHARDS {
                fake.trim(&stream.name, &format!("shardId-{shard:012}"), KEPT_RECORDS);
            }
        }
        tokio::time::sleep((TICK * (tick as u32 + 1)).saturating_sub(begun.elapsed())).await;
    }
    let took = begun.elapsed();
    eventually("all that was sent is read", async || {
        (counted(&service, "trailgraph_records_total") >= sent as f64).then_some(())
    })
    .await;

    let thirds: Vec<&[Held]> = samples.chunks(samples.len().div_ceil(3)).collect();
    println!(
        "{sent} events in {took:?}: {:.0} a second; read: {}",
        sent as f64 / took.as_secs_f64(),
        counted(&service, "trailgraph_records_total")
    );
    for (name, of) in [
        ("MiB resident", (|held| held.resident_mib) as fn(&Held) -> f64),
        ("open files", |held| held.files),
        ("lines of metrics", |held| held.series),
    ] {
        let medians: Vec<f64> = thirds.iter().map(|third| median(third, of)).collect();
        let most = samples.iter().map(of).fold(0.0, f64::max);
        println!("{name}: {medians:.1?} by thirds, {most:.1} at the most");
        assert!(medians[2] <= medians[1] * GROWTH_MOST, "{name} grows: {medians:?}");
    }
    assert_eq!(counted(&service, "trailgraph_dead_letters_total"), 0.0);
    assert_eq!(service.stop("-TERM").0, Some(0));
}
