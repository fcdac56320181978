//! What a bucket policy allows, and whether that is "public" as AWS defines it.
//!
//! AWS calls a policy public when it allows a principal that anybody can be, unless a condition pins the request
//! to fixed values of certain keys (S3 User Guide, "The meaning of public").

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::Value;

/// Condition keys that pin a request when their values are fixed; lower case, as keys ignore case.
const PINNING_KEYS: &[&str] = &[
    "aws:sourceip",
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceowner",
    "aws:sourceaccount",
    "aws:principalorgid",
    "s3:dataaccesspointarn",
    "s3:dataaccesspointaccount",
    "aws:userid",
];

/// Operators that admit only the listed values. The `IfExists` and `ForAllValues` forms also admit requests
/// without the key, so they pin nothing.
const PINNING_OPERATORS: &[&str] =
    &["stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"];

/// Who is allowed what by a policy's `Allow` statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) statements: usize,
    pub(crate) public: bool,
    /// Whether every request without TLS for an object of the bucket is denied, whoever makes it.
    pub(crate) secure_transport: bool,
    /// By principal, as written: the actions, and whether every statement about it has a condition.
    pub(crate) allows: BTreeMap<Principal, Allowance>,
}

/// A principal as a policy names it: the kind (`AWS`, `Service`, …) and the name; `*` is kind `AWS`.
pub(crate) type Principal = (String, String);

/// What the statements about one principal allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) actions: BTreeSet<String>,
    pub(crate) conditional: bool,
}

impl Policy {
    /// Reads the parsed policy document of `bucket` (an ARN), or one that was recorded as text; nothing where it is
    /// neither.
    pub(crate) fn read(document: &Value, bucket: &str) -> Option<Self> {
        let reparsed;
        let document = match document {
            Value::String(text) => {
                reparsed = serde_json::from_str::<Value>(text).ok()?;
                &reparsed
            }
            other => other,
        };
        let statements = list(document.get("Statement")?);
        let mut policy = Self { statements: statements.len(), ..Self::default() };
        for statement in statements {
            policy.add(statement, bucket);
        }
        Some(policy)
    }

    fn add(&mut self, statement: &Value, bucket: &str) {
        let conditions = &statement["Condition"];
        match statement["Effect"].as_str() {
            Some("Deny") => self.secure_transport |= denies_plain_http(statement, bucket),
            Some("Allow") => {
                let principals = principals(&statement["Principal"]);
                let anybody = !statement["NotPrincipal"].is_null() || principals.iter().any(|(_, name)| name == "*");
                self.public |= anybody && !pinned(conditions);
                let conditional = conditions.as_object().is_some_and(|conditions| !conditions.is_empty());
                for principal in principals {
                    let actions = texts(&statement["Action"]).into_iter();
                    let entry = self.allows.entry(principal);
                    let allowance = entry.or_insert(Allowance { actions: BTreeSet::new(), conditional: true });
                    allowance.actions.extend(actions);
                    allowance
                        .actions
                        .extend(texts(&statement["NotAction"]).iter().map(|action| format!("not {action}")));
                    allowance.conditional &= conditional;
                }
            }
            _ => {}
        }
    }
}

fn list(node: &Value) -> &[Value] {
    match node {
        Value::Array(items) => items,
        Value::Null => &[],
        single => std::slice::from_ref(single),
    }
}

fn texts(node: &Value) -> Vec<String> {
    list(node)
        .iter()
        .filter_map(|item| match item {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        })
        .collect()
}

fn principals(node: &Value) -> Vec<Principal> {
    match node {
        Value::Object(kinds) => kinds
            .iter()
            .flat_map(|(kind, names)| texts(names).into_iter().map(move |name| (kind.clone(), name)))
            .collect(),
        other => texts(other).into_iter().map(|name| ("AWS".to_owned(), name)).collect(),
    }
}

/// A statement that leaves anybody, any action or any object out, or asks for more than that TLS be lacking,
/// promises nothing.
fn denies_plain_http(statement: &Value, bucket: &str) -> bool {
    let excepts = |element: &str| !statement[element].is_null();
    let everyone = principals(&statement["Principal"]).iter().any(|(kind, name)| kind == "AWS" && name == "*");
    let all_actions =
        texts(&statement["Action"]).iter().any(|action| action == "*" || action.eq_ignore_ascii_case("s3:*"));
    let objects = |resource: &String| resource == "*" || resource.strip_prefix(bucket) == Some("/*");
    let all_objects = texts(&statement["Resource"]).iter().any(objects);
    let excepting = ["NotPrincipal", "NotAction", "NotResource"].into_iter().any(excepts);
    everyone && all_actions && all_objects && !excepting && asks_only_for_plain_http(&statement["Condition"])
}

/// Whether lacking TLS is the only condition. `BoolIfExists` also holds where the request does not tell.
fn asks_only_for_plain_http(node: &Value) -> bool {
    let only = |node: &Value| node.as_object().is_some_and(|members| members.len() == 1);
    only(node)
        && node.as_object().into_iter().flat_map(|operators| operators.values()).all(only)
        && conditions(node).any(|(operator, key, values)| {
            ["bool", "boolifexists"].contains(&operator.as_str())
                && key == "aws:securetransport"
                && values.iter().any(|value| value == "false")
        })
}

/// Each condition as lower-case operator, lower-case key and values.
fn conditions(node: &Value) -> impl Iterator<Item = (String, String, Vec<String>)> {
    node.as_object().into_iter().flatten().flat_map(|(operator, keys)| {
        keys.as_object()
            .into_iter()
            .flatten()
            .map(move |(key, values)| (operator.to_ascii_lowercase(), key.to_ascii_lowercase(), texts(values)))
    })
}

fn pinned(node: &Value) -> bool {
    conditions(node).any(|(operator, key, values)| {
        let operator = operator.strip_prefix("foranyvalue:").unwrap_or(&operator);
        PINNING_OPERATORS.contains(&operator)
            && PINNING_KEYS.contains(&key.as_str())
            && !values.is_empty()
            && values.iter().all(|value| fixed(&key, value))
    })
}

/// Whether a value leaves its key no room: no wildcard or variable, and of addresses less than a /8.
fn fixed(key: &str, value: &str) -> bool {
    match key {
        "aws:sourceip" => {
            let (address, length) = value.split_once('/').unwrap_or((value, ""));
            match (address.parse::<IpAddr>(), length.parse::<u8>()) {
                (Ok(IpAddr::V4(_)), Ok(length)) => length > 8,
                (Ok(IpAddr::V6(_)), Ok(length)) => length > 32,
                (Ok(_), Err(_)) => length.is_empty(),
                _ => false,
            }
        }
        // The name may be a wildcard as long as the account is not.
        "s3:dataaccesspointarn" => {
            let account = value.split(':').nth(4).unwrap_or_default();
            account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => !value.contains(['*', '?']) && !value.contains("${"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BUCKET: &str = "arn:aws:s3:::ledger";

    fn public(principal: &Value, condition: &Value) -> bool {
        let statement =
            json!({"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Condition": condition});
        Policy::read(&json!({"Statement": statement}), BUCKET).expect("a policy").public
    }

    #[test]
    fn a_policy_is_public_when_anybody_can_meet_it() {
        let cases = [
            (json!("*"), json!({}), true),
            (json!({"AWS": "*"}), json!(null), true),
            (json!({"AWS": ["arn:aws:iam::111122223333:root", "*"]}), json!(null), true),
            (json!({"AWS": "arn:aws:iam::111122223333:root"}), json!(null), false),
            (json!({"Service": "cloudtrail.amazonaws.com"}), json!(null), false),
            (json!("*"), json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), false),
            (json!("*"), json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}}), true),
            (json!("*"), json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), true),
            (json!("*"), json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}), true),
            (json!("*"), json!({"StringEquals": {"AWS:PrincipalOrgID": "o-a1b2c3"}}), false),
            (json!("*"), json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3"}}), true),
            (json!("*"), json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}), true),
            (json!("*"), json!({"StringEquals": {"aws:UserAgent": "fixed"}}), true),
            (
                json!("*"),
                json!({"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:eu-west-1:111122223333:accesspoint/*"}}),
                false,
            ),
        ];
        for (principal, condition, expected) in cases {
            assert_eq!(public(&principal, &condition), expected, "{principal} {condition}");
        }
    }

    #[test]
    fn allowing_all_but_some_is_public() {
        let statement = json!({"Effect": "Allow", "NotPrincipal": {"AWS": "111122223333"}, "Action": "s3:*"});
        assert!(Policy::read(&json!({"Statement": [statement]}), BUCKET).expect("a policy").public);
    }
}
