//! trailgraph: a security graph of S3 buckets, kept up to date from CloudTrail.
//!
//! ```text
//! records ─intake─▶ window ─seal─▶ save ─▶ checkpoint      pipeline.rs, forward
//!                                   └─▶ outbox ─▶ graphs   pipeline.rs, backward
//! ```
//!
//! The service ([`service`]), [`replay`] and [`demo`] run the same [`pipeline`] over different sources.

pub mod check;
pub mod cli;
pub mod clock;
pub mod counted_leases;
pub mod dead_letters;
pub mod demo;
pub mod dry_run;
pub mod events;
pub mod failure;
pub mod files;
pub mod finite;
pub mod generate;
pub mod graph_commands;
pub mod health;
pub mod intake;
pub mod leases_commands;
pub mod leases_flag;
pub mod logs;
pub mod metrics;
pub mod operations;
pub mod parts;
pub mod permit;
pub mod pipeline;
pub mod progress;
pub mod rejections;
pub mod replay;
pub mod republish;
pub mod secrets;
pub mod server;
pub mod service;
pub mod stores;
pub mod summary;

/// Runs what the command line asks for.
///
/// # Errors
/// [`failure::Failure`]: its text is the one line that a person reads, its code the exit code.
pub async fn run(command: cli::Command) -> Result<(), failure::Failure> {
    match command {
        cli::Command::Demo(args) => demo::run(args).await,
        cli::Command::Run(args) => service::run(args).await,
        cli::Command::Replay(args) => replay::run(args).await,
        cli::Command::Graph(args) => graph_commands::run(args).await,
        cli::Command::Events(args) => events::run(&args),
        cli::Command::Leases(args) => leases_commands::run(args).await,
        cli::Command::Republish(args) => republish::run(args).await,
        cli::Command::Check(args) => check::run(args).await,
        cli::Command::Health(args) => health::run(&args),
    }
}
