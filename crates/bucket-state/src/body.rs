//! Request bodies as CloudTrail records them: XML that was turned into JSON.
//!
//! The rules (design facts, from AWS's records): a repeated element is an array, a single one stands alone,
//! an empty one is `""`, texts that look like booleans or numbers have become such, the text `null` is gone.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON object, kept as the text in which it came: the chosen keys of an event's request parameters.
///
/// It is interpreted only in projection, so a better interpretation needs no replay. Ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Body(Box<str>);

impl Body {
    /// Joins `parts` (keys and valid JSON texts) into one object.
    pub(crate) fn from_parts(parts: &[(&str, &str)]) -> Self {
        let bytes: usize = parts.iter().map(|(key, json)| key.len() + json.len() + "\"\":,".len()).sum();
        let mut text = String::with_capacity(bytes + "{}".len());
        text.push('{');
        for (key, json) in parts {
            if text.len() > 1 {
                text.push(',');
            }
            text.push('"');
            text.push_str(key);
            text.push_str("\":");
            text.push_str(json);
        }
        text.push('}');
        Self(text.into())
    }

    /// Bytes of text.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The parsed object; null where the text is nested too deeply to be read.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: Box<RawValue> = Deserialize::deserialize(deserializer)?;
        if raw.get().starts_with('{') {
            Ok(Self(raw.get().into()))
        } else {
            Err(D::Error::custom("a body is an object"))
        }
    }
}

/// The items of a node that repeats: none where it is absent or empty, itself where it stands alone.
pub(crate) fn items(node: &Value) -> &[Value] {
    match node {
        Value::Array(items) => items,
        Value::Null => &[],
        Value::String(text) if text.is_empty() => &[],
        single => std::slice::from_ref(single),
    }
}

/// The text of a scalar, whatever type it was turned into; older records wrap it in an array of one.
pub(crate) fn text(node: &Value) -> Option<String> {
    match node {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) if items.len() == 1 => text(&items[0]),
        Value::Object(node) => node.get("content").and_then(text),
        _ => None,
    }
}

/// The text of a scalar that S3 demands: an absent one was the text `null`, which is dropped when a record is made.
pub(crate) fn text_or_null(node: &Value) -> Option<String> {
    if node.is_null() { Some("null".into()) } else { text(node) }
}

/// A text that is not empty.
pub(crate) fn filled(node: &Value) -> Option<String> {
    text(node).filter(|text| !text.is_empty())
}

/// A boolean; an absent or empty one is false.
pub(crate) fn flag(node: &Value) -> bool {
    text(node).is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_read_alike_whether_it_was_single_repeated_or_empty() {
        assert_eq!(items(&json!({"Key": "a"})).len(), 1);
        assert_eq!(items(&json!([{"Key": "a"}, {"Key": "b"}])).len(), 2);
        assert!(items(&json!("")).is_empty() && items(&Value::Null).is_empty());
    }

    #[test]
    fn a_scalar_is_read_alike_whatever_it_was_turned_into() {
        assert_eq!(text(&json!(true)).as_deref(), Some("true"));
        assert_eq!(text(&json!(111_122_223_333_u64)).as_deref(), Some("111122223333"));
        assert_eq!(text(&json!(["private"])).as_deref(), Some("private"));
        assert_eq!(text(&json!({"content": "x", "xmlns": "y"})).as_deref(), Some("x"));
        assert!(flag(&json!("TRUE")) && flag(&json!(true)) && !flag(&json!("")) && !flag(&Value::Null));
    }
}
