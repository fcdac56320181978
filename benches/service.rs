//! `trailgraph run` as a process of its own, looked at from outside.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use corpus::measure::{cpu_seconds_of, peak_resident_bytes_of};
use tempfile::TempDir;

type Fallible<T> = Result<T, Box<dyn Error>>;

const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// Builds the program into the folder where this bench lies, with the same profile, and says where it is.
pub(crate) fn build() -> Fallible<PathBuf> {
    let bench = std::env::current_exe()?;
    let folder = bench.parent().and_then(Path::parent).ok_or("a bench lies in a folder of its profile")?;
    let (target, profile) = folder.parent().zip(folder.file_name()).ok_or("a profile's folder lies in the target's")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--package", "trailgraph", "--profile"]).arg(profile);
    // What cargo tells a bench of its package; build scripts would take it for theirs, and run anew each time.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
            build.env_remove(name);
        }
    }
    if !build.arg("--target-dir").arg(target).status()?.success() {
        return Err("trailgraph cannot be built: see above".into());
    }
    Ok(folder.join("trailgraph"))
}

/// The service, with files of its own; dropped, it is killed.
pub(crate) struct Service {
    process: Child,
    metrics: SocketAddr,
    folder: TempDir,
}

impl Service {
    /// Begins, and answers for its metrics.
    pub(crate) fn start(program: &Path, kinesis: SocketAddr) -> Fallible<Self> {
        let folder = TempDir::new()?;
        let metrics = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut run = Command::new(program);
        run.args(["run", "--stream", "whole", "--permit-any", "--log", "json", "--metrics-addr"])
            .arg(metrics.to_string())
            .current_dir(folder.path())
            .envs([("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "bench"), ("AWS_SECRET_ACCESS_KEY", "bench")])
            .env("AWS_ENDPOINT_URL_KINESIS", format!("http://{kinesis}"))
            .stderr(File::create(folder.path().join("log"))?);
        let service = Self { process: run.spawn()?, metrics, folder };
        let begun = Instant::now();
        while let Err(error) = service.metrics() {
            if begun.elapsed() > BEGINS_WITHIN {
                return Err(format!("trailgraph did not begin: {error}; its log:\n{}", service.log()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(service)
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds_of(self.process.id())
    }

    pub(crate) fn peak_resident_bytes(&self) -> usize {
        peak_resident_bytes_of(self.process.id())
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn metrics(&self) -> Fallible<Scrape> {
        let mut stream = TcpStream::connect(self.metrics)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.metrics)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(Scrape::of(&text))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// The metrics at one time: by name and labels, as they are written.
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn of(text: &str) -> Self {
        let sample = |line: &str| {
            let (name, value) = line.trim_end().rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(text.lines().filter_map(sample).collect())
    }

    /// Of all series of a name, without `trailgraph_`, that have this in their labels.
    pub(crate) fn sum(&self, name: &str, labels: &str) -> f64 {
        let of_name = |series: &str| {
            let rest = series.strip_prefix("trailgraph_").and_then(|series| series.strip_prefix(name));
            rest.is_some_and(|rest| (rest.is_empty() || rest.starts_with('{')) && rest.contains(labels))
        };
        self.0.iter().filter(|(series, _)| of_name(series)).map(|(_, value)| value).sum()
    }

    /// Quantile of what a histogram has observed since an earlier scrape, straight between the bounds.
    pub(crate) fn quantile(&self, before: &Self, name: &str, labels: &str, quantile: f64) -> f64 {
        let of_histogram = |series: &&String| series.contains(&format!("{name}_bucket{{")) && series.contains(labels);
        let bound = |series: &String| {
            let (_, bound) = series.split_once("le=\"")?;
            let counted = self.0[series] - before.0.get(series).copied().unwrap_or_default();
            Some((bound.split_once('"')?.0.parse::<f64>().ok()?, counted))
        };
        let mut bounds: Vec<(f64, f64)> = self.0.keys().filter(of_histogram).filter_map(bound).collect();
        bounds.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let rank = bounds.last().map_or(0.0, |(_, all)| all * quantile);
        let (mut low, mut below) = (0.0, 0.0);
        for (high, counted) in bounds {
            if counted >= rank && counted > below {
                return low + (high - low) * (rank - below) / (counted - below);
            }
            (low, below) = (high, counted);
        }
        low
    }
}
