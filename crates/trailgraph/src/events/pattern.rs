//! EventBridge patterns.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::matcher::{Field, Matcher, any};

/// `$or` multiplies: EventBridge takes no more combinations than this.
const ALTERNATIVES_MAX: usize = 1_000;

/// A pattern without `$or`: all of its fields must match, each by one of its entries. Fields are written with dots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<Rc<str>, Rc<[Matcher]>>);

impl Fields {
    fn one(field: &str, matchers: Rc<[Matcher]>) -> Self {
        Self(BTreeMap::from([(field.into(), matchers)]))
    }

    /// What a field may be, where the pattern speaks of it.
    pub(crate) fn get(&self, field: &str) -> Option<&[Matcher]> {
        self.0.get(field).map(AsRef::as_ref)
    }

    /// Whether an event with this in the field passes; nothing where that is not known.
    pub(crate) fn passes<'a>(&self, field: &str, value: impl Into<Field<'a>>) -> Option<bool> {
        // What CloudFormation fills in whole speaks of the fields within, too.
        let whole = || field.split_once('.').and_then(|(whole, _)| self.get(whole));
        self.get(field).or_else(whole).map_or(Some(true), |matchers| any(matchers, value.into()))
    }

    fn with(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().map(|(field, matchers)| (Rc::clone(field), Rc::clone(matchers))));
        self
    }

    /// The fields that it speaks of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }
}

/// A pattern as its alternatives: one, unless it has `$or`.
///
/// # Errors
/// What EventBridge would refuse.
pub(crate) fn parse(pattern: &Value) -> Result<Vec<Fields>, String> {
    let object = pattern.as_object().ok_or("the pattern is no object")?;
    flatten("", object)
}

fn flatten(path: &str, object: &Map<String, Value>) -> Result<Vec<Fields>, String> {
    if object.is_empty() {
        return Err(format!("{} is empty", if path.is_empty() { "the pattern" } else { path }));
    }
    let mut alternatives = vec![Fields::default()];
    for (name, value) in object {
        let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let parts = match value {
            Value::Array(arms) if name == "$or" => either(path, arms)?,
            Value::Array(entries) => vec![leaf(&field, entries)?],
            Value::Object(inner) if is_function(inner) => vec![Fields::one(&field, [Matcher::parse(value)?].into())],
            Value::Object(inner) => flatten(&field, inner)?,
            other => return Err(format!("{field} is {other}; EventBridge wants a list, such as [{other}]")),
        };
        if alternatives.len() * parts.len() > ALTERNATIVES_MAX {
            return Err(format!("$or makes more than {ALTERNATIVES_MAX} combinations"));
        }
        alternatives = match parts.as_slice() {
            // Most fields have no alternatives: what is there is not copied for each of them.
            [only] => alternatives.into_iter().map(|left| left.with(only)).collect(),
            _ => alternatives.iter().flat_map(|left| parts.iter().map(|right| left.clone().with(right))).collect(),
        };
    }
    Ok(alternatives)
}

fn either(path: &str, arms: &[Value]) -> Result<Vec<Fields>, String> {
    let mut alternatives = Vec::new();
    for arm in arms {
        let object = arm.as_object().ok_or_else(|| format!("$or holds {arm}, which is no object"))?;
        alternatives.extend(flatten(path, object)?);
    }
    if alternatives.is_empty() { Err("$or is empty".into()) } else { Ok(alternatives) }
}

fn leaf(field: &str, entries: &[Value]) -> Result<Fields, String> {
    if entries.is_empty() {
        return Err(format!("{field} is an empty list"));
    }
    let matchers: Result<_, _> = entries.iter().map(Matcher::parse).collect();
    Ok(Fields::one(field, matchers.map_err(|error| format!("{field}: {error}"))?))
}

/// Whether a function of CloudFormation's stands for the value.
pub(crate) fn is_function(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|name| name == "Ref" || name.starts_with("Fn::"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn or_makes_alternatives_of_a_pattern() {
        let pattern = json!({
            "source": ["aws.s3"],
            "$or": [{"account": ["111122223333"]}, {"detail": {"eventName": [{"prefix": "Put"}]}}],
        });
        let alternatives = parse(&pattern).unwrap();
        let fields: Vec<Vec<&str>> = alternatives.iter().map(|fields| fields.names().collect()).collect();
        assert_eq!(fields, [["account", "source"], ["detail.eventName", "source"]]);
        assert_eq!(alternatives[1].passes("detail.eventName", "PutBucketAcl"), Some(true));
        assert_eq!(alternatives[0].passes("detail.eventName", Field::Absent), Some(true));
    }

    #[test]
    fn what_eventbridge_would_refuse_is_refused_by_name() {
        let many: Vec<Value> = (0..40).map(|n| json!({"region": [n.to_string()]})).collect();
        for (pattern, error) in [
            (json!([]), "the pattern is no object"),
            (json!({}), "the pattern is empty"),
            (json!({"detail": {}}), "detail is empty"),
            (json!({"source": "aws.s3"}), r#"source is "aws.s3"; EventBridge wants a list, such as ["aws.s3"]"#),
            (json!({"detail": {"eventName": []}}), "detail.eventName is an empty list"),
            (json!({"source": [["aws.s3"]]}), r#"source: ["aws.s3"] is a list within a list"#),
            (json!({"$or": many, "detail": {"$or": many}}), "$or makes more than 1000 combinations"),
        ] {
            assert_eq!(parse(&pattern).unwrap_err(), error);
        }
    }
}
