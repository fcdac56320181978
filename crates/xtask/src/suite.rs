//! Runs the test programs of the workspace side by side: most of them wait more than they compute.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::install;
use crate::paths::target_dir;

/// What takes longest begins first, so that nothing is left to run alone at the end. The rest take seconds.
const LONGEST: [&str; 17] = [
    "trailgraph/soak",
    "trailgraph/faults",
    "emitter/sinks",
    "trailgraph/kills",
    "emitter/stores",
    "simulation/seeds",
    "shard-consumer/fleet",
    "trailgraph/sinks",
    "emitter/bolt",
    "trailgraph/graph_page",
    "fake-aws/conformance",
    "shard-consumer/faults",
    "trailgraph/watch",
    "trailgraph/deploy",
    "trailgraph/permit",
    "bucket-state/states",
    "trailgraph/least_privilege",
];

/// Tests on what is not kept here, each with the variable that names its folder.
const ELSEWHERE: [(&str, &str, &str); 2] = [
    ("TRAILGRAPH_REAL_RECORDS", "real CloudTrail records", "trailgraph/real-records"),
    ("TRAILGRAPH_RECORDINGS", "recordings of real JupiterOne clients", "emitter/recordings"),
];

/// One test program, as cargo has built it.
#[derive(Debug)]
struct Program {
    /// The package and the target: `emitter/sinks`, `emitter/lib`.
    name: String,
    executable: PathBuf,
    /// Where its package lies, and where cargo runs it.
    folder: PathBuf,
    /// The command that runs it alone.
    again: String,
}

/// A program that has ended.
struct Ended {
    status: ExitStatus,
    took: Duration,
    output: PathBuf,
}

struct Progress<W> {
    waiting: VecDeque<Program>,
    running: Vec<String>,
    failed: Vec<String>,
    out: W,
}

/// Runs every test of the workspace, or those programs whose name contains `part`.
///
/// # Errors
/// Fails when they cannot be built, when none has such a name, and, after all have run, when some failed: it says how to
/// run those again.
pub fn run(part: Option<&str>) -> Result<()> {
    install::install()?;
    install::require_programs()?;
    let features = features();
    let mut programs = build(&features)?;
    if let Some(part) = part {
        programs.retain(|program| program.name.contains(part));
        if programs.is_empty() {
            bail!("no test program has a name with `{part}` in it: they are called as in emitter/sinks, emitter/lib");
        }
    }
    let place = |program: &Program| LONGEST.iter().position(|name| *name == program.name).unwrap_or(LONGEST.len());
    programs.sort_by_key(place);
    side_by_side(programs, std::io::stdout())?;
    if part.is_none() {
        document(&features)?;
    }
    Ok(())
}

fn features() -> Vec<&'static str> {
    let mut features = Vec::new();
    for (variable, what, feature) in ELSEWHERE {
        if let Ok(folder) = std::env::var(variable) {
            println!("{what} are read from {folder}");
            features.push(feature);
        } else {
            println!("{variable} is not set: the tests on {what} are left out");
        }
    }
    features
}

fn cargo_test(features: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--workspace", "--features", &features.join(",")]);
    cargo
}

/// Builds all tests, the programs and examples that they run, and nothing twice: for that it is one command, which leaves
/// the targets to cargo.
fn build(features: &[&str]) -> Result<Vec<Program>> {
    println!("building the tests");
    let mut cargo = cargo_test(features);
    cargo.args(["--no-run", "--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    let mut running = cargo.spawn().context("run cargo")?;
    let mut programs = Vec::new();
    if let Some(messages) = running.stdout.take() {
        for line in BufReader::new(messages).lines() {
            let message = serde_json::from_str(&line?).context("read what cargo has built")?;
            programs.extend(Program::from_message(&message, features));
        }
    }
    let status = running.wait().context("wait for cargo")?;
    if !status.success() {
        bail!("the tests could not be built ({status})");
    }
    Ok(programs)
}

fn document(features: &[&str]) -> Result<()> {
    println!("testing the documentation");
    let status = cargo_test(features).args(["--doc", "--quiet"]).status().context("run cargo")?;
    if !status.success() {
        bail!("the tests in the documentation failed ({status})");
    }
    Ok(())
}

impl Program {
    /// The test program that a message of cargo's tells of, if it tells of one.
    fn from_message(message: &Value, features: &[&str]) -> Option<Self> {
        if message["profile"]["test"] != true {
            return None;
        }
        let executable = PathBuf::from(message["executable"].as_str()?);
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
        let package = folder.file_name()?.to_str()?;
        let (kind, target) = (message["target"]["kind"][0].as_str()?, message["target"]["name"].as_str()?);
        let (short, named) = match kind {
            "lib" => (kind, "--lib".to_owned()),
            "bin" => (kind, format!("--bin {target}")),
            _ => (target, format!("--{kind} {target}")),
        };
        let name = format!("{package}/{short}");
        let mut again = format!("cargo test -p {package} {named}");
        for feature in features.iter().filter_map(|feature| feature.strip_prefix(package)?.strip_prefix('/')) {
            again.push_str(&format!(" --features {feature}"));
        }
        Some(Self { name, executable, folder, again })
    }

    /// Its output goes to a file, not through a pipe: that one would be open as long as anything that it has started.
    fn run(&self) -> Result<Ended> {
        let logs = target_dir().join("tests");
        std::fs::create_dir_all(&logs).with_context(|| format!("create {}", logs.display()))?;
        let output = logs.join(format!("{}.log", self.name.replace('/', "-")));
        let log = File::create(&output).with_context(|| format!("create {}", output.display()))?;
        let began = Instant::now();
        let status = Command::new(&self.executable)
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .with_context(|| format!("run {}", self.executable.display()))?;
        Ok(Ended { status, took: began.elapsed(), output })
    }
}

/// Runs as many at once as there are cores, and one more, since they wait; all to the end, whichever fails.
fn side_by_side(programs: Vec<Program>, out: impl Write + Send) -> Result<()> {
    let count = programs.len();
    let progress = Mutex::new(Progress { waiting: programs.into(), running: Vec::new(), failed: Vec::new(), out });
    let at_once = std::thread::available_parallelism().map_or(2, usize::from) + 1;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once.min(count)).map(|_| scope.spawn(|| work(&progress))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    let failed = progress.into_inner().unwrap_or_else(PoisonError::into_inner).failed;
    if failed.is_empty() {
        println!("\n{count} test programs passed");
        return Ok(());
    }
    bail!("{} of {count} test programs failed, run again by:\n  {}", failed.len(), failed.join("\n  "))
}

fn work<W: Write>(progress: &Mutex<Progress<W>>) -> Result<()> {
    while let Some(program) = next(progress) {
        let ended = program.run()?;
        let mut progress = locked(progress);
        let Progress { waiting, running, failed, out } = &mut *progress;
        running.retain(|name| *name != program.name);
        let outcome = if ended.status.success() { "ok" } else { "FAILED" };
        writeln!(out, "\n== {}: {outcome} after {:.1} s", program.name, ended.took.as_secs_f64())?;
        std::io::copy(&mut File::open(&ended.output)?, out)?;
        writeln!(out, "-- running: {}; waiting: {}", running.join(", "), waiting.len())?;
        if !ended.status.success() {
            failed.push(program.again);
        }
    }
    Ok(())
}

fn next<W>(progress: &Mutex<Progress<W>>) -> Option<Program> {
    let mut progress = locked(progress);
    let program = progress.waiting.pop_front()?;
    progress.running.push(program.name.clone());
    Some(program)
}

fn locked<W>(progress: &Mutex<Progress<W>>) -> MutexGuard<'_, Progress<W>> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(kind: &str, target: &str, test: bool) -> Value {
        json!({
            "reason": "compiler-artifact", "manifest_path": "/w/crates/emitter/Cargo.toml",
            "target": {"kind": [kind], "name": target}, "profile": {"test": test}, "executable": "/t/deps/x-1",
        })
    }

    #[test]
    fn of_what_cargo_builds_only_tests_are_run_each_with_the_command_that_repeats_it() {
        let features = ["trailgraph/real-records", "emitter/recordings"];
        for (kind, target, name, again) in [
            ("lib", "emitter", "emitter/lib", "cargo test -p emitter --lib --features recordings"),
            ("bin", "emit", "emitter/bin", "cargo test -p emitter --bin emit --features recordings"),
            ("test", "sinks", "emitter/sinks", "cargo test -p emitter --test sinks --features recordings"),
        ] {
            let program = Program::from_message(&message(kind, target, true), &features).unwrap();
            assert_eq!((program.name.as_str(), program.again.as_str()), (name, again));
            assert_eq!(program.folder, Path::new("/w/crates/emitter"));
            assert!(Program::from_message(&message(kind, target, false), &features).is_none());
        }
        let bare = Program::from_message(&message("lib", "emitter", true), &[]).unwrap();
        assert_eq!(bare.again, "cargo test -p emitter --lib");
        for other in [json!({"reason": "build-finished", "success": true}), json!({"reason": "build-script-executed"})]
        {
            assert!(Program::from_message(&other, &features).is_none());
        }
    }

    #[test]
    fn all_run_to_the_end_and_those_that_fail_are_named_with_the_command_that_repeats_them() {
        let program = |name: &str, executable: &str| Program {
            name: format!("sample/{name}"),
            executable: executable.into(),
            folder: std::env::temp_dir(),
            again: format!("cargo test {name}"),
        };
        assert!(side_by_side(vec![program("one", "true"), program("other", "true")], std::io::sink()).is_ok());
        let mut told = Vec::new();
        let failed =
            side_by_side((0..9).map(|n| program(&n.to_string(), ["true", "false"][n / 8])).collect(), &mut told);
        assert_eq!(failed.unwrap_err().to_string(), "1 of 9 test programs failed, run again by:\n  cargo test 8");
        let told = String::from_utf8(told).unwrap();
        assert_eq!((told.matches(": ok after ").count(), told.matches(": FAILED after ").count()), (8, 1), "{told}");
    }
}
