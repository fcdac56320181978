//! One table: its keys and its items.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::number::Number;
use super::value::{self, Item};
use crate::protocol::{Failure, Input, seconds};

pub(super) struct Table {
    name: String,
    created_ms: i64,
    hash: KeyAttribute,
    range: Option<KeyAttribute>,
    pub(super) items: BTreeMap<Key, Item>,
}

#[derive(Clone)]
struct KeyAttribute {
    name: String,
    /// `S`, `N` or `B`.
    kind: String,
}

/// Items lie in no order that a reader knows, but those of one hash key in the order of the range key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    place: [u8; 16],
    hash: String,
    range: Option<Range>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Range {
    Text(String),
    Number(Number),
    Binary(Vec<u8>),
}

impl Table {
    pub(super) fn new(input: Input<'_>, now_ms: i64) -> Result<Self, Failure> {
        let mut kinds = BTreeMap::new();
        for definition in input.needed("AttributeDefinitions", input.list("AttributeDefinitions")?)? {
            let definition = Input::new("AttributeDefinitions", definition)?;
            kinds.insert(definition.needed_text("AttributeName")?, definition.needed_text("AttributeType")?);
        }
        let mut keys = Vec::new();
        for (element, expected) in input.needed("KeySchema", input.list("KeySchema")?)?.iter().zip(["HASH", "RANGE"]) {
            let element = Input::new("KeySchema", element)?;
            let (name, kind) = (element.needed_text("AttributeName")?, element.needed_text("KeyType")?);
            if kind != expected {
                return Err(Failure::invalid(format!("KeySchema: the key of type {expected} is {kind}")));
            }
            let kind = kinds.remove(name).filter(|kind| ["S", "N", "B"].contains(kind));
            let kind =
                kind.ok_or_else(|| Failure::invalid(format!("AttributeDefinitions: no S, N or B for {name}")))?;
            keys.push(KeyAttribute { name: name.into(), kind: kind.into() });
        }
        if let Some(name) = kinds.keys().next() {
            return Err(Failure::invalid(format!("AttributeDefinitions: {name} is no key of the table")));
        }
        let mut keys = keys.into_iter();
        let hash = keys.next().ok_or_else(|| Failure::invalid("KeySchema is empty"))?;
        let name = input.needed_text("TableName")?.into();
        Ok(Self { name, created_ms: now_ms, hash, range: keys.next(), items: BTreeMap::new() })
    }

    pub(super) fn describe(&self, status: &str) -> Value {
        let schema = self.keys().zip(["HASH", "RANGE"]);
        let definition = |key: &KeyAttribute| json!({ "AttributeName": key.name, "AttributeType": key.kind });
        json!({
            "TableName": self.name,
            "TableArn": format!("arn:aws:dynamodb:us-east-1:000000000000:table/{}", self.name),
            "TableStatus": status,
            "CreationDateTime": seconds(self.created_ms),
            "AttributeDefinitions": self.keys().map(definition).collect::<Value>(),
            "KeySchema": schema
                .map(|(key, kind)| json!({ "AttributeName": key.name, "KeyType": kind }))
                .collect::<Value>(),
            "ItemCount": self.items.len(),
            "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
        })
    }

    fn keys(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.hash).chain(&self.range)
    }

    pub(super) fn is_key(&self, attribute: &str) -> bool {
        self.keys().any(|key| key.name == attribute)
    }

    /// The key of an item.
    pub(super) fn key(&self, item: &Item) -> Result<Key, Failure> {
        let hash = self.key_text(item, &self.hash)?;
        let range = match &self.range {
            None => None,
            Some(key) => {
                let text = self.key_text(item, key)?;
                Some(match key.kind.as_str() {
                    "N" => Range::Number(value::number(text)?),
                    "B" => Range::Binary(value::binary(text)?),
                    _ => Range::Text(text.into()),
                })
            }
        };
        Ok(Key { place: Md5::digest(hash).into(), hash: hash.into(), range })
    }

    /// A key that is nothing but a key, as requests hand it over.
    pub(super) fn key_alone(&self, attributes: &Map<String, Value>) -> Result<(Key, Item), Failure> {
        let item = value::item(attributes)?;
        if item.len() != self.keys().count() {
            return Err(Failure::invalid("The provided key element does not match the schema"));
        }
        Ok((self.key(&item)?, item))
    }

    /// The attributes of an item that make up its key.
    pub(super) fn key_of(&self, item: &Item) -> Value {
        let attributes = self.keys().filter_map(|key| Some((key.name.clone(), item.get(&key.name)?.clone())));
        Value::Object(attributes.collect())
    }

    fn key_text<'a>(&self, item: &'a Item, key: &KeyAttribute) -> Result<&'a str, Failure> {
        let text = item.get(&key.name).and_then(|value| value.get(&key.kind)).and_then(Value::as_str);
        match text {
            Some("") => Err(Failure::invalid(format!("the key {} of {} may not be empty", key.name, self.name))),
            Some(text) => Ok(text),
            None => Err(Failure::invalid(format!(
                "One or more parameter values were invalid: {} needs the key {} of type {}",
                self.name, key.name, key.kind
            ))),
        }
    }
}
