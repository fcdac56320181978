//! What EventBridge lets one field of an event be.

use serde_json::{Map, Value};

/// One entry in the list that a pattern gives for a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Matcher {
    Text {
        how: How,
        text: String,
        ignore_case: bool,
    },
    /// A value that is there and that none of these match.
    AnythingBut(Vec<Self>),
    /// Whether the field is there at all.
    Exists(bool),
    /// A number, an address, null, true or false: never what a text is.
    NotText,
    /// A value that CloudFormation fills in.
    Unresolved(String),
}

/// How a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Exact,
    Prefix,
    Suffix,
    /// `*` is any text; a backslash takes the meaning from what follows.
    Wildcard,
}

impl Matcher {
    /// Reads an entry.
    ///
    /// # Errors
    /// What EventBridge would refuse.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Self::text(How::Exact, text, false)),
            Value::Object(object) => Self::parse_object(object),
            Value::Array(_) => Err(format!("{value} is a list within a list")),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Self::NotText),
        }
    }

    fn parse_object(object: &Map<String, Value>) -> Result<Self, String> {
        let refused = || format!("{} is no comparison of EventBridge's", Value::Object(object.clone()));
        let (Some((name, value)), 1) = (object.iter().next(), object.len()) else { return Err(refused()) };
        match (name.as_str(), value) {
            ("exists", Value::Bool(exists)) => Ok(Self::Exists(*exists)),
            ("anything-but", Value::Array(values)) => {
                Ok(Self::AnythingBut(values.iter().map(Self::parse).collect::<Result<_, _>>()?))
            }
            ("anything-but", Value::Object(inner)) => Ok(Self::AnythingBut(Self::parse_each(inner)?)),
            ("anything-but", value) => Ok(Self::AnythingBut(vec![Self::parse(value)?])),
            ("numeric" | "cidr", _) => Ok(Self::NotText),
            ("Fn::Sub", Value::String(text)) => Ok(Self::text(How::Exact, text, false)),
            (name, _) if name == "Ref" || name.starts_with("Fn::") => {
                Ok(Self::Unresolved(Value::Object(object.clone()).to_string()))
            }
            (name, Value::String(text)) => {
                let (how, ignore_case) = Self::how(name).ok_or_else(refused)?;
                Ok(Self::text(how, text, ignore_case))
            }
            ("prefix" | "suffix", Value::Object(inner)) => match (inner.get("equals-ignore-case"), inner.len()) {
                (Some(Value::String(text)), 1) => {
                    let how = if name == "prefix" { How::Prefix } else { How::Suffix };
                    Ok(Self::text(how, text, true))
                }
                _ => Err(refused()),
            },
            _ => Err(refused()),
        }
    }

    /// Within `anything-but`, a comparison may have a list of texts.
    fn parse_each(inner: &Map<String, Value>) -> Result<Vec<Self>, String> {
        match inner.iter().next() {
            Some((name, Value::Array(values))) if inner.len() == 1 => values
                .iter()
                .map(|value| Self::parse_object(&Map::from_iter([(name.clone(), value.clone())])))
                .collect(),
            _ => Ok(vec![Self::parse_object(inner)?]),
        }
    }

    fn how(name: &str) -> Option<(How, bool)> {
        match name {
            "prefix" => Some((How::Prefix, false)),
            "suffix" => Some((How::Suffix, false)),
            "wildcard" => Some((How::Wildcard, false)),
            "equals-ignore-case" => Some((How::Exact, true)),
            _ => None,
        }
    }

    fn text(how: How, text: &str, ignore_case: bool) -> Self {
        match text.contains("${") {
            true => Self::Unresolved(text.into()),
            false => Self::Text { how, text: text.into(), ignore_case },
        }
    }

    /// What CloudFormation fills in, here or within.
    pub(crate) fn unresolved(&self) -> Option<&str> {
        match self {
            Self::Unresolved(value) => Some(value),
            Self::AnythingBut(others) => others.iter().find_map(Self::unresolved),
            Self::Text { .. } | Self::Exists(_) | Self::NotText => None,
        }
    }

    /// Whether a field with this text, or without any, matches; nothing where that depends on what is filled in.
    pub(crate) fn matches(&self, field: Option<&str>) -> Option<bool> {
        match (self, field) {
            (Self::Unresolved(_), _) => None,
            (Self::Exists(exists), field) => Some(*exists == field.is_some()),
            (Self::AnythingBut(others), Some(_)) => any(others, field).map(|matched| !matched),
            (Self::Text { how, text, ignore_case: true }, Some(field)) => {
                Some(how.matches(&text.to_lowercase(), &field.to_lowercase()))
            }
            (Self::Text { how, text, ignore_case: false }, Some(field)) => Some(how.matches(text, field)),
            (Self::NotText, _) | (_, None) => Some(false),
        }
    }
}

/// Whether any of them matches.
pub(crate) fn any(matchers: &[Matcher], field: Option<&str>) -> Option<bool> {
    let mut answer = Some(false);
    for matcher in matchers {
        match matcher.matches(field) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => answer = None,
        }
    }
    answer
}

impl How {
    fn matches(self, pattern: &str, text: &str) -> bool {
        match self {
            Self::Exact => text == pattern,
            Self::Prefix => text.starts_with(pattern),
            Self::Suffix => text.ends_with(pattern),
            Self::Wildcard => wildcard(&wildcard_parts(pattern), text),
        }
    }
}

/// The texts between the stars.
fn wildcard_parts(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            ('*', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.extend(characters.next()),
            (_, Some(part)) => part.push(character),
            (_, None) => {}
        }
    }
    parts
}

fn wildcard(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.iter().all(|only| only == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        // The earliest place leaves the most for what follows.
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_matches_as_eventbridge_says() {
        let there = Some("PutBucketAcl");
        for (matcher, field, matches) in [
            (json!("PutBucketAcl"), there, true),
            (json!("putbucketacl"), there, false),
            (json!({"equals-ignore-case": "putbucketACL"}), there, true),
            (json!({"prefix": "PutBucket"}), there, true),
            (json!({"prefix": "putBucket"}), there, false),
            (json!({"prefix": {"equals-ignore-case": "putBucket"}}), there, true),
            (json!({"suffix": "Acl"}), there, true),
            (json!({"suffix": {"equals-ignore-case": "ACL"}}), there, true),
            (json!({"wildcard": "Put*Acl"}), there, true),
            (json!({"wildcard": "*Bucket*"}), there, true),
            (json!({"wildcard": "Put*Bucket*Acl"}), there, true),
            (json!({"wildcard": "Put*lAcl"}), there, false),
            (json!({"wildcard": "PutBucketAcl"}), there, true),
            (json!({"wildcard": "Put\\*"}), there, false),
            (json!({"wildcard": "PutBucketAclAcl*Acl"}), there, false),
            (json!({"anything-but": "PutBucketAcl"}), there, false),
            (json!({"anything-but": ["CreateBucket", "PutBucketAcl"]}), there, false),
            (json!({"anything-but": ["CreateBucket"]}), there, true),
            (json!({"anything-but": {"prefix": "Put"}}), there, false),
            (json!({"anything-but": {"prefix": ["Get", "List"]}}), there, true),
            (json!({"anything-but": {"suffix": ["Acl"]}}), there, false),
            (json!({"anything-but": {"wildcard": "*Bucket*"}}), there, false),
            (json!({"anything-but": {"equals-ignore-case": ["putbucketacl"]}}), there, false),
            (json!({"exists": true}), there, true),
            (json!({"exists": false}), there, false),
            (json!({"exists": false}), None, true),
            (json!({"exists": true}), None, false),
            // A field that is not there is not anything either.
            (json!({"anything-but": ["CreateBucket"]}), None, false),
            (json!({"prefix": ""}), None, false),
            (json!(null), there, false),
            (json!({"numeric": [">", 1]}), there, false),
            (json!({"Fn::Sub": "PutBucketAcl"}), there, true),
        ] {
            let read = Matcher::parse(&matcher).map(|read| read.matches(field));
            assert_eq!(read, Ok(Some(matches)), "{matcher} on {field:?}");
        }
    }

    #[test]
    fn what_a_template_fills_in_is_not_known() {
        for matcher in [
            json!({"Ref": "Names"}),
            json!({"Fn::Sub": "${Name}"}),
            json!("s3.${AWS::URLSuffix}"),
            json!({"anything-but": {"prefix": ["${Prefix}"]}}),
        ] {
            assert_eq!(Matcher::parse(&matcher).map(|read| read.matches(Some("PutBucketAcl"))), Ok(None), "{matcher}");
        }
    }

    #[test]
    fn what_eventbridge_would_refuse_is_refused() {
        for matcher in [json!([]), json!({}), json!({"like": "Put"}), json!({"prefix": "a", "suffix": "b"})] {
            assert!(Matcher::parse(&matcher).is_err(), "{matcher}");
        }
    }
}
