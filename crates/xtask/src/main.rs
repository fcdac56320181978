//! `cargo xtask`: the project's own commands.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use xtask::{fuzz, image, install};

const USAGE: &str = "usage: cargo xtask <command>

  servers   fetch the protocol servers that the tests talk to (Kinesis, DynamoDB, a graph over Bolt) into
            target/servers (needs node, npm and python3 with its venv)
  test      servers, then every test of the workspace: unit, law, end-to-end, crash, browser (needs chromium), deploy
            (needs prometheus) and documentation tests
  fuzz [--seconds N] [TARGET [INPUT]]
            feed the parser and the fold with mutated records: each target (parse, parse_fold_project, decode) for
            N seconds, or one of them, or one input that made it fail (needs a C++ compiler)
  image --program FILE DIR
            assemble the root filesystem of the container image in DIR, from a program that was built
  fuzz-seeds
            make fuzz/seeds and fuzz/words.dict anew, from the samples of the tests";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["servers"] => install::install(),
        ["test"] => test(),
        ["image", "--program", program, dir] => image::assemble(program.as_ref(), dir.as_ref()),
        ["fuzz-seeds"] => fuzz::seed(),
        ["fuzz", ref rest @ ..] if let Some(plan) = fuzz::Plan::from_arguments(rest) => fuzz::run(&plan),
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn test() -> Result<()> {
    install::install()?;
    install::require_programs()?;
    let mut tests = vec!["test", "--workspace", "--lib", "--bins", "--tests"];
    for (variable, what, feature) in [
        ("TRAILGRAPH_REAL_RECORDS", "real CloudTrail records", "trailgraph/real-records"),
        ("TRAILGRAPH_RECORDINGS", "recordings of real JupiterOne clients", "emitter/recordings"),
    ] {
        if let Ok(folder) = std::env::var(variable) {
            println!("{what} are read from {folder}");
            tests.extend(["--features", feature]);
        } else {
            println!("{variable} is not set: the tests on {what} are left out");
        }
    }
    // Tests run the examples as programs; as targets of the tests they would be built as tests.
    cargo(&["build", "--workspace", "--examples"])?;
    // Naming the targets leaves out the benches, and, in cargo's logic, the documentation tests with them.
    cargo(&tests)?;
    cargo(&["test", "--workspace", "--doc"])
}

fn cargo(arguments: &[&str]) -> Result<()> {
    println!("cargo {}", arguments.join(" "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(arguments).status().context("run cargo")?;
    if !status.success() {
        bail!("`cargo {}` failed ({status})", arguments.join(" "));
    }
    Ok(())
}
