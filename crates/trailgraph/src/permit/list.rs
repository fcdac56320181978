//! The list of the permitted accounts, as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

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
struct Document {
    #[serde(deserialize_with = "each_once")]
    accounts: BTreeMap<String, Account>,
}

impl Permit {
    /// Reads the text of a permit file.
    ///
    /// # Errors
    /// The fault and the mend.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Document { accounts } = serde_json::from_str(text)
            .map_err(|error| format!("{error}; expected {{\"accounts\": {{\"111122223333\": {{}}}}}}"))?;
        match accounts.keys().find(|id| !is_account(id)) {
            Some(id) => Err(format!("account {id:?} has not 12 digits")),
            None => Ok(Self::Accounts(accounts)),
        }
    }

    /// Exactly these accounts, everywhere.
    pub fn accounts<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Accounts(ids.into_iter().map(|id| (id.to_owned(), Account::default())).collect())
    }

    /// The accounts whose buckets another JupiterOne account shows than that of the flags.
    pub fn jupiterone_routes(&self) -> impl Iterator<Item = (&str, &JupiterOneRoute)> {
        let routes = self.listed().into_iter().flatten();
        routes.filter_map(|(id, account)| Some((id.as_str(), account.jupiterone.as_ref()?)))
    }

    /// The accounts by name, unless all are permitted.
    #[must_use]
    pub fn listed(&self) -> Option<&BTreeMap<String, Account>> {
        match self {
            Self::Any => None,
            Self::Accounts(accounts) => Some(accounts),
        }
    }
}

impl Account {
    /// Whether an event of this Region is folded.
    #[must_use]
    pub fn permits(&self, region: &str) -> bool {
        self.regions.as_ref().is_none_or(|regions| regions.contains(region))
    }
}

/// Which of two entries comes last must not decide what is permitted, as it would in a map.
fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Account>, D::Error> {
    struct EachOnce;

    impl<'de> Visitor<'de> for EachOnce {
        type Value = BTreeMap<String, Account>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut accounts = BTreeMap::new();
            while let Some((id, account)) = entries.next_entry::<String, Account>()? {
                if accounts.contains_key(&id) {
                    return Err(A::Error::custom(format!("account {id:?} is listed twice: make one entry of both")));
                }
                accounts.insert(id, account);
            }
            Ok(accounts)
        }
    }

    deserializer.deserialize_map(EachOnce)
}

pub(super) fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("every account"),
            Self::Accounts(accounts) => write!(f, "{} accounts", accounts.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_permit_file_is_answered_with_its_fault() {
        let fault = |text: &str| Permit::parse(text).unwrap_err();
        assert!(fault(r#"{"accounts": {"1234": {}}}"#).contains("\"1234\" has not 12 digits"));
        assert!(fault(r#"{"account": {}}"#).contains("unknown field `account`"));
        assert!(fault(r#"{"accounts": {"111122223333": {"region": []}}}"#).contains("unknown field `region`"));
        let twice = r#"{"accounts": {"111122223333": {}, "111122223333": {"regions": ["eu-west-1"]}}}"#;
        assert!(fault(twice).contains("account \"111122223333\" is listed twice"));
        assert!(fault("nonsense").contains("expected {\"accounts\""));
    }
}
