//! The command line. It is a contract: names and defaults stay.

mod dead_letters;
mod examples;
mod leases;
mod permit;
mod stores;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use shard_consumer::Start;

use crate::clock;

pub use dead_letters::DeadLetterUrl;
pub use leases::{LeaseArgs, LeasesArgs, LeasesCommand};
pub use permit::{PermitArgs, PermitUrl};
pub use stores::{
    BoltArgs, GraphUrl, JupiterOneArgs, JupiterOneMode, JupiterOneScope, SqliteUrl, StateArgs, StoreArgs, StoreUrl,
};

/// Keeps a security graph of S3 buckets up to date from CloudTrail, within seconds, without reading the buckets.
#[derive(Debug, Parser)]
#[command(name = "trailgraph", version, max_term_width = 110, after_help = examples::PROGRAM)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the whole pipeline on generated traffic, into ./trailgraph-demo.db; ends by itself
    #[command(after_help = examples::DEMO)]
    Demo(DemoArgs),
    /// The service: reads a Kinesis stream and keeps the graph up to date
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// The same pipeline over files of CloudTrail records
    #[command(after_help = examples::REPLAY)]
    Replay(ReplayArgs),
    /// Looks at a graph in a SQLite file
    #[command(after_help = examples::GRAPH)]
    Graph(GraphArgs),
    /// Lists the events that are folded, makes an EventBridge pattern of them, or checks one
    #[command(after_help = examples::EVENTS)]
    Events(EventsArgs),
    /// Shows or rewinds the leases: which shard is read by whom, and how far it has been read
    #[command(after_help = examples::LEASES)]
    Leases(LeasesArgs),
    /// Marks every stored row pending, so that the graphs show it anew; or takes a graph off the list
    #[command(after_help = examples::REPUBLISH)]
    Republish(RepublishArgs),
    /// Reaches stream, leases, state, graphs and dead letters, looks at partition keys and the clock, and tells in a line each
    /// what would mend it; makes and writes nothing
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Asks a running service whether it is healthy: exit code 0 or 1
    #[command(after_help = examples::HEALTH)]
    Health(HealthArgs),
}

/// `trailgraph demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Events to generate
    #[arg(long, env = "TRAILGRAPH_EVENTS", default_value_t = 50_000)]
    pub events: u64,
    /// Buckets that they are about
    #[arg(long, env = "TRAILGRAPH_BUCKETS", default_value_t = 1_000)]
    pub buckets: u32,
    /// Events per second; 0 is as fast as they can be handled
    #[arg(long, env = "TRAILGRAPH_RATE", default_value_t = 0)]
    pub rate: u32,
    /// The same seed makes the same traffic
    #[arg(long, env = "TRAILGRAPH_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Where /metrics, /healthz and /readyz are served [default: 127.0.0.1:9464, or a free port]
    #[arg(long, env = "TRAILGRAPH_METRICS_ADDR", value_name = "HOST:PORT")]
    pub metrics_addr: Option<SocketAddr>,
    /// When a window is flushed
    #[command(flatten)]
    pub window: WindowArgs,
}

/// `trailgraph run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The stream and its leases
    #[command(flatten)]
    pub leases: LeaseArgs,
    /// This worker among the others [default: host-pid-random]
    #[arg(long, env = "TRAILGRAPH_WORKER_ID", value_name = "ID")]
    pub worker_id: Option<String>,
    /// Where the graph and the states go
    #[command(flatten)]
    pub stores: StoreArgs,
    /// Where a stream without leases begins
    #[arg(long, help_heading = "Reading", env = "TRAILGRAPH_START", value_name = "trim-horizon|latest|RFC3339", default_value = "trim-horizon",
          value_parser = parse_start)]
    pub start: Start,
    /// Reads by enhanced fan-out, which is paid for: 2 MB/s per shard for this application alone. Else by polling, where
    /// all applications share that
    #[arg(long, help_heading = "Reading", env = "TRAILGRAPH_FAN_OUT")]
    pub fan_out: bool,
    /// When a window is flushed
    #[command(flatten)]
    pub window: WindowArgs,
    /// Whose events are folded
    #[command(flatten)]
    pub permit: PermitArgs,
    /// Where /metrics, /healthz and /readyz are served
    #[arg(
        long,
        help_heading = "Service",
        env = "TRAILGRAPH_METRICS_ADDR",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9464"
    )]
    pub metrics_addr: SocketAddr,
    /// How the log is written [default: text on a terminal, else json]
    #[arg(long, help_heading = "Service", env = "TRAILGRAPH_LOG", value_name = "text|json")]
    pub log: Option<LogFormat>,
    /// Reads from the stored checkpoints, beside whoever reads, and logs what each window would save and emit: writes nothing
    /// anywhere, and asks no graph
    #[arg(long, help_heading = "Service", env = "TRAILGRAPH_DRY_RUN", conflicts_with = "fan_out")]
    pub dry_run: bool,
}

/// `trailgraph replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Files, or folders of files; `-` is standard input. Plain or gzip; CloudTrail files, EventBridge events, log
    /// subscription messages, dead letters, or JSON Lines of these
    #[arg(required = true, value_name = "FILE|DIR|-")]
    pub inputs: Vec<PathBuf>,
    /// Folds only events up to this time; needs an empty state store and graph
    #[arg(long, env = "TRAILGRAPH_UNTIL", value_name = "RFC3339", value_parser = clock::parse_rfc3339)]
    pub until: Option<i64>,
    /// Where the graph and the states go
    #[command(flatten)]
    pub stores: StoreArgs,
    /// When a window is flushed
    #[command(flatten)]
    pub window: WindowArgs,
    /// Whose events are folded; all, if nothing is said
    #[command(flatten)]
    pub permit: PermitArgs,
}

/// `trailgraph graph`
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// What to show.
    #[command(subcommand)]
    pub command: GraphCommand,
}

/// The commands of `trailgraph graph`.
#[derive(Debug, Subcommand)]
pub enum GraphCommand {
    /// Prints the whole graph
    Export {
        /// The form
        #[arg(long, value_enum, default_value_t = ExportFormat::Json)]
        format: ExportFormat,
        /// The graph
        #[command(flatten)]
        graph: GraphFlag,
    },
    /// Lists buckets: exposure, last change and who made it
    List {
        /// Only those that are open to the public
        #[arg(long)]
        public: bool,
        /// Only those that have changed at or after this time
        #[arg(long, value_name = "RFC3339", value_parser = clock::parse_rfc3339)]
        since: Option<i64>,
        /// The graph
        #[command(flatten)]
        graph: GraphFlag,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Shows one bucket: its exposure, its properties, and where each comes from
    Show {
        /// Its name or ARN
        bucket: String,
        /// The graph
        #[command(flatten)]
        graph: GraphFlag,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// The graph that is looked at.
#[derive(Clone, Debug, Args)]
pub struct GraphFlag {
    /// The graph
    #[arg(long, env = "TRAILGRAPH_GRAPH", value_name = "sqlite:PATH", default_value = "sqlite:trailgraph.db",
          value_parser = stores::parse_first_file)]
    pub graph: SqliteUrl,
}

/// How a graph is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// `{"entities": […], "relationships": […]}`, sorted by `_key`
    Json,
    /// Graphviz, such as for `dot -Tsvg`
    Dot,
    /// One page for a browser, with everything in it
    Html,
}

/// `trailgraph events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Prints the EventBridge pattern that takes these events, and no failed call
    #[arg(long, conflicts_with_all = ["check", "json"])]
    pub pattern: bool,
    /// Puts only these events into the pattern (with --pattern)
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "pattern")]
    pub only: Vec<String>,
    /// Checks a pattern, a rule as the AWS CLI prints or takes it, or every rule of a CloudFormation template (JSON or
    /// YAML; `-` is standard input): exit code 1 when it misses events or has errors
    #[arg(long, value_name = "FILE|-")]
    pub check: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `trailgraph republish`
#[derive(Debug, Args)]
pub struct RepublishArgs {
    /// A graph to show everything anew; may be repeated [default: every graph that the state store lists]
    #[arg(long, value_name = stores::GRAPH_URL)]
    pub graph: Vec<GraphUrl>,
    /// Takes the graph of this name off the list instead, so that nothing waits for it any more
    #[arg(long, value_name = "NAME", conflicts_with = "graph")]
    pub forget: Option<String>,
    /// Where the states are kept
    #[command(flatten)]
    pub state: StateArgs,
    /// Whose events are folded
    #[command(flatten)]
    pub permit: PermitArgs,
}

/// `trailgraph check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The stream and its leases
    #[command(flatten)]
    pub leases: LeaseArgs,
    /// Where the graph and the states go
    #[command(flatten)]
    pub stores: StoreArgs,
    /// Whose events are folded
    #[command(flatten)]
    pub permit: PermitArgs,
}

/// `trailgraph health`
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where the service answers
    #[arg(long, env = "TRAILGRAPH_METRICS_ADDR", value_name = "HOST:PORT", default_value = "127.0.0.1:9464")]
    pub metrics_addr: SocketAddr,
}

/// The window: bursts within it become one write per bucket.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Window")]
pub struct WindowArgs {
    /// A window is flushed when its oldest news is this old
    #[arg(long, env = "TRAILGRAPH_FLUSH_AFTER", value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub flush_after: Duration,
    /// A window is flushed when this many buckets are dirty
    #[arg(long, env = "TRAILGRAPH_FLUSH_AT", value_name = "N", default_value_t = 1_000, value_parser = parse_count)]
    pub flush_at: usize,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One object a line
    Json,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("expected a time longer than nothing, such as 500ms, 5s or 2m".into()),
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "expected a whole number from 1".into())
}

fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "trim-horizon" => Ok(Start::TrimHorizon),
        "latest" => Ok(Start::Latest),
        time => clock::parse_rfc3339(time)
            .map(Start::At)
            .map_err(|_| "expected trim-horizon, latest, or a time such as 2026-03-01T12:00:00Z".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_value_that_cannot_be_read_is_answered_with_what_could_be() {
        assert!(parse_duration("0s").is_err() && parse_duration("five").is_err());
        assert_eq!(
            parse_start("noon").unwrap_err(),
            "expected trim-horizon, latest, or a time such as 2026-03-01T12:00:00Z"
        );
    }
}
