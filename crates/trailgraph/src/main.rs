//! The command line.

use std::process::ExitCode;

use clap::Parser;
use trailgraph::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("trailgraph: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(trailgraph::run(cli.command));
    // Whatever still reads standard input is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("trailgraph: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
