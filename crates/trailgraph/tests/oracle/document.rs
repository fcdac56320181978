//! Bucket policies: whom they let in, and whether that is everybody; as far as generated policies go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::event::{elements, text};
use super::export::{self, End};

/// What a policy comes to.
pub(super) struct Reading {
    pub(super) public: bool,
    pub(super) secure_transport: bool,
    pub(super) statements: usize,
    pub(super) principals: BTreeSet<String>,
    /// By key: whom it lets in, to do what, and whether always under a condition.
    pub(super) allowed: BTreeMap<String, (End, BTreeSet<String>, bool)>,
}

pub(super) fn read(document: &Value, partition: &str, bucket: &str) -> Reading {
    let statements = elements(&document["Statement"]);
    let mut reading = Reading {
        public: false,
        secure_transport: statements.iter().any(|statement| denies_insecure_transport(statement, bucket)),
        statements: statements.len(),
        principals: BTreeSet::new(),
        allowed: BTreeMap::new(),
    };
    for statement in statements.iter().filter(|statement| statement["Effect"] == "Allow") {
        let names = principals(&statement["Principal"]);
        let anybody = |(kind, name): &(&str, String)| *kind == "Federated" || name.contains(['*', '?', '$']);
        let open = !statement["NotPrincipal"].is_null() || names.iter().any(anybody);
        reading.public |= open && !is_pinned(&statement["Condition"]);
        let conditional = statement["Condition"].as_object().is_some_and(|condition| !condition.is_empty());
        let actions: BTreeSet<String> = elements(&statement["Action"]).into_iter().filter_map(text).collect();
        for (kind, name) in names {
            if let Some(end) = principal(kind, &name, partition) {
                let (_, all, always) = reading.allowed.entry(end.key.clone()).or_insert((end, BTreeSet::new(), true));
                all.extend(actions.iter().cloned());
                *always &= conditional;
            }
            reading.principals.insert(name);
        }
    }
    reading
}

/// The principals of a statement, each with its kind; a bare `*` is that of AWS.
fn principals(principal: &Value) -> Vec<(&str, String)> {
    match principal {
        Value::Object(kinds) => kinds
            .iter()
            .flat_map(|(kind, names)| {
                elements(names).into_iter().filter_map(text).map(move |name| (kind.as_str(), name))
            })
            .collect(),
        other => elements(other).into_iter().filter_map(text).map(|name| ("AWS", name)).collect(),
    }
}

fn principal(kind: &str, name: &str, partition: &str) -> Option<End> {
    match kind {
        "AWS" if name == "*" => Some(export::everyone()),
        "AWS" if name.len() == 12 && name.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(export::account(partition, name))
        }
        "AWS" => export::principal(name),
        "Service" => Some(export::service(name)),
        "CanonicalUser" => Some(export::canonical_user(name)),
        _ => None,
    }
}

/// Conditions of a statement: operator, key in lower case, values.
fn conditions(condition: &Value) -> Vec<(&str, String, Vec<String>)> {
    let operators = condition.as_object().into_iter().flatten();
    operators
        .flat_map(|(operator, keys)| {
            keys.as_object().into_iter().flatten().map(move |(key, values)| {
                (operator.as_str(), key.to_lowercase(), elements(values).into_iter().filter_map(text).collect())
            })
        })
        .collect()
}

/// Whether a statement denies everyone everything with the objects of a bucket, just for coming without TLS.
fn denies_insecure_transport(statement: &Value, bucket: &str) -> bool {
    let lists = |element: &str, all: &[&str]| {
        elements(&statement[element]).into_iter().filter_map(text).any(|item| all.contains(&item.as_str()))
    };
    let whole = statement["Effect"] == "Deny"
        && principals(&statement["Principal"]).contains(&("AWS", "*".to_owned()))
        && lists("Action", &["*", "s3:*"])
        && lists("Resource", &["*", &format!("{bucket}/*")])
        && ["NotPrincipal", "NotAction", "NotResource"].iter().all(|element| statement[*element].is_null());
    match &conditions(&statement["Condition"])[..] {
        [(operator, key, values)] => {
            let asks = ["Bool", "BoolIfExists"].contains(operator) && key == "aws:securetransport";
            whole && asks && values.iter().any(|value| value == "false")
        }
        _ => false,
    }
}

/// Whether a condition holds a wildcard principal to fixed values.
fn is_pinned(condition: &Value) -> bool {
    const KEYS: &[&str] = &[
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
    const OPERATORS: &[&str] = &["StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnEquals", "ArnLike"];
    let is_fixed = |value: &String| !value.contains(['*', '?', '$']);
    let is_narrow = |value: &String| match value.split_once('/') {
        Some((_, bits)) => bits.parse::<u8>().is_ok_and(|bits| bits >= 8),
        None => is_fixed(value),
    };
    conditions(condition).iter().any(|(operator, key, values)| {
        let by_key = OPERATORS.contains(operator) && KEYS.contains(&key.as_str()) && values.iter().all(is_fixed);
        let by_address = *operator == "IpAddress" && key == "aws:sourceip" && values.iter().all(is_narrow);
        !values.is_empty() && (by_key || by_address)
    })
}
