//! What a policy of a bucket or an access point allows, and whether that is "public" as AWS defines it.

mod public;
mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use crate::body::text;

/// Actions of one statement that are shown for each of its principals; `…` stands for the rest.
const ACTIONS_MAX: usize = 100;

/// Who is allowed what by a policy's `Allow` statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) statements: usize,
    /// Nothing where no statement that can be judged is public, and there is one that cannot.
    pub(crate) public: Option<bool>,
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
    pub(crate) actions: BTreeSet<Rc<str>>,
    pub(crate) conditional: bool,
}

impl Policy {
    /// Reads the policy document of `resource` (the ARN of a bucket or an access point), parsed or recorded as text;
    /// nothing where it is no policy. Of members that a text gives twice, the last is read.
    pub(crate) fn read(document: &Value, resource: &str) -> Option<Self> {
        let reparsed;
        let document = match document {
            Value::String(text) => {
                reparsed = serde_json::from_str::<Value>(text).ok()?;
                &reparsed
            }
            other => other,
        };
        let statements = document.get("Statement").filter(|node| !node.is_null()).map(list)?;
        if !statements.iter().all(Value::is_object) {
            return None;
        }
        let mut policy = Self { statements: statements.len(), public: Some(false), ..Self::default() };
        for statement in statements {
            policy.add(statement, resource);
        }
        Some(policy)
    }

    fn add(&mut self, statement: &Value, resource: &str) {
        match statement["Effect"].as_str() {
            Some("Deny") => self.secure_transport |= transport::denies_plain_http(statement, resource),
            Some("Allow") => {
                if public::is_granted_to_the_public(statement, resource) {
                    self.public = Some(true);
                }
                self.allow(statement);
            }
            _ if self.public == Some(true) => {}
            _ => self.public = None,
        }
    }

    fn allow(&mut self, statement: &Value) {
        let conditional = statement["Condition"].as_object().is_some_and(|conditions| !conditions.is_empty());
        let excepted = texts(&statement["NotAction"]).map(|action| format!("not {action}"));
        let mut actions: BTreeSet<Rc<str>> = texts(&statement["Action"]).chain(excepted).map(Rc::from).collect();
        if actions.len() > ACTIONS_MAX {
            actions = actions.into_iter().take(ACTIONS_MAX).chain(["…".into()]).collect();
        }
        for principal in principals(&statement["Principal"]) {
            let allowance = self.allows.entry(principal);
            let allowance = allowance.or_insert(Allowance { actions: BTreeSet::new(), conditional: true });
            allowance.actions.extend(actions.iter().cloned());
            allowance.conditional &= conditional;
        }
    }
}

/// One condition of a statement, which holds where the request's value of `key` compares to one of `values`.
struct Condition<'a> {
    /// In lower case, in which no two operators are alike.
    operator: String,
    /// In lower case, as condition keys ignore case.
    key: String,
    values: &'a [Value],
}

/// The conditions of a statement, all of which must hold.
fn conditions(statement: &Value) -> impl Iterator<Item = Condition<'_>> {
    statement["Condition"].as_object().into_iter().flatten().flat_map(|(operator, keys)| {
        keys.as_object().into_iter().flatten().map(|(key, values)| Condition {
            operator: operator.to_ascii_lowercase(),
            key: key.to_ascii_lowercase(),
            values: list(values),
        })
    })
}

fn principals(node: &Value) -> Vec<Principal> {
    match node {
        Value::Object(kinds) => {
            kinds.iter().flat_map(|(kind, names)| texts(names).map(move |name| (kind.clone(), name))).collect()
        }
        other => texts(other).map(|name| ("AWS".to_owned(), name)).collect(),
    }
}

fn list(node: &Value) -> &[Value] {
    match node {
        Value::Array(items) => items,
        Value::Null => &[],
        single => std::slice::from_ref(single),
    }
}

fn texts(node: &Value) -> impl Iterator<Item = String> {
    list(node).iter().filter_map(text)
}
