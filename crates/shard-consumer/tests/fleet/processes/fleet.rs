//! `tail` as processes, and what they print.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::sleep;

use crate::ledger::{Ledger, Told};
use crate::stream::STREAM;

/// Nothing that is waited for takes this long, unless it never happens.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `is_so`; says how long that took.
pub(super) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

/// Processes that read one stream with the same leases. They end with this value.
pub(super) struct Fleet {
    leases: String,
    failover_after: Duration,
    environment: Vec<(&'static str, String)>,
    tails: BTreeMap<String, Tail>,
    told: Arc<Mutex<Ledger>>,
}

struct Tail {
    process: Child,
    /// Notes what the process prints, until the end.
    listener: Option<JoinHandle<()>>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Fleet {
    /// `endpoints` are environment variables.
    pub(super) fn new(leases: String, failover_after: Duration, endpoints: Vec<(&'static str, String)>) -> Self {
        let settings = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let settings = settings.map(|(name, value)| (name, value.to_owned()));
        let environment = settings.into_iter().chain(endpoints).collect();
        Self { leases, failover_after, environment, tails: BTreeMap::new(), told: Arc::default() }
    }

    /// Runs one that prints into a pipe.
    pub(super) fn command(&self, worker: &str) -> Command {
        let mut command = Command::new(tail());
        let failover_seconds = self.failover_after.as_secs().to_string();
        command
            .args([STREAM, &self.leases, worker, &failover_seconds])
            .env_clear()
            .envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    pub(super) fn start(&mut self, worker: &str) {
        let mut process = self.command(worker).spawn().unwrap();
        let (printed, told, name) = (process.stdout.take().unwrap(), Arc::clone(&self.told), worker.to_owned());
        let listener = Some(std::thread::spawn(move || listen(printed, &told, &name)));
        self.tails.insert(worker.to_owned(), Tail { process, listener });
    }

    /// By SIGKILL.
    pub(super) fn kill(&mut self, worker: &str) {
        let mut tail = self.tails.remove(worker).unwrap();
        tail.process.kill().unwrap();
        let _killed = tail.process.wait().unwrap();
        self.gone(worker, tail);
    }

    pub(super) fn signal(&self, worker: &str, signal: &str) {
        let id = self.tails[worker].process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// By SIGTERM, all at once; says how long the last took to end. Each must end well.
    pub(super) async fn terminate(&mut self, workers: &[&str]) -> Duration {
        let begun = Instant::now();
        for worker in workers {
            self.signal(worker, "-TERM");
        }
        for worker in workers {
            let mut tail = self.tails.remove(*worker).unwrap();
            let mut status: Option<ExitStatus> = None;
            until("a process ends at SIGTERM", async || {
                status = tail.process.try_wait().unwrap();
                status.is_some()
            })
            .await;
            assert_eq!(status.and_then(|status| status.code()), Some(0), "the exit code of {worker}");
            self.gone(worker, tail);
        }
        begun.elapsed()
    }

    fn gone(&self, worker: &str, mut tail: Tail) {
        let at = now_ms();
        tail.listener.take().unwrap().join().unwrap();
        self.told.lock().unwrap().lines.push((at, worker.to_owned(), Told::Gone));
    }

    /// Nobody reads what the processes print, for so long.
    pub(super) async fn turn_away(&self, time: Duration) {
        let told = Arc::clone(&self.told);
        let away = move || {
            // Each listener waits for it with the next line.
            let _held = told.lock().unwrap();
            std::thread::sleep(time);
        };
        tokio::task::spawn_blocking(away).await.unwrap();
    }

    /// What was told so far, in order of the times of the processes.
    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = self.told.lock().unwrap().clone();
        ledger.lines.sort_by_key(|(at, ..)| *at);
        ledger
    }

    /// How many shards each running process reads.
    pub(super) fn held(&self) -> Vec<usize> {
        let ledger = self.ledger();
        let held = ledger.held();
        self.tails.keys().map(|worker| held.get(worker.as_str()).copied().unwrap_or(0)).collect()
    }

    /// Waits until the running processes read all of so many shards, none two more than another.
    pub(super) async fn balanced(&self, shards: usize) -> Duration {
        until("the leases are balanced", async || {
            let held = self.held();
            let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
            held.iter().sum::<usize>() == shards && most - least <= 1
        })
        .await
    }

    pub(super) async fn came(&self, sent: &BTreeMap<String, u64>) -> Duration {
        until("every record comes", async || self.ledger().has_all(sent)).await
    }
}

/// Cargo puts examples beside the folder of the test executables.
fn tail() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let tail = executable.ancestors().nth(2).unwrap().join("examples/tail");
    let path = tail.display();
    assert!(tail.is_file(), "{path} is missing: `cargo build -p shard-consumer --example tail` builds it");
    tail
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn listen(printed: ChildStdout, told: &Mutex<Ledger>, worker: &str) {
    let mut printed = BufReader::new(printed);
    let mut line = String::new();
    // A killed process may leave a last line without its end.
    while printed.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
        let said: Value = serde_json::from_str(&line).unwrap();
        if let Some(what) = understand(&said) {
            told.lock().unwrap().lines.push((said["at_ms"].as_u64().unwrap(), worker.to_owned(), what));
        }
        line.clear();
    }
}

fn understand(said: &Value) -> Option<Told> {
    let shard = || said["shard"].as_str().unwrap().to_owned();
    match said["event"].as_str().unwrap() {
        "taken" => Some(Told::Taken(shard())),
        "leaving" | "lost" => Some(Told::Ended(shard())),
        "finished" => Some(Told::Finished(shard())),
        "stopping" => Some(Told::Stopping),
        "record" => {
            let (key, number) = said["text"].as_str().unwrap().split_once(' ').unwrap();
            Some(Told::Record { key: key.to_owned(), number: number.parse().unwrap() })
        }
        _ => None,
    }
}
