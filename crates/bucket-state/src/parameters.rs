//! What a call asked for, as CloudTrail recorded it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::register::Unknown;

/// What a record tells: keys of the request parameters with the texts of their values, or why there are none.
pub(crate) type Told<'a> = Result<Vec<(&'static str, &'a str)>, Unknown>;

/// The first of what was told; null where it is nested too deeply to be read.
pub(crate) fn parsed(parts: &[(&'static str, &str)]) -> Value {
    parts.first().and_then(|(_, text)| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
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

    /// A parsed value; null where it is absent or nested too deeply to be read.
    pub(crate) fn value(&self, key: &str) -> Value {
        self.get(key).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
    }

    /// What the record tells under `keys`, or why it tells nothing: CloudTrail left it out, or it never was there.
    pub(crate) fn told(&self, keys: &[&'static str]) -> Told<'a> {
        self.not_omitted()?;
        let told: Vec<_> = keys.iter().filter_map(|key| Some((*key, self.get(key)?))).collect();
        if told.is_empty() { Err(Unknown::NotRecorded) } else { Ok(told) }
    }

    /// The XML document that the request carried, as if under its expected root: S3 takes any, and the record shows
    /// the one that was sent.
    pub(crate) fn document(&self, root: &'static str) -> Told<'a> {
        let told = self.told(&[root]);
        if told != Err(Unknown::NotRecorded) {
            return told;
        }
        let is_element = |key: &str, json: &str| json.starts_with('{') && key != "accessControlList";
        let mut others = self.0.iter().filter(|(key, value)| is_element(key, value.get()));
        match (others.next(), others.next()) {
            (Some((_, only)), None) => Ok(vec![(root, only.get())]),
            _ => told,
        }
    }

    fn not_omitted(&self) -> Result<(), Unknown> {
        if self.get("omitted") == Some("true") { Err(Unknown::Omitted) } else { Ok(()) }
    }
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
