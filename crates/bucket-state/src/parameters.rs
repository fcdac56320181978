//! What a call asked for, as CloudTrail recorded it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::body;
use crate::register::Unknown;

/// What a record tells: keys of the request parameters with the texts of their values, or why there are none.
pub(crate) type Told<'a> = Result<Vec<(&'static str, &'a str)>, Unknown>;

/// A body larger than this makes its facet unknown. CloudTrail itself cuts request parameters at 100 KB.
pub(crate) const BODY_BYTES_MAX: usize = 128 << 10;
/// Deeper bodies are refused: no real one comes near, and reading one must not exhaust the stack.
const BODY_DEPTH_MAX: usize = 64;

/// A body nested more deeply than any real one.
#[derive(Debug, thiserror::Error)]
#[error("{0} is nested more than {BODY_DEPTH_MAX} levels deep")]
pub(crate) struct TooDeep(&'static str);

/// The first of what was told; null where it is too large to be read.
pub(crate) fn parsed(parts: &[(&'static str, &str)]) -> Result<Value, TooDeep> {
    match parts.first() {
        Some((_, text)) if text.len() <= BODY_BYTES_MAX => {
            must_not_be_deep(&parts[..1])?;
            Ok(serde_json::from_str(text).unwrap_or(Value::Null))
        }
        _ => Ok(Value::Null),
    }
}

pub(crate) fn must_not_be_deep(parts: &[(&'static str, &str)]) -> Result<(), TooDeep> {
    match parts.iter().find(|(_, json)| depth(json) > BODY_DEPTH_MAX) {
        Some((key, _)) => Err(TooDeep(key)),
        None => Ok(()),
    }
}

/// The request parameters: keys with the text of their values.
#[derive(Default)]
pub(crate) struct Parameters<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Parameters<'a> {
    /// The text of a value that is present and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        let text = self.0.iter().find(|(known, _)| known == key)?.1.get();
        (text != "null").then_some(text)
    }

    /// A text that is not empty, of whatever type it was turned into; nothing where it is larger than any name.
    pub(crate) fn filled(&self, key: &str) -> Option<Cow<'a, str>> {
        small(self.get(key)?)
    }

    /// What the record tells under `keys`, or why it tells nothing: CloudTrail left it out, or it never was there.
    pub(crate) fn told(&self, keys: &[&'static str]) -> Told<'a> {
        self.not_omitted()?;
        let told: Vec<_> = keys.iter().filter_map(|key| Some((*key, self.get(key)?))).collect();
        if told.iter().any(|(_, json)| is_omitted(json)) {
            return Err(Unknown::Omitted);
        }
        if told.is_empty() { Err(Unknown::NotRecorded) } else { Ok(told) }
    }

    /// Whether there is a document under a root that is none of `keys`.
    pub(crate) fn has_document_besides(&self, keys: &[&str]) -> bool {
        self.documents().any(|(key, _)| !keys.contains(&key))
    }

    /// Whether nothing stands under `root`, and no document under any other.
    pub(crate) fn has_no_document(&self, root: &str) -> bool {
        self.get(root).is_none() && self.documents().next().is_none()
    }

    /// Everything that can be an XML document.
    fn documents(&self) -> impl Iterator<Item = (&str, &'a str)> {
        const OTHERS: &[&str] = &["accessControlList", "bucketName", "Host", "host"];
        let all = self.0.iter().map(|(key, value)| (key.as_ref(), value.get()));
        all.filter(|(key, json)| json.starts_with('{') && !OTHERS.contains(key))
    }

    /// The XML document that the request carried, as if under its expected root: S3 takes any, and the record shows
    /// the one that was sent. Where something stands under that root beside another document, or is none, nobody knows
    /// which of them counted.
    pub(crate) fn document(&self, root: &'static str) -> Told<'a> {
        self.not_omitted()?;
        let mut others = self.documents().filter(|(key, _)| *key != root);
        let document = match (self.get(root), others.next(), others.next()) {
            (Some(expected), ..) if expected.starts_with('{') => expected,
            (Some("\"\""), None, _) => "\"\"",
            (None, Some((_, only)), None) => only,
            _ => return Err(Unknown::NotRecorded),
        };
        if is_omitted(document) { Err(Unknown::Omitted) } else { Ok(vec![(root, document)]) }
    }

    fn not_omitted(&self) -> Result<(), Unknown> {
        if self.get("omitted") == Some("true") { Err(Unknown::Omitted) } else { Ok(()) }
    }
}

/// Whether CloudTrail left out the content of a document, and says so in its place.
fn is_omitted(document: &str) -> bool {
    #[derive(Deserialize)]
    struct Mark {
        #[serde(default)]
        omitted: bool,
    }
    document.contains("\"omitted\"") && serde_json::from_str::<Mark>(document).is_ok_and(|mark| mark.omitted)
}

/// The text of a short value that is not empty. `json` is valid.
pub(crate) fn small(json: &str) -> Option<Cow<'_, str>> {
    const NAME_BYTES_MAX: usize = 4 << 10;
    if json.len() > NAME_BYTES_MAX {
        return None;
    }
    let plain = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).filter(|text| !text.contains('\\'));
    match plain {
        Some(text) => (!text.is_empty()).then_some(Cow::Borrowed(text)),
        None => body::filled(&serde_json::from_str(json).ok()?).map(Cow::Owned),
    }
}

/// How deeply valid JSON is nested, or an upper bound that is as good.
fn depth(json: &str) -> usize {
    // Counted at once, where the other is byte by byte: no body with so few brackets is too deep.
    let brackets = json.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if brackets <= BODY_DEPTH_MAX {
        return brackets;
    }
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl<'de: 'a, 'a> Deserialize<'de> for Parameters<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    pairs.push((key, value));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
