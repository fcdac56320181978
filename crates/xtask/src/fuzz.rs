//! Builds and runs the fuzz targets of `fuzz` with the installed toolchain, as `cargo fuzz run --sanitizer none` would.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::install::require;
use crate::paths::{target_dir, workspace};

/// Each target with the greatest number of bytes of its inputs.
const TARGETS: [(&str, u32); 6] = [
    ("parse", 8 << 10),
    ("parse_fold_project", 16 << 10),
    ("decode", 16 << 10),
    ("aggregate", 4 << 10),
    ("lease_row", 4 << 10),
    ("permit", 2 << 10),
];

/// So many run at a time.
const AT_ONCE: usize = 2;

const SECONDS: u32 = 60;
/// An input that takes longer is a fault.
const INPUT_SECONDS_MAX: u32 = 10;
/// A stored state may swell to 256 MiB of JSON, in a buffer that doubles.
const MEMORY_MIB_MAX: u32 = 1_024;

/// What libFuzzer is guided by: counters of edges, where they lie, and the operands of comparisons.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg=fuzzing",
];

/// What to fuzz: `[--seconds N] [TARGET [INPUT]]`.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    seconds: u32,
    target: Option<&'a str>,
    input: Option<&'a str>,
}

impl<'a> Plan<'a> {
    /// Reads the arguments; nothing where they are no plan.
    pub fn from_arguments(arguments: &[&'a str]) -> Option<Self> {
        let (seconds, rest) = match arguments {
            ["--seconds", seconds, rest @ ..] => (seconds.parse().ok().filter(|seconds| *seconds > 0)?, rest),
            rest => (SECONDS, rest),
        };
        let (target, input) = match rest {
            [] => (None, None),
            [target] => (Some(*target), None),
            [target, input] => (Some(*target), Some(*input)),
            _ => return None,
        };
        target.is_none_or(|target| TARGETS.iter().any(|(name, _)| *name == target)).then_some(Self {
            seconds,
            target,
            input,
        })
    }
}

/// Fuzzes every target or one, or runs one on a single input.
///
/// # Errors
/// Fails when they cannot be built, and when one has failed, saying where its input lies and how to run it again.
pub fn run(plan: &Plan<'_>) -> Result<()> {
    require("c++", "g++")?;
    let host = host()?;
    let manifest = fuzz_dir().join("Cargo.toml");
    let built = target_dir().join("fuzz");
    println!("building the fuzz targets in {}", built.display());
    // With a target named, the flags do not reach build scripts and macros.
    let status = cargo(&["build", "--release", "--locked", "--bins", "--target", &host])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&built)
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"))
        .status()
        .context("run cargo")?;
    if !status.success() {
        bail!("the fuzz targets could not be built ({status})");
    }
    let programs = built.join(host).join("release");
    if let (Some(target), Some(input)) = (plan.target, plan.input) {
        return once(Command::new(programs.join(target)).arg(input), target, input);
    }
    let wanted = TARGETS.iter().filter(|(target, _)| plan.target.is_none_or(|wanted| wanted == *target));
    let (waiting, faults) = (Mutex::new(wanted), Mutex::new(Vec::new()));
    let next = || lock(&waiting).next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((target, bytes_max)) = next() {
                    let mut program = Command::new(programs.join(target));
                    let fuzzed = fuzz(program.arg(format!("-max_len={bytes_max}")), target, plan.seconds);
                    lock(&faults).extend(fuzzed.err().map(|fault| format!("{fault:#}")));
                }
            });
        }
    });
    let faults = lock(&faults);
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("{}", faults.join("\n")),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the seeds and the dictionary anew, from the samples of the tests.
///
/// # Errors
/// Fails when they cannot be written.
pub fn seed() -> Result<()> {
    let folder = fuzz_dir();
    let status = cargo(&["run", "--quiet", "--locked", "--example", "seeds"])
        .arg("--manifest-path")
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir())
        .arg("--")
        .arg(&folder)
        .status()
        .context("run cargo")?;
    if !status.success() {
        bail!("the seeds could not be made ({status})");
    }
    println!("made seeds and words.dict in {}", folder.display());
    Ok(())
}

fn once(program: &mut Command, target: &str, input: &str) -> Result<()> {
    let status = program.status().with_context(|| format!("run {target}"))?;
    if !status.success() {
        bail!("{target} fails on {input} ({status})");
    }
    Ok(())
}

fn fuzz(program: &mut Command, target: &str, seconds: u32) -> Result<()> {
    let folder = fuzz_dir();
    let (corpus, artifacts) = (folder.join("corpus").join(target), folder.join("artifacts").join(target));
    for dir in [&corpus, &artifacts] {
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    }
    println!("fuzzing {target} for {seconds} s");
    let began = SystemTime::now();
    let mut running = program
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg("-print_funcs=0")
        .arg(format!("-dict={}", folder.join("words.dict").display()))
        // A folder's name ends in a slash, or it is the beginning of a file's.
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(&corpus)
        .arg(folder.join("seeds").join(target))
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {target}"))?;
    // Shown whole, for others run beside it.
    let mut told = format!("{target}:\n");
    if let Some(report) = running.stderr.take() {
        BufReader::new(report).split(b'\n').map_while(Result::ok).filter(|line| tells(line)).for_each(|line| {
            told += &format!("  {}\n", String::from_utf8_lossy(&line));
        });
    }
    let status = running.wait().with_context(|| format!("wait for {target}"))?;
    print!("{told}");
    if status.success() {
        return Ok(());
    }
    match newest_since(&artifacts, began) {
        Some(input) => bail!(
            "{target} failed ({status}) on {0}: run it again with `cargo xtask fuzz {target} {0}`",
            input.display()
        ),
        None => bail!("{target} failed ({status}) and left no input"),
    }
}

/// Whether a line of libFuzzer's report is for people: what it is made of, every new input and every new word are not.
fn tells(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let begins = |starts: &[&str]| starts.iter().any(|start| line.starts_with(start));
    let is_progress = line.starts_with('#') && !line.contains("INITED") && !line.contains("DONE");
    let is_word = line.starts_with('"') && line.contains("# Uses:");
    !is_progress && !is_word && !begins(&["INFO:", "WARNING: Failed to find function", "Dictionary:"])
}

fn newest_since(folder: &Path, began: SystemTime) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.flatten().filter(|file| {
        // What is merely slow fails nothing.
        !file.file_name().to_string_lossy().starts_with("slow-unit")
    });
    let dated = files.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())));
    dated.filter(|(written, _)| *written >= began).max().map(|(_, path)| path)
}

fn fuzz_dir() -> PathBuf {
    workspace().join("fuzz")
}

/// The name of the platform that the installed compiler builds for.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments);
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_a_plan_or_are_refused() {
        let plan = |seconds, target, input| Some(Plan { seconds, target, input });
        let cases: [(&[&str], _); 9] = [
            (&[], plan(SECONDS, None, None)),
            (&["--seconds", "5"], plan(5, None, None)),
            (&["--seconds", "5", "decode"], plan(5, Some("decode"), None)),
            (&["parse", "crash-1"], plan(SECONDS, Some("parse"), Some("crash-1"))),
            (&["unparse"], None),
            (&["parse", "crash-1", "crash-2"], None),
            (&["--seconds"], None),
            (&["--seconds", "0"], None),
            (&["--seconds", "long"], None),
        ];
        for (arguments, expected) in cases {
            assert_eq!(Plan::from_arguments(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn of_the_report_only_what_people_read_is_shown() {
        let cases = [
            ("#27\tNEW    cov: 1002 ft: 1421 corp: 8/3012b", false),
            ("#4096\tpulse  cov: 4012 ft: 9921 corp: 812/301Kb", false),
            ("INFO: Loaded 1 modules   (16248 inline 8-bit counters)", false),
            ("#80\tDONE   cov: 4012 ft: 9921 corp: 812/301Kb", true),
            ("\"Princi\" # Uses: 4", false),
            ("thread '<unnamed>' panicked at fuzz/src/laws.rs:30:5:", true),
            ("artifact_prefix='artifacts/'; Test unit written to artifacts/crash-1", true),
        ];
        for (line, expected) in cases {
            assert_eq!(tells(line.as_bytes()), expected, "{line}");
        }
    }
}
