//! Simulates many seeds: `cargo run --release -p simulation -- --seeds 100000`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use simulation::{Planted, simulate};

/// Whole fleets in virtual time, with every fault drawn from one seed
#[derive(Parser)]
struct Args {
    /// How many seeds to simulate
    #[arg(long, value_name = "N", default_value_t = 200)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// Simulates this one alone, and prints what happened
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Breaks a rule of the protocol on purpose
    #[arg(long, value_name = "FAULT", value_parser = planted)]
    plant: Option<Planted>,
    /// Seeds under way at once
    #[arg(long, value_name = "N", default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
}

fn planted(name: &str) -> Result<Planted, String> {
    let known = || Planted::ALL.map(Planted::name).join(", ");
    Planted::ALL.into_iter().find(|planted| planted.name() == name).ok_or_else(|| format!("take one of {}", known()))
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.seed {
        Some(seed) => one(seed, args.plant),
        None => many(&args),
    }
}

fn one(seed: u64, planted: Option<Planted>) -> ExitCode {
    match simulate(seed, planted, true) {
        Ok(outcome) => {
            print!("{}", outcome.trace);
            println!("seed {seed}: {} steps, digest {:016x}", outcome.steps, outcome.digest);
            let Some(violation) = outcome.violation else { return ExitCode::SUCCESS };
            println!("{violation}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("seed {seed}: the simulation itself failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn many(args: &Args) -> ExitCode {
    let (next, steps, lives) = (AtomicU64::new(args.from), AtomicU64::new(0), AtomicU64::new(0));
    let (end, begun, broken) = (args.from.saturating_add(args.seeds), Instant::now(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let why = match simulate(seed, args.plant, false) {
                        Ok(outcome) => {
                            steps.fetch_add(outcome.steps, Ordering::Relaxed);
                            lives.fetch_add(outcome.lives as u64, Ordering::Relaxed);
                            outcome.violation
                        }
                        Err(error) => Some(format!("the simulation itself failed: {error:#}")),
                    };
                    if let Some(why) = why {
                        println!("seed {seed}: {why}\n  again: {}", again(seed, args.plant));
                        broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(seed);
                    }
                    if (seed + 1 - args.from).is_multiple_of(10_000) {
                        println!("{} seeds in {:.0} s", seed + 1 - args.from, begun.elapsed().as_secs_f64());
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!(
        "{} seeds, {} workers, {} steps in {:.1} s: {} violations",
        args.seeds,
        lives.into_inner(),
        steps.into_inner(),
        begun.elapsed().as_secs_f64(),
        broken.len()
    );
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The command that repeats a seed.
fn again(seed: u64, planted: Option<Planted>) -> String {
    let plant = planted.map(|planted| format!(" --plant {}", planted.name())).unwrap_or_default();
    format!("cargo run --release -p simulation -- --seed {seed}{plant}")
}
