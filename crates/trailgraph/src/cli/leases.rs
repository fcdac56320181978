//! The flags that name a stream and its leases, and the commands that look at them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use shard_consumer::Position;

use super::{SqliteUrl, parse_duration};
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
    #[arg(long, env = "TRAILGRAPH_APP_NAME", default_value = "trailgraph")]
    pub app_name: String,
    /// Where the leases are kept. A DynamoDB table is that of one application and one stream
    #[arg(
        long,
        env = "TRAILGRAPH_LEASES",
        value_name = "sqlite:PATH|dynamodb:TABLE",
        default_value = "sqlite:trailgraph.db"
    )]
    pub leases: LeasesUrl,
    /// A worker that has not renewed its leases for this long is taken for dead
    #[arg(long, env = "TRAILGRAPH_FAILOVER_AFTER", value_name = "DURATION", default_value = "10s", value_parser = parse_failover)]
    pub failover_after: Duration,
}

/// `sqlite:PATH` or `dynamodb:TABLE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeasesUrl {
    /// A file, for the workers of one machine.
    Sqlite(SqliteUrl),
    /// A DynamoDB table, by its name.
    DynamoDb(String),
}

impl FromStr for LeasesUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(SqliteUrl(path.into()))),
            Some(("dynamodb", table)) if is_table_name(table) => Ok(Self::DynamoDb(table.into())),
            Some(("dynamodb", "")) => {
                Err("names no table: expected dynamodb:TABLE, such as dynamodb:trailgraph".into())
            }
            Some(("dynamodb", _)) => {
                Err("a table's name has 3 to 255 letters, digits, '_', '-' and '.', such as dynamodb:trailgraph".into())
            }
            _ => Err("expected sqlite:PATH or dynamodb:TABLE, such as dynamodb:trailgraph".into()),
        }
    }
}

/// The service's own rule:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>.
fn is_table_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (3..=255).contains(&name.len()) && name.bytes().all(is_allowed)
}

impl fmt::Display for LeasesUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => url.fmt(f),
            Self::DynamoDb(table) => write!(f, "dynamodb:{table}"),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_in_a_file_or_in_a_table() {
        for url in ["sqlite:trailgraph.db", "sqlite:/var/lib/a b.db", "dynamodb:trailgraph", "dynamodb:my.App_2-x"] {
            assert_eq!(url.parse::<LeasesUrl>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn a_wrong_url_is_answered_with_its_mend() {
        for (url, mend) in [
            ("dynamodb:", "names no table: expected dynamodb:TABLE"),
            ("dynamodb:ab", "3 to 255 letters"),
            ("dynamodb:arn:aws:dynamodb:eu-west-1:111122223333:table/leases", "3 to 255 letters"),
            ("sqlite:", "expected sqlite:PATH or dynamodb:TABLE"),
            ("trailgraph.db", "expected sqlite:PATH or dynamodb:TABLE"),
        ] {
            let error = url.parse::<LeasesUrl>().unwrap_err();
            assert!(error.contains(mend), "{url}: {error}");
        }
    }
}
