//! The flags that name a stream and its leases, and the commands that look at them.

use std::time::Duration;

use clap::{Args, Subcommand};
use shard_consumer::Position;

use super::{StoreUrl, parse_duration};
use crate::clock;

/// `trailgraph leases`
#[derive(Debug, Args)]
pub struct LeasesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: LeasesCommand,
}

/// The commands of `trailgraph leases`.
#[derive(Debug, Subcommand)]
pub enum LeasesCommand {
    /// Lists the leases: one line per shard
    Show {
        /// The stream and its leases
        #[command(flatten)]
        leases: LeaseArgs,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Sets every lease to a position, so that the stream is read again from there. Refused while a worker runs
    Rewind {
        /// The stream and its leases
        #[command(flatten)]
        leases: LeaseArgs,
        /// Where reading begins anew
        #[arg(long, value_name = "RFC3339|trim-horizon", value_parser = parse_rewind)]
        to: Position,
        /// Overwrites the leases of running workers, too: they find out when they next renew them
        #[arg(long)]
        force: bool,
    },
}

/// A stream, and where it is written down who reads which of its shards.
#[derive(Clone, Debug, Args)]
pub struct LeaseArgs {
    /// The Kinesis stream
    #[arg(long, env = "TRAILGRAPH_STREAM", value_name = "NAME|ARN")]
    pub stream: String,
    /// Names the consumer of the stream, and its leases in a SQLite file
    #[arg(long, env = "TRAILGRAPH_APP_NAME", value_name = "NAME", default_value = "trailgraph")]
    pub app_name: String,
    /// Where the leases are kept. A DynamoDB table is that of one application and one stream
    #[arg(
        long,
        env = "TRAILGRAPH_LEASES",
        value_name = "sqlite:PATH|dynamodb:TABLE",
        default_value = "sqlite:trailgraph.db"
    )]
    pub leases: StoreUrl,
    /// A worker that has not renewed its leases for this long is taken for dead
    #[arg(long, env = "TRAILGRAPH_FAILOVER_AFTER", value_name = "DURATION", default_value = "10s", value_parser = parse_failover)]
    pub failover_after: Duration,
}

fn parse_rewind(text: &str) -> Result<Position, String> {
    match text {
        "trim-horizon" => Ok(Position::TrimHorizon),
        time => clock::parse_rfc3339(time)
            .map(Position::AtTimestamp)
            .map_err(|_| "expected trim-horizon, or a time such as 2026-03-01T12:00:00Z".into()),
    }
}

/// Less leaves no time for a renewal to be repeated.
const FAILOVER_LEAST: Duration = Duration::from_millis(200);

fn parse_failover(text: &str) -> Result<Duration, String> {
    let failover_after = parse_duration(text)?;
    if failover_after < FAILOVER_LEAST {
        return Err("expected 200ms or more: a lease must be renewed within it, over the network".into());
    }
    Ok(failover_after)
}
