//! `cargo xtask`: the project's own commands.

use std::process::ExitCode;

use xtask::{fuzz, image, install, suite};

const USAGE: &str = "usage: cargo xtask <command>

  servers   fetch the protocol servers that the tests talk to (Kinesis, DynamoDB, a graph over Bolt) into
            target/servers (needs node, npm and python3 with its venv)
  test [NAME]
            servers, then every test of the workspace: unit, law, end-to-end, crash, browser (needs chromium), deploy
            (needs prometheus) and documentation tests; or only the programs with NAME in their name, as in
            emitter/sinks
  fuzz [--seconds N] [TARGET [INPUT]]
            feed what reads foreign bytes with mutated ones: each target (parse, parse_fold_project, decode, aggregate,
            lease_row, permit) for N seconds, two at a time, or one of them, or one input that made it fail (needs a C++
            compiler)
  image --program FILE DIR
            assemble the root filesystem of the container image in DIR, from a program that was built
  fuzz-seeds
            make fuzz/seeds and fuzz/words.dict anew, from the samples of the tests";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["servers"] => install::install(),
        ["test"] => suite::run(None),
        ["test", part] => suite::run(Some(part)),
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
