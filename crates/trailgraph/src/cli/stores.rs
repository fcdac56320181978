//! Where states and snapshots go, as the command line says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::DeadLetterUrl;

/// Where states, snapshots and dead letters go.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// A graph to keep up to date; may be repeated
    #[arg(long, env = "TRAILGRAPH_GRAPH", value_name = GRAPH_URL, default_value = "sqlite:trailgraph.db", value_delimiter = ',')]
    pub graph: Vec<GraphUrl>,
    /// Where the states are kept, and how to reach the graphs
    #[command(flatten)]
    pub state: StateArgs,
    /// Where records go that cannot be understood, and snapshots that a graph rejects
    #[arg(
        long,
        help_heading = "Dead letters",
        env = "TRAILGRAPH_DEAD_LETTERS",
        value_name = "file:PATH|sqs:QUEUE_URL",
        default_value = "file:dead-letters.jsonl"
    )]
    pub dead_letters: DeadLetterUrl,
}

/// What `--graph` takes.
pub(super) const GRAPH_URL: &str = "sqlite:PATH|jupiterone:|bolt://HOST:PORT|neo4j+s://HOST";

/// Where states are kept, and the settings of graphs.
#[derive(Clone, Debug, Args)]
pub struct StateArgs {
    /// Where the states of the buckets are kept
    #[arg(
        long,
        env = "TRAILGRAPH_STATE",
        value_name = "sqlite:PATH|dynamodb:TABLE",
        default_value = "sqlite:trailgraph.db"
    )]
    pub state: StoreUrl,
    /// How to reach JupiterOne
    #[command(flatten)]
    pub jupiterone: JupiterOneArgs,
    /// How to reach a graph over Bolt
    #[command(flatten)]
    pub bolt: BoltArgs,
}

/// The settings of `--graph jupiterone:`
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "JupiterOne (--graph jupiterone:)")]
pub struct JupiterOneArgs {
    /// Where its API is; accounts in Europe have it at `https://api.eu.jupiterone.io`
    #[arg(
        long,
        env = "TRAILGRAPH_JUPITERONE_URL",
        value_name = "URL",
        default_value = "https://api.us.jupiterone.io",
        value_parser = parse_api
    )]
    pub jupiterone_url: String,
    /// The JupiterOne account of all AWS accounts for which the permit file names no other. Its API key is read from
    /// TRAILGRAPH_JUPITERONE_API_KEY, or from --jupiterone-api-key-secret
    #[arg(long, env = "TRAILGRAPH_JUPITERONE_ACCOUNT", value_name = "ID")]
    pub jupiterone_account: Option<String>,
    /// The secret of Secrets Manager that holds the API key
    #[arg(long, env = "TRAILGRAPH_JUPITERONE_API_KEY_SECRET", value_name = "ARN")]
    pub jupiterone_api_key_secret: Option<String>,
    /// What one job shows anew: all buckets of an AWS account, or one bucket
    #[arg(long, env = "TRAILGRAPH_JUPITERONE_SCOPE", value_enum, value_name = "account|bucket", default_value_t = JupiterOneScope::Account)]
    pub jupiterone_scope: JupiterOneScope,
    /// diff replaces what a scope holds; patch only adds properties to entities of the scope named in
    /// --graph jupiterone:SCOPE, and deletes nothing
    #[arg(long, env = "TRAILGRAPH_JUPITERONE_MODE", value_enum, value_name = "diff|patch", default_value_t = JupiterOneMode::Diff)]
    pub jupiterone_mode: JupiterOneMode,
    /// Requests a minute to each JupiterOne account, polls included
    #[arg(
        long,
        env = "TRAILGRAPH_JUPITERONE_REQUESTS_PER_MINUTE",
        value_name = "N",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(5..=6_000)
    )]
    pub jupiterone_requests_per_minute: u32,
}

/// What one job shows anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum JupiterOneScope {
    /// All buckets of an AWS account.
    Account,
    /// One bucket.
    Bucket,
}

/// How a job changes its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum JupiterOneMode {
    /// It replaces it.
    Diff,
    /// It adds to it.
    Patch,
}

/// The settings of `--graph bolt://…`
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Bolt (--graph bolt://… or neo4j://…, encrypted with +s)")]
pub struct BoltArgs {
    /// The user; the password is read from TRAILGRAPH_BOLT_PASSWORD
    #[arg(long, env = "TRAILGRAPH_BOLT_USER", value_name = "NAME", default_value = "neo4j")]
    pub bolt_user: String,
    /// The database
    #[arg(long, env = "TRAILGRAPH_BOLT_DATABASE", value_name = "NAME", default_value = "neo4j")]
    pub bolt_database: String,
}

fn parse_api(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host.filter(|host| !host.is_empty() && !host.contains(['@', '?', '#'])) {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err("expected a URL without credentials, such as https://api.us.jupiterone.io".into()),
    }
}

/// `sqlite:PATH`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteUrl(pub PathBuf);

impl FromStr for SqliteUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self(path.into())),
            _ => Err("expected sqlite:PATH, such as sqlite:./trailgraph.db".into()),
        }
    }
}

impl fmt::Display for SqliteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite:{}", self.0.display())
    }
}

/// The service's variable may list several graphs: the first that is a file is looked at.
pub(super) fn parse_first_file(text: &str) -> Result<SqliteUrl, String> {
    let file = text.split(',').find(|url| url.starts_with("sqlite:"));
    file.unwrap_or(text).parse().map_err(|error| format!("{error}: only a graph in a file can be looked at here"))
}

/// `sqlite:PATH` or `dynamodb:TABLE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file, for the workers of one machine.
    Sqlite(SqliteUrl),
    /// A DynamoDB table, by its name.
    DynamoDb(String),
}

impl FromStr for StoreUrl {
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

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => url.fmt(f),
            Self::DynamoDb(table) => write!(f, "dynamodb:{table}"),
        }
    }
}

/// A graph: `sqlite:PATH`, `jupiterone:`, `bolt://HOST:PORT` and its kin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphUrl {
    /// A file.
    Sqlite(SqliteUrl),
    /// JupiterOne; in patch mode with the scope that is patched.
    JupiterOne(Option<String>),
    /// A server that speaks Bolt, by its URL.
    Bolt(String),
}

const BOLT_SCHEMES: [&str; 6] = ["bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"];

impl FromStr for GraphUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(SqliteUrl(path.into()))),
            Some(("jupiterone", "")) => Ok(Self::JupiterOne(None)),
            Some(("jupiterone", scope)) if !scope.contains('/') => Ok(Self::JupiterOne(Some(scope.into()))),
            Some((scheme, rest)) if BOLT_SCHEMES.contains(&scheme) => match rest.strip_prefix("//") {
                Some(host) if host.contains('@') => {
                    Err("holds credentials: name the user by --bolt-user, and put the password into \
                         TRAILGRAPH_BOLT_PASSWORD"
                        .into())
                }
                Some(host) if !host.is_empty() => Ok(Self::Bolt(text.into())),
                _ => Err(format!("expected {scheme}://HOST or {scheme}://HOST:PORT")),
            },
            _ => Err("expected sqlite:PATH, jupiterone:, bolt://HOST:PORT or neo4j+s://HOST, such as \
                      sqlite:./trailgraph.db"
                .into()),
        }
    }
}

impl fmt::Display for GraphUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(url) => url.fmt(f),
            Self::JupiterOne(scope) => write!(f, "jupiterone:{}", scope.as_deref().unwrap_or_default()),
            Self::Bolt(url) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_a_file_or_in_a_table() {
        for url in ["sqlite:trailgraph.db", "sqlite:/var/lib/a b.db", "dynamodb:trailgraph", "dynamodb:my.App_2-x"] {
            assert_eq!(url.parse::<StoreUrl>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn a_graph_is_a_file_or_jupiterone_or_a_server() {
        for url in [
            "sqlite:graph.db",
            "jupiterone:",
            "jupiterone:my-scope",
            "bolt://127.0.0.1:7687",
            "bolt+ssc://graph.internal",
            "neo4j+s://abc.databases.neo4j.io",
        ] {
            assert_eq!(url.parse::<GraphUrl>().unwrap().to_string(), url);
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
            let error = url.parse::<StoreUrl>().unwrap_err();
            assert!(error.contains(mend), "{url}: {error}");
        }
        for (url, mend) in [
            ("bolt://neo4j:secret@localhost", "TRAILGRAPH_BOLT_PASSWORD"),
            ("neo4j://", "expected neo4j://HOST"),
            ("jupiterone://x", "expected sqlite:PATH, jupiterone:"),
            ("http://localhost:7474", "expected sqlite:PATH, jupiterone:"),
        ] {
            let error = url.parse::<GraphUrl>().unwrap_err();
            assert!(error.contains(mend), "{url}: {error}");
            assert!(!error.contains("secret"));
        }
        assert!(parse_first_file("bolt://localhost,sqlite:a.db").is_ok());
        assert!(parse_first_file("bolt://localhost").unwrap_err().contains("only a graph in a file"));
        assert!(parse_api("https://user:key@api").is_err() && parse_api("api.us.jupiterone.io").is_err());
    }
}
