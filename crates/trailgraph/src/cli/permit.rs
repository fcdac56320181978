//! Whose events are folded, as the command line says it.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

/// Which accounts' events are folded.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Whose events count")]
pub struct PermitArgs {
    /// The permitted accounts, in a file or a parameter of SSM: {"accounts": {"111122223333": {"regions": ["us-east-1"]},
    /// "444455556666": {}}}. A running service takes up what is changed there. It, or --permit-any, is required; a replay
    /// permits all if nothing is said
    #[arg(long, env = "TRAILGRAPH_PERMIT", value_name = "FILE|ssm:NAME", conflicts_with = "permit_any")]
    pub permit: Option<PermitUrl>,
    /// Permits every account
    #[arg(long, env = "TRAILGRAPH_PERMIT_ANY")]
    pub permit_any: bool,
}

/// `FILE` or `ssm:NAME`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PermitUrl {
    /// A file.
    File(PathBuf),
    /// The name or ARN of a parameter in the Parameter Store of Systems Manager.
    Ssm(String),
}

impl FromStr for PermitUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("ssm:") {
            Some(name) => Self::Ssm(name.into()),
            None => Self::File(text.into()),
        })
    }
}

impl fmt::Display for PermitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Ssm(name) => write!(f, "ssm:{name}"),
        }
    }
}
