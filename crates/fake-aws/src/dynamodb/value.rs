//! Attribute values: one JSON object with one member, which names the type.

use std::cmp::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::number::Number;
use crate::protocol::Failure;

/// An item: attributes in their normal form.
pub(super) type Item = Map<String, Value>;

/// The normal form of an item.
pub(super) fn item(attributes: &Map<String, Value>) -> Result<Item, Failure> {
    attributes.iter().map(|(name, value)| Ok((name.clone(), normal(value)?))).collect()
}

/// The normal form of a value: two values are equal if their normal forms are. Numbers are told in one way, sets are
/// ordered.
pub(super) fn normal(value: &Value) -> Result<Value, Failure> {
    let (kind, inner) = typed(value)?;
    let inner = match (kind, inner) {
        ("S", Value::String(_)) | ("BOOL", Value::Bool(_)) | ("NULL", Value::Bool(true)) => inner.clone(),
        ("N", Value::String(text)) => number(text)?.to_string().into(),
        ("B", Value::String(text)) => binary(text).map(|_| inner.clone())?,
        ("SS" | "BS" | "NS", Value::Array(members)) => set(kind, members)?,
        ("L", Value::Array(members)) => members.iter().map(normal).collect::<Result<Value, _>>()?,
        ("M", Value::Object(members)) => Value::Object(item(members)?),
        _ => return Err(Failure::invalid(format!("a value of type {kind} is not what this type holds"))),
    };
    Ok(json!({ kind: inner }))
}

fn set(kind: &str, members: &[Value]) -> Result<Value, Failure> {
    let element = &kind[..1];
    let mut normals = Vec::with_capacity(members.len());
    for member in members {
        normals.push(normal(&json!({ element: member }))?[element].take());
    }
    normals.sort_by_key(Value::to_string);
    let many = normals.len();
    normals.dedup();
    if many == 0 || normals.len() < many {
        let what = if many == 0 { "may not be empty" } else { "contains duplicates" };
        return Err(Failure::invalid(format!("One or more parameter values were invalid: a {kind} set {what}")));
    }
    Ok(normals.into())
}

/// The type of a value, and what it holds.
pub(super) fn typed(value: &Value) -> Result<(&str, &Value), Failure> {
    match value.as_object().map(|members| (members.len(), members.iter().next())) {
        Some((1, Some((kind, inner)))) => Ok((kind, inner)),
        _ => Err(Failure::invalid("Supplied AttributeValue has to have exactly one type")),
    }
}

pub(super) fn number(text: &str) -> Result<Number, Failure> {
    let number = text.parse();
    number.map_err(|()| Failure::invalid(format!("The parameter cannot be converted to a numeric value: {text}")))
}

/// A number out of a value; none if it is of another type.
pub(super) fn as_number(value: &Value) -> Option<Number> {
    value.get("N")?.as_str()?.parse().ok()
}

pub(super) fn binary(text: &str) -> Result<Vec<u8>, Failure> {
    BASE64_STANDARD.decode(text).map_err(|_| Failure::invalid("a value of type B is no base64"))
}

/// The order of two values of one type that has an order; none for all others.
pub(super) fn order(one: &Value, other: &Value) -> Option<Ordering> {
    let ((kind, one_inner), (other_kind, other_inner)) = (typed(one).ok()?, typed(other).ok()?);
    if kind != other_kind {
        return None;
    }
    match kind {
        "S" => Some(one_inner.as_str()?.cmp(other_inner.as_str()?)),
        "N" => Some(as_number(one)?.cmp(&as_number(other)?)),
        "B" => Some(binary(one_inner.as_str()?).ok()?.cmp(&binary(other_inner.as_str()?).ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_normal_form() {
        let pairs = [
            (json!({"N": "1.0"}), json!({"N": "1"})),
            (json!({"SS": ["b", "a"]}), json!({"SS": ["a", "b"]})),
            (json!({"NS": ["2", "10"]}), json!({"NS": ["10.0", "2"]})),
            (json!({"M": {"a": {"L": [{"N": "01"}]}}}), json!({"M": {"a": {"L": [{"N": "1"}]}}})),
        ];
        for (one, other) in pairs {
            assert_eq!(normal(&one).unwrap(), normal(&other).unwrap());
        }
    }

    #[test]
    fn values_that_are_none_are_refused() {
        let values = [
            json!("a"),
            json!({}),
            json!({"S": "a", "N": "1"}),
            json!({"S": 1}),
            json!({"N": "one"}),
            json!({"B": "*"}),
            json!({"SS": []}),
            json!({"SS": ["a", "a"]}),
            json!({"NULL": false}),
            json!({"Q": "a"}),
        ];
        for value in values {
            assert_eq!(normal(&value).unwrap_err().code, "ValidationException", "{value}");
        }
    }
}
