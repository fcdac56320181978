//! What EventBridge lets one field of an event be.

use serde_json::{Map, Value};

/// What an event has in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Absent,
    Text(&'a str),
    Flag(bool),
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

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
    Flag(bool),
    /// A number, an address or null: nothing that is asked for here has one.
    Other,
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
            Value::Bool(flag) => Ok(Self::Flag(*flag)),
            Value::Null | Value::Number(_) => Ok(Self::Other),
        }
    }

    fn parse_object(object: &Map<String, Value>) -> Result<Self, String> {
        let refused = || format!("{} is no comparison of EventBridge's", Value::Object(object.clone()));
        let (Some((name, value)), 1) = (object.iter().next(), object.len()) else { return Err(refused()) };
        match (name.as_str(), value) {
            ("exists", Value::Bool(exists)) => Ok(Self::Exists(*exists)),
            ("anything-but", Value::Array(values)) => Self::anything_but(values.iter().map(Self::parse)),
            ("anything-but", Value::Object(inner)) => match inner.iter().next() {
                // Here, a comparison may have a list of texts.
                Some((name, Value::Array(values))) if inner.len() == 1 => Self::anything_but(
                    values.iter().map(|value| Self::parse_object(&Map::from_iter([(name.clone(), value.clone())]))),
                ),
                _ => Self::anything_but([Self::parse_object(inner)]),
            },
            ("anything-but", value) => Self::anything_but([Self::parse(value)]),
            ("numeric" | "cidr", _) => Ok(Self::Other),
            ("Fn::Sub", Value::String(text)) => Ok(Self::text(How::Exact, text, false)),
            (name, _) if name == "Ref" || name.starts_with("Fn::") => {
                Ok(Self::Unresolved(Value::Object(object.clone()).to_string()))
            }
            ("prefix", Value::String(text)) => Ok(Self::text(How::Prefix, text, false)),
            ("suffix", Value::String(text)) => Ok(Self::text(How::Suffix, text, false)),
            ("wildcard", Value::String(text)) => Ok(Self::text(How::Wildcard, text, false)),
            ("equals-ignore-case", Value::String(text)) => Ok(Self::text(How::Exact, text, true)),
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

    fn anything_but(others: impl IntoIterator<Item = Result<Self, String>>) -> Result<Self, String> {
        others.into_iter().collect::<Result<_, _>>().map(Self::AnythingBut)
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
            Self::Text { .. } | Self::Exists(_) | Self::Flag(_) | Self::Other => None,
        }
    }

    /// Whether it matches what an event has; nothing where that depends on what is filled in.
    pub(crate) fn matches(&self, field: Field<'_>) -> Option<bool> {
        match (self, field) {
            (Self::Unresolved(_), _) => None,
            (Self::Exists(exists), field) => Some(*exists == (field != Field::Absent)),
            (_, Field::Absent) => Some(false),
            (Self::AnythingBut(others), _) => any(others, field).map(|matched| !matched),
            (Self::Flag(flag), _) => Some(field == Field::Flag(*flag)),
            (Self::Text { how, text, ignore_case: true }, Field::Text(field)) => {
                Some(how.matches(&text.to_lowercase(), &field.to_lowercase()))
            }
            (Self::Text { how, text, ignore_case: false }, Field::Text(field)) => Some(how.matches(text, field)),
            (Self::Text { .. } | Self::Other, _) => Some(false),
        }
    }
}

/// Whether any of them matches.
pub(crate) fn any(matchers: &[Matcher], field: Field<'_>) -> Option<bool> {
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
            Self::Wildcard => wildcard(pattern, text),
        }
    }
}

fn wildcard(pattern: &str, text: &str) -> bool {
    let (mut pattern, text) = (pattern.bytes(), text.as_bytes());
    // The places in the text to which what was read of the pattern can reach.
    let mut reached = vec![0];
    while let Some(byte) = pattern.next() {
        let literal = if byte == b'\\' { pattern.next() } else { Some(byte) };
        reached = match (byte, reached.first()) {
            (_, None) => return false,
            (b'*', Some(&first)) => (first..=text.len()).collect(),
            _ => reached.into_iter().filter(|&at| text.get(at).copied() == literal).map(|at| at + 1).collect(),
        };
    }
    reached.contains(&text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_matches_as_eventbridge_says() {
        let there = Field::Text("PutBucketAcl");
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
            (json!({"exists": false}), Field::Absent, true),
            (json!({"exists": true}), Field::Absent, false),
            // A field that is not there is not anything either.
            (json!({"anything-but": ["CreateBucket"]}), Field::Absent, false),
            (json!({"prefix": ""}), Field::Absent, false),
            (json!(null), there, false),
            (json!({"numeric": [">", 1]}), there, false),
            (json!(true), Field::Flag(true), true),
            (json!(true), Field::Flag(false), false),
            // Text is no flag.
            (json!("true"), Field::Flag(true), false),
            (json!(true), Field::Text("true"), false),
            (json!({"exists": true}), Field::Flag(false), true),
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
            assert_eq!(
                Matcher::parse(&matcher).map(|read| read.matches(Field::Text("PutBucketAcl"))),
                Ok(None),
                "{matcher}"
            );
        }
    }

    #[test]
    fn what_eventbridge_would_refuse_is_refused() {
        for matcher in [json!([]), json!({}), json!({"like": "Put"}), json!({"prefix": "a", "suffix": "b"})] {
            assert!(Matcher::parse(&matcher).is_err(), "{matcher}");
        }
    }
}
