//! Whose events are folded.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::cli::PermitArgs;
use crate::failure::Failure;

/// The permitted accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Every account.
    Any,
    /// Only these, each in its Regions.
    Accounts(BTreeMap<String, Account>),
}

/// What is permitted to one account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Account {
    /// Where; everywhere if absent.
    pub regions: Option<BTreeSet<String>>,
    /// The JupiterOne account that shows its buckets, if it is not that of the flags.
    pub jupiterone: Option<JupiterOneRoute>,
}

/// Where the buckets of an account are shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JupiterOneRoute {
    /// The JupiterOne account.
    pub account: String,
    /// The secret of Secrets Manager that holds its API key; the key of the flags if absent.
    pub api_key_secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermitFile {
    accounts: BTreeMap<String, Account>,
}

impl Permit {
    /// What the flags say; `unsaid` where they say nothing.
    ///
    /// # Errors
    /// [`Failure::Usage`] with the file, the fault and the mend.
    pub fn from_args(args: &PermitArgs, unsaid: Option<Self>) -> Result<Self, Failure> {
        match (&args.permit, args.permit_any, unsaid) {
            (Some(path), ..) => Self::from_file(path).map_err(|error| Failure::flag("--permit", path.display(), error)),
            (None, true, _) => Ok(Self::Any),
            (None, false, Some(unsaid)) => Ok(unsaid),
            (None, false, None) => Err(Failure::Usage(
                "--permit FILE is missing: name the permitted accounts in a file, or permit all with --permit-any"
                    .into(),
            )),
        }
    }

    fn from_file(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let file: PermitFile = serde_json::from_str(&text)
            .map_err(|error| format!("{error}; expected {{\"accounts\": {{\"111122223333\": {{}}}}}}"))?;
        let twelve_digits = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        match file.accounts.keys().find(|id| !twelve_digits(id)) {
            Some(id) => Err(format!("account {id:?} has not 12 digits")),
            None => Ok(Self::Accounts(file.accounts)),
        }
    }

    /// Exactly these accounts, everywhere.
    pub fn accounts<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Accounts(ids.into_iter().map(|id| (id.to_owned(), Account::default())).collect())
    }

    /// The accounts whose buckets another JupiterOne account shows than that of the flags.
    pub fn jupiterone_routes(&self) -> impl Iterator<Item = (&str, &JupiterOneRoute)> {
        let accounts = match self {
            Self::Any => None,
            Self::Accounts(accounts) => Some(accounts),
        };
        let routes = accounts.into_iter().flatten();
        routes.filter_map(|(id, account)| Some((id.as_str(), account.jupiterone.as_ref()?)))
    }

    /// Whether an event of this account and Region is folded.
    #[must_use]
    pub fn permits(&self, account: &str, region: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Accounts(accounts) => accounts
                .get(account)
                .is_some_and(|account| account.regions.as_ref().is_none_or(|regions| regions.contains(region))),
        }
    }
}

impl std::fmt::Display for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("every account"),
            Self::Accounts(accounts) => write!(f, "{} accounts", accounts.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Permit, String> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        Permit::from_file(file.path())
    }

    #[test]
    fn an_account_is_permitted_in_the_regions_that_are_named_or_in_all() {
        let permit = read(r#"{"accounts": {"111122223333": {"regions": ["us-east-1"]}, "444455556666": {}}}"#).unwrap();
        assert!(permit.permits("111122223333", "us-east-1") && !permit.permits("111122223333", "eu-west-1"));
        assert!(permit.permits("444455556666", "eu-west-1") && !permit.permits("777788889999", "eu-west-1"));
    }

    #[test]
    fn a_wrong_permit_file_is_answered_with_its_fault() {
        assert!(read(r#"{"accounts": {"1234": {}}}"#).unwrap_err().contains("\"1234\" has not 12 digits"));
        assert!(read(r#"{"account": {}}"#).unwrap_err().contains("unknown field `account`"));
        assert!(read("nonsense").unwrap_err().contains("expected {\"accounts\""));
    }
}
