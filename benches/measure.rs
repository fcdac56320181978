//! What the kernel counts of this process, for benches that print tables of their own. Linux only.

use std::time::{Duration, Instant};

/// The kernel tells processor time in hundredths of a second, whatever its own clock is.
const TICKS_PER_SECOND: f64 = 100.0;
/// Of the processors that are built for; larger ones must be told by `getconf PAGE_SIZE`.
const PAGE_BYTES: usize = 4 << 10;

/// Time that passed, and processor time that all threads of this process took meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Took {
    /// By the clock, in seconds.
    pub wall: f64,
    /// In seconds, to a hundredth: let it be several.
    pub cpu: f64,
}

/// Runs `work`.
pub fn took<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let done = work();
    (done, Took { wall: begun.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu })
}

/// Since when something is measured that ends no thread.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    wall: Instant,
    cpu: Duration,
}

impl Begun {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self { cpu: threads(), wall: Instant::now() }
    }

    /// What it took until now, to far less than a hundredth of a second.
    #[must_use]
    pub fn took(self) -> Took {
        let wall = self.wall.elapsed().as_secs_f64();
        Took { wall, cpu: threads().saturating_sub(self.cpu).as_secs_f64() }
    }
}

/// Processor time of the threads that there are now. Those that have ended are not in it.
fn threads() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(nanos).sum())
}

/// Processor time of this process so far: user and system, all threads.
///
/// # Panics
/// Where there is no `/proc`.
#[must_use]
pub fn cpu_seconds() -> f64 {
    cpu_seconds_of(std::process::id())
}

/// Processor time of a process so far: user and system, all threads.
///
/// # Panics
/// Where there is no `/proc`, or no such process.
#[must_use]
pub fn cpu_seconds_of(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux tells of its processes in /proc");
    // The second field is the program's name in brackets, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ").expect("the name of a process is in brackets");
    let ticks = |field: usize| fields.split(' ').nth(field).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, system) = (ticks(11).unwrap_or(0.0), ticks(12).unwrap_or(0.0));
    (user + system) / TICKS_PER_SECOND
}

/// Memory of this process that lies in RAM.
///
/// # Panics
/// Where there is no `/proc`.
#[must_use]
pub fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells of its processes in /proc");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * PAGE_BYTES
}

/// The most memory of a process that has lain in RAM.
///
/// # Panics
/// Where there is no `/proc`, or no such process.
#[must_use]
pub fn peak_resident_bytes_of(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.expect("Linux tells of its processes in /proc");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")?.trim().parse().ok());
    peak.map_or(0, |kib: usize| kib << 10)
}

/// The one in the middle; of none, 0.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A count to divide by.
#[must_use]
pub fn per(count: usize) -> f64 {
    count.max(1) as f64
}
