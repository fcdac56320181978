//! Stands for the module of this name in DynamoDB's SDK, and reads the service's own notation: `{"S": "ledger"}`.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// The value of one attribute. Only strings, numbers and sets of strings are looked into.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum AttributeValue {
    S(String),
    N(String),
    B(IgnoredAny),
    Bool(IgnoredAny),
    Null(IgnoredAny),
    #[serde(deserialize_with = "set")]
    Ss(Vec<String>),
    Ns(IgnoredAny),
    Bs(IgnoredAny),
    L(IgnoredAny),
    M(IgnoredAny),
    /// Of a later version of the SDK.
    Unknown,
}

/// The service takes no set that holds a string twice.
fn set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let mut strings = Vec::<String>::deserialize(deserializer)?;
    strings.sort_unstable();
    strings.dedup();
    Ok(strings)
}
